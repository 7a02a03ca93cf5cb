"""Merging pieces, against arrays drawn by hand and against a loop over pixels and pieces."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import label

from captum_superpixel.masks._merging import connected_pieces, merge_pieces


def merge_by_loop(pieces: NDArray[np.integer], features: NDArray[np.floating], n_segments: int) -> NDArray[np.int64]:
    """The rule of `merge_pieces`, one piece at a time; segments are named by their least piece, then numbered."""
    labels = np.array(pieces)
    while len(present := np.unique(labels)) > n_segments:
        size = {int(name): int((labels == name).sum()) for name in present}
        mean = {name: features[labels == name].mean(axis=0, dtype=np.float64) for name in size}
        near: dict[int, set[int]] = {name: set() for name in size}
        for axis in range(labels.ndim):
            length = labels.shape[axis]
            ahead, behind = labels.take(range(length - 1), axis).ravel(), labels.take(range(1, length), axis).ravel()
            for one, other in zip(ahead.tolist(), behind.tolist(), strict=True):
                if one != other:
                    near[one].add(other)
                    near[other].add(one)
        surplus = len(size) - n_segments
        group = {name: {name} for name in size}
        for name in sorted(size, key=lambda name: (size[name], name))[: (surplus + 1) // 2]:
            partner = min(near[name], key=lambda other: (np.sum((mean[name] - mean[other]) ** 2), other))
            joint = group[name] | group[partner]
            for member in joint:
                group[member] = joint
        labels = np.vectorize(lambda name, group=group: min(group[name]))(labels)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def test_pieces_of_one_label_in_two_places_are_two() -> None:
    labels = np.array([[7, 7, 0, 7], [0, 0, 0, 7], [7, 0, 0, 0]])
    assert connected_pieces(labels).tolist() == [[0, 0, 1, 2], [1, 1, 1, 2], [3, 1, 1, 1]]


def test_pieces_that_touch_at_a_corner_only_are_two() -> None:
    assert connected_pieces(np.eye(2, dtype=int)).tolist() == [[0, 1], [2, 3]]
    assert len(np.unique(connected_pieces(np.indices((2, 2, 2)).sum(axis=0) % 2))) == 8


def test_the_smallest_piece_joins_the_neighbour_of_the_nearest_colour() -> None:
    pieces = np.array([[0, 0, 0, 1, 2, 2], [0, 0, 0, 3, 2, 2]])
    colour = np.array([0.0, 0.4, 1.0, 0.9])[pieces][..., None]
    # Both single pixels could join each other (.5 apart), but 1 is nearer to 0 (.4 apart) and 3 to 2 (.1 apart).
    assert merge_pieces(pieces, colour, 3).tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 2, 1, 1]]
    assert merge_pieces(pieces, colour, 2).tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert merge_pieces(pieces, colour, 1).tolist() == [[0] * 6] * 2


def test_of_equally_near_neighbours_the_lowest_number_is_taken() -> None:
    pieces = np.array([[0, 0, 1, 2, 2]])
    assert merge_pieces(pieces, np.zeros((1, 5, 1)), 2).tolist() == [[0, 0, 0, 1, 1]]


def test_pieces_that_choose_each_other_become_one() -> None:
    pieces = np.array([[0, 0, 0, 1, 2, 3, 3, 3, 4, 4, 4, 4]])
    colour = np.array([0.0, 5.0, 5.1, 20.0, 30.0])[pieces][..., None]
    # Of three that are too many, the smallest two go first, 1 and 2; what they form joins 0, and then 3 joins 4.
    assert merge_pieces(pieces, colour, 2).tolist() == [[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]]


def test_fewer_pieces_than_asked_for_stay_as_they_are() -> None:
    pieces = np.array([[0, 1], [2, 1]])
    for n_segments in (3, 4, 100):
        assert merge_pieces(pieces, np.random.default_rng(0).random((2, 2, 3)), n_segments).tolist() == pieces.tolist()


@pytest.mark.parametrize("shape", [(9, 11), (1, 40), (40, 1), (4, 5, 6)])
@pytest.mark.parametrize("levels", [2, 6])
@pytest.mark.parametrize("seed", range(3))
def test_merging_equals_the_loop(shape: tuple[int, ...], levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = connected_pieces(rng.integers(0, levels, shape))
    # Small integers, so that means and distances are often equal and their sums exact in any order.
    features = rng.integers(0, 3, (*shape, 2)).astype(np.float64)
    for n_segments in (1, 2, 5, 10):
        merged = merge_pieces(pieces, features, n_segments)
        assert np.array_equal(merged, merge_by_loop(pieces, features, n_segments))
        assert (
            label(merged, connectivity=1, background=-1).max() == merged.max() + 1 == min(n_segments, pieces.max() + 1)
        )

"""Connected segments from clusters: drawings, and what holds for any clusters."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.measure import label
from torch import Tensor

from captum_superpixel.masks.slic import _connectivity as connectivity
from captum_superpixel.masks.slic._connectivity import connect


def draw(*rows: str) -> Tensor:
    return torch.tensor([[int(character) for character in row] for row in rows], dtype=torch.int32)[None]


def random_clusters(count: int, height: int, width: int, clusters: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width + clusters)
    coarse = torch.randint(clusters, (count, (height + 2) // 3, (width + 2) // 3), generator=generator)
    smooth = coarse.repeat_interleave(3, 1).repeat_interleave(3, 2)[:, :height, :width]
    speck = torch.rand(count, height, width, generator=generator) < 0.2
    clusters_of = torch.where(speck, torch.randint(clusters, smooth.shape, generator=generator), smooth)
    colours = torch.randint(-2000, 2000, (count, clusters, 3), generator=generator).float()
    return clusters_of.int(), colours


def test_a_piece_joins_the_neighbour_of_the_nearest_colour() -> None:
    clusters = draw(
        "00000111",
        "00200111",
        "00000111",
        "00000311",
    )
    grey, white, light, black = [0.0], [100.0], [60.0], [10.0]
    segments, counts = connect(clusters, torch.tensor([[grey, white, light, black]]), n_segments=2)
    assert counts.tolist() == [2]
    # The speck has one neighbour. The corner has two, and is nearer to the left one.
    assert segments.tolist() == draw("00000111", "00000111", "00000111", "00000011").tolist()


def test_the_largest_pieces_stay_whatever_their_cluster() -> None:
    clusters = draw("0011000", "0011000", "2221000")
    colours = torch.tensor([[[0.0], [1.0], [9.0]]])
    segments, counts = connect(clusters, colours, n_segments=3)
    # Of the four pieces, of 4, 5, 9 and 3 pixels, the last goes: to colour 1, which is nearer to 9 than 0 is.
    assert segments.tolist() == draw("0011222", "0011222", "1111222").tolist()
    assert counts.tolist() == [3]


def test_small_pieces_go_with_one_another_first_where_they_are_alike() -> None:
    """Two specks of 50 and 52 between 0 and 60: the first is nearest to the second, which is nearest to the first."""
    clusters = draw("000012333", "000000333")
    colours = torch.tensor([[[0.0], [50.0], [52.0], [60.0]]])
    assert connect(clusters, colours, n_segments=2)[0].tolist() == draw("000011111", "000000111").tolist()


def test_diagonal_pixels_do_not_touch() -> None:
    segments, counts = connect(draw("01", "10"), torch.tensor([[[0.0], [1.0]]]), n_segments=9)
    assert segments.tolist() == [[[0, 1], [2, 3]]]
    assert counts.tolist() == [4]


def test_images_do_not_touch_one_another() -> None:
    clusters = torch.cat([draw("00", "01"), draw("11", "11"), draw("10", "00")])
    colours = torch.tensor([[[0.0], [1.0]]]).repeat(3, 1, 1)
    segments, counts = connect(clusters, colours, n_segments=2)
    assert segments.tolist() == torch.cat([draw("00", "01"), draw("00", "00"), draw("01", "11")]).tolist()
    assert counts.tolist() == [2, 1, 2]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (2, 3), (30, 41)])
@pytest.mark.parametrize("clusters", [1, 2, 9])
@pytest.mark.parametrize("n_segments", [1, 2, 5, 30, 1000])
def test_segments_of_any_clusters(height: int, width: int, clusters: int, n_segments: int) -> None:
    clusters_of, colours = random_clusters(3, height, width, clusters)
    segments, counts = connect(clusters_of, colours, n_segments)
    for index, (image, count) in enumerate(zip(segments.numpy(), counts.tolist(), strict=True)):
        pieces = pieces_of(clusters_of[index].numpy())
        assert count == min(n_segments, len(np.unique(pieces)))
        assert np.unique(image).tolist() == list(range(count))
        assert len(np.unique(pieces_of(image))) == count
        # Pieces stay whole, and no two of the largest are merged.
        assert len(np.unique(np.stack([pieces, image]).reshape(2, -1), axis=1).T) == len(np.unique(pieces))
        sizes = np.bincount(pieces.ravel())
        kept = np.argsort(-sizes, kind="stable")[:n_segments]
        assert len({int(image[pieces == piece][0]) for piece in kept}) == count
        alone = connect(clusters_of[index : index + 1], colours[index : index + 1], n_segments)
        assert torch.equal(alone[0][0], segments[index])


def pieces_of(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    pieces: NDArray[np.integer] = label(labels, connectivity=1, background=-1) - 1
    return pieces


def test_renaming_clusters_changes_nothing() -> None:
    clusters, colours = random_clusters(2, 20, 20, 6)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    renamed = connect(order.int()[clusters.long()], colours[:, order.argsort()], 9)
    assert torch.equal(renamed[0], connect(clusters, colours, 9)[0])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (60, 61)])
@pytest.mark.parametrize("clusters", [1, 2, 3, 50])
def test_pieces_are_numbered_on_a_gpu_as_they_are_by_scikit_image(height: int, width: int, clusters: int) -> None:
    for image in random_clusters(3, height, width, clusters)[0]:
        assert np.array_equal(connectivity._label_in_parallel(image).numpy(), pieces_of(image.numpy()))


def test_a_piece_that_winds_is_one() -> None:
    spiral = draw(
        "11111111",
        "00000001",
        "01111101",
        "01000101",
        "01011101",
        "01000001",
        "01111111",
    )
    assert torch.equal(connectivity._label_in_parallel(spiral[0]), 1 - spiral[0].long())
    comb = torch.zeros(40, 41, dtype=torch.int32)
    comb[:-1, ::2] = 1
    assert np.array_equal(connectivity._label_in_parallel(comb).numpy(), pieces_of(comb.numpy()))


def test_each_image_of_a_batch_may_keep_another_number() -> None:
    generator = torch.Generator().manual_seed(7)
    clusters = torch.randint(0, 6, (3, 12, 9), generator=generator, dtype=torch.int32)
    colours = torch.randint(-2000, 2000, (3, 6, 3), generator=generator).float()
    wanted = [7, 1, 20]
    segments, counts = connect(clusters, colours, torch.tensor(wanted))
    assert counts.tolist() == wanted
    for index, n_segments in enumerate(wanted):
        alone = connect(clusters[index : index + 1], colours[index : index + 1], n_segments)[0]
        assert torch.equal(segments[index : index + 1], alone)

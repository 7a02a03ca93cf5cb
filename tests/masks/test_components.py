"""Components and their merging, against drawings, scikit-image's labels, and loops over pixels and components."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.measure import label
from torch import Tensor

from captum_superpixel.masks import _components as components_module
from captum_superpixel.masks._components import label_components, merge_smallest, number_by_first, unite
from captum_superpixel.masks.slic._largest import keep_largest

Merge = Callable[[NDArray[np.integer], NDArray[np.floating], int], NDArray[np.integer]]


def draw(*rows: str) -> Tensor:
    return torch.tensor([[int(character) for character in row] for row in rows], dtype=torch.int32)[None]


def random_clusters(count: int, spatial: Sequence[int], clusters: int) -> tuple[Tensor, Tensor]:
    """Blocks of three pixels a side with specks in them ``(count, *spatial)``, and a color for each cluster."""
    generator = torch.Generator().manual_seed(int(np.prod(spatial)) + clusters)
    smooth = torch.randint(clusters, (count, *(-(-length // 3) for length in spatial)), generator=generator)
    for axis, length in enumerate(spatial, start=1):
        smooth = smooth.repeat_interleave(3, axis).narrow(axis, 0, length)
    speck = torch.rand(count, *spatial, generator=generator) < 0.2
    clusters_of = torch.where(speck, torch.randint(clusters, smooth.shape, generator=generator), smooth)
    colors = torch.randint(-2000, 2000, (count, clusters, 3), generator=generator).float()
    return clusters_of.int(), colors


def components_of(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    # Which numbers scikit-image gives depends on the order of the axes in memory; here they follow the first pixels.
    found = label(labels, connectivity=1, background=-1)
    _, first, places = np.unique(found.ravel(), return_index=True, return_inverse=True)
    components: NDArray[np.integer] = first.argsort().argsort()[places].reshape(labels.shape)
    return components


def merge_by_loop(
    components: NDArray[np.integer], features: NDArray[np.floating], n_segments: int
) -> NDArray[np.integer]:
    """The rule of `merge_smallest`, one at a time; segments are named by their lowest component, then numbered."""
    labels = np.array(components)
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


# Labels of connected components.


def test_components_of_one_label_in_two_places_are_two() -> None:
    labels = torch.tensor([[7, 7, 0, 7], [0, 0, 0, 7], [7, 0, 0, 0]])
    assert label_components(labels).tolist() == [[0, 0, 1, 2], [1, 1, 1, 2], [3, 1, 1, 1]]


def test_pixels_that_touch_at_a_corner_only_are_two_components() -> None:
    assert label_components(torch.eye(2)).tolist() == [[0, 1], [2, 3]]
    assert len(label_components(torch.from_numpy(np.indices((2, 2, 2)).sum(axis=0) % 2)).unique()) == 8


@pytest.mark.parametrize("spatial", [(1, 1), (1, 9), (9, 1), (60, 61), (50,), (5, 6, 7), (9, 8, 1), (9, 1, 8)])
@pytest.mark.parametrize("clusters", [1, 2, 3, 50])
def test_components_are_numbered_on_a_gpu_as_they_are_by_scikit_image(spatial: tuple[int, ...], clusters: int) -> None:
    for image in random_clusters(3, spatial, clusters)[0]:
        expected = components_of(image.numpy())
        assert np.array_equal(components_module._label_in_parallel(image).numpy(), expected)
        assert np.array_equal(label_components(image).numpy(), expected)


def test_a_component_that_winds_is_one() -> None:
    spiral = draw(
        "11111111",
        "00000001",
        "01111101",
        "01000101",
        "01011101",
        "01000001",
        "01111111",
    )
    assert torch.equal(components_module._label_in_parallel(spiral[0]), 1 - spiral[0].long())
    comb = torch.zeros(40, 41, dtype=torch.int32)
    comb[:-1, ::2] = 1
    assert np.array_equal(components_module._label_in_parallel(comb).numpy(), components_of(comb.numpy()))


# Which groups form.


def test_groups_are_named_after_the_component_that_stays_or_after_the_lowest() -> None:
    partners = torch.tensor([3, 2, 1, 3, 1, 5, 0])
    # 6 joins 0, and 0 joins 3, which stays; 1 and 2 join each other, and 4 joins 1; 5 is alone.
    group, names = unite(partners)
    assert names.tolist() == [1, 3, 5]
    assert group.tolist() == [1, 0, 0, 1, 0, 2, 1]
    group, names = unite(partners, by_lowest=True)
    assert names.tolist() == [0, 1, 5]
    assert group.tolist() == [0, 1, 1, 0, 1, 2, 0]


# All that are not among the largest at a time.


def test_a_component_joins_the_neighbor_of_the_nearest_color() -> None:
    clusters = draw(
        "00000111",
        "00200111",
        "00000111",
        "00000311",
    )
    gray, white, light, black = [0.0], [100.0], [60.0], [10.0]
    segments, counts = keep_largest(clusters, torch.tensor([[gray, white, light, black]]), n_segments=2)
    assert counts.tolist() == [2]
    # The speck has one neighbor. The corner has two, and is nearer to the left one.
    assert segments.tolist() == draw("00000111", "00000111", "00000111", "00000011").tolist()


def test_the_largest_components_stay_whatever_their_cluster() -> None:
    clusters = draw("0011000", "0011000", "2221000")
    colors = torch.tensor([[[0.0], [1.0], [9.0]]])
    segments, counts = keep_largest(clusters, colors, n_segments=3)
    # Of the four components, of 4, 5, 6 and 3 pixels, the last goes: to color 1, which is nearer to 9 than 0 is.
    assert segments.tolist() == draw("0011222", "0011222", "1111222").tolist()
    assert counts.tolist() == [3]


def test_small_components_go_with_one_another_first_where_they_are_alike() -> None:
    """Two specks of 50 and 52 between 0 and 60: the first is nearest to the second, which is nearest to the first."""
    clusters = draw("000012333", "000000333")
    colors = torch.tensor([[[0.0], [50.0], [52.0], [60.0]]])
    assert keep_largest(clusters, colors, n_segments=2)[0].tolist() == draw("000011111", "000000111").tolist()


def test_diagonal_pixels_do_not_touch() -> None:
    segments, counts = keep_largest(draw("01", "10"), torch.tensor([[[0.0], [1.0]]]), n_segments=9)
    assert segments.tolist() == [[[0, 1], [2, 3]]]
    assert counts.tolist() == [4]


def test_images_do_not_touch_one_another() -> None:
    clusters = torch.cat([draw("00", "01"), draw("11", "11"), draw("10", "00")])
    colors = torch.tensor([[[0.0], [1.0]]]).repeat(3, 1, 1)
    segments, counts = keep_largest(clusters, colors, n_segments=2)
    assert segments.tolist() == torch.cat([draw("00", "01"), draw("00", "00"), draw("01", "11")]).tolist()
    assert counts.tolist() == [2, 1, 2]


@pytest.mark.parametrize("spatial", [(1, 1), (1, 40), (40, 1), (2, 3), (30, 41), (5, 7, 6), (25,)])
@pytest.mark.parametrize("clusters", [1, 2, 9])
@pytest.mark.parametrize("n_segments", [1, 2, 5, 30, 1000])
def test_segments_of_any_clusters(spatial: tuple[int, ...], clusters: int, n_segments: int) -> None:
    clusters_of, colors = random_clusters(3, spatial, clusters)
    segments, counts = keep_largest(clusters_of, colors, n_segments)
    for index, (image, count) in enumerate(zip(segments.numpy(), counts.tolist(), strict=True)):
        components = components_of(clusters_of[index].numpy())
        assert count == min(n_segments, len(np.unique(components)))
        assert np.unique(image).tolist() == list(range(count))
        assert len(np.unique(components_of(image))) == count
        # Components stay whole, and no two of the largest are merged.
        assert len(np.unique(np.stack([components, image]).reshape(2, -1), axis=1).T) == len(np.unique(components))
        sizes = np.bincount(components.ravel())
        kept = np.argsort(-sizes, kind="stable")[:n_segments]
        assert [int(image[components == component][0]) for component in sorted(kept)] == list(range(count))
        alone = keep_largest(clusters_of[index : index + 1], colors[index : index + 1], n_segments)
        assert torch.equal(alone[0][0], segments[index])


def test_a_volume_of_one_layer_is_an_image() -> None:
    clusters, colors = random_clusters(2, (20, 22), 6)
    segments, counts = keep_largest(clusters, colors, 9)
    for axis in (1, 2, 3):
        layered, same = keep_largest(clusters.unsqueeze(axis), colors, 9)
        assert torch.equal(layered.squeeze(axis), segments)
        assert torch.equal(same, counts)


def test_renaming_clusters_changes_nothing() -> None:
    clusters, colors = random_clusters(2, (20, 20), 6)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    renamed = keep_largest(order.int()[clusters.long()], colors[:, order.argsort()], 9)
    assert torch.equal(renamed[0], keep_largest(clusters, colors, 9)[0])


def test_each_image_of_a_batch_may_keep_another_number() -> None:
    generator = torch.Generator().manual_seed(7)
    clusters = torch.randint(0, 6, (3, 12, 9), generator=generator, dtype=torch.int32)
    colors = torch.randint(-2000, 2000, (3, 6, 3), generator=generator).float()
    wanted = [7, 1, 20]
    segments, counts = keep_largest(clusters, colors, torch.tensor(wanted))
    assert counts.tolist() == wanted
    for index, n_segments in enumerate(wanted):
        alone = keep_largest(clusters[index : index + 1], colors[index : index + 1], n_segments)[0]
        assert torch.equal(segments[index : index + 1], alone)


# None that is too small.


def test_a_speck_among_the_largest_makes_room_for_what_has_formed() -> None:
    clusters = draw(
        "00000111",
        "00200111",
        "00000111",
        "33444555",
    )
    colors = torch.tensor([[[0.0], [90.0], [1000.0], [50.0], [52.0], [400.0]]])
    # Of 5 the largest are 0, 1, 4, 5 and 3, of 14, 9, 3, 3 and 2 pixels; the speck 2 goes to 0, or to 1 if it could.
    assert (
        keep_largest(clusters, colors, n_segments=5)[0].tolist()
        == draw("00000111", "00000111", "00000111", "22333444").tolist()
    )
    # All below 4 join first: 3 and 4 each other, and are large enough; 5 joins 1, which is nearest to it, as 2 joins 0.
    segments, counts = keep_largest(clusters, colors, n_segments=5, least=torch.tensor([4]))
    assert segments.tolist() == draw("00000111", "00000111", "00000111", "22222111").tolist()
    assert counts.tolist() == [3]


def test_images_without_specks_among_the_largest_are_as_without_the_bound() -> None:
    clusters, colors = random_clusters(4, (30, 31), 9)
    least = torch.tensor([1, 4, 60, 9])
    segments, counts = keep_largest(clusters, colors, 12, least=least)
    plain, _ = keep_largest(clusters, colors, 12)
    for index, bound in enumerate(least.tolist()):
        sizes = segments[index].flatten().bincount()
        assert sizes.min() >= bound
        assert len(sizes) == counts[index] <= 12
        components = np.bincount(components_of(clusters[index].numpy()).ravel())
        if np.sort(components)[-12] >= bound:
            assert torch.equal(segments[index], plain[index])
        one = slice(index, index + 1)
        assert torch.equal(keep_largest(clusters[one], colors[one], 12, least=least[one])[0], segments[one])


@pytest.mark.parametrize("spatial", [(1, 40), (30, 41), (5, 7, 6)])
@pytest.mark.parametrize("clusters", [2, 9])
@pytest.mark.parametrize("n_segments", [1, 5, 30])
@pytest.mark.parametrize("least", [1, 2, 7, 40])
def test_segments_are_connected_and_large_enough(
    spatial: tuple[int, ...], clusters: int, n_segments: int, least: int
) -> None:
    clusters_of, colors = random_clusters(2, spatial, clusters)
    segments, counts = keep_largest(clusters_of, colors, n_segments, least=torch.tensor([least, 1]))
    for image, count, bound in zip(segments.numpy(), counts.tolist(), (least, 1), strict=True):
        assert np.bincount(image.ravel()).min() >= bound
        assert len(np.unique(components_of(image))) == image.max() + 1 == count <= n_segments


def test_elements_count_as_much_as_is_said() -> None:
    clusters, colors = draw("0011222"), torch.tensor([[[0.0], [1.0], [9.0]]])
    areas = torch.tensor([[1, 1, 3, 3, 1, 1, 1]])
    least = torch.tensor([3])
    assert keep_largest(clusters, colors, 3, least=least)[0].tolist() == draw("0000111").tolist()
    assert keep_largest(clusters, colors, 3, least=least, areas=areas)[0].tolist() == draw("0000111").tolist()
    assert (
        keep_largest(clusters, colors, 3, least=torch.tensor([4]), areas=areas)[0].tolist() == draw("0000000").tolist()
    )


# The smallest first, half of the surplus at a time.


def test_the_smallest_component_joins_the_neighbor_of_the_nearest_color() -> None:
    components = torch.tensor([[0, 0, 0, 1, 2, 2], [0, 0, 0, 3, 2, 2]])
    color = torch.tensor([0.0, 0.4, 1.0, 0.9])[components][..., None]
    # Both single pixels could join each other (.5 apart), but 1 is nearer to 0 (.4 apart) and 3 to 2 (.1 apart).
    assert merge_smallest(components, color, 3).tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 2, 1, 1]]
    assert merge_smallest(components, color, 2).tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert merge_smallest(components, color, 1).tolist() == [[0] * 6] * 2


def test_of_equally_near_neighbors_the_lowest_number_is_taken() -> None:
    components = torch.tensor([[0, 0, 1, 2, 2]])
    assert merge_smallest(components, torch.zeros(1, 5, 1), 2).tolist() == [[0, 0, 0, 1, 1]]


def test_components_that_choose_each_other_become_one() -> None:
    components = torch.tensor([[0, 0, 0, 1, 2, 3, 3, 3, 4, 4, 4, 4]])
    color = torch.tensor([0.0, 5.0, 5.1, 20.0, 30.0])[components][..., None]
    # Of three that are too many, the smallest two go first, 1 and 2; what they form joins 0, and then 3 joins 4.
    assert merge_smallest(components, color, 2).tolist() == [[0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]]


def test_fewer_components_than_asked_for_stay_as_they_are() -> None:
    components = torch.tensor([[0, 1], [2, 1]])
    features = torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(0))
    for n_segments in (3, 4, 100):
        assert torch.equal(merge_smallest(components, features, n_segments), components)


def test_the_layout_in_memory_does_not_matter() -> None:
    clusters, colors = random_clusters(2, (14, 17), 5)
    spread = clusters.mT.contiguous().mT
    assert torch.equal(label_components(spread[0]), label_components(clusters[0]))
    assert torch.equal(keep_largest(spread, colors, 6)[0], keep_largest(clusters, colors, 6)[0])
    components = label_components(clusters[0])
    features = colors[0][clusters[0].long()]
    expected = merge_smallest(components, features, 6)
    layout = features.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(merge_smallest(components.mT.contiguous().mT, layout, 6), expected)


@pytest.mark.parametrize("shape", [(9, 11), (1, 40), (40, 1), (4, 5, 6)])
@pytest.mark.parametrize("levels", [2, 6])
@pytest.mark.parametrize("seed", range(3))
def test_merging_equals_the_loop(shape: tuple[int, ...], levels: int, seed: int, merge: Merge) -> None:
    rng = np.random.default_rng(seed)
    components = components_of(rng.integers(0, levels, shape))
    # Small integers, so that means and distances are often equal and their sums exact in any order.
    features = rng.integers(0, 3, (*shape, 2)).astype(np.float64)
    for n_segments in (1, 2, 5, 10):
        merged = merge(components, features, n_segments)
        assert np.array_equal(merged, merge_by_loop(components, features, n_segments))
        assert len(np.unique(components_of(merged))) == merged.max() + 1 == min(n_segments, components.max() + 1)


def test_connected_labels_are_numbered_as_their_components_are() -> None:
    labels = torch.tensor([[[9, 9, 2], [4, 9, 2]], [[4, 4, 2], [4, 7, 7]]])
    expected = torch.tensor([[[0, 0, 1], [2, 0, 1]], [[2, 2, 1], [2, 3, 3]]])
    assert number_by_first(labels).tolist() == expected.tolist() == label_components(labels).tolist()

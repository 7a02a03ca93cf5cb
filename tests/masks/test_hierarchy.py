"""Trees over segments: nested, made of the pairs that are cheapest to merge, the same for an image alone."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.color import rgb2lab
from torch import Tensor

from captum_superpixel.masks import Grid, SegmentTree, Slic, hierarchy, segment_trees

COLORS = torch.rand(3, 3, 24, 20, generator=torch.Generator().manual_seed(0))


def smooth(images: Tensor) -> Tensor:
    """Images in which neighbors are alike."""
    return torch.nn.functional.avg_pool2d(images, 7, stride=1, padding=3)


def merges_by_hand(segments: NDArray[np.int64], lab: NDArray[np.float64]) -> list[set[int]]:
    """The sets of leaves that merges make, from the pixels of all pairs of regions, anew after each merge."""
    regions = [{leaf} for leaf in range(segments.max() + 1)]
    made = []
    while len(regions) > 1:
        costs = []
        for second in range(len(regions)):
            for first in range(second):
                a, b = (np.isin(segments, list(regions[index])) for index in (first, second))
                border = sum(
                    np.count_nonzero(one[here] & other[there])
                    for one, other in ((a, b), (b, a))
                    for here, there in (
                        ((slice(1, None),), (slice(None, -1),)),
                        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
                    )
                )
                if border:
                    distance = np.linalg.norm(lab[a].mean(axis=0) - lab[b].mean(axis=0))
                    added = a.sum() * b.sum() / (a.sum() + b.sum())
                    costs.append((cost_by_hand(added, distance, border), first, second))
        _, first, second = min(costs)
        together = regions[first] | regions[second]
        regions = [region for index, region in enumerate(regions) if index not in (first, second)] + [together]
        made.append(together)
    return made


def cost_by_hand(added: float, distance: float, border: int) -> float:
    return float(added * (distance**2 + 2.3**2) ** 0.5 / border)


def leaves_of(tree: SegmentTree) -> list[set[int]]:
    return [set(row.nonzero().flatten().tolist()) for row in tree.members[tree.n_leaves :]]


def test_what_is_merged_is_the_cheapest_pair_that_touches() -> None:
    images = smooth(COLORS)
    generator = Slic(14, denormalize=(0, 1))
    trees = segment_trees(images, mask_generator=generator)
    for image, mask, tree in zip(images, generator(images), trees, strict=True):
        assert torch.equal(tree.segments, mask[0])
        lab = rgb2lab(image.movedim(0, -1).double().numpy())
        assert leaves_of(tree) == merges_by_hand(mask[0].numpy(), lab)


def test_a_long_border_outweighs_sizes_among_equal_colors() -> None:
    mask = torch.tensor([[0, 0, 1, 1, 1], [2, 2, 1, 2, 2]])[None, None]
    # Of 2, 4 and 4 pixels: 0 touches 1 in one pair of pixels and 2 in two, and these touch each other in four.
    assert segment_trees(torch.zeros(1, 1, 2, 5), feature_mask=mask)[0].merges[0] == (1, 2)


def test_levels_are_nested_and_have_as_many_segments_as_are_asked_for() -> None:
    images = smooth(COLORS)
    counts = (1, 2, 5, 11, 20)
    levels = hierarchy(images, counts, mask_generator=Slic(20))
    assert [[len(mask.unique()) for mask in level] for level in levels] == [[count] * 3 for count in counts]
    for coarse, fine in pairwise(levels):
        assert coarse.shape == (3, 1, 24, 20)
        for image in range(3):
            assert coarse[image].max() == len(coarse[image].unique()) - 1
            for segment in range(int(fine[image].max()) + 1):
                assert len(coarse[image][fine[image] == segment].unique()) == 1
    assert torch.equal(hierarchy(images, (99,), mask_generator=Slic(20))[0], Slic(20)(images))


def test_an_image_has_the_same_tree_in_any_batch_and_with_any_ids() -> None:
    images = smooth(COLORS)
    mask = Slic(18)(images)
    together = segment_trees(images, feature_mask=mask)
    for index, tree in enumerate(together):
        (alone,) = segment_trees(images[index : index + 1], feature_mask=7 * mask[index] + 2**40)
        assert alone.merges == tree.merges
        assert torch.equal(alone.segments, tree.segments)
    one_for_all = segment_trees(images, feature_mask=mask[0, 0])
    assert [torch.equal(tree.segments, mask[0, 0]) for tree in one_for_all] == [True] * 3
    assert one_for_all[0].merges != one_for_all[1].merges


def test_colors_are_those_that_the_generator_is_told_of() -> None:
    images = smooth(COLORS)
    mask = Grid(16)(images)
    expected = [
        tree.merges for tree in segment_trees(images, mask_generator=Slic(denormalize=(0, 1)), feature_mask=mask)
    ]
    normalized = (images - 0.25) / 0.5
    for generator, given in (
        (Slic(denormalize=(0.25, 0.5)), normalized),
        (Grid(denormalize=(0.25, 0.5)), normalized),
        (Slic(denormalize=(0.25, 0.5), channel_order="bgr"), normalized.flip(1)),
    ):
        found = segment_trees(given, mask_generator=generator, feature_mask=mask)
        assert [tree.merges for tree in found] == expected
    other = segment_trees(normalized.flip(1), mask_generator=Slic(denormalize=(0.25, 0.5)), feature_mask=mask)
    assert [tree.merges for tree in other] != expected


def test_a_flat_image_is_one_leaf() -> None:
    (tree,) = segment_trees(torch.ones(1, 3, 8, 8), mask_generator=Slic(9))
    assert (tree.n_leaves, tree.merges, tree.sizes.tolist()) == (1, (), [64])
    assert not tree.cut(3).any()


def test_nodes_hold_what_their_children_hold() -> None:
    (tree,) = segment_trees(smooth(COLORS)[:1], mask_generator=Slic(20))
    for index, (first, second) in enumerate(tree.merges):
        assert not (tree.members[first] & tree.members[second]).any()
        assert tree.sizes[tree.n_leaves + index] == tree.sizes[first] + tree.sizes[second]
    assert tree.members[-1].all()
    assert tree.sizes[-1] == 24 * 20


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: hierarchy(COLORS, 8), TypeError, r"sequence of integers, but 8 was passed: write \(8, 32\)"),  # type: ignore[arg-type]
        (lambda: hierarchy(COLORS, ()), ValueError, r"n_segments is empty"),
        (lambda: hierarchy(COLORS, (4, 0), mask_generator=Slic(9)), ValueError, r"at least 1, but 0 was passed"),
        (
            lambda: segment_trees(COLORS, feature_mask=torch.zeros(1, 3, 24, 20, dtype=torch.int64)),
            ValueError,
            r"\(1, 3, 24, 20\) tells channels apart, .* shape \(1 or N, 1, 24, 20\)",
        ),
        (lambda: segment_trees(COLORS / 0, feature_mask=torch.zeros(24, 20).long()), ValueError, r"NaN or infinite"),
        (lambda: segment_trees(COLORS, mask_generator=Slic), TypeError, r"such as Slic\(\), but <class"),
        (lambda: segment_trees(COLORS, mask_generator=lambda images: images), TypeError, r"the mask .*float32"),
        (lambda: SegmentTree(torch.zeros(3), ((0, 1),)), TypeError, r"a tensor of torch\.float32 was passed"),
        (lambda: SegmentTree(torch.tensor([-1, 0]), ()), ValueError, r"ids -1, 0, but must be numbered from 0"),
        (lambda: SegmentTree(torch.tensor([0, 2]), ((0, 1),)), ValueError, r"ids 0, 2, but must be .* without gaps"),
        (lambda: SegmentTree(torch.arange(0), ()), ValueError, r"ids of no pixel, but"),
        (lambda: SegmentTree(torch.arange(3), ((0, 1),)), ValueError, r"1 merges of 3 segments .*: 2 are needed"),
        (lambda: SegmentTree(torch.arange(3), ((0, 1), (1, 2))), ValueError, r"each node but the last stands once"),
        (lambda: SegmentTree(torch.arange(3), ((0, 3), (1, 2))), ValueError, r"after the merge that made it"),
    ],
)
def test_errors_say_what_is_wrong(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

"""Owen values: means over the orders that a tree allows, complete at every budget, which is never exceeded."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import NoiseTunnel
from torch import Tensor, nn

from captum_superpixel import OwenValues, SuperpixelGrouped, region_table
from captum_superpixel.attr.owen import count_evaluations
from captum_superpixel.attr.shapley import ExactShapleyValues
from captum_superpixel.masks import Cached, Felzenszwalb, Grid, PatchAligned, SegmentTree, Slic, segment_trees

ROW = torch.arange(6).view(1, 6)
BALANCED = SegmentTree(torch.arange(16).view(4, 4), tuple((2 * index, 2 * index + 1) for index in range(15)))
CHAIN = SegmentTree(ROW, ((0, 1), (2, 6), (3, 7), (4, 8), (5, 9)))
MIXED = SegmentTree(ROW, ((1, 2), (0, 6), (3, 4), (5, 8), (7, 9)))


def not_linear(images: Tensor) -> Tensor:
    """Two outputs of all pixels, none of which goes alone."""
    row = images.flatten(1)
    return torch.stack(
        [torch.sin(row.sum(1)) + row[:, 0] * row[:, 3].exp() - row.prod(1), row.square().sum(1).sqrt()], 1
    )


def orders(tree: SegmentTree, node: int | None = None) -> list[list[int]]:
    """All orders of the leaves in which those of every node stand together."""
    node = 2 * tree.n_leaves - 2 if node is None else node
    if node < tree.n_leaves:
        return [[node]]
    first, second = tree.merges[node - tree.n_leaves]
    return [
        before + after
        for one, other in ((first, second), (second, first))
        for before in orders(tree, one)
        for after in orders(tree, other)
    ]


def by_orders(function: Callable[[Tensor], Tensor], image: Tensor, baseline: Tensor, tree: SegmentTree) -> Tensor:
    """The definition: the mean over these orders of what each leaf adds to those before it, laid over its pixels."""
    values = torch.zeros(tree.n_leaves)
    for order in orders(tree):
        there = baseline.clone()
        for leaf in order:
            before = float(function(there))
            there = torch.where(tree.segments == leaf, image, there)
            values[leaf] += float(function(there)) - before
    return (values / len(orders(tree)))[tree.segments].expand_as(image[0])


class Counting:
    """A function that counts the images that it was given, and in how many calls."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function, self.images, self.largest = function, 0, 0

    def __call__(self, images: Tensor, *further: Any) -> Tensor:
        self.images += len(images)
        self.largest = max(self.largest, len(images))
        return self.function(images, *further)


@pytest.mark.parametrize("at_once", [2, 7])
def test_values_are_means_over_the_orders_of_the_tree(at_once: int) -> None:
    images = torch.rand(2, 1, 1, 6, generator=torch.Generator().manual_seed(1))
    baselines = torch.tensor([0.1, -0.2]).view(2, 1, 1, 1).expand(2, 1, 1, 6)
    trees, targets = [CHAIN, MIXED], [1, 0]
    network = Counting(not_linear)
    options = {"baselines": baselines, "target": targets, "trees": trees, "perturbations_per_eval": at_once}
    maps = OwenValues(network).attribute(images, n_evaluations=100, **options)
    for image, baseline, tree, target, found in zip(images, baselines, trees, targets, maps, strict=True):
        expected = by_orders(lambda rows, of=target: not_linear(rows)[:, of], image[None], baseline[None], tree)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert [count_evaluations(tree) for tree in trees] == [2 + 2 * (1 + 2 + 4 + 8 + 16), 2 + 2 * (1 + 4 + 8)]
    assert network.images == 64 + 28
    assert network.largest <= 2 * at_once
    assert not torch.allclose(
        maps, OwenValues(not_linear).attribute(images, **options | {"trees": trees[::-1]}, n_evaluations=100)
    )


@pytest.mark.parametrize("tree", [CHAIN, MIXED])
def test_they_add_up_at_every_budget_which_is_never_exceeded(tree: SegmentTree) -> None:
    image = torch.rand(1, 1, 1, 6, generator=torch.Generator().manual_seed(2))
    change = not_linear(image) - not_linear(0 * image)
    for budget in range(2, count_evaluations(tree) + 3):
        network = Counting(not_linear)
        maps = OwenValues(network).attribute(image, target=0, trees=[tree], n_evaluations=budget)
        torch.testing.assert_close(maps.sum(dim=(1, 2, 3)), change[:, 0])
        assert network.images == min(budget // 2 * 2, count_evaluations(tree))


def test_two_leaves_have_their_shapley_values() -> None:
    image = torch.tensor([[[[0.7, -1.3, 0.2, 0.9]]]])
    mask = torch.tensor([[0, 0, 1, 1]])
    expected = ExactShapleyValues(not_linear).attribute(image, target=0, feature_mask=mask[None, None])
    torch.testing.assert_close(OwenValues(not_linear).attribute(image, target=0, feature_mask=mask), expected)


def test_own_parts_are_found_before_all_contexts_are_evaluated() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 2] = torch.tensor([1.0, 2.0, 3.0, 4.0])

    def additive(images: Tensor) -> Tensor:
        return images.flatten(1).sum(dim=1)

    assert count_evaluations(BALANCED) == 172
    found = OwenValues(additive).attribute(image, trees=[BALANCED], n_evaluations=40)
    torch.testing.assert_close(found, image)


def test_an_interaction_is_split_evenly_and_who_adds_nothing_has_nothing() -> None:
    image = torch.full((1, 1, 4, 4), 2.0)

    def product(images: Tensor) -> Tensor:
        return images[:, 0, 0, 1] * images[:, 0, 3, 2]

    found = OwenValues(product).attribute(image, trees=[BALANCED], n_evaluations=172)
    expected = torch.zeros(1, 1, 4, 4)
    expected[0, 0, 0, 1] = expected[0, 0, 3, 2] = 2
    torch.testing.assert_close(found, expected)


def test_interactions_of_few_are_found_before_all_contexts_are_evaluated() -> None:
    """What is at stake elsewhere is nothing, and a rest is shared by parts: by pixels all would have some."""
    image = torch.full((1, 1, 4, 4), 2.0)

    def three(images: Tensor) -> Tensor:
        return torch.sin(images[:, 0, 0, 1] * (1 + images[:, 0, 1, 1]) + images[:, 0, 3, 2] ** 2)

    exact = OwenValues(three).attribute(image, trees=[BALANCED], n_evaluations=172)
    assert int((exact != 0).sum()) == 3
    torch.testing.assert_close(OwenValues(three).attribute(image, trees=[BALANCED], n_evaluations=60), exact)


def test_the_nodes_that_are_worth_most_are_split_first() -> None:
    """Seven splits lead to the one pixel that matters; level by level they would end above it."""
    image = torch.ones(1, 1, 4, 4)
    expected = torch.zeros(1, 1, 4, 4)
    expected[0, 0, 2, 1] = 5
    network = Counting(lambda images: 5 * images[:, 0, 2, 1])
    found = OwenValues(network).attribute(image, trees=[BALANCED], n_evaluations=32)
    torch.testing.assert_close(found, expected)


def test_a_deep_part_of_a_large_value_waits_for_a_shallow_one_that_is_worth_as_much() -> None:
    """The 8 of a pixel halve with every level; after two, the other half of the image, worth 1, has its turn."""
    expected = torch.zeros(1, 1, 4, 4)
    expected[0, 0, 0, :2] = 4  # the first row is split in two
    expected[0, 0, 3] = 0.25  # the last is told from the third
    found = OwenValues(lambda images: 8 * images[:, 0, 0, 0] + images[:, 0, 3, 3]).attribute(
        torch.ones(1, 1, 4, 4), trees=[BALANCED], n_evaluations=20
    )
    torch.testing.assert_close(found, expected)


def test_what_is_not_split_is_shared_by_size() -> None:
    image = torch.ones(1, 2, 1, 4)
    mask = torch.tensor([[0, 1, 1, 1]])

    def first(images: Tensor) -> Tensor:
        return images[:, 0, 0, 0] * 8

    undivided = OwenValues(first).attribute(image, feature_mask=mask, n_evaluations=3)
    assert undivided[0, 0, 0].tolist() == [2, 6, 6, 6]
    assert OwenValues(first).attribute(image, feature_mask=mask)[0, 1, 0].tolist() == [8, 0, 0, 0]
    per_pixel = OwenValues(first).attribute(image, feature_mask=mask, n_evaluations=2, per_pixel=True)
    assert per_pixel.tolist() == torch.ones(1, 2, 1, 4).tolist()


def test_what_is_not_split_is_shared_by_how_far_pixels_are_from_the_baseline() -> None:
    """Of 24, by 3 against 3; by size by 1 against 3."""
    image = torch.tensor([[[[4.0, 1.0, 3.0, 2.0]]]])
    mask = torch.tensor([[0, 1, 1, 1]])

    def first(images: Tensor) -> Tensor:
        return (images[:, 0, 0, 0] - 1) * 8

    options: dict[str, Any] = {"baselines": 1.0, "feature_mask": mask, "n_evaluations": 2}
    found = {
        (per_pixel, shares): OwenValues(first).attribute(image, per_pixel=per_pixel, shares=shares, **options)
        for per_pixel in (False, True)
        for shares in ("change", "size")
    }
    assert {each: maps.flatten().tolist() for each, maps in found.items()} == {
        (False, "change"): [12, 12, 12, 12],
        (True, "change"): [12, 0, 8, 4],
        (False, "size"): [6, 18, 18, 18],
        (True, "size"): [6, 6, 6, 6],
    }


def test_channels_of_a_pixel_share_by_their_own_change_and_what_equals_the_baseline_has_nothing() -> None:
    image = torch.tensor([[[[3.0, 0.0]], [[1.0, 0.0]]]])

    def output(images: Tensor) -> Tensor:
        return images.flatten(1).sum(dim=1) * 2

    options: dict[str, Any] = {"per_pixel": True, "n_evaluations": 2}
    found = OwenValues(output).attribute(image, feature_mask=torch.tensor([[0, 0]]), **options)
    assert found.flatten().tolist() == [6, 0, 2, 0]
    blank = OwenValues(output).attribute(0 * image, feature_mask=torch.tensor([[0, 1]]), **options)
    assert blank.flatten().tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("budget", [2, 9, 30])
@pytest.mark.parametrize("shares", ["change", "size"])
def test_maps_per_pixel_add_up(budget: int, shares: Any) -> None:
    image = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(5))
    options: dict[str, Any] = {"per_pixel": True, "shares": shares, "n_evaluations": budget}
    found = OwenValues(not_linear).attribute(image, 0.25, target=1, trees=BALANCED, **options)
    change = not_linear(image) - not_linear(torch.full_like(image, 0.25))
    torch.testing.assert_close(found.sum(), change[0, 1])


def test_branches_that_equal_the_baseline_have_no_share() -> None:
    """Branches that equal the baseline have no change to share by."""
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 0, 0] = 1
    found = OwenValues(lambda images: images[:, 0, 0, 0] * 3).attribute(image, trees=BALANCED, n_evaluations=2)
    expected = torch.zeros(1, 1, 4, 4)
    expected[0, 0, 0, 0] = 3
    assert torch.equal(found, expected)


def test_an_image_has_the_same_map_alone_and_however_many_are_evaluated_at_once(net: nn.Module, images: Tensor) -> None:
    method = OwenValues(net, Slic(9))
    options: dict[str, Any] = {"baselines": lambda inputs: inputs.mean(dim=(2, 3), keepdim=True), "n_evaluations": 40}
    maps = method.attribute(images, target=[0, 1, 2, 3], perturbations_per_eval=5, **options)
    assert maps.shape == images.shape
    for index in range(4):
        one = images[index : index + 1]
        torch.testing.assert_close(maps[index : index + 1], method.attribute(one, target=index, **options))
    (mask,) = {tuple(mask.shape[1:]) for mask in [Slic(9)(images)]}
    assert mask == (1, *images.shape[2:])
    for found, segments in zip(maps, Slic(9)(images), strict=True):
        assert all(len(found[:, segments[0] == segment].unique()) == 1 for segment in segments.unique())


def test_it_is_an_attribution_like_any_other(net: nn.Module, images: Tensor) -> None:
    mask = Grid(6)(images)
    method = OwenValues(net)
    found = method.attribute(images, target=1, feature_mask=mask, perturbations_per_eval=4)
    grouped = SuperpixelGrouped(OwenValues(net), Grid(6))
    torch.testing.assert_close(grouped.attribute(images, target=1, perturbations_per_eval=4), found)
    assert torch.equal(
        method.attribute((images,), target=1, feature_mask=(mask,))[0],
        method.attribute(images, target=1, feature_mask=mask),
    )
    table = region_table(found[:1], mask[:1], score="mean")
    with torch.no_grad():
        change = (net(images[:1]) - net(0 * images[:1]))[0, 1]
    torch.testing.assert_close(torch.tensor(sum(region.score for region in table), dtype=torch.float32), change)
    noisy = NoiseTunnel(method).attribute(images, target=1, feature_mask=mask, nt_samples=2, stdevs=1e-6)
    torch.testing.assert_close(noisy, found, rtol=1e-2, atol=1e-3)


def test_further_arguments_go_with_their_images(net: nn.Module, images: Tensor) -> None:
    factors = torch.tensor([1.0, 2.0, -1.0, 0.5])

    def scaled(inputs: Tensor, of_images: Tensor, power: int) -> Tensor:
        return net(inputs) ** power * of_images[:, None]

    options: dict[str, Any] = {"feature_mask": Grid(4)(images), "perturbations_per_eval": 3}
    found = OwenValues(scaled).attribute(
        images, target=torch.tensor([0, 1, 2, 3]), additional_forward_args=(factors, 1), **options
    )
    plain = OwenValues(net).attribute(images, target=[0, 1, 2, 3], **options)
    torch.testing.assert_close(found, plain * factors.view(4, 1, 1, 1))


def test_networks_that_return_objects(net: nn.Module, images: Tensor) -> None:
    """By themselves, without SuperpixelGrouped around them."""
    mask = Grid(3)(images)
    for method in (OwenValues, ExactShapleyValues):
        expected = method(net).attribute(images, target=1, feature_mask=mask)
        wrapped = method(lambda inputs: {"loss": None, "logits": net(inputs)})
        assert torch.equal(wrapped.attribute(images, target=1, feature_mask=mask), expected)
        with pytest.raises(ValueError, match=r"output of type dict of 'features', which has no tensor of logits"):
            method(lambda inputs: {"features": net(inputs)}).attribute(images, target=1, feature_mask=mask)


def test_half_precision_stays() -> None:
    image = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(4)).half()
    found = OwenValues(lambda images: images.flatten(1).sum(dim=1)).attribute(image, trees=[BALANCED])
    assert found.dtype == torch.float16
    torch.testing.assert_close(found, image, rtol=0, atol=0.01)


def test_one_segment_is_worth_the_whole_change() -> None:
    network = Counting(lambda images: images.flatten(1).sum(dim=1))
    found = OwenValues(network, Slic(9)).attribute(torch.ones(1, 1, 8, 8), 0.5)
    assert network.images == 2
    assert found.unique().tolist() == [32]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_evaluations": 1}, ValueError, r"n_evaluations must be at least 2, but 1 was passed"),
        ({"shares": "area"}, ValueError, r"shares='area' is unknown: choose one of 'change', 'size'"),
        ({"perturbations_per_eval": 0}, ValueError, r"perturbations_per_eval must be at least 1, but 0"),
        ({"target": None}, ValueError, r"returned \(4, 5\) for 4 images, .* pass the target"),
        ({"baselines": "blur"}, TypeError, r"baselines must be a number, .* but a str was passed"),
        (
            {"baselines": torch.zeros(3, 3, 16, 12)},
            ValueError,
            r"\(3, 3, 16, 12\) do not fit images of .*\(4, 3, 16, 12\)",
        ),
        (
            {"trees": [BALANCED]},
            ValueError,
            r"segments of shape \(4, 4\) does not fit images of shape \(4, 3, 16, 12\)",
        ),
        (
            {"baselines": 1e159},
            ValueError,
            r"baselines hold NaN, or what is infinite in torch.float32",
        ),
        ({"baselines": lambda images: images[:1] / 0}, ValueError, r"baselines hold NaN, or what is infinite"),
        ({"trees": [BALANCED] * 3}, ValueError, r"3 trees for 4 images: pass one for each"),
        ({"trees": []}, ValueError, r"0 trees for 4 images"),
        # As many as one batch of evaluations holds.
        ({"target": [0] * 8, "perturbations_per_eval": 2}, ValueError, r"8 targets for 4 images"),
        ({"target": torch.zeros(8).long(), "perturbations_per_eval": 2}, ValueError, r"8 targets for 4 images"),
        ({"trees": [1]}, TypeError, r"must hold SegmentTrees, but int is among them"),
        ({"trees": [BALANCED], "feature_mask": torch.zeros(16, 12).long()}, ValueError, r"a tree brings its own"),
        ({"feature_mask": torch.zeros(1, 3, 16, 12).long()}, ValueError, r"\(1, 3, 16, 12\) tells channels apart"),
    ],
)
def test_errors_say_what_is_wrong(
    options: dict[str, Any], error: type[Exception], message: str, net: nn.Module, images: Tensor
) -> None:
    with pytest.raises(error, match=message):
        OwenValues(net, Slic(9)).attribute(images, **{"target": 0, **options})


def test_images_beside_trees_have_to_be_finite() -> None:
    """Those that are segmented are looked at by the mask generator."""
    images = torch.rand(2, 1, 4, 4)
    images[1, 0, 2, 3] = torch.inf
    with pytest.raises(ValueError, match=r"1 of 2 images \(index 1\) hold NaN or infinite pixels"):
        OwenValues(lambda batch: batch.sum(dim=(1, 2, 3))).attribute(images, trees=BALANCED)


def test_generators_in_others(net: nn.Module, images: Tensor) -> None:
    """They make the superpixels, and the one inside says what the colors are."""
    inner = Slic(6, denormalize=(0.5, 0.25))
    (tree,) = segment_trees(images[:1], mask_generator=inner)
    expected = OwenValues(net).attribute(images[:1], target=1, trees=tree)
    assert torch.equal(OwenValues(net, Cached(inner)).attribute(images[:1], target=1), expected)
    patches = PatchAligned(Slic(4), 4)
    (tree,) = segment_trees(images[:1], mask_generator=patches)
    assert torch.equal(tree.segments, patches(images[:1])[0, 0])
    assert OwenValues(net, patches).attribute(images, target=1).shape == images.shape


def test_inputs_and_generators_that_cannot_be_explained(net: nn.Module, images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"inputs is a tuple of 2: pass further inputs"):
        OwenValues(net).attribute((images, images), target=0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"inputs must be a tensor .* but a list was passed"):
        OwenValues(net).attribute([1.0], target=0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"dtype torch.int64: pass inputs.float\(\)"):
        OwenValues(net).attribute(images.long(), target=0)
    with pytest.raises(TypeError, match=r"one of captum_superpixel.masks, .* but <class .*Felzenszwalb'> was passed"):
        OwenValues(net, Felzenszwalb)  # type: ignore[arg-type]

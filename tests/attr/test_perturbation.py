import itertools
import math

import pytest
import torch
from captum.attr import (
    FeatureAblation,
    FeaturePermutation,
    KernelShap,
    Lime,
    NoiseTunnel,
    ShapleyValues,
    ShapleyValueSampling,
)
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.masks import Grid

BY_SEGMENT = [FeatureAblation, ShapleyValueSampling, Lime, KernelShap]


def values_of(maps: Tensor, mask: Tensor) -> list[float]:
    """The one value of each segment of one image, in ascending order of the ids; fails where a segment has two."""
    found = []
    for identity in torch.unique(mask):
        inside = maps[(mask == identity).expand_as(maps)]
        assert inside.unique().numel() == 1
        found.append(inside[0].item())
    return found


def one_by_one(method, images: Tensor, masks: Tensor, targets: list[int], **options: object) -> Tensor:
    """Captum on single images, each with its own mask, numbered densely by hand."""
    maps = []
    for image, mask, target in zip(images.split(1), masks.split(1), targets, strict=True):
        dense = torch.unique(mask, return_inverse=True)[1]
        maps.append(method.attribute(image, target=target, feature_mask=dense, **options))
    return torch.cat(maps)


@pytest.mark.parametrize("method", [FeatureAblation, Lime, KernelShap])
@pytest.mark.parametrize("per_eval", [1, 4])
def test_a_batch_with_masks_of_its_own_equals_a_loop_seeded_once(net, images, masks, method, per_eval) -> None:
    images, targets = images.detach(), [0, 1, 2, 1]
    options = {"perturbations_per_eval": per_eval} | ({} if method is FeatureAblation else {"n_samples": 30})
    torch.manual_seed(0)
    expected = one_by_one(method(net), images, masks, targets, **options)
    torch.manual_seed(0)
    actual = SuperpixelGrouped(method(net), None).attribute(images, target=targets, feature_mask=masks, **options)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-6)
    for maps, mask in zip(actual, masks, strict=True):
        assert len(set(values_of(maps, mask))) == 3


def test_shapley_value_sampling_agrees_with_exact_shapley_values(net, images, masks) -> None:
    images = images.detach()
    exact = one_by_one(ShapleyValues(net), images, masks, [1] * 4)
    grouped = SuperpixelGrouped(ShapleyValueSampling(net), None)
    sampled = grouped.attribute(images, target=1, feature_mask=masks, n_samples=100)
    torch.testing.assert_close(sampled, exact, rtol=0, atol=0.15 * float(exact.abs().max()))
    exact_batch = SuperpixelGrouped(ShapleyValues(net), None).attribute(images, target=1, feature_mask=masks)
    torch.testing.assert_close(exact_batch, exact, rtol=1e-4, atol=1e-6)


class Linear(nn.Module):
    """A sum of weights: the exact attribution of every segment is known."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 16, 12, generator=torch.Generator().manual_seed(1)))

    def forward(self, images: Tensor, offset: Tensor | None = None) -> Tensor:
        out = (self.weight * images).sum(dim=(1, 2, 3))
        return out if offset is None else out + offset


@pytest.mark.parametrize("method", BY_SEGMENT)
@pytest.mark.parametrize("baselines", ["zero", "tensor", "one an image"])
def test_the_segments_of_a_linear_model(images, masks, method, baselines) -> None:
    model, images = Linear(), images.detach()
    generator = torch.Generator().manual_seed(2)
    base = {
        "zero": torch.zeros(1, 3, 16, 12),
        "tensor": torch.rand(1, 3, 16, 12, generator=generator),
        "one an image": torch.rand(4, 3, 16, 12, generator=generator),
    }[baselines]
    attribution = method(model)
    if method is Lime:  # without the penalty, the local linear model of a linear model is the model
        attribution = Lime(model, interpretable_model=KernelShap(model).interpretable_model)
    options = {} if method is FeatureAblation else {"n_samples": 40}
    maps = SuperpixelGrouped(attribution, None).attribute(
        images, base, feature_mask=masks, additional_forward_args=torch.arange(4.0), **options
    )
    change = (model.weight * (images - base)).detach()
    for found, effect, mask in zip(maps, change, masks, strict=True):
        expected = [effect[(mask == identity).expand_as(effect)].sum().item() for identity in torch.unique(mask)]
        assert values_of(found, mask) == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_the_generator_makes_one_feature_of_each_superpixel(net, images) -> None:
    calls = []

    def forward(inputs: Tensor) -> Tensor:
        calls.append(len(inputs))
        return net(inputs)

    grouped = SuperpixelGrouped(FeatureAblation(forward), Grid(6))
    maps = grouped.attribute(images.detach(), target=1)
    assert len(calls) == 1 + 6
    assert len(values_of(maps[0], grouped.feature_mask(images)[0])) == 6


@pytest.mark.parametrize("method", [FeatureAblation, KernelShap])
def test_the_ensemble_runs_once_a_mask_and_is_averaged(net, images, method) -> None:
    images, generators = images.detach()[:1], [Grid(4), Grid(6)]
    torch.manual_seed(0)
    parts = [SuperpixelGrouped(method(net), generator).attribute(images, target=1) for generator in generators]
    torch.manual_seed(0)
    torch.testing.assert_close(SuperpixelGrouped(method(net), generators).attribute(images, target=1), sum(parts) / 2)


def test_the_ensemble_of_several_inputs_is_averaged_for_each() -> None:
    inputs = pair()
    grouped = SuperpixelGrouped(FeatureAblation(Pair()), ([Grid(4), Grid(2)], Grid(2), None))
    parts = [
        SuperpixelGrouped(FeatureAblation(Pair()), (Grid(count), Grid(2), None)).attribute(inputs) for count in (4, 2)
    ]
    for maps, one, two in zip(grouped.attribute(inputs), *parts, strict=True):
        torch.testing.assert_close(maps, (one + two) / 2)


def test_magnitudes_of_signed_scores(net, images, masks) -> None:
    signed = SuperpixelGrouped(FeatureAblation(net), None).attribute(images, target=1, feature_mask=masks)
    assert (signed < 0).any()
    grouped = SuperpixelGrouped(FeatureAblation(net), None, reduction="abs_mean")
    torch.testing.assert_close(grouped.attribute(images, target=1, feature_mask=masks), signed.abs())


@pytest.mark.parametrize("reduction", ["sum", "max"])
@pytest.mark.parametrize("wrap", [lambda method: method, NoiseTunnel])
def test_reductions_that_do_not_apply(net, reduction, wrap) -> None:
    with pytest.raises(ValueError, match=f"reduction='{reduction}' does not apply to KernelShap"):
        SuperpixelGrouped(wrap(KernelShap(net)), reduction=reduction)


class Pair(nn.Module):
    """Two images of the same size and a table, with an interaction between the images."""

    def forward(self, one: Tensor, two: Tensor, table: Tensor) -> Tensor:
        return (one * two).sum(dim=(1, 2, 3)) + two.sum(dim=(1, 2, 3)) + (table * torch.arange(1.0, 4.0)).sum(dim=1)


def pair() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.rand(shape, generator=generator) for shape in [(2, 1, 4, 4), (2, 1, 4, 4), (2, 3)])


def test_a_callers_equal_ids_in_two_inputs_are_one_feature() -> None:
    one, two, table = pair()
    halves = (torch.arange(4) // 2).view(1, 1, 1, 4).expand(1, 1, 4, 4) * 50
    grouped = SuperpixelGrouped(FeatureAblation(Pair()), None)
    joint = grouped.attribute((one, two, table), feature_mask=(halves, halves, None))
    left = (one * two + two)[..., :2].sum(dim=(1, 2, 3))
    torch.testing.assert_close(joint[0][:, 0, 0, 0], left)
    torch.testing.assert_close(joint[1][:, 0, 0, 0], left)
    torch.testing.assert_close(joint[2], table * torch.arange(1.0, 4.0))


def test_generated_ids_never_meet_across_inputs() -> None:
    one, two, table = pair()
    grouped = SuperpixelGrouped(FeatureAblation(Pair()), (Grid(4), Grid(2), None))
    maps = grouped.attribute((one, two, table))
    mask = grouped.feature_mask((one, two, table))
    quarter = (mask[0][:1] == mask[0][0, 0, 0, 0]).float()
    torch.testing.assert_close(maps[0][:, 0, 0, 0], (one * two * quarter).sum(dim=(1, 2, 3)))
    torch.testing.assert_close(maps[2], table * torch.arange(1.0, 4.0))
    torch.testing.assert_close(grouped.attribute((one, two, table), feature_mask=mask), maps)


@pytest.mark.parametrize("method", [Lime, KernelShap])
def test_several_inputs_image_by_image(method) -> None:
    inputs = pair()
    own = torch.stack([torch.arange(16).view(1, 4, 4) // 8, torch.arange(16).view(1, 4, 4) % 3])
    shared = 100 + torch.arange(16).view(1, 1, 4, 4) // 4
    torch.manual_seed(0)
    maps = SuperpixelGrouped(method(Pair()), None).attribute(inputs, feature_mask=(own, shared, None), n_samples=60)
    torch.manual_seed(0)
    for n in range(2):
        count = int(own[n].max()) + 1
        dense = (own[n : n + 1], shared - 100 + count, torch.arange(3).view(1, 3) + count + 4)
        expected = method(Pair()).attribute(tuple(part[n : n + 1] for part in inputs), feature_mask=dense, n_samples=60)
        for part, single in zip(maps, expected, strict=True):
            torch.testing.assert_close(part[n : n + 1], single, rtol=1e-3, atol=1e-4)


def test_permutation_exchanges_segments_between_images(net, images, masks) -> None:
    images = images.detach()

    def roll(inputs: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask, inputs.roll(1, dims=0), inputs)

    maps = SuperpixelGrouped(FeaturePermutation(net, roll), None).attribute(images, target=1, feature_mask=masks)
    for n, mask in enumerate(masks):
        expected = []
        for identity in torch.unique(mask):
            changed = torch.where(mask == identity, images[n - 1], images[n])
            expected.append((net(images[n : n + 1]) - net(changed[None]))[0, 1].item())
        assert values_of(maps[n], mask) == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("wrap", [lambda method: method, NoiseTunnel])
def test_permutation_needs_a_batch(net, images, shared_mask, wrap) -> None:
    grouped = SuperpixelGrouped(wrap(FeaturePermutation(net)), None)
    assert grouped.attribute(images[:2], target=1, feature_mask=shared_mask).shape == (2, 3, 16, 12)
    with pytest.raises(ValueError, match="the batch holds one image: pass at least two, or use FeatureAblation"):
        grouped.attribute(images[:1], target=1, feature_mask=shared_mask)


@pytest.mark.filterwarnings("ignore:You are providing multiple inputs:UserWarning")
@pytest.mark.parametrize("method", [FeatureAblation, KernelShap])
def test_masks_go_through_a_noise_tunnel(images, masks, method) -> None:
    images, model = images.detach(), Linear()
    options = {} if method is FeatureAblation else {"n_samples": 20}
    tunnel = SuperpixelGrouped(NoiseTunnel(method(model)), None)
    maps = tunnel.attribute(images, nt_samples=2, stdevs=0.0, feature_mask=masks, **options)
    expected = SuperpixelGrouped(FeatureAblation(model), None).attribute(images, feature_mask=masks)
    torch.testing.assert_close(maps, expected, rtol=1e-2, atol=1e-3)


@pytest.mark.filterwarnings("ignore:You are providing multiple inputs:UserWarning")
def test_a_distribution_of_baselines_is_not_split_over_the_images(images, masks) -> None:
    model, images = Linear(), images.detach()
    baselines = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 12)  # as many as there are images
    maps = SuperpixelGrouped(NoiseTunnel(KernelShap(model)), None).attribute(
        images, nt_samples=16, stdevs=0.0, draw_baseline_from_distrib=True, baselines=baselines, feature_mask=masks
    )
    drawn = model(images) - torch.tensor([sum(values_of(m, mask)) for m, mask in zip(maps, masks, strict=True)])
    offsets = drawn / model(baselines)[1]
    assert ((offsets > 0.1) & (offsets < 2.9)).all()  # means over many baselines, where a split would give 0, 1, 2, 3
    assert (offsets - torch.arange(4)).abs().max() > 0.1


def test_coefficients_stand_under_the_ids_of_the_batch(net, images, masks) -> None:
    grouped = SuperpixelGrouped(KernelShap(net), None)
    options = {"target": 1, "n_samples": 30, "feature_mask": masks}
    torch.manual_seed(0)
    maps = grouped.attribute(images, **options)
    torch.manual_seed(0)
    table = grouped.attribute(images, return_input_shape=False, **options)
    ids = torch.unique(masks)
    assert table.shape == (4, len(ids))
    for row, image, mask in zip(table, maps, masks, strict=True):
        own = torch.isin(ids, mask)
        assert row[~own].isnan().all()
        assert row[own].tolist() == pytest.approx(values_of(image, mask))


def test_coefficients_of_one_mask(net, images, shared_mask) -> None:
    grouped = SuperpixelGrouped(KernelShap(net), None)
    coefficients = grouped.attribute(
        images[:1], target=1, n_samples=30, feature_mask=shared_mask * 1000, return_input_shape=False
    )
    assert coefficients.shape == (1, 12)
    with pytest.raises(ValueError, match="return_input_shape=False with an ensemble of 2 segmentations"):
        grouped.attribute(images, target=1, feature_mask=[shared_mask, shared_mask], return_input_shape=False)


@pytest.mark.parametrize(("as_map", "shape"), [(True, (2, 3, 16, 12)), (False, (2, 2))])
def test_kernel_shap_of_a_single_segment_is_its_ablation(images, as_map, shape) -> None:
    images, model = images.detach()[:2], Linear()
    mask = torch.cat([torch.zeros(1, 1, 16, 12), torch.ones(1, 1, 16, 12)]).long()
    mask[1, 0, 0] = 0
    result = SuperpixelGrouped(KernelShap(model), None).attribute(
        images, feature_mask=mask, n_samples=20, return_input_shape=as_map
    )
    assert result.shape == shape
    first = result[0].flatten()[0]
    torch.testing.assert_close(first, model(images)[0].detach())
    both = SuperpixelGrouped(KernelShap(model), None).attribute(
        (images,), feature_mask=(torch.zeros(1, 1, 16, 12, dtype=torch.long),)
    )
    assert isinstance(both, tuple)
    torch.testing.assert_close(both[0][:, 0, 0, 0], model(images).detach())


def test_the_size_of_ids_costs_nothing(net, images) -> None:
    mask = torch.zeros(1, 1, 16, 12, dtype=torch.long)
    mask[..., 6:] = 2**62
    for method in (Lime(net), ShapleyValueSampling(net)):
        maps = SuperpixelGrouped(method, None).attribute(images[:1], target=1, feature_mask=mask, n_samples=4)
        assert len(values_of(maps[0], mask[0])) == 2


def test_grouping_a_grouped_method_hands_the_mask_on(net, images, masks) -> None:
    inner = SuperpixelGrouped(FeatureAblation(net), None)
    outer = SuperpixelGrouped(inner, None, reduction="abs_mean")
    expected = inner.attribute(images, target=1, feature_mask=masks).abs()
    torch.testing.assert_close(outer.attribute(images, None, 1, feature_mask=masks), expected)


def test_exact_shapley_values_are_those_of_the_formula(net, images) -> None:
    image, mask = images[:1].detach(), torch.arange(12).view(1, 1, 1, 12).expand(1, 1, 16, 12) // 4
    expected = torch.zeros(3)
    for subset in itertools.product([0.0, 1.0], repeat=3):
        present = torch.tensor(subset)
        for j in range(3):
            if subset[j] == 0:
                size = int(present.sum())
                weight = math.factorial(size) * math.factorial(2 - size) / math.factorial(3)
                with_j = present.clone()
                with_j[j] = 1
                gain = net(image * with_j[mask]) - net(image * present[mask])
                expected[j] += weight * gain[0, 1].item()
    maps = SuperpixelGrouped(ShapleyValues(net), None).attribute(image, target=1, feature_mask=mask * 9)
    assert values_of(maps[0], mask[0]) == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("method", [Lime, KernelShap])
@pytest.mark.parametrize("tunnel", [False, True])
@pytest.mark.parametrize(("given", "count"), [({}, 25), ({"n_samples": 35}, 35)])
def test_fewer_samples_than_segments_are_warned_of(
    method: type[Lime], tunnel: bool, given: dict[str, int], count: int
) -> None:
    """The second image has 36 segments, one more than the larger number of samples; Captum's default is 25."""
    name = method.__name__
    wrapped = method(lambda images: images.sum((1, 2, 3)))
    grouped = SuperpixelGrouped(NoiseTunnel(wrapped) if tunnel else wrapped, None)
    options = {"nt_samples": 1, **given} if tunnel else given
    images, mask = torch.rand(2, 3, 6, 6), torch.arange(36).view(1, 1, 6, 6)
    masks = torch.cat([mask // 18, mask])
    with pytest.warns(UserWarning, match=f"{name} fits 36 features to n_samples={count}, .* at least 36, better 180"):
        grouped.attribute(images, feature_mask=masks, **options)
    grouped.attribute(images, feature_mask=masks, **{**options, "n_samples": 36})


@pytest.mark.filterwarnings("ignore:You are providing multiple inputs for Lime:UserWarning")
@pytest.mark.parametrize("method", BY_SEGMENT)
def test_maps_of_inputs_in_another_layout_are_contiguous(method, net, images: Tensor, shared_mask: Tensor) -> None:
    laid_out = images.detach().contiguous(memory_format=torch.channels_last)
    maps = SuperpixelGrouped(method(net), None).attribute(laid_out, target=1, feature_mask=shared_mask)
    assert not laid_out.is_contiguous()
    assert maps.is_contiguous()

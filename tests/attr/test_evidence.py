"""``reduction="evidence"``: positive and negative parts averaged apart."""

import pickle

import pytest
import torch
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients, LayerGradCam, Saliency

from captum_superpixel import SuperpixelGrouped, pool_segments
from captum_superpixel.attr import group_maps
from captum_superpixel.masks import Grid


def test_positive_and_negative_parts_are_averaged_apart() -> None:
    maps = torch.tensor([[[[6.0, -2.0, 0.0, 1.0]], [[2.0, -4.0, -3.0, -1.0]]]])
    mask = torch.tensor([[[[0, 0, 1, 1]]]])
    # The channels add up to 8, -6 | -3, 0: means of the positive parts 4 | 0, of the negative ones -3 | -1.5.
    expected = torch.tensor([2.5, 2.5, -0.75, -0.75]).expand(1, 2, 1, 4)
    torch.testing.assert_close(group_maps(maps, [mask], "evidence"), expected)
    torch.testing.assert_close(
        group_maps(maps, [mask], "evidence", negative_weight=0).relu()[0, 0, 0, 0], torch.tensor(4.0)
    )


@pytest.mark.parametrize(("weight", "reduction"), [(1, "mean"), (-1, "abs_mean")])
def test_one_family_from_magnitudes_to_the_signed_mean(net, images, masks, weight, reduction) -> None:
    maps = InputXGradient(net).attribute(images, target=1).detach()
    grouped = SuperpixelGrouped(InputXGradient(net), None, reduction="evidence", negative_weight=weight)
    actual = grouped.attribute(images, target=1, feature_mask=masks)
    expected = pool_segments(maps.sum(dim=1, keepdim=True), masks, reduction)
    torch.testing.assert_close(actual.detach(), expected.expand_as(maps))
    assert actual.is_contiguous()


def test_it_is_linear_in_the_weight(net, images, masks) -> None:
    maps = InputXGradient(net).attribute(images, target=1).detach()
    low, middle, high = (group_maps(maps, [masks], "evidence", negative_weight=w) for w in (-1, 0, 1))
    torch.testing.assert_close((low + high) / 2, middle)


def test_it_works_in_an_ensemble_and_on_a_layer(net, images) -> None:
    both = SuperpixelGrouped(InputXGradient(net), [Grid(4), Grid(9)], reduction="evidence")
    alone = [SuperpixelGrouped(InputXGradient(net), Grid(n), reduction="evidence") for n in (4, 9)]
    expected = torch.stack([one.attribute(images, target=1) for one in alone]).mean(dim=0)
    torch.testing.assert_close(both.attribute(images, target=1), expected)
    layer = SuperpixelGrouped(LayerGradCam(net, net.conv2), Grid(4), reduction="evidence").attribute(images, target=1)
    assert layer.shape == (4, 1, 16, 12)


def test_it_has_no_convergence_delta(net, images) -> None:
    grouped = SuperpixelGrouped(IntegratedGradients(net), Grid(4), reduction="evidence")
    assert not grouped.has_convergence_delta()
    with pytest.raises(ValueError, match="this is 'evidence'"):
        grouped.attribute(images, target=1, return_convergence_delta=True)


def test_it_is_written_and_pickled_with_its_weight(net, images) -> None:
    grouped = SuperpixelGrouped(Saliency(net), Grid(4), reduction="evidence", negative_weight=0.25)
    assert repr(grouped).endswith("reduction='evidence', negative_weight=0.25)")
    again = pickle.loads(pickle.dumps(grouped))
    torch.testing.assert_close(again.attribute(images, target=1), grouped.attribute(images, target=1))


def test_what_does_not_fit_is_refused(net, images) -> None:
    with pytest.raises(ValueError, match=r"negative_weight is from -1 .* but 1\.5 was passed"):
        SuperpixelGrouped(Saliency(net), reduction="evidence", negative_weight=1.5)
    with pytest.raises(ValueError, match=r"negative_weight must be finite and at least -1, but -2\.0"):
        SuperpixelGrouped(Saliency(net), reduction="evidence", negative_weight=-2)
    with pytest.raises(TypeError, match="negative_weight must be a number, but 'half'"):
        SuperpixelGrouped(Saliency(net), reduction="evidence", negative_weight="half")
    with pytest.raises(ValueError, match="reduction='evidence' does not apply to FeatureAblation"):
        SuperpixelGrouped(FeatureAblation(net), reduction="evidence")
    mask = torch.arange(3).view(1, 3, 1, 1).expand(1, 3, 16, 12)
    with pytest.raises(ValueError, match=r"feature_mask of shape \(1, 3, 16, 12\) parts the channels"):
        SuperpixelGrouped(Saliency(net), None, reduction="evidence").attribute(images, target=1, feature_mask=mask)


def test_the_sum_of_the_channels_does_not_leave_half_precision() -> None:
    maps = torch.tensor([[[[60_000.0, 10.0]], [[60_000.0, 10.0]], [[-60_000.0, 10.0]]]], dtype=torch.float16)
    evidence = group_maps(maps, [torch.tensor([[[[0, 1]]]])], "evidence")
    assert evidence.dtype == torch.float16
    assert evidence[0, 0, 0].tolist() == [60_000, 30]


def test_how_channels_lie_in_memory_changes_no_bit() -> None:
    maps = torch.randn(2, 40, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = (torch.arange(30) % 4).view(1, 1, 6, 5)
    side_by_side = maps.to(memory_format=torch.channels_last)
    assert torch.equal(group_maps(side_by_side, [mask], "evidence"), group_maps(maps, [mask], "evidence"))

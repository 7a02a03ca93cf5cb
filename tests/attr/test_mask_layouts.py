"""A mask says the same with or without the dimensions that broadcasting adds, as tensor or array, wherever it goes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import FeatureAblation, InputXGradient, NoiseTunnel, Saliency
from torch import Tensor

from captum_superpixel import SuperpixelGrouped, pool_segments, region_table, segment_scores, top_regions
from captum_superpixel.attr.grouped import group_maps
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.metrics import deletion_auc, insertion_auc


def maps_of(images: Tensor) -> Tensor:
    return (images.detach() * 5).sin()


USES: dict[str, Callable[[Any, Tensor, Any], object]] = {
    "SuperpixelGrouped": lambda net, x, m: SuperpixelGrouped(InputXGradient(net), None).attribute(x, 1, feature_mask=m),
    "an ensemble": lambda net, x, m: SuperpixelGrouped(Saliency(net), None).attribute(x, target=1, feature_mask=[m, m]),
    "a tuple": lambda net, x, m: SuperpixelGrouped(Saliency(net), None).attribute((x,), target=1, feature_mask=(m,))[0],
    "FeatureAblation": lambda net, x, m: SuperpixelGrouped(FeatureAblation(net), None).attribute(
        x, target=1, feature_mask=m
    ),
    "a generator": lambda net, x, m: SuperpixelGrouped(Saliency(net), lambda inputs: m).attribute(x, target=1),
    "XRAI": lambda net, x, m: XRAI(Saliency(net), min_pixel_diff=1).attribute(x, target=1, feature_mask=m),
    "XRAI of several": lambda net, x, m: XRAI(Saliency(net), min_pixel_diff=1).attribute(x, 1, feature_mask=[m, m]),
    "pool_segments": lambda net, x, m: pool_segments(maps_of(x), m),
    "segment_scores": lambda net, x, m: segment_scores(maps_of(x), m).nan_to_num(7),
    "group_maps": lambda net, x, m: group_maps(maps_of(x), [m, m]),
    "region_table": lambda net, x, m: region_table(maps_of(x), m),
    "top_regions": lambda net, x, m: top_regions(maps_of(x), m, k=2),
    "deletion_auc": lambda net, x, m: deletion_auc(net, x, maps_of(x), 1, feature_mask=m),
    "insertion_auc": lambda net, x, m: insertion_auc(net, x, maps_of(x), 1, feature_mask=m),
}


@pytest.mark.parametrize("use", USES)
def test_one_mask_for_all_images(net, images, shared_mask, use) -> None:
    expected = USES[use](net, images, shared_mask)
    for mask in (shared_mask[0], shared_mask[0, 0]):
        for given in (mask, mask.numpy(), mask.int(), mask.numpy().astype("uint8")):
            _check_equal(USES[use](net, images, given), expected)


@pytest.mark.parametrize("use", USES)
def test_one_mask_each(net, images, masks, use) -> None:
    expected = USES[use](net, images, masks)
    for given in (masks[:, 0], masks[:, 0].numpy(), masks.numpy()):
        _check_equal(USES[use](net, images, given), expected)


@pytest.mark.parametrize("use", [use for use in USES if "tion_auc" not in use])
def test_as_many_masks_as_channels_are_an_error(net, images, masks, use) -> None:
    with pytest.raises(ValueError, match=r"mask\[:, None\] of shape \(3, 1, 16, 12\), or, .* mask\[None\] of shape"):
        USES[use](net, images[:3].detach().requires_grad_(), masks[:3, 0])


def test_one_mask_a_channel_as_captum_broadcasts_it(net, images) -> None:
    mask = torch.arange(3 * 16 * 12).reshape(3, 16, 12) // 60
    alone = FeatureAblation(net).attribute(images, target=1, feature_mask=mask)
    torch.testing.assert_close(USES["FeatureAblation"](net, images, mask), alone)
    torch.testing.assert_close(pool_segments(maps_of(images), mask), pool_segments(maps_of(images), mask[None]))


def test_a_tunnel_around_repeats_a_mask_each_but_not_a_bare_one(net, images, masks, shared_mask) -> None:
    tunnel = NoiseTunnel(SuperpixelGrouped(Saliency(net), None))
    options = {"target": 1, "stdevs": 0.0, "nt_samples": 2}
    expected = tunnel.attribute(images, feature_mask=masks, **options)
    torch.testing.assert_close(tunnel.attribute(images, feature_mask=masks[:, 0], **options), expected)
    with pytest.raises(ValueError, match=r"NoiseTunnel repeats a mask .* mask\[None, None\]"):
        tunnel.attribute(images, feature_mask=shared_mask[0, 0], **options)
    tunnel.attribute(images, feature_mask=shared_mask[0, 0][None, None], **options)


def _check_equal(found: Any, expected: Any) -> None:
    if isinstance(expected, Tensor):
        torch.testing.assert_close(found, expected)
    else:
        assert found == expected

"""XRAI: parity with the authors' implementation on photographs, base attributions, and Captum's conventions."""

import copy
import functools
import warnings

import numpy as np
import pytest
import skimage.data
import sklearn.datasets
import torch
from captum.attr import (
    Attribution,
    FeatureAblation,
    InputXGradient,
    IntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from captum.metrics import sensitivity_max
from saliency.core import XRAI as ReferenceXRAI
from saliency.core import XRAIParameters
from saliency.core.xrai import _get_segments_felzenszwalb
from skimage.transform import resize
from torch import nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.masks import Grid

PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "coins",
    "immunohistochemistry",
    "moon",
    "rocket",
    "text",
    "china.jpg",
    "flower.jpg",
)


def photograph(name, side):
    """A photograph (1, C, H, W) in [0, 1], thinned out to about ``side`` pixels."""
    pixels = sklearn.datasets.load_sample_image(name) if "." in name else getattr(skimage.data, name)()
    step = max(1, min(pixels.shape[:2]) // side)
    pixels = np.atleast_3d(pixels[::step, ::step])[: side + side // 4, : side + side // 4]
    return torch.from_numpy(pixels.copy()).movedim(-1, 0)[None].float() / 255


def base_maps(images, seed, smooth=True):
    """Random maps of the shape of the images, with structure at two sizes."""
    rng = np.random.default_rng(seed)
    fine = rng.normal(size=images.shape)
    coarse = resize(rng.normal(size=(*images.shape[:2], 8, 8)), images.shape, order=1) if smooth else 0
    return torch.from_numpy(0.3 * fine + coarse).to(images.dtype)


def reference(images, maps, segments=None, **options):
    """Maps of PAIR's implementation, one image after the other: (N, 1, H, W)."""
    min_pixel_diff = options.pop("min_pixel_diff", 50)
    results = []
    for image, attribution in zip(images, maps, strict=True):
        parameters = XRAIParameters(**options)
        parameters.experimental_params = {"min_pixel_diff": min_pixel_diff}
        results.append(
            ReferenceXRAI().GetMask(
                image.detach().movedim(0, -1).numpy(),
                None,
                segments=segments,
                base_attribution=attribution.movedim(0, -1).numpy(),
                extra_parameters=parameters,
            )
        )
    return torch.from_numpy(np.stack(results))[:, None]


def as_segments(*masks):
    return [mask[0, 0].numpy() == label for mask in masks for label in np.unique(mask)]


@functools.cache
def segments_of(name):
    return _get_segments_felzenszwalb(photograph(name, 64)[0].movedim(0, -1).numpy())


def assert_parity(maps, expected):
    torch.testing.assert_close(maps.double(), expected, rtol=0, atol=1e-6)


class TestReference:
    @pytest.mark.parametrize("name", PHOTOGRAPHS)
    def test_photographs(self, name, stored):
        images = photograph(name, 64)
        segments = segments_of(name)
        for algorithm, seed in (("full", 0), ("fast", 1)):
            maps = base_maps(images, seed=len(name) + 100 * seed, smooth=algorithm == "full")
            expected = reference(images, maps, segments, algorithm=algorithm)
            assert len(expected.unique()) > 5
            assert_parity(XRAI(stored(maps), algorithm=algorithm).attribute(images), expected)

    @pytest.mark.parametrize("algorithm", ["full", "fast"])
    def test_at_224_pixels(self, algorithm, stored):
        images = photograph("astronaut", 224)[..., :224, :224]
        maps = base_maps(images, seed=1)
        result = XRAI(stored(maps), algorithm=algorithm).attribute(images)
        assert_parity(result, reference(images, maps, algorithm=algorithm))

    @pytest.mark.parametrize(
        "options",
        [
            {"area_threshold": 0.3},
            {"area_threshold": 0.9, "min_pixel_diff": 1},
            {"min_pixel_diff": 300},
            {"algorithm": "fast", "min_pixel_diff": 5},
            {"algorithm": "fast", "area_threshold": 0.1},
        ],
        ids=str,
    )
    def test_options(self, options, stored):
        images = photograph("chelsea", 64)
        maps = base_maps(images, seed=7)
        expected = reference(images, maps, segments_of("chelsea"), **options)
        assert_parity(XRAI(stored(maps), **options).attribute(images), expected)

    @pytest.mark.parametrize("channels", [1, 2, 5])
    def test_normalised_double_precision_images_of_any_number_of_channels(self, channels, stored):
        images = torch.cat([photograph("coffee", 48).double(), photograph("coffee", 48).double().flip(3)], dim=1)
        images = (images[:, :channels] - 0.45) / 0.22
        maps = base_maps(images, seed=2)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Got image with third dimension", category=RuntimeWarning)
            expected = reference(images, maps)
        result = XRAI(stored(maps)).attribute(images)
        assert result.dtype == torch.float64
        assert_parity(result, expected)

    @pytest.mark.parametrize("algorithm", ["full", "fast"])
    def test_own_masks_are_not_dilated(self, algorithm, stored):
        images = photograph("rocket", 64)
        maps = base_maps(images, seed=3)
        generators = [Grid(9), Grid(30), Grid(64)]
        masks = [generator(images) for generator in generators]
        expected = reference(images, maps, segments=as_segments(*masks), algorithm=algorithm, min_pixel_diff=20)
        options = {"algorithm": algorithm, "min_pixel_diff": 20}
        assert_parity(XRAI(stored(maps), **options).attribute(images, feature_mask=masks), expected)
        assert_parity(XRAI(stored(maps), generators, **options).attribute(images), expected)

    def test_without_dilation(self, stored):
        images = photograph("coffee", 64)
        maps = base_maps(images, seed=4)
        segments = _get_segments_felzenszwalb(images[0].movedim(0, -1).numpy(), dilation_rad=0)
        assert_parity(XRAI(stored(maps), dilation_radius=0).attribute(images), reference(images, maps, segments))


class TestBaseAttribution:
    grid = Grid(12)

    @pytest.fixture
    def pooled(self, stored):
        return lambda images, maps: XRAI(stored(maps), self.grid, min_pixel_diff=4).attribute(images)

    def test_a_model_is_explained_by_integrated_gradients_from_two_baselines(self, net, images, pooled):
        method = IntegratedGradients(net)
        low, high = (bound(images.flatten(1), 1).view(4, 1, 1, 1) for bound in (torch.amin, torch.amax))
        maps = [
            method.attribute(images, baselines=bound.detach().expand_as(images), target=2, n_steps=20)
            for bound in (low, high)
        ]
        expected = pooled(images, (maps[0] + maps[1]) / 2)
        xrai = XRAI(net, self.grid, min_pixel_diff=4)
        torch.testing.assert_close(xrai.attribute(images, target=2, n_steps=20), expected)
        low, high = (bound.detach().expand_as(images) for bound in (low, high))
        own = xrai.attribute(images, baselines=[low, high], target=2, n_steps=20)
        torch.testing.assert_close(own, expected)
        one = xrai.attribute(images, low, 2, n_steps=20)
        torch.testing.assert_close(one, pooled(images, maps[0]))

    def test_a_function_is_a_model(self, net, images):
        expected = XRAI(net, self.grid).attribute(images, target=1)
        assert torch.equal(XRAI(lambda x: net(x), self.grid).attribute(images, target=1), expected)

    def test_an_attribution_is_used_as_it_stands_with_its_options(self, net, images, pooled):
        saliency = Saliency(net)
        signed = saliency.attribute(images, 3, abs=False)
        expected = pooled(images, signed)
        xrai = XRAI(saliency, self.grid, min_pixel_diff=4)
        assert torch.equal(xrai.attribute(images, 3, False), expected)
        assert torch.equal(xrai.attribute(images, target=3, abs=False), expected)
        assert not torch.equal(xrai.attribute(images, target=3), expected)

    def test_inside_and_around_a_noise_tunnel(self, net, images, pooled):
        options = {"target": 1, "nt_type": "smoothgrad", "nt_samples": 3, "stdevs": 0.1}
        inner = NoiseTunnel(InputXGradient(net))
        torch.manual_seed(0)
        maps = inner.attribute(images, **options)
        torch.manual_seed(0)
        result = XRAI(inner, self.grid, min_pixel_diff=4).attribute(images, **options)
        assert torch.equal(result, pooled(images, maps))
        xrai = XRAI(net, self.grid, min_pixel_diff=4)
        without_noise = NoiseTunnel(xrai).attribute(images, **{**options, "stdevs": 0.0})
        torch.testing.assert_close(without_noise, xrai.attribute(images, target=1))

    def test_around_superpixels_and_perturbation(self, net, images, pooled):
        for method in (SuperpixelGrouped(IntegratedGradients(net), Grid(6)), FeatureAblation(net)):
            result = XRAI(method, self.grid, min_pixel_diff=4).attribute(images, target=0)
            assert torch.equal(result, pooled(images, method.attribute(images, target=0)))

    def test_sensitivity(self, net, images):
        xrai = XRAI(Saliency(net), self.grid, min_pixel_diff=4)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Input Tensor", category=UserWarning)  # Saliency, of the copies
            result = sensitivity_max(xrai.attribute, images, target=0, n_perturb_samples=2)
            linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 12, 2))
            steady = XRAI(Saliency(linear), self.grid, min_pixel_diff=4)
            none = sensitivity_max(steady.attribute, images, target=0, n_perturb_samples=2)
        assert result.shape == none.shape == (4,)
        assert torch.isfinite(result).all()
        assert (result > 0).all()
        # The gradient of a linear network is the same everywhere, and the cells are too.
        assert (none == 0).all()


class TestConventions:
    def test_a_batch_is_its_images_one_by_one(self, stored):
        images = torch.cat([photograph(name, 56)[..., :56, :56] for name in ("coffee", "rocket")])
        maps = base_maps(images, seed=5)
        for options in ({}, {"algorithm": "fast"}, {"mask_generator": [Grid(5), Grid(40)]}):
            together = XRAI(stored(maps), **options).attribute(images)
            alone = [
                XRAI(stored(one), **options).attribute(image)
                for image, one in zip(images.split(1), maps.split(1), strict=True)
            ]
            assert torch.equal(together, torch.cat(alone))

    def test_masks_are_shared_given_for_each_image_or_for_copies_in_a_row(self, images, stored):
        maps = base_maps(images.detach(), seed=6)
        first, second = Grid(6)(images[:1]), Grid(20)(images[:1])
        expected = {
            name: XRAI(stored(maps), min_pixel_diff=1).attribute(images, feature_mask=mask)
            for name, mask in (("first", first), ("second", second))
        }
        xrai = XRAI(stored(maps), min_pixel_diff=1)
        mixed = xrai.attribute(images, feature_mask=torch.cat([first, second]))
        assert torch.equal(mixed[:2], expected["first"][:2])
        assert torch.equal(mixed[2:], expected["second"][2:])
        shared = xrai.attribute(images, feature_mask=[first, torch.cat([second] * 4)])
        assert torch.equal(shared, xrai.attribute(images, feature_mask=[first, second]))

    def test_one_segment_a_pixel_is_the_maximum_over_the_channels(self, images, stored):
        maps = base_maps(images.detach(), seed=8)
        mask = torch.arange(16 * 12).view(1, 1, 16, 12)
        result = XRAI(stored(maps), min_pixel_diff=0).attribute(images, feature_mask=mask)
        assert torch.equal(result, maps.amax(dim=1, keepdim=True))

    def test_a_flat_image_is_one_segment(self, stored):
        images = torch.cat([torch.full((1, 3, 32, 32), 0.3), photograph("coffee", 32)[..., :32, :32]])
        maps = base_maps(images, seed=9)
        result = XRAI(stored(maps)).attribute(images)
        assert result[0].unique().tolist() == pytest.approx([maps[0].amax(dim=0).mean().item()], rel=1e-5)
        assert len(result[1].unique()) > 1

    def test_ids_matter_by_their_order_alone(self, images, stored):
        maps = base_maps(images.detach(), seed=10)
        mask = Grid(12)(images)
        xrai = XRAI(stored(maps), min_pixel_diff=1)
        expected = xrai.attribute(images, feature_mask=mask)
        ids = torch.tensor([*range(2, 13), 2**62])
        assert torch.equal(xrai.attribute(images, feature_mask=ids[mask]), expected)
        assert torch.equal(xrai.attribute(images, feature_mask=mask.int()), expected)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_maps_keep_their_precision(self, images, dtype, stored):
        maps = base_maps(images.detach(), seed=11).to(dtype)
        result = XRAI(stored(maps), Grid(12)).attribute(images.detach().to(dtype))
        assert result.dtype == dtype
        expected = XRAI(stored(maps.double()), Grid(12)).attribute(images.detach().to(dtype))
        torch.testing.assert_close(result, expected.to(dtype))

    def test_own_segments_of_half_precision_images(self, stored):
        images = photograph("coffee", 32).bfloat16()
        maps = base_maps(images.float(), seed=12)
        result = XRAI(stored(maps)).attribute(images)
        assert torch.equal(result, XRAI(stored(maps)).attribute(images.float()))

    def test_a_tuple_of_one_comes_back_as_one(self, net, images, stored):
        xrai = XRAI(net, Grid(12))
        (result,) = xrai.attribute((images,), target=1)
        assert torch.equal(result, xrai.attribute(images, target=1))
        twice = XRAI(stored((result,)), Grid(12)).attribute(images)
        torch.testing.assert_close(twice, result)

    def test_without_gradients(self, net, images):
        xrai = XRAI(net, Grid(12))
        with torch.no_grad():
            result = xrai.attribute(images.detach(), target=1)
        assert not result.requires_grad
        assert torch.equal(result, xrai.attribute(images, target=1))

    def test_repr_and_properties(self, net):
        assert repr(XRAI(net)) == "XRAI(Net, algorithm='full')"
        xrai = XRAI(NoiseTunnel(Saliency(net)), [Grid(4)], algorithm="fast", min_pixel_diff=1, area_threshold=0.5)
        assert repr(xrai) == (
            "XRAI(NoiseTunnel(Saliency(Net)), mask_generator=[Grid(n_segments=4)], algorithm='fast', "
            "area_threshold=0.5, min_pixel_diff=1)"
        )
        assert repr(XRAI(net, dilation_radius=0)) == "XRAI(Net, algorithm='full', dilation_radius=0)"
        assert isinstance(xrai, Attribution)
        assert xrai.forward_func is net
        assert XRAI.get_name() == "XRAI"
        assert XRAI(net).multiplies_by_inputs
        assert not XRAI(Saliency(net)).multiplies_by_inputs
        assert not xrai.has_convergence_delta()
        assert repr(copy.deepcopy(xrai)) == repr(xrai)


def test_grouping_hands_its_superpixels_to_xrai() -> None:
    images = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 24 * 24, 4))
    xrai = XRAI(Saliency(model), min_pixel_diff=1)
    grouped = SuperpixelGrouped(xrai, Grid(9))
    torch.testing.assert_close(
        grouped.attribute(images, target=1), xrai.attribute(images, target=1, feature_mask=Grid(9)(images))
    )

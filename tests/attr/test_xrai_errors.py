"""Bad input of XRAI: each mistake gets an error that names what was passed and says what to do."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, Saliency
from torch import nn

from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.masks import Grid


class TestBadSettings:
    @pytest.mark.parametrize("cls", [Saliency, nn.Linear])
    def test_a_class(self, cls):
        with pytest.raises(TypeError, match=f"the class {cls.__name__}: pass an instance"):
            XRAI(cls)

    def test_neither_attribution_nor_model(self):
        with pytest.raises(TypeError, match="or a model, but a str was passed"):
            XRAI("resnet18")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"algorithm": "slow"}, "algorithm='slow' is unknown: choose one of 'full', 'fast'"),
            ({"area_threshold": 0}, "area_threshold must be finite and above 0, but 0.0"),
            ({"area_threshold": -0.1}, "above 0, but -0.1"),
            ({"area_threshold": 1.5}, "area_threshold is a share from 0 to 1, but 1.5 was passed"),
            ({"area_threshold": float("nan")}, "area_threshold must be finite and above 0, but nan"),
            ({"min_pixel_diff": -1}, "min_pixel_diff must be at least 0, but -1"),
            ({"dilation_radius": -2}, "dilation_radius must be at least 0, but -2"),
            ({"mask_generator": []}, r"mask_generator=\[\] holds no generator"),
        ],
        ids=str,
    )
    def test_values(self, net, options, message):
        with pytest.raises(ValueError, match=message):
            XRAI(net, **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"min_pixel_diff": 2.5}, "min_pixel_diff must be an integer, but 2.5"),
            ({"dilation_radius": True}, "dilation_radius must be an integer, but True"),
            ({"area_threshold": "1"}, "area_threshold must be a number, but '1'"),
            ({"mask_generator": Grid}, "mask_generator is the class Grid"),
            ({"mask_generator": torch.zeros(1, 1, 4, 4)}, "but a Tensor was passed"),
        ],
        ids=str,
    )
    def test_types(self, net, options, message):
        with pytest.raises(TypeError, match=message):
            XRAI(net, **options)


class TestBadCalls:
    @pytest.mark.parametrize("shape", [(4, 10), (3, 16, 12), (2, 3, 4, 8, 8), (0, 3, 8, 8), (1, 3, 0, 8)])
    def test_inputs_that_are_not_images(self, net, shape):
        with pytest.raises(ValueError, match=rf"\(N, C, H, W\).* have shape \({', '.join(map(str, shape))}\)"):
            XRAI(net).attribute(torch.zeros(shape), target=0)

    def test_inputs_of_the_wrong_type(self, net, images):
        with pytest.raises(TypeError, match="but a ndarray was passed"):
            XRAI(net).attribute(np.zeros((1, 3, 8, 8)), target=0)
        with pytest.raises(TypeError, match=r"dtype torch\.complex64"):
            XRAI(net).attribute(torch.zeros(1, 3, 8, 8, dtype=torch.complex64), target=0)
        with pytest.raises(ValueError, match="a tuple of 2 inputs"):
            XRAI(net).attribute((images, images), target=0)

    def test_images_with_nan(self, net, images):
        broken = images.detach().clone()
        broken[2, 0, 1, 1] = torch.nan
        with pytest.raises(ValueError, match=r"1 of 4 images \(index 2\) hold NaN"):
            XRAI(net).attribute(broken, target=0)

    @pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
    def test_maps_with_nan(self, images, value, stored):
        maps = torch.zeros(4, 3, 16, 12)
        maps[[1, 3], 0, 5, 5] = value
        with pytest.raises(ValueError, match=r"2 of 4 maps of Stored\(Identity\) \(index 1, 3\) hold NaN"):
            XRAI(stored(maps)).attribute(images)

    def test_masks(self, net, images):
        xrai = XRAI(Saliency(net))
        mask = Grid(4)(images)
        with pytest.raises(ValueError, match="an empty list of feature masks"):
            xrai.attribute(images, target=0, feature_mask=[])
        with pytest.raises(ValueError, match=r"\(1, 1, 8, 8\) does not fit a tensor of shape \(4, 3, 16, 12\)"):
            xrai.attribute(images, target=0, feature_mask=[mask, torch.zeros(1, 1, 8, 8, dtype=torch.long)])
        with pytest.raises(ValueError, match=r"shape \(3, 1, 16, 12\) does not fit"):
            xrai.attribute(images, target=0, feature_mask=mask[:3])
        with pytest.raises(ValueError, match=r"shape \(4, 3, 16, 12\) tells channels apart"):
            xrai.attribute(images, target=0, feature_mask=mask.expand(4, 3, 16, 12))
        with pytest.raises(TypeError, match=r"dtype torch\.float32"):
            xrai.attribute(images, target=0, feature_mask=mask.float())
        with pytest.raises(TypeError, match="but a str was passed"):
            xrai.attribute(images, target=0, feature_mask="slic")
        with pytest.raises(ValueError, match="negative id -1"):
            xrai.attribute(images, target=0, feature_mask=mask - 1)

    def test_maps_of_another_size(self, net, images, stored):
        with pytest.raises(ValueError, match=r"LayerGradCam\(Net\) returned a map of shape \(4, 1, 8, 6\)"):
            XRAI(LayerGradCam(net, net.conv2), Grid(4)).attribute(images, target=0)
        with pytest.raises(ValueError, match=r"shape \(2, 3, 16, 12\) for images of shape \(4, 3, 16, 12\)"):
            XRAI(stored(torch.zeros(2, 3, 16, 12)), Grid(4)).attribute(images)

    def test_results_that_are_no_maps(self, images, stored):
        with pytest.raises(TypeError, match=r"Stored\(Identity\) returned a tensor of torch.int64"):
            XRAI(stored(torch.zeros(4, 3, 16, 12, dtype=torch.long)), Grid(4)).attribute(images)
        with pytest.raises(TypeError, match="returned a list"):
            XRAI(stored([torch.zeros(4, 3, 16, 12)]), Grid(4)).attribute(images)

    def test_arguments_that_the_method_does_not_take(self, net, images):
        with pytest.raises(TypeError, match="unexpected keyword argument 'n_steps'"):
            XRAI(Saliency(net)).attribute(images, target=0, n_steps=5)
        with pytest.raises(ValueError, match=r"XRAI\(Net, algorithm='full'\) has none"):
            XRAI(net).attribute(images, target=0, return_convergence_delta=True)
        with pytest.raises(ValueError, match="baselines is an empty list"):
            XRAI(net, Grid(4)).attribute(images, target=0, baselines=[])
        with pytest.raises(NotImplementedError, match="for XRAI: call attribute"):
            XRAI(net).attribute_future(images)

"""Bad input: a clear error that says what was passed, and no call of the model."""

import pytest
import torch
from captum.attr import (
    Attribution,
    DataLoaderAttribution,
    FeatureAblation,
    InputXGradient,
    LayerActivation,
    LimeBase,
    Saliency,
)
from torch import Tensor

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.masks import Grid


@pytest.fixture
def untouched(net):
    """A forward function that must not be called."""

    def forward(*inputs: Tensor) -> Tensor:
        raise AssertionError("the model was called")

    return forward


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Saliency, r"attribution_method is the class Saliency: pass an instance, Saliency\(model\)"),
        (torch.nn.ReLU(), "attribution_method is the model ReLU: pass an attribution of it"),
        (torch.relu, r"must be a captum.attr.Attribution, but 'relu' is not one"),
        (None, r"must be a captum.attr.Attribution, but 'NoneType' is not one"),
        (Attribution(torch.relu), r"is a bare Attribution, which has no attribute\(\)"),
    ],
)
def test_what_is_no_attribution_method(method, message) -> None:
    with pytest.raises(TypeError, match=message):
        SuperpixelGrouped(method)


def test_methods_without_maps(net) -> None:
    with pytest.raises(ValueError, match="DataLoaderAttribution cannot be grouped: it explains a whole data loader"):
        SuperpixelGrouped(DataLoaderAttribution(FeatureAblation(net)))
    base = LimeBase(net, None, None, None, False, None, lambda *args: None)
    with pytest.raises(ValueError, match="LimeBase cannot be grouped: it returns the coefficients"):
        SuperpixelGrouped(base)
    with pytest.raises(ValueError, match="LayerActivation cannot be grouped: it was given a list of layers"):
        SuperpixelGrouped(LayerActivation(net, [net.conv1, net.conv2]))


@pytest.mark.parametrize(
    ("generator", "error", "message"),
    [
        (Grid, TypeError, r"mask_generator is the class Grid: pass an instance, for example Grid\(\)"),
        (100, TypeError, "but a int was passed"),
        (torch.zeros(1), TypeError, r"but a Tensor was passed; masks that exist already go to attribute"),
        ([], ValueError, r"mask_generator=\[\] holds no generator"),
        ((None, None), ValueError, r"mask_generator=\(None, None\) holds no generator"),
        ((Grid(2), 3), TypeError, "but a int was passed"),
        ([Grid(2), None], TypeError, "but a NoneType was passed"),
    ],
)
def test_what_is_no_generator(net, generator, error, message) -> None:
    with pytest.raises(error, match=message):
        SuperpixelGrouped(Saliency(net), generator)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"reduction": "median"}, "reduction='median' is unknown: choose one of 'mean'"),
        ({"reduction": None}, "reduction=None is unknown"),
        ({"interpolate_mode": "cubic"}, "interpolate_mode='cubic' is unknown: choose one of 'bilinear'"),
    ],
)
def test_unknown_options(net, option, message) -> None:
    with pytest.raises(ValueError, match=message):
        SuperpixelGrouped(Saliency(net), **option)


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (torch.zeros(1, 1, 16, 12), TypeError, "feature_mask has dtype torch.float32"),
        (torch.zeros(1, 1, 16, 12, dtype=torch.bool), TypeError, "feature_mask has dtype torch.bool"),
        (torch.full((1, 1, 16, 12), -3), ValueError, "feature_mask holds the negative id -3"),
        (torch.zeros(1, 1, 12, 16, dtype=torch.long), ValueError, r"\(1, 1, 12, 16\) does not fit .* \(4, 3, 16, 12\)"),
        (torch.zeros(12, 16, dtype=torch.long), ValueError, r"\(12, 16\) does not fit"),
        (torch.zeros(3, 1, 16, 12, dtype=torch.long), ValueError, r"\(3, 1, 16, 12\) does not fit"),
        (torch.zeros(8, 1, 16, 12, dtype=torch.long), ValueError, r"\(8, 1, 16, 12\) does not fit"),
        ("slic", TypeError, "feature_mask must be a tensor or a NumPy array of integers, but a str was passed"),
        ([], ValueError, "an empty list of feature masks was passed"),
        ([None], ValueError, "None stands in a list of feature masks"),
        ((None,), ValueError, "no feature mask for any input"),
        ([[torch.zeros(1, 1, 16, 12, dtype=torch.long)]], ValueError, "a list of lists of feature masks was passed"),
        ((None, torch.zeros(1, 1, 16, 12, dtype=torch.long)), ValueError, r"2 feature mask\(s\) for 1 input\(s\)"),
    ],
)
@pytest.mark.parametrize("method", [Saliency, FeatureAblation])
def test_masks_that_do_not_fit(untouched, images, method, mask, error, message) -> None:
    with pytest.raises(error, match=message):
        SuperpixelGrouped(method(untouched), None).attribute(images, target=0, feature_mask=mask)


def test_neither_mask_nor_generator(untouched, images) -> None:
    grouped = SuperpixelGrouped(Saliency(untouched), None)
    with pytest.raises(ValueError, match="pass feature_mask=, or construct with a mask_generator"):
        grouped.attribute(images, target=0)
    with pytest.raises(ValueError, match="pass feature_mask=, or construct with a mask_generator"):
        grouped.feature_mask(images)


def test_tuples_of_other_lengths(untouched, images) -> None:
    grouped = SuperpixelGrouped(Saliency(untouched), (Grid(2), None, None))
    with pytest.raises(ValueError, match=r"3 mask generator\(s\) for 2 input\(s\)"):
        grouped.attribute((images, images), target=0)
    lists = SuperpixelGrouped(Saliency(untouched), ([Grid(2)], [Grid(2), Grid(3)]))
    with pytest.raises(ValueError, match=r"lists of \[1, 2\] mask generators for the inputs"):
        lists.attribute((images, images), target=0)
    one_mask = SuperpixelGrouped(Saliency(untouched), None)
    with pytest.raises(ValueError, match=r"1 feature mask\(s\) for 2 input\(s\)"):
        one_mask.attribute((images, images), feature_mask=torch.zeros(1, 1, 16, 12, dtype=torch.long))


def test_inputs_that_are_no_batch(untouched) -> None:
    grouped = SuperpixelGrouped(Saliency(untouched))
    with pytest.raises(TypeError, match="inputs must be a tensor or a tuple of tensors, but hold a list"):
        grouped.attribute([1.0], target=0)
    with pytest.raises(ValueError, match=r"inputs of shape \(0, 3, 8, 8\) hold no example"):
        grouped.attribute(torch.zeros(0, 3, 8, 8), target=0)
    with pytest.raises(ValueError, match="inputs are an empty tuple"):
        grouped.attribute((), target=0)


@pytest.mark.parametrize("inputs", [torch.zeros(4, 7), torch.zeros(4, 3, 16, 12, 2, 2)])
def test_inputs_that_have_no_superpixels(untouched, inputs) -> None:
    shown = str(tuple(inputs.shape)).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=shown):
        SuperpixelGrouped(Saliency(untouched)).attribute(inputs, target=0)


@pytest.mark.parametrize("pixel", [torch.nan, torch.inf])
def test_pixels_that_are_no_numbers(untouched, images, pixel) -> None:
    bad = images.detach().clone()
    bad[2, 1, 3, 3] = pixel
    with pytest.raises(ValueError, match=r"1 of 4 images \(index 2\) hold NaN or infinite pixels"):
        SuperpixelGrouped(Saliency(untouched)).attribute(bad, target=0)


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (
            None,
            TypeError,
            "the mask that .*generator.* returned must be .* of integers, but a NoneType was passed",
        ),
        (torch.zeros(2, 1, 16, 12, dtype=torch.long), ValueError, r"of shape \(2, 1, 16, 12\) for a batch of 4 images"),
        (
            "nothing",
            TypeError,
            "the mask that .*generator.* returned must be .* of integers, but a str was passed",
        ),
        (torch.zeros(4, 1, 16, 12), TypeError, "the mask that .*generator.* returned has dtype torch.float32"),
        (
            torch.zeros(4, 12, 16, dtype=torch.long),
            ValueError,
            r"the mask that .*generator.* returned of shape \(4, 12",
        ),
    ],
)
def test_generators_that_return_no_mask(untouched, images, returned, error, message) -> None:
    def generator(inputs: Tensor) -> object:
        return returned

    with pytest.raises(error, match=message):
        SuperpixelGrouped(Saliency(untouched), generator).attribute(images, target=0)


def test_nan_attributions_stay_in_their_segment(images, shared_mask) -> None:
    def forward(inputs: Tensor) -> Tensor:
        weight = torch.ones(3, 16, 12)
        weight[1, 5, 5] = torch.nan
        return (inputs * weight).flatten(1).sum(dim=1)

    maps = SuperpixelGrouped(InputXGradient(forward), None).attribute(images, feature_mask=shared_mask)
    inside = (shared_mask == shared_mask[0, 0, 5, 5])[0, 0]
    assert maps[:, 1, inside].isnan().all()
    assert not maps[:, 1, ~inside].isnan().any()
    assert not maps[:, [0, 2]].isnan().any()

"""Failures inside of Captum whose message does not say what to do: the cause and the remedy, and the remedy works."""

import warnings

import pytest
import torch
from captum.attr import (
    LRP,
    Deconvolution,
    DeepLift,
    FeatureAblation,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    LayerActivation,
    LayerGradCam,
    NoiseTunnel,
    Saliency,
    ShapleyValues,
    ShapleyValueSampling,
)
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.masks import Grid
from captum_superpixel.metrics import deletion_auc, road


class Block(nn.Module):
    """Returns two tensors, and nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, None]:
        output = self.conv(x)
        return self.relu(output), output, None


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block, self.fc, self.unused = Block(), nn.Linear(4, 2), nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.block(x)[0].mean((2, 3)))


@pytest.fixture
def blocks() -> Net:
    return Net().eval()


def inference_images() -> Tensor:
    with torch.inference_mode():
        return torch.rand(2, 3, 16, 16)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("make", [Saliency, InputXGradient])
def test_images_of_an_inference_mode(blocks, make) -> None:
    images = inference_images()
    grouped = SuperpixelGrouped(make(blocks), Grid(4))
    with pytest.raises(ValueError, match=r"\(Net\).*: the inputs were made inside of .* inputs.clone\(\)"):
        grouped.attribute(images, target=1)
    with pytest.raises(ValueError, match=r"the inputs were made inside of torch.inference_mode\(\)"):
        XRAI(make(blocks), Grid(4)).attribute(images, target=1)
    assert grouped.attribute(images.clone(), target=1).shape == (2, 3, 16, 16)


@pytest.mark.parametrize("make", [FeatureAblation, IntegratedGradients, lambda net: NoiseTunnel(Saliency(net))])
def test_methods_that_can_do_with_images_of_an_inference_mode(blocks, make) -> None:
    assert SuperpixelGrouped(make(blocks), Grid(4)).attribute(inference_images(), target=1).shape == (2, 3, 16, 16)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 (has a dtype|did not already require)")
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_images_of_integers(dtype: torch.dtype) -> None:
    def network(images: Tensor) -> Tensor:
        return images.float().mean((2, 3))

    images = (torch.rand(2, 3, 16, 16) * 255).to(dtype)
    saliency, ablation = (SuperpixelGrouped(make(network), Grid(4)) for make in (Saliency, FeatureAblation))
    advice = rf"for inputs of {dtype}: pass inputs\.float\(\)"
    with pytest.raises(ValueError, match=f"torch has no gradients {advice}"):
        saliency.attribute(images, target=1)
    assert saliency.attribute(images.float(), target=1).shape == images.shape
    if dtype != torch.uint8:  # which Captum can ablate
        with pytest.raises(ValueError, match=f"torch has few operations {advice}"):
            ablation.attribute(images, target=1)
    assert ablation.attribute(images.float(), target=1).shape == images.shape


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_a_call_inside_of_an_inference_mode(blocks) -> None:
    grouped = SuperpixelGrouped(Saliency(blocks), Grid(4))
    images = torch.rand(2, 3, 16, 16)
    with torch.inference_mode(), pytest.raises(ValueError, match="attribute was called inside of"):
        grouped.attribute(images, target=1)
    with torch.no_grad():
        grouped.attribute(images, target=1)


def test_a_network_of_an_inference_mode(images) -> None:
    with torch.inference_mode():
        net = Net().eval()
    with pytest.raises(ValueError, match="the network's parameters, or further arguments, were made inside of"):
        SuperpixelGrouped(Saliency(net), Grid(4)).attribute(images, target=1)


@pytest.mark.parametrize("method", [LayerGradCam, LayerActivation, GuidedGradCam])
def test_layers_that_return_no_tensor(blocks, images, method) -> None:
    options = {} if method is LayerActivation else {"target": 1}
    message = r"the layer Block returns a tuple \(Tensor, Tensor, NoneType\), no tensor: .*, such as layer.relu"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        with pytest.raises(ValueError, match=message):
            SuperpixelGrouped(method(blocks, blocks.block), Grid(4)).attribute(images, **options)
        maps = SuperpixelGrouped(method(blocks, blocks.block.relu), Grid(4)).attribute(images, **options)
    assert maps.shape[2:] == images.shape[2:]


@pytest.mark.parametrize("method", [Saliency, FeatureAblation])
@pytest.mark.parametrize("target", [2**63 - 1, -5, "cat", 0.5, False, (1, 2, 3), [0, 1, 1], torch.zeros(2, 3)])
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_targets_that_are_none(method, target) -> None:
    grouped = SuperpixelGrouped(method(Net().eval()), Grid(4))
    with pytest.raises(
        ValueError, match=r"target=.* does not choose one number for each image from outputs of shape \(2, \d\): pass"
    ):
        grouped.attribute(torch.rand(2, 3, 16, 16), target=target)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_no_target_for_several_outputs() -> None:
    with pytest.raises(
        ValueError, match=r"target=None does not choose one number for each image from outputs of shape"
    ):
        SuperpixelGrouped(Saliency(Net().eval()), Grid(4)).attribute(torch.rand(2, 3, 16, 16))


def test_layers_that_do_not_run(blocks, images) -> None:
    with pytest.raises(ValueError, match="the layer Conv2d does not run when the network does: choose one that does"):
        SuperpixelGrouped(LayerGradCam(blocks, blocks.unused), Grid(4)).attribute(images, target=1)


def test_no_hook_stays_behind(blocks, images) -> None:
    with pytest.raises(ValueError, match="returns a tuple"):
        SuperpixelGrouped(LayerGradCam(blocks, blocks.block), Grid(4)).attribute(images, target=1)
    assert not any(module._forward_hooks for module in blocks.modules())


@pytest.mark.parametrize("returned", [lambda scores: scores.sum(), lambda scores: float(scores.sum())])
def test_one_number_for_a_batch(blocks, images, returned) -> None:
    grouped = SuperpixelGrouped(FeatureAblation(lambda x: returned(blocks(x))), Grid(4))
    with pytest.raises(ValueError, match=r"the network returned one number for 4 images.*feature_mask=mask\[:1\]"):
        grouped.attribute(images.detach())
    mask = grouped.feature_mask(images)[:1]
    expected = FeatureAblation(lambda x: returned(blocks(x))).attribute(images.detach(), feature_mask=mask)
    torch.testing.assert_close(grouped.attribute(images.detach(), feature_mask=mask), expected)


def test_other_failures_are_those_of_captum_and_the_inputs_are_left_as_they_were(blocks) -> None:
    images = torch.rand(2, 3, 16, 16)
    tunnel = SuperpixelGrouped(NoiseTunnel(Saliency(blocks)), Grid(4))
    with pytest.raises(AssertionError, match="stdevs"):
        tunnel.attribute(images, target=1, stdevs=1)
    assert not images.requires_grad

    def broken(x: Tensor) -> Tensor:
        raise KeyError("of my own")

    with pytest.raises(KeyError, match="of my own"):
        SuperpixelGrouped(FeatureAblation(broken), Grid(4)).attribute(images)


@pytest.mark.parametrize(("method", "options"), [(ShapleyValueSampling, {"n_samples": 2}), (ShapleyValues, {})])
def test_shapley_values_of_a_batch_of_two_inputs(method, options) -> None:
    x, y = torch.rand(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def model(a: Tensor, b: Tensor) -> Tensor:
        return a.flatten(1).sum(1) + 2 * b.flatten(1).sum(1)

    mask = Grid(2)(x)
    alone = method(model).attribute((x, y), feature_mask=(mask, mask + 1 + mask.max()), **options)
    for grouped in (
        SuperpixelGrouped(method(model), Grid(2)),
        SuperpixelGrouped(method(model), (lambda _: mask[:1],) * 2),
    ):
        maps = grouped.attribute((x, y), **options)
        for found, expected in zip(maps, alone, strict=True):
            torch.testing.assert_close(found, expected)


def test_one_mask_for_all_images_of_the_second_input(images) -> None:
    def one_for_all(inputs: Tensor) -> Tensor:
        return torch.zeros(1, 1, *inputs.shape[2:], dtype=torch.long)

    def model(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).flatten(1).sum(1)

    first, second = images, images.detach().flip(0).requires_grad_()
    maps = SuperpixelGrouped(Saliency(model), (Grid(2), one_for_all)).attribute((first, second))
    pixels = Saliency(model).attribute((first, second))
    torch.testing.assert_close(maps[1], pixels[1].mean(dim=(2, 3), keepdim=True).expand_as(second))
    torch.testing.assert_close(
        maps[0], SuperpixelGrouped(Saliency(lambda a: model(a, second)), Grid(2)).attribute(first)
    )


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_one_warning_about_the_training_mode(images) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.AdaptiveAvgPool2d(1))
    net.append(nn.Flatten())
    maps = images.detach()
    calls = [
        *(lambda m=m: SuperpixelGrouped(m(net), Grid(9)).attribute(images, target=1) for m in (Saliency, DeepLift)),
        lambda: SuperpixelGrouped(FeatureAblation(net), Grid(9)).attribute(images, target=1),
        lambda: SuperpixelGrouped(NoiseTunnel(Saliency(net)), Grid(9)).attribute(images, target=1),
        lambda: SuperpixelGrouped(Deconvolution(net), Grid(9)).attribute(images, target=1),
        lambda: XRAI(net, Grid(9)).attribute(images, target=1, n_steps=3),
        lambda: deletion_auc(net, images, maps, 1),
        lambda: road(net, images, maps, 1),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match="Sequential is in training mode and holds BatchNorm2d, Dropout") as found:
            call()
        about = [warning for warning in found if "training mode" in str(warning.message)]
        assert [warning.filename for warning in about] == [__file__]
    net.eval()
    for call in calls:
        call()


class BlackBox(nn.Module):
    """Outputs without a gradient, as around a program that is not PyTorch's."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(images.detach().mean(dim=(2, 3)).numpy())


@pytest.mark.parametrize("method", [Saliency, IntegratedGradients, InputXGradient])
def test_black_boxes_are_explained_without_gradients_and_said_to_have_none(images, method) -> None:
    for wrapped in (method(BlackBox()), NoiseTunnel(method(BlackBox()))):
        with pytest.raises(ValueError, match=rf"{method.__name__}\(BlackBox\).*: the network's output has no gradient"):
            SuperpixelGrouped(wrapped, Grid(4)).attribute(images, target=1)
    with pytest.raises(
        ValueError, match=r"output has no gradient .* use a method that asks for none, such as KernelShap"
    ):
        XRAI(BlackBox()).attribute(images, target=1)
    # The advice, followed: each method finds the effects of the segments of one channel.
    expected = SuperpixelGrouped(FeatureAblation(BlackBox()), Grid(4)).attribute(images, target=1)
    for advised, options in ((KernelShap, {"n_samples": 200}), (ShapleyValueSampling, {"n_samples": 2})):
        maps = SuperpixelGrouped(advised(BlackBox()), Grid(4)).attribute(images, target=1, **options)
        torch.testing.assert_close(maps, expected, atol=1e-4, rtol=1e-4)


def test_a_program_of_one_batch_size_is_said_to_be_one_and_the_advice_helps(images) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = images.detach()

    def run(program: nn.Module) -> list[Tensor]:
        maps = SuperpixelGrouped(IntegratedGradients(program), Grid(4)).attribute(images, target=1, n_steps=3)
        return [maps.detach(), deletion_auc(program, images, maps.detach(), 1, softmax=False)]

    fixed = torch.export.export(network, (images,)).module()
    with pytest.raises(
        ValueError, match=r"a program of torch\.export that does not take these inputs .* dynamic_shapes"
    ):
        run(fixed)
    with pytest.raises(ValueError, match=r"a program of torch\.export that does not take these inputs"):
        deletion_auc(fixed, images, images, 1)
    dynamic_shapes = ({0: torch.export.Dim.AUTO},)
    dynamic = torch.export.export(network, (images,), dynamic_shapes=dynamic_shapes).module()
    for actual, expected in zip(run(dynamic), run(network), strict=True):
        torch.testing.assert_close(actual, expected)


def test_layers_without_a_rule_are_named_and_left_as_they_were(images) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    grouped = SuperpixelGrouped(LRP(network), Grid(4))
    for _ in range(2):  # Captum fails in another way once a call has failed
        with pytest.raises(ValueError, match=r"LRP\(Sequential\): there is no rule for the layer Flatten: give such"):
            grouped.attribute(images, target=1)
    assert not any(hasattr(layer, "rule") for layer in network)
    network[3].rule = EpsilonRule()
    assert grouped.attribute(images, target=1).shape == images.shape

"""Layers of networks of transformers with random weights: their layout is found, and Grad-CAM is as it is defined."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from captum.attr import LayerActivation, LayerGradCam, LayerGradientXActivation
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped

transformers = pytest.importorskip("transformers")

SIZE = (64, 32)
VIT = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "patch_size": 8,
    "num_labels": 3,
}
SWIN = {"patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4, "num_labels": 3}


class Family(NamedTuple):
    """A network, a layer whose places know only their own pixels, one near the end, their grids, and extra tokens."""

    make: Callable[[], nn.Module]
    early: str
    early_grid: tuple[int, int]
    late: str
    late_grid: tuple[int, int]
    extra: int = 0


def clip() -> nn.Module:
    vision = {**VIT, "image_size": 64}
    text = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 20}
    return transformers.CLIPForImageClassification(
        transformers.CLIPConfig(vision_config=vision, text_config=text, num_labels=3)
    )


FAMILIES = {
    "ViT": Family(
        lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**VIT, image_size=SIZE)),
        *("vit.layers.0.layernorm_before", (8, 4), "vit.layers.1.layernorm_before", (8, 4), 1),
    ),
    "DeiT": Family(
        lambda: transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(**VIT, image_size=SIZE)),
        *("deit.embeddings", (8, 4), "deit.layers.1.layernorm_before", (8, 4), 2),
    ),
    "DINOv2": Family(
        lambda: transformers.Dinov2ForImageClassification(transformers.Dinov2Config(**VIT, image_size=64)),
        *("dinov2.encoder.layer.0.norm1", (8, 4), "dinov2.layernorm", (8, 4), 1),
    ),
    "DINOv2 with registers": Family(
        lambda: transformers.Dinov2WithRegistersForImageClassification(
            transformers.Dinov2WithRegistersConfig(**VIT, image_size=64, num_register_tokens=4)
        ),
        *("dinov2_with_registers.embeddings", (8, 8), "dinov2_with_registers.encoder.layer.1", (8, 8), 5),
    ),
    "BEiT": Family(
        lambda: transformers.BeitForImageClassification(
            transformers.BeitConfig(**VIT, image_size=SIZE, use_relative_position_bias=True)
        ),
        *("beit.embeddings", (8, 4), "beit.layers.1", (8, 4), 1),
    ),
    "Swin": Family(
        lambda: transformers.SwinForImageClassification(transformers.SwinConfig(**SWIN, image_size=SIZE)),
        *("swin.embeddings.norm", (16, 8), "swin.layernorm", (8, 4)),
    ),
    "SwinV2": Family(
        lambda: transformers.Swinv2ForImageClassification(transformers.Swinv2Config(**SWIN, image_size=SIZE)),
        *("swinv2.embeddings.norm", (16, 8), "swinv2.encoder.layers.1.blocks.0", (8, 4)),
    ),
    "ConvNeXt": Family(
        lambda: transformers.ConvNextForImageClassification(
            transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, num_labels=3)
        ),
        *("convnext.embeddings.layernorm", (16, 8), "convnext.encoder.stages.1.layers.0.pwconv1", (8, 4)),
    ),
    "SegFormer": Family(
        lambda: transformers.SegformerForImageClassification(
            transformers.SegformerConfig(
                num_encoder_blocks=2,
                depths=[1, 1],
                sr_ratios=[2, 1],
                hidden_sizes=[8, 16],
                patch_sizes=[4, 2],
                strides=[4, 2],
                num_attention_heads=[1, 2],
                mlp_ratios=[2, 2],
                num_labels=3,
            )
        ),
        *("segformer.stages.0.patch_embeddings.layer_norm", (17, 9), "segformer.stages.1.layer_norm", (9, 5)),
    ),
    "MobileViT": Family(
        lambda: transformers.MobileViTForImageClassification(
            transformers.MobileViTConfig(
                image_size=64,
                hidden_sizes=[16, 20, 24],
                neck_hidden_sizes=[8, 8, 8, 12, 16, 20, 24],
                num_attention_heads=2,
                num_labels=3,
            )
        ),
        *("mobilevit.conv_stem", (32, 16), "mobilevit.encoder.layer.3", (4, 2)),
    ),
    "CLIP": Family(clip, "vision_model.pre_layrnorm", (8, 8), "vision_model.encoder.layers.1", (8, 8), 1),
}
"""Sizes as the configurations say: 64 pixels in patches of 8, Swin's merged two by two."""


class Logits(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images).logits
        return logits


def make(name: str) -> tuple[nn.Module, Family, Tensor]:
    family = FAMILIES[name]
    torch.manual_seed(0)
    network = family.make().eval()
    for parameter in network.parameters():
        parameter.data = parameter.data + 0.1 * torch.randn_like(parameter)
    square = family.early_grid[0] == family.early_grid[1]
    return network, family, torch.randn(2, 3, 64, 64 if square else 32)


def pooled(method: Any, images: Tensor, **options: Any) -> Tensor:
    """Maps of the wrapper, nearest neighbors and pixel by pixel."""
    own = torch.arange(images[0, 0].numel()).view(1, 1, *images.shape[2:])
    grouped = SuperpixelGrouped(method, None, interpolate_mode="nearest")
    maps: Tensor = grouped.attribute(images, feature_mask=own, **options).detach()
    return maps


def output_places(by_hand: Any, output: Tensor, size: tuple[int, int], extra: int) -> Tensor:
    return output if output.dim() == 4 and output.shape[2:] == size else by_hand.places(output, size, extra)


@pytest.mark.parametrize("objects", [True, False], ids=["objects", "logits"])
@pytest.mark.parametrize("name", FAMILIES)
def test_grad_cam_of_families(by_hand: Any, name: str, objects: bool) -> None:
    network, family, images = make(name)
    layer = network.get_submodule(family.late)
    output, gradient = by_hand.at_layer(Logits(network), layer, images, 2)
    if output.dim() == 4 and output.shape[2:] == family.late_grid:
        output, gradient = output.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
    cam = by_hand.grad_cam(output, gradient, family.late_grid, family.extra)
    assert cam.abs().amax(dim=(1, 2, 3)).min() > 0
    expected = nn.functional.interpolate(cam, size=images.shape[2:], mode="nearest")
    found = pooled(LayerGradCam(network if objects else Logits(network), layer), images, target=2)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_times_activation_of_families(by_hand: Any, name: str) -> None:
    network, family, images = make(name)
    layer = network.get_submodule(family.late)
    output, gradient = by_hand.at_layer(Logits(network), layer, images, 1)
    maps = output_places(by_hand, output * gradient, family.late_grid, family.extra)
    expected = nn.functional.interpolate(maps, size=images.shape[2:], mode="nearest")
    torch.testing.assert_close(pooled(LayerGradientXActivation(network, layer), images, target=1), expected)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("SegFormer", "MobileViT")])
@pytest.mark.parametrize("quarter", range(4))
def test_what_changes_in_a_quarter_stays_there(name: str, quarter: int) -> None:
    """Before anything is mixed, places know their own pixels alone: only the places of the quarter change."""
    network, family, images = make(name)
    rows, columns = (slice(start // 2, start // 2 + start // 2) for start in images.shape[2:])
    if quarter // 2 == 0:
        rows = slice(0, images.shape[2] // 2)
    if quarter % 2 == 0:
        columns = slice(0, images.shape[3] // 2)
    other = images.clone()
    other[:, :, rows, columns] += torch.randn_like(other[:, :, rows, columns])
    method = LayerActivation(network, network.get_submodule(family.early))
    change = (pooled(method, other) - pooled(method, images)).abs().sum(1)
    assert change[:, rows, columns].min() > 0
    change[:, rows, columns] = 0
    assert change.max() < 1e-5

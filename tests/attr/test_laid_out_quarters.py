"""Networks of transformers that see one quarter of the image by construction: so say all methods of their layers."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from captum.attr import (
    GuidedGradCam,
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerDeepLift,
    LayerGradCam,
    LayerGradientShap,
    LayerGradientXActivation,
    LayerIntegratedGradients,
)
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped

transformers = pytest.importorskip("transformers")

TALL, SQUARE = (64, 32), (64, 64)
VIT = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "patch_size": 8,
}
SWIN = {"patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
MIX = {
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "hidden_sizes": [8, 16],
    "num_attention_heads": [1, 2],
    "mlp_ratios": [2, 2],
}


class Family(NamedTuple):
    """A network without its head, its last grid and extra tokens by its configuration, the image size, and layers."""

    make: Callable[[], nn.Module]
    grid: tuple[int, int]
    extra: int
    size: tuple[int, int]
    layers: tuple[str, ...]


FAMILIES = {
    "ViT": Family(
        lambda: transformers.ViTModel(transformers.ViTConfig(**VIT, image_size=TALL)),
        *((8, 4), 1, TALL, ("embeddings", "layers.0", "layers.1.layernorm_after", "layernorm")),
    ),
    "DeiT": Family(
        lambda: transformers.DeiTModel(transformers.DeiTConfig(**VIT, image_size=TALL)),
        *((8, 4), 2, TALL, ("embeddings", "layers.0", "layernorm")),
    ),
    "DINOv2": Family(
        lambda: transformers.Dinov2Model(transformers.Dinov2Config(**VIT, image_size=64)),
        *((8, 4), 1, TALL, ("embeddings", "encoder.layer.1", "layernorm")),
    ),
    "DINOv2 with registers": Family(
        lambda: transformers.Dinov2WithRegistersModel(
            transformers.Dinov2WithRegistersConfig(**VIT, image_size=64, num_register_tokens=4)
        ),
        *((8, 8), 5, SQUARE, ("embeddings", "encoder.layer.1", "layernorm")),
    ),
    "BEiT": Family(
        lambda: transformers.BeitModel(
            transformers.BeitConfig(**VIT, image_size=TALL, use_relative_position_bias=True)
        ),
        *((8, 4), 1, TALL, ("embeddings", "layers.1", "layers.1.mlp")),
    ),
    "Swin": Family(
        lambda: transformers.SwinModel(transformers.SwinConfig(**SWIN, image_size=TALL)),
        *((8, 4), 0, TALL, ("embeddings", "encoder.layers.1.blocks.0", "encoder.layers.0.downsample", "layernorm")),
    ),
    "SwinV2": Family(
        lambda: transformers.Swinv2Model(transformers.Swinv2Config(**SWIN, image_size=TALL)),
        *((8, 4), 0, TALL, ("embeddings", "encoder.layers.1.blocks.0", "layernorm")),
    ),
    "ConvNeXt": Family(
        lambda: transformers.ConvNextModel(
            transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)
        ),
        *((8, 4), 0, TALL, ("embeddings.layernorm", "encoder.stages.1.layers.0.pwconv1", "encoder.stages.1")),
    ),
    "SegFormer": Family(
        lambda: transformers.SegformerModel(
            transformers.SegformerConfig(**MIX, sr_ratios=[2, 1], patch_sizes=[7, 3], strides=[4, 2])
        ),
        *((8, 4), 0, TALL, ("stages.0.patch_embeddings.layer_norm", "stages.1.layer_norm")),
    ),
    "MobileViT": Family(
        lambda: transformers.MobileViTModel(
            transformers.MobileViTConfig(
                image_size=64,
                hidden_sizes=[16, 20, 24],
                neck_hidden_sizes=[8, 8, 8, 12, 16, 20, 24],
                num_attention_heads=2,
                hidden_act="silu",
            )
        ),
        *((2, 2), 0, SQUARE, ("encoder.layer.1", "encoder.layer.3", "conv_1x1_exp")),
    ),
    "MobileViTV2": Family(
        lambda: transformers.MobileViTV2Model(transformers.MobileViTV2Config(image_size=64, width_multiplier=0.25)),
        *((2, 2), 0, SQUARE, ("encoder.layer.1", "encoder.layer.2", "encoder.layer.4")),
    ),
    "CLIP": Family(
        lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VIT, image_size=64)),
        *((8, 8), 1, SQUARE, ("pre_layrnorm", "encoder.layers.0", "encoder.layers.1")),
    ),
}


class OneQuarter(nn.Module):
    """Reads the places of one quarter alone, of a network whose places do not look at each other."""

    def __init__(self, family: Family, quarter: int) -> None:
        super().__init__()
        self.backbone = family.make()
        # Its first weights, which are replaced, take other random numbers from version to version.
        torch.manual_seed(0)
        self.family, self.quarter = family, quarter
        channels = self.backbone(torch.zeros(1, 3, *family.size)).last_hidden_state.shape
        self.head = nn.Linear(channels[2] if len(channels) == 3 else channels[1], 3, bias=False)
        isolate(self.backbone)
        # So that Grad-CAM is positive somewhere: it is of squares.
        self.head.weight.data.abs_()

    def forward(self, images: Tensor) -> Tensor:
        output = self.backbone(images).last_hidden_state
        (height, width), rows, columns = self.family.grid, *quarter_of(self.family.grid, self.quarter)
        if output.dim() == 4:
            read = [output[:, :, row, column] for row in rows for column in columns]
        else:
            assert output.shape[1] == self.family.extra + height * width
            read = [output[:, self.family.extra + row * width + column] for row in rows for column in columns]
        return self.head(torch.stack(read).square().mean(0))


def quarter_of(size: tuple[int, int], quarter: int) -> tuple[range, range]:
    """Rows and columns of a quarter: 0 at the top left, 1 at the top right, 2 at the bottom left."""
    height, width = size
    rows = range(quarter // 2 * height // 2, (quarter // 2 + 1) * height // 2)
    return rows, range(quarter % 2 * width // 2, (quarter % 2 + 1) * width // 2)


def isolate(network: nn.Module) -> None:
    """Let each place compute from its own pixels alone, nothing from nothing: no attention, biases or overlaps."""
    for name, parameter in network.named_parameters():
        parameter.data = 0.3 * torch.randn_like(parameter) if parameter.dim() > 1 else torch.ones_like(parameter)
        if name.endswith("bias") or re.search(r"token|position|class_emb", name):
            parameter.data.zero_()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            own = torch.zeros(module.kernel_size)
            own[tuple(slice(p, p + s) for p, s in zip(module.padding, module.stride, strict=True))] = 1
            module.weight.data *= own
        for child, normalized in module.named_children():
            if isinstance(normalized, nn.GroupNorm):  # over all places, as MobileViTV2 has it
                setattr(module, child, nn.Identity())
    for module in network.modules():
        if "Attention" in type(module).__name__:
            for parameter in module.parameters():
                parameter.data.zero_()


METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "LayerGradCam": (LayerGradCam, {"target": 1}),
    "GuidedGradCam": (GuidedGradCam, {"target": 1}),
    "LayerActivation": (LayerActivation, {}),
    "LayerGradientXActivation": (LayerGradientXActivation, {"target": 1}),
    "LayerIntegratedGradients": (LayerIntegratedGradients, {"target": 1, "n_steps": 2}),
    "LayerConductance": (LayerConductance, {"target": 1, "n_steps": 2}),
    "InternalInfluence": (InternalInfluence, {"target": 1, "n_steps": 2}),
    "LayerDeepLift": (LayerDeepLift, {"target": 1}),
    "LayerGradientShap": (LayerGradientShap, {"target": 1, "n_samples": 2, "baselines": torch.zeros(1, 3, 1, 1)}),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.filterwarnings("ignore:Setting (backward|forward)|GuidedGradCam finds no:UserWarning")
def test_all_evidence_lies_in_the_quarter(name: str, method: str) -> None:
    """A layer that is laid out by other rows, columns or tokens would show it elsewhere."""
    family, quarter = FAMILIES[name], 2 if list(FAMILIES).index(name) % 2 else 1
    network = OneQuarter(family, quarter).eval()
    make, options = METHODS[method]
    if "baselines" in options:
        options = options | {"baselines": options["baselines"].expand(1, 3, *family.size)}
    inside = torch.zeros(family.size, dtype=torch.bool)
    rows, columns = quarter_of(family.size, quarter)
    inside[rows.start : rows.stop, columns.start : columns.stop] = True
    images = (torch.randn(1, 3, *family.size) * inside).requires_grad_(method == "GuidedGradCam")
    own = torch.arange(inside.numel()).view(1, 1, *family.size)
    for layer in family.layers:
        wrapped = make(network, network.backbone.get_submodule(layer))
        grouped = SuperpixelGrouped(wrapped, None, interpolate_mode="nearest")
        found = grouped.attribute(images, feature_mask=own, **options).detach().abs().sum(1)[0]
        assert found[~inside].max() == 0, layer
        # Grad-CAM may cut off what is negative.
        share = 0.05 if method == "GuidedGradCam" else 0.95
        assert (found[inside] > 0).double().mean() > share, layer


def logits(network: nn.Module) -> nn.Module:
    return nn.Sequential(network, Logits()).eval()


class Logits(nn.Module):
    def forward(self, output: Any) -> Tensor:
        return output.logits


@pytest.mark.parametrize("layer", ["conv_1x1", "transformer", "transformer.layer.0.ffn.conv1", "conv_projection"])
def test_patches_that_are_unfolded_are_no_map(layer: str) -> None:
    """Between unfolding and folding MobileViTV2 has four rows of all patches, which look like a map of (4, 4)."""
    torch.manual_seed(0)
    network = logits(
        transformers.MobileViTV2ForImageClassification(
            transformers.MobileViTV2Config(image_size=64, width_multiplier=0.25)
        )
    )
    module = network[0].mobilevitv2.encoder.layer[3].get_submodule(layer)
    images, own = torch.randn(1, 3, 64, 64), torch.arange(64 * 64).view(1, 1, 64, 64)
    method, grouped = LayerActivation(network, module), SuperpixelGrouped(LayerActivation(network, module), None)
    if layer.startswith("transformer"):
        with pytest.raises(ValueError, match=r"output \(1, \d+, 4, 4\) are not in the order of rows and columns"):
            grouped.attribute(images, feature_mask=own)
    else:
        grouped.interpolate_mode = "nearest"
        assert torch.equal(grouped.attribute(images, feature_mask=own)[..., ::16, ::16], method.attribute(images))


def test_tokens_by_mask_units_are_no_map() -> None:
    """Those of Hiera are in the order of rows and columns where pooling has left one of each unit, and not before."""
    torch.manual_seed(0)
    network = logits(
        transformers.HieraForImageClassification(
            transformers.HieraConfig(
                embed_dim=12, image_size=[64, 32], depths=[1, 1, 1], num_heads=[1, 2, 4], num_query_pool=2, num_labels=3
            )
        )
    )
    stages = network[0].hiera.encoder.stages
    images, own = torch.randn(1, 3, 64, 32), torch.arange(64 * 32).view(1, 1, 64, 32)
    for stage in (0, 1):
        module = stages[stage].layers[0].layernorm_before
        with pytest.raises(ValueError, match=r"\(1, 128, 12\) are not in the order of rows and columns, but patch by"):
            SuperpixelGrouped(LayerActivation(network, module), None).attribute(images, feature_mask=own)
    last = LayerActivation(network, stages[2].layers[0].mlp)
    found = SuperpixelGrouped(last, None, interpolate_mode="nearest").attribute(images, feature_mask=own)
    assert torch.equal(found[..., ::16, ::16], last.attribute(images).transpose(1, 2).unflatten(2, (4, 2)))

"""The layer that is taken by itself in networks of transformers with random weights: the last one that gives a map."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from captum_superpixel.explain.layers import find_layer

transformers = pytest.importorskip("transformers")

VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20, "patch_size": 8}
SWIN = {"patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4, "image_size": 64}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4]}
BRANCHES: dict[str, Any] = {
    "vision_config": {**VIT, "image_size": 64},
    "text_config": {
        "hidden_size": 12,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 20,
        "vocab_size": 9,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    },
}


class Head(nn.Module):
    """For networks that transformers has no classifier of."""

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(channels, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images).pooler_output)
        return logits


class Logits(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        output = self.network(images)
        return output if isinstance(output, Tensor) else output.logits


def t(name: str, *arguments: Any, **options: Any) -> Callable[[], Any]:
    """Makes something of transformers, when it is called."""
    return lambda: getattr(transformers, name)(*(make() for make in arguments), **options)


FAMILIES: dict[str, tuple[Callable[[], nn.Module], str, tuple[int, int]]] = {
    # A class token alone is read, of which the image's own last tokens are no part: what the last attention is given.
    "ViT": (
        t("ViTForImageClassification", t("ViTConfig", **VIT, image_size=64)),
        "vit.layers.1.layernorm_before",
        (8, 8),
    ),
    "DeiT": (
        t("DeiTForImageClassificationWithTeacher", t("DeiTConfig", **VIT, image_size=64)),
        "deit.layers.1.layernorm_before",
        (8, 8),
    ),
    # These average the tokens of the image, too.
    "DINOv2": (t("Dinov2ForImageClassification", t("Dinov2Config", **VIT, image_size=64)), "dinov2.layernorm", (8, 8)),
    "DINOv2 with registers": (
        t("Dinov2WithRegistersForImageClassification", t("Dinov2WithRegistersConfig", **VIT, image_size=64)),
        "dinov2_with_registers.layernorm",
        (8, 8),
    ),
    "DINOv3": (
        lambda: Head(transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**VIT, image_size=64)), 16),
        "backbone.model.layer.1.norm1",
        (8, 8),
    ),
    "BEiT": (t("BeitForImageClassification", t("BeitConfig", **VIT, image_size=64)), "beit.layers.1", (8, 8)),
    "Swin": (t("SwinForImageClassification", t("SwinConfig", **SWIN)), "swin.layernorm", (8, 8)),
    "SwinV2": (t("Swinv2ForImageClassification", t("Swinv2Config", **SWIN)), "swinv2.layernorm", (8, 8)),
    "ConvNeXt": (
        t("ConvNextForImageClassification", t("ConvNextConfig", hidden_sizes=[4, 8, 12, 16], depths=[1] * 4)),
        "convnext.encoder.stages.3",
        (2, 2),
    ),
    "ConvNeXtV2": (
        t("ConvNextV2ForImageClassification", t("ConvNextV2Config", hidden_sizes=[4, 8, 12, 16], depths=[1] * 4)),
        "convnextv2.encoder.stages.3",
        (2, 2),
    ),
    "MobileViT": (
        t(
            "MobileViTForImageClassification",
            t(
                "MobileViTConfig",
                hidden_sizes=[16, 20, 24],
                neck_hidden_sizes=[8, 8, 8, 12, 16, 20, 24],
                num_attention_heads=2,
            ),
        ),
        "mobilevit.conv_1x1_exp",
        (2, 2),
    ),
    "MobileViTV2": (
        t("MobileViTV2ForImageClassification", t("MobileViTV2Config", width_multiplier=0.25)),
        "mobilevitv2.encoder.layer.4",
        (2, 2),
    ),
    "SegFormer": (
        t("SegformerForImageClassification", t("SegformerConfig", **STAGES, mlp_ratios=[2] * 4)),
        "segformer.stages.3",
        (2, 2),
    ),
    "PVTv2": (
        t("PvtV2ForImageClassification", t("PvtV2Config", **STAGES, mlp_ratios=[2] * 4)),
        "pvt_v2.encoder.layers.3.layer_norm",
        (2, 2),
    ),
    "Hiera": (
        t(
            "HieraForImageClassification",
            t("HieraConfig", embed_dim=8, image_size=[64, 64], depths=[1] * 3, num_heads=[1, 2, 4], num_query_pool=2),
        ),
        "hiera.encoder.stages.2",
        (4, 4),
    ),
    "CLIP": (t("CLIPForImageClassification", t("CLIPConfig", **BRANCHES)), "vision_model.encoder.layers.1", (8, 8)),
    "SigLIP": (t("SiglipForImageClassification", t("SiglipConfig", **BRANCHES)), "vision_model.post_layernorm", (8, 8)),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_layer_that_is_taken_by_itself(name: str) -> None:
    make, expected, size = FAMILIES[name]
    torch.manual_seed(0)
    model, images = Logits(make()).eval(), torch.randn(1, 3, 64, 64)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    layer = find_layer(model, None, "LayerGradCam", images)
    assert layer.name == f"network.{expected}"
    assert layer.size == size
    method: Any = layer.lay_out(LayerGradCam(model, layer.module))
    found = method.attribute(images, target=1).detach()
    assert found.shape == (1, 1, *size)
    assert len(found.unique()) == size[0] * size[1]

"""Grad-CAM by its definition, to compare maps of layers with, a method of given maps, and a vision-language model."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import Attribution
from torch import Tensor, nn


class ByHand:
    """Maps of layers with channels last or tokens, by loops over their places."""

    @staticmethod
    def at_layer(network: nn.Module, layer: nn.Module, inputs: Tensor, target: int) -> tuple[Tensor, Tensor]:
        """Output of a layer and the gradient of a logit with respect to it."""
        kept = []
        handle = layer.register_forward_hook(lambda module, arguments, output: kept.append(output))
        inputs = inputs.detach().clone().requires_grad_()
        logit = network(inputs)[:, target].sum()
        handle.remove()
        output = kept[-1][0] if isinstance(kept[-1], tuple) else kept[-1]
        (gradient,) = torch.autograd.grad(logit, output)
        return output.detach(), gradient

    @staticmethod
    def places(output: Tensor, size: tuple[int, int], extra: int) -> Tensor:
        """``(N, C, h, w)`` of channels last or of tokens, place by place."""
        height, width = size
        maps = output.new_zeros(len(output), output.shape[-1], height, width)
        for row in range(height):
            for column in range(width):
                maps[:, :, row, column] = (
                    output[:, row, column] if output.dim() == 4 else output[:, extra + row * width + column]
                )
        return maps

    @staticmethod
    def grad_cam(output: Tensor, gradient: Tensor, size: tuple[int, int], extra: int) -> Tensor:
        """Selvaraju et al.: a weighted sum of the channels, weighted by the mean of their gradients over the places."""
        output, gradient = ByHand.places(output, size, extra), ByHand.places(gradient, size, extra)
        result = torch.zeros(len(output), 1, *size)
        for channel in range(output.shape[1]):
            weight = gradient[:, channel].sum((1, 2)) / (size[0] * size[1])
            result[:, 0] += weight[:, None, None] * output[:, channel]
        return result


@pytest.fixture
def by_hand() -> type[ByHand]:
    """See there."""
    return ByHand


class Stored(Attribution):
    """Returns the maps that it was given."""

    def __init__(self, maps: object) -> None:
        super().__init__(nn.Identity())
        self.maps = maps

    def attribute(self, inputs: object) -> object:
        return self.maps


@pytest.fixture
def stored() -> Callable[[object], Attribution]:
    return Stored


class TinyLlava:
    """A LLaVA with random weights that reads pictures of 32 pixels, as 16 tokens, and ten words."""

    WORDS = ("<unk>", "<image>", "describe", "the", "picture", "a", "cat", "dog", "left", "right")

    def __init__(self) -> None:
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import (
            CLIPImageProcessorPil,
            CLIPVisionConfig,
            LlamaConfig,
            LlavaConfig,
            LlavaForConditionalGeneration,
            LlavaProcessor,
            PreTrainedTokenizerFast,
        )

        sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(self.WORDS)}, unk_token="<unk>"))
        words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        self.tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=words, unk_token="<unk>", extra_special_tokens={"image_token": "<image>"}
        )
        self.processor = LlavaProcessor(
            image_processor=CLIPImageProcessorPil(size={"height": 32, "width": 32}, do_center_crop=False),
            tokenizer=self.tokenizer,
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
        )
        text = LlamaConfig(**sizes, vocab_size=len(self.WORDS), bos_token_id=None, eos_token_id=None, pad_token_id=None)
        vision = CLIPVisionConfig(**sizes, image_size=32, patch_size=8)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            self.model = LlavaForConditionalGeneration(
                LlavaConfig(vision_config=vision, text_config=text, image_token_index=1)
            ).eval()

    def process(self, image: Any) -> Any:
        return self.processor(text="<image> describe the picture", images=image, return_tensors="pt")


@pytest.fixture(scope="session")
def llava() -> TinyLlava:
    return TinyLlava()

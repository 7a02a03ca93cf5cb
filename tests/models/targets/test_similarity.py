"""Embeddings: cosines, of images and of texts, and what speaks for one reference rather than another."""

import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from captum.attr import FeatureAblation, IntegratedGradients
from torch import Tensor, nn
from torch.nn import functional

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._checks import InputError
from captum_superpixel.models.targets import OutputsTarget, SimilarityTarget, embed_images, embed_texts


def colors() -> nn.Module:
    """The mean color as the embedding."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Returns(nn.Module):
    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Tensor) -> Any:
        return self.output


def test_cosines_of_one_reference_and_of_several() -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    references = torch.tensor([[1.0, 2, 3], [-1, 0, 5]])
    means = images.mean((2, 3))
    one, both = SimilarityTarget(colors(), references[0]), SimilarityTarget(colors(), references)
    assert torch.allclose(one(images), functional.cosine_similarity(means, references[:1]), atol=1e-6)
    assert torch.allclose(both(images)[:, 1], functional.cosine_similarity(means, references[1:]), atol=1e-6)
    assert torch.allclose(both(images)[:, 0], one(images), atol=1e-6)
    # An image is most similar to itself.
    self_similar = SimilarityTarget(colors(), embed_images(colors(), images))(images)
    assert torch.allclose(self_similar.diagonal(), torch.ones(4), atol=1e-6)
    assert (self_similar <= 1 + 1e-6).all()


def test_float16() -> None:
    """A zero is similar to nothing, and a long reference as similar as a short one."""
    images = torch.tensor([[0.0, 0, 0], [300, 400, 0]]).view(2, 3, 1, 1).expand(2, 3, 8, 8).half()
    target = SimilarityTarget(colors(), torch.tensor([1e6, 0, 0]))
    assert torch.equal(target(images), torch.tensor([0, 0.6]).half())


def test_evidence_is_found_where_it_lies() -> None:
    """Red speaks for the similarity to red, blue against it, black for nothing."""
    images = torch.zeros(1, 3, 8, 8)
    images[:, 0, :4, :4], images[:, 2, :4, 4:] = 1, 1
    quarters = (torch.arange(8) // 4).expand(1, 1, 8, 8) + 2 * (torch.arange(8) // 4).view(8, 1)
    target = SimilarityTarget(colors(), torch.tensor([1.0, 0, 0]))
    found = SuperpixelGrouped(FeatureAblation(target)).attribute(images, feature_mask=quarters)[0, 0, ::4, ::4]
    root = 0.5**0.5
    assert torch.allclose(found, torch.tensor([[root, root - 1], [0, 0]]), atol=1e-6)
    contrast = OutputsTarget(SimilarityTarget(colors(), torch.eye(3)[[0, 2]]), [0, 1], combine="difference")
    found = SuperpixelGrouped(FeatureAblation(contrast)).attribute(images, feature_mask=quarters)[0, 0, ::4, ::4]
    assert torch.allclose(found, torch.tensor([[1.0, -1], [0, 0]]), atol=1e-6)


def test_embeddings_of_every_form() -> None:
    embedding, images = torch.rand(2, 5), torch.zeros(2, 3, 4, 4)
    for output in (
        embedding,
        embedding[..., None, None],
        SimpleNamespace(image_embeds=embedding, pooler_output=torch.zeros(2, 7)),
        SimpleNamespace(image_embeds=None, pooler_output=embedding[..., None, None]),
    ):
        assert torch.equal(embed_images(Returns(output), images), embedding)


def clip() -> Any:
    transformers = pytest.importorskip("transformers")
    shared = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.CLIPConfig(
        vision_config={**shared, "image_size": 32, "patch_size": 8},
        text_config={**shared, "vocab_size": 20, "max_position_embeddings": 6, "eos_token_id": 19},
        projection_dim=8,
    )
    torch.manual_seed(0)
    return transformers.CLIPModel(config).eval()


def test_images_and_texts_of_clip() -> None:
    network, images = clip(), torch.randn(2, 3, 32, 32)
    texts = torch.tensor([[1, 5, 19], [7, 2, 19]])
    target = SimilarityTarget(network, embed_texts(network, texts))
    output = network(input_ids=texts, pixel_values=images)
    assert torch.allclose(target(images) * network.logit_scale.exp(), output.logits_per_image, atol=1e-5)
    method = IntegratedGradients(target)
    attributions = SuperpixelGrouped(method).attribute(images, target=1, n_steps=20)
    change = (target(images) - target(0 * images))[:, 1]
    assert torch.allclose(attributions.sum((1, 2, 3)), change, atol=0.02)
    assert attributions.abs().max() > 0
    assert torch.equal(pickle.loads(pickle.dumps(target))(images), target(images))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SimilarityTarget(colors(), torch.zeros(3)), r"reference is zero or not finite"),
        (lambda: SimilarityTarget(colors(), torch.tensor([[1.0], [float("nan")]])), r"reference is zero or not finite"),
        (
            lambda: SimilarityTarget(colors(), torch.ones(2, 3, 4)),
            r"\(D,\) or \(K, D\), but this is of shape \(2, 3, 4\)",
        ),
        (lambda: SimilarityTarget(colors(), [1.0]), r"but this is a list"),
        (lambda: SimilarityTarget(colors(), torch.ones(4))(torch.ones(1, 3, 8, 8)), r"have 3 numbers, .* has 4"),
        (
            lambda: embed_images(Returns("text"), torch.ones(1, 3, 8, 8)),
            r"returns a str, which has none of image_embeds",
        ),
        (
            lambda: embed_images(Returns(torch.ones(2, 3)), torch.ones(1, 3, 8, 8)),
            r"shape \(2, 3\); it must .* \(1, D\)",
        ),
        (lambda: embed_texts(colors(), torch.ones(1, 3).long()), r"Sequential has no get_text_features"),
    ],
)
def test_what_cannot_be_used(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()

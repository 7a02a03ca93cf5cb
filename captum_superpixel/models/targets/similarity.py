"""Embeddings: how similar an image is to another one, to a text, or to any vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from captum_superpixel._checks import InputError

__all__ = ["SimilarityTarget", "embed_images", "embed_texts"]

_NAMES = ("image_embeds", "text_embeds", "pooler_output", "embeddings")
"""Of outputs that hold an embedding."""


class SimilarityTarget(nn.Module):
    """The cosine similarity between the embeddings of images and a reference, from -1 to 1.

    With one reference the result is one number for each image: attribute to it without ``target=``. With several, such
    as the texts that an image is compared with, it is one for each reference, of which ``target=`` chooses.

    Args:
        network: From images ``(N, C, H, W)`` to embeddings, as :func:`embed_images` reads them.
        reference: ``(D,)``, or ``(K, D)`` for several; of an image from :func:`embed_images`, of a text from
            :func:`embed_texts`.

    Attributes:
        reference: The reference, a buffer; another may be assigned.

    Raises:
        InputError: If the reference is of another shape, or zero or not finite.

    Notes:
        A similarity to one text mostly says that the image is a photograph. What speaks for one text rather than
        another is the difference of two:
        ``OutputsTarget(SimilarityTarget(network, texts), [0, 1], combine="difference")``.

    Examples:
        >>> network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # the mean color
        >>> target = SimilarityTarget(network, torch.tensor([1.0, 0.0, 0.0]))
        >>> target(torch.tensor([[3.0, 0.0, 0.0], [3.0, 4.0, 0.0]]).view(2, 3, 1, 1).expand(2, 3, 8, 8))
        tensor([1.0000, 0.6000])
    """

    reference: Tensor

    def __init__(self, network: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("reference", _checked_reference(reference))

    def forward(self, images: Tensor) -> Tensor:
        """Return the similarity of images.

        Args:
            images: ``(N, C, H, W)``.

        Returns:
            ``(N,)``; with K references ``(N, K)``.

        Raises:
            InputError: If the network returns no embeddings, or some of another length than the reference's.
        """
        embeddings = embed_images(self.network, images)
        if embeddings.shape[1] != self.reference.shape[-1]:
            raise InputError(
                f"The network's embeddings have {embeddings.shape[1]} numbers, and the reference has "
                f"{self.reference.shape[-1]}: pass a reference that the same network made."
            )
        # In float16 squares are beyond its range, and the least length, by which a zero is divided, is none.
        wide = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        references = functional.normalize(self.reference.to(wide), dim=-1)
        cosines: Tensor = functional.normalize(wide, dim=1) @ (references.mT if references.ndim > 1 else references)
        return cosines.to(embeddings.dtype)


def embed_images(network: nn.Module, images: Tensor) -> Tensor:
    """Embed images, with gradient.

    Args:
        network: From images to a tensor ``(N, D)``, or to an object with ``image_embeds`` or ``pooler_output``; a
            network with ``get_image_features``, such as CLIP and SigLIP in ``transformers``, is asked for these.
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, D)``.

    Raises:
        InputError: If the network returns no embeddings.
    """
    features = getattr(network, "get_image_features", None)
    return _read(network(images) if features is None else features(pixel_values=images), len(images))


@torch.no_grad()
def embed_texts(network: nn.Module, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """Embed texts by the other branch of a network of images and texts, such as CLIP.

    Args:
        network: With ``get_text_features``, as in ``transformers``.
        input_ids: ``(K, length)`` int64, as the network's tokenizer makes them.
        attention_mask: Likewise; None where all texts have the same length.

    Returns:
        ``(K, D)``.

    Raises:
        InputError: If the network has no texts.

    Examples:
        With ``transformers``::

            tokens = AutoTokenizer.from_pretrained(name)(["a cat", "a dog"], padding=True, return_tensors="pt")
            target = SimilarityTarget(network, embed_texts(network, **tokens))
    """
    features = getattr(network, "get_text_features", None)
    if features is None:
        raise InputError(
            f"The network {type(network).__name__} has no get_text_features, and so no texts to compare images with; "
            "pass one such as CLIP, or compare with another image."
        )
    return _read(features(input_ids=input_ids, attention_mask=attention_mask), len(input_ids))


def _read(output: object, count: int) -> Tensor:
    found = output
    if not isinstance(output, Tensor):
        names = (name for name in _NAMES if isinstance(getattr(output, name, None), Tensor))
        found = getattr(output, next(names, ""), None)
    if not isinstance(found, Tensor):
        raise InputError(
            f"The network returns a {type(output).__name__}, which has none of {', '.join(_NAMES)}: let it return a "
            f"tensor of embeddings ({count}, D)."
        )
    # Pooled maps may keep their two axes.
    embeddings = found.flatten(1) if found.ndim > 2 and set(found.shape[2:]) == {1} else found
    if embeddings.ndim != 2 or len(embeddings) != count:
        raise InputError(
            f"The network returns embeddings of shape {tuple(found.shape)}; it must return ({count}, D), one vector "
            "for each."
        )
    return embeddings


def _checked_reference(reference: Tensor) -> Tensor:
    if not isinstance(reference, Tensor) or reference.ndim not in (1, 2) or 0 in reference.shape:
        what = (
            f"of shape {tuple(reference.shape)}" if isinstance(reference, Tensor) else f"a {type(reference).__name__}"
        )
        raise InputError(f"The reference is a tensor of embeddings, (D,) or (K, D), but this is {what}.")
    lengths = reference.detach().float().norm(dim=-1)
    if not lengths.isfinite().all() or not lengths.all():
        raise InputError("The reference is zero or not finite, and nothing is similar to it: pass another.")
    return reference.detach().clone()

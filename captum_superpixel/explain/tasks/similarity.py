"""``--task similarity``: how similar a photograph is to another one, or to a text."""

from __future__ import annotations

from argparse import Namespace

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError, readable
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.explain.photographs import open_photograph
from captum_superpixel.explain.tasks.task import Aim, Task
from captum_superpixel.models.targets import OutputsTarget, SimilarityTarget, embed_images, embed_texts
from captum_superpixel.models.transformers_classifier import tokenize

__all__ = ["SimilarityTask"]


class SimilarityTask(Task):
    """The cosine similarity with a photograph or a text; with the first text, less the mean of that with the others.

    Args:
        network: From images to embeddings, as ``embed_images`` reads them.
        preprocessing: From photographs to inputs.
        options: Of the command line.
        labels: None.
        inputs: ``(1, C, H, W)``, an example.

    Raises:
        InputError: If the network returns no embeddings, the reference cannot be read, or the network takes no texts.
    """

    what = "the cosine similarity of embeddings, from -1 to 1"

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        options: Namespace,
        labels: list[str] | None,
        inputs: Tensor,
    ) -> None:
        del labels  # there are no categories
        texts: list[str] = options.text
        if options.reference is not None:
            try:
                picture = preprocessing.fit(open_photograph(options.reference))
            except InputError as error:
                raise InputError(f"--reference {options.reference} {error}") from error
            with torch.no_grad():
                reference = embed_images(network, preprocessing.from_uint8(picture[None]).to(inputs.device))[0]
            self._name = readable(options.reference.name)
        else:
            tokens = tokenize(options.model, texts)
            reference = embed_texts(network, **{name: ids.to(inputs.device) for name, ids in tokens.items()})
            reference = reference[0] if len(texts) == 1 else reference
            self._name = " rather than ".join([repr(texts[0]), " or ".join(map(repr, texts[1:]))][: len(texts)])
        target: nn.Module = SimilarityTarget(network, reference)
        if len(texts) > 1:
            self.what = "the cosine similarity with the first text, less the mean of that with the others"
            target = OutputsTarget(target, range(len(texts)), combine="difference")
        self.target = target

    def aim(self, inputs: Tensor, photograph_size: tuple[int, int]) -> Aim:
        """Name the reference, which is the same for all photographs."""
        return Aim(f"similarity to {self._name}")

"""Explanations of photographs: predictions, maps by pixel and by superpixel, and tables of regions, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError, one_line
from captum_superpixel._networks import guarded
from captum_superpixel._seeds import seeded
from captum_superpixel._threads import available_cores, call_each
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.explain.attributing import Attributed, ChosenMethod
from captum_superpixel.explain.batching import Batches
from captum_superpixel.explain.classes import Prediction, rank_classes
from captum_superpixel.explain.confidence import Confidence
from captum_superpixel.explain.explanation import Explanation, Outcome
from captum_superpixel.explain.listing import list_regions, show
from captum_superpixel.explain.one_pass import KeptPass, classify_once
from captum_superpixel.explain.reading import Opened, read
from captum_superpixel.explain.tasks.task import Aim, Task
from captum_superpixel.models.activation import Outputs
from captum_superpixel.models.classifying import classify
from captum_superpixel.regions import ensemble_regions

__all__ = ["Explainer", "Reading"]

Reading = Callable[[Iterable[Path]], Iterator[Opened | Outcome]]
"""From photographs to these as they were read, in their order, which may run ahead."""


@dataclass(frozen=True)
class _Seen:
    """A photograph that the network has seen: ``(1, C, H, W)``, its classes, and ``(1, 1, H, W)`` per segmentation.

    Its segmentations are those of each text of ``--masks``. Where the pass by which it was seen is kept, it is that of
    the whole batch, in which the photograph has a place.
    """

    opened: Opened
    inputs: Tensor
    predictions: list[Prediction]
    masks: dict[str, list[Tensor]]
    remarks: tuple[str, ...]
    aim: Aim | None
    kept: KeptPass | None


@dataclass(frozen=True)
class Explainer:
    """Explains photographs, all in the same way, by one or several methods.

    Photographs are decoded, seen by the network and segmented a batch at a time. So they are attributed to by
    methods of one pass of the network, Saliency, InputXGradient, DeepLift, GuidedBackprop, Deconvolution, LRP and those
    of layers that are like them, whose results are those of one by one, but for rounding. The other methods take one
    photograph after the other: steps, draws or perturbations of one fill a batch, and what is drawn at random for a
    photograph must not depend on its neighbors; the seed holds for each anew. Where one photograph of a batch fails, or
    a network takes one at a time or treats the photographs of a batch differently, each is done by itself. Where memory
    does not suffice, batches are halved. No more than a batch is held in memory.

    Attributes:
        model: From inputs ``(N, 3, H, W)`` to logits ``(N, classes)``, or the target of the task.
        preprocessing: From photographs to inputs.
        outputs: What the network's outputs are.
        methods: What explains them.
        names: Of the classes, or None.
        target: The class to explain; None for the predicted one.
        device: Where the model is.
        seed: Of everything random, for each photograph anew.
        batches: How many photographs are worked on together, or steps, draws or perturbations of one.
        confidence: Says how sure the regions are; None if nobody asked.
        task: Sets the target up for each photograph, which is then done by itself; None for a class.
    """

    model: nn.Module
    preprocessing: Preprocessing
    outputs: Outputs
    methods: tuple[ChosenMethod, ...]
    names: list[str] | None
    target: int | None
    device: torch.device
    seed: int
    batches: Batches = field(default_factory=Batches)
    confidence: Confidence | None = None
    task: Task | None = None

    def __call__(self, path: Path) -> tuple[Explanation, ...]:
        """Explain one photograph by each of the methods.

        Raises:
            InputError: If it cannot be read, or the network, a method or the masks fail on it.
        """
        (outcome,) = self.explain([path])
        if outcome.failures:
            raise InputError(outcome.failures[0])
        return outcome.explanations

    def explain(self, paths: Iterable[Path], reading: Reading | None = None) -> Iterator[Outcome]:
        """Explain photographs, batch by batch, and say what became of each, in their order.

        Args:
            paths: The files.
            reading: From files to what :func:`~captum_superpixel.explain.reading.read` makes of each; None to read each
                batch when it has its turn, in threads.
        """
        rest, ahead = iter(paths), None if reading is None else reading(paths)
        while True:
            size = self.batches.size
            opened = self._read(list(islice(rest, size))) if ahead is None else list(islice(ahead, size))
            if not opened:
                return
            done = self._explain_batch([each for each in opened if isinstance(each, Opened)])
            yield from (next(done) if isinstance(each, Opened) else each for each in opened)

    def settle(self, paths: Sequence[Path]) -> None:
        """Find the strength of the perturbations, if there are any, on photographs that stand for all others."""
        if self.confidence is None or self.confidence.strength is not None:
            return
        pictures = [each.picture for each in self._read(paths) if isinstance(each, Opened)]
        if pictures:
            self.batches.first(partial(self._find_strength, self.confidence), pictures)

    def _find_strength(self, confidence: Confidence, pictures: Sequence[Tensor]) -> list[None]:
        confidence.find_strength(self.preprocessing.from_uint8(torch.stack(list(pictures))).to(self.device))
        return []

    def _read(self, paths: Sequence[Path]) -> list[Opened | Outcome]:
        return call_each(partial(read, preprocessing=self.preprocessing), paths, available_cores())

    def _explain_batch(self, opened: Sequence[Opened]) -> Iterator[Outcome]:
        together = len(opened) > 1 and self._takes_batches
        looked = list(self.batches.each(partial(self._look, len(opened)), opened, together))
        seen = [each for each in looked if isinstance(each, _Seen)]
        # Each is an iterator: what is done one by one is done when its photograph has its turn.
        by_method = [
            self.batches.each(
                partial(self._attribute, method), seen, method.together and len(seen) > 1 and self._takes_batches
            )
            for method in self.methods
        ]
        for before, each in zip(opened, looked, strict=True):
            if isinstance(each, InputError):
                yield Outcome(before.path, before.remarks, (), (one_line(each),))
                continue
            made = [next(results) for results in by_method]
            explanations = tuple(one for one in made if isinstance(one, Explanation))
            failures = tuple(one_line(one) for one in made if isinstance(one, InputError))
            yield Outcome(before.path, each.remarks, explanations, failures)

    @cached_property
    def _takes_batches(self) -> bool:
        """Whether the network gives each picture of a batch what it gives it alone; asked where there is a batch."""
        if self.task is not None:
            return False
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (2, 3, *self.preprocessing.shape), generator=generator).to(torch.uint8)
        inputs = self.preprocessing.from_uint8(pixels).to(self.device)
        try:
            together = classify(self.model, inputs, differentiable=False)
            alone = torch.cat([classify(self.model, one, differentiable=False) for one in torch.split(inputs, 1)])
        except InputError:
            return False
        return torch.allclose(together, alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max()))

    def _look(self, batch: int, opened: Sequence[Opened]) -> list[_Seen]:
        """Let the network see photographs, of a batch of so many, and segment them."""
        inputs = self.preprocessing.from_uint8(torch.stack([each.picture for each in opened])).to(self.device)
        aim = None if self.task is None else self._aim(self.task, inputs, opened)
        # Kept of the whole batch alone: if it is seen in parts, memory may not suffice for the graphs of all of them.
        if len(opened) == batch and self._takes_kept_pass:
            logits, kept = classify_once(self.model, inputs, self.seed)
        else:
            with seeded(self.seed):
                logits, kept = classify(self.model, inputs, differentiable=False), None
        remarks: list[list[str]] = [list(each.remarks) for each in opened]
        sizes, reports = [each.size for each in opened], [each.append for each in remarks]
        segmenters = {method.segmenter.text: method.segmenter for method in self.methods}
        masks = {text: segmenter.segment(inputs, sizes, reports) for text, segmenter in segmenters.items()}
        if self.confidence is not None:
            self.confidence.find_strength(inputs)
        return [
            _Seen(
                each,
                inputs[n : n + 1],
                self._rank(logits[n : n + 1], aim),
                {text: [mask[n : n + 1] for mask in members] for text, members in masks.items()},
                tuple(remarks[n]) + (() if aim is None else aim.remarks),
                aim,
                kept,
            )
            for n, each in enumerate(opened)
        ]

    @property
    def _takes_kept_pass(self) -> bool:
        """Whether the first method takes the gradient of the prediction, and the network stays as it is until then."""
        return self.methods[0].takes_kept_pass and self.task is None and self.confidence is None

    def _aim(self, task: Task, inputs: Tensor, opened: Sequence[Opened]) -> Aim:
        """Settle what is explained of a photograph, and set the target up for it."""
        (only,) = opened
        with guarded("The network fails on this photograph"):
            aim = task.aim(inputs, only.size)
        task.hold(aim)
        return aim

    def _rank(self, logits: Tensor, aim: Aim | None) -> list[Prediction]:
        if aim is None:
            return rank_classes(logits, self.names, self.outputs)
        return [replace(each, role="target") for each in rank_classes(logits, [aim.name], self.outputs)]

    def _attribute(self, method: ChosenMethod, seen: Sequence[_Seen]) -> list[Explanation | InputError]:
        """Explain photographs by a method; one whose map has no scores is an error, the others are not."""
        for each in seen:
            if self.task is not None and each.aim is not None:  # others were looked at in between
                self.task.hold(each.aim)
        targets = [each.predictions[0].index if self.target is None else self.target for each in seen]
        members = zip(*(each.masks[method.segmenter.text] for each in seen), strict=True)
        masks = [torch.cat(of_member) for of_member in members]
        inputs = torch.cat([each.inputs for each in seen])
        kept = seen[0].kept if method is self.methods[0] else None
        if kept is not None and len(seen) != len(kept):
            kept = None
        method = method.within(self.batches.size)
        attributed = method(inputs, targets, masks, self.seed, kept)
        draws: Sequence[Tensor | InputError | None] = [None] * len(seen)
        if self.confidence is not None:
            try:
                draws = list(self.confidence.draw(method, inputs, targets, masks).movedim(1, 0))
            except InputError as error:
                draws = [error] * len(seen)
        return [self._explanation(method, *each) for each in zip(seen, targets, attributed, draws, strict=True)]

    def _explanation(
        self,
        method: ChosenMethod,
        seen: _Seen,
        target: int,
        attributed: Attributed,
        draws: Tensor | InputError | None,
    ) -> Explanation | InputError:
        shown = show(attributed.grouped, method.rule.reduction)[None]
        masks = [mask.cpu() for mask in seen.masks[method.segmenter.text]]
        # What an ensemble's map shows are the segments of none of its members.
        mask = masks[0] if len(masks) == 1 else ensemble_regions(shown, masks)
        table, unsure = list_regions(attributed.grouped, mask, method.rule.reduction, draws)
        table = replace(table, score_name=method.score_name)
        if all(math.isnan(region.score) for region in table):
            return InputError(f"{method.name} has no scores: all of its regions hold NaN or infinite values.")
        return Explanation(
            photograph=seen.opened.path,
            picture=seen.opened.picture,
            grouped=attributed.grouped,
            pixels=attributed.pixels,
            masks=torch.cat(masks)[:, 0],
            mask=mask[0, 0],
            table=table,
            target=next(prediction for prediction in seen.predictions if prediction.index == target),
            predictions=seen.predictions,
            method=method.name,
            rule=method.rule,
            masks_option=method.segmenter.text,
            baseline=method.describe_baseline(self.preprocessing),
            remarks=seen.remarks,
            warnings=(*attributed.warnings, *unsure),
            layer=method.layer,
            confidence=self.confidence.describe() if self.confidence is not None and table.k is not None else "",
            region=None if seen.aim is None else seen.aim.region,
        )

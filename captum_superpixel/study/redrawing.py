"""Maps of a study's networks and draws of each, and the scores of regions in these: made once, by chunks, and kept."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn

import captum_superpixel
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import derive_seed, seeded
from captum_superpixel._store import Content
from captum_superpixel.attr import perturbed_attributions, segment_images
from captum_superpixel.attr.methods import MethodSettings, Scene, make_method, method_options
from captum_superpixel.masks import Slic
from captum_superpixel.masks.base import ImageMaskGenerator
from captum_superpixel.study.context import Study
from captum_superpixel.study.jobs import Job
from captum_superpixel.study.measurement import chunk_bounds
from captum_superpixel.study.region_scores import ChunkMaps

__all__ = ["KINDS", "Plan", "Redrawing"]

KINDS = ("joint", "views", "weights", "noise")
"""Draws of weights and views together, of one of the two alone, and of noise on the inputs as SmoothGrad adds it."""


@dataclass(frozen=True)
class Plan:
    """What is explained, in which regions, and how it is drawn again.

    Args:
        images: Numbers of held-out images.
        typical: Numbers of those by which the strength of the perturbation is found.
        segments: Numbers of segments of ``Slic``.
        members: Of the ensemble whose own regions are looked at.
        chunk_size: Images that are explained together.
        flip: Whether every second view is mirrored.
        draws: How many.
        keep: The share of predictions that draws keep.
    """

    images: Sequence[int]
    typical: Sequence[int]
    segments: tuple[int, ...]
    members: tuple[ImageMaskGenerator, ...]
    chunk_size: int
    flip: bool = True
    draws: int = 12
    keep: float = 0.85


class Redrawing:
    """What a study's networks say of its images, and what each might have said.

    All processes of the study make the same calls in the same order, and share the work.

    Args:
        study: Its held-out images are explained, and its store keeps the parts.
        networks: On the device, each of which is in turn a user's own.
        twins: A randomized model of each, or none, where mean maps are not compared.
        plan: What is explained.
    """

    prefix = "confidence-"
    """Of the names of the parts."""

    def __init__(self, study: Study, networks: Sequence[nn.Module], twins: Sequence[nn.Module], plan: Plan) -> None:
        self.study, self.networks, self.twins, self.plan = study, networks, twins, plan
        self._masks = lru_cache(maxsize=2)(self._segment)
        self._made_with = self.decisive()
        self.strengths = self._find_strengths()

    def decisive(self) -> dict[str, Any]:
        """What decides every part, beside its images, method and kind."""
        names = ("seed", "noise")
        return {name: getattr(self.study.settings, name) for name in names} | {
            "version": captum_superpixel.__version__,
            "data": self.study.data.fingerprint(),
            "networks": [fingerprint(network) for network in self.networks],
            "segments": list(self.plan.segments),
            "members": [repr(member) for member in self.plan.members],
        }

    def method_settings(self, method: str) -> MethodSettings:
        """How much work a method does."""
        return self.study.protocol.method_settings

    def describe(self, method: str, inputs: Tensor) -> dict[str, Any]:
        """A method and its options, as far as they decide its maps."""
        return {"method": method, **{name: str(value) for name, value in self._options(method, inputs).items()}}

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """Where the chunks of images begin and end."""
        return chunk_bounds(len(self.plan.images), self.plan.chunk_size)

    def explain(self, method: str, start: int, stop: int, *, twins: bool = False) -> ChunkMaps:
        """Explain images by all networks, and by their randomized models if these are asked for.

        Args:
            method: Its name.
            start: The place of the first image.
            stop: The place behind the last one.
            twins: Whether randomized models explain them, too.
        """
        images = self.plan.images[start:stop]
        inputs, targets = self._load(images)
        segments, members = self._masks(start, stop)
        found = ChunkMaps(method, start, images, inputs, targets, segments, members, maps=())
        for twin in (False, True) if twins else (False,):

            def explained(number: int, twin: bool = twin) -> Content:
                explainer, options = self._bound(method, number, inputs, twin=twin)
                with seeded(self.study.seed("map", number, start)):
                    maps = explainer.attribute(inputs.clone().requires_grad_(), target=targets, **options)
                return {"maps": maps.detach().cpu()}

            jobs = [
                self._job(self._name("maps", method, number, start, twin), found, {}, partial(explained, number))
                for number in range(len(self.networks))
            ]
            maps = [content["maps"] for content in self.study.run(jobs, share=True)]
            found = replace(found, twins=maps) if twin else replace(found, maps=maps)
        return found

    def draw(
        self, chunk: ChunkMaps, kinds: Iterable[str], *, twin: bool = False, share: bool = False
    ) -> dict[str, list[Content]]:
        """Explain images again and again, with weights, views or inputs perturbed.

        Args:
            chunk: The images.
            kinds: Of :data:`KINDS`.
            twin: Whether the randomized models are perturbed.
            share: Whether all processes get the results, or the first alone; elsewhere the lists are then empty.

        Returns:
            By kind, for each network ``mean_map``, ``(N, 1, H, W)``, the mean of the draws' magnitudes, summed over the
            channels, and ``scores``, by region and sign ``(J, N, K)`` of J draws; of twins none.
        """

        def drawn(kind: str, number: int) -> Content:
            maps = self._perturbed(chunk, kind, number, twin=twin)
            content: Content = {"mean_map": maps.abs().mean(dim=0).sum(dim=1, keepdim=True), "scores": {}}
            if not twin:
                found = [chunk.scores(number, each) for each in maps]
                content["scores"] = {" ".join(key): torch.stack([each[key] for each in found]) for key in found[0]}
            return content

        jobs, wanted, count = [], list(kinds), len(self.networks)
        for kind in wanted:
            for number in range(count):
                of = {"kind": kind, "draws": self.plan.draws, "strength": self.strengths[number]}
                name = self._name(f"draws-{chunk.method}", kind, number, chunk.start, twin)
                jobs.append(self._job(name, chunk, of, partial(drawn, kind, number)))
        contents = self.study.run(jobs, share=share)
        return {kind: contents[place * count : (place + 1) * count] for place, kind in enumerate(wanted)}

    def run_one(self, what: str, chunk: ChunkMaps, made_with: Mapping[str, Any], run: Callable[[], Content]) -> Content:
        """Do something else with a chunk, or take up what was kept; empty at other processes than the first."""
        job = self._job(f"{self.prefix}{what}-{chunk.method}-{chunk.start}", chunk, made_with, run)
        return next(iter(self.study.run([job])), {})

    def _job(self, name: str, chunk: ChunkMaps, made_with: Mapping[str, Any], run: Callable[[], Content]) -> Job:
        of = {"chunk": list(chunk.images)} | self.describe(chunk.method, chunk.inputs)
        return Job(name, {**self._made_with, **of, **made_with}, run)

    def _name(self, what: str, kind: str, number: int, start: int, twin: bool) -> str:
        return f"{self.prefix}{what}-{kind}-{'twin-' * twin}{number}-{start}"

    def _load(self, images: Sequence[int]) -> tuple[Tensor, Tensor]:
        held_out, device = self.study.data.held_out, self.study.device
        return held_out.batch(images).to(device), held_out.labels[list(images)].to(device)

    def _segment(self, start: int, stop: int) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Masks by the name of the regions, and those of the ensemble, on the CPU, where scores are made."""
        data, inputs = self.study.data, self._load(self.plan.images[start:stop])[0]
        single: list[Callable[[Tensor], Tensor]] = [
            Slic(count, denormalize=data.denormalize, channel_order=data.channel_order) for count in self.plan.segments
        ]
        masks = [mask.cpu() for mask in segment_images(single, inputs)]
        named = {f"Slic({count})": mask for count, mask in zip(self.plan.segments, masks, strict=True)}
        return named, [mask.cpu() for mask in segment_images(list(self.plan.members), inputs)]

    def _options(self, method: str, inputs: Tensor) -> dict[str, Any]:
        scene = Scene(inputs, 0, self.method_settings(method))
        options = method_options(method, make_method(method, nn.Identity()), scene)
        return {name: value for name, value in options.items() if name != "target"}

    def _bound(self, method: str, number: int, inputs: Tensor, *, twin: bool) -> tuple[Any, dict[str, Any]]:
        network = (self.twins if twin else self.networks)[number]
        return make_method(method, network), self._options(method, inputs)

    def _perturbed(self, chunk: ChunkMaps, kind: str, number: int, *, twin: bool) -> Tensor:
        """Maps of all draws, ``(J, N, C, H, W)``, on the CPU."""
        explainer, options = self._bound(chunk.method, number, chunk.inputs, twin=twin)
        seed = self.study.seed(kind, number, chunk.start)
        generator = torch.Generator().manual_seed(seed)
        if kind == "noise":
            deviation, found = self.study.data.noise(self.study.settings.noise), []
            for draw in range(self.plan.draws):
                noise = torch.randn(chunk.inputs.shape, generator=generator).to(chunk.inputs.device)
                noisy = (chunk.inputs + deviation * noise).requires_grad_()
                with seeded(derive_seed(seed, draw)):
                    found.append(explainer.attribute(noisy, target=chunk.targets, **options).detach().cpu())
            return torch.stack(found)
        drawn = perturbed_attributions(
            explainer,
            (self.twins if twin else self.networks)[number],
            chunk.inputs,
            target=chunk.targets,
            n_draws=self.plan.draws,
            strength=0.0 if kind == "views" else self.strengths[number],
            views=kind != "weights",
            flip=self.plan.flip,
            generator=generator,
            **options,
        )
        maps: Tensor = drawn.attributions.cpu()
        return maps

    def _find_strengths(self) -> list[float]:
        """The strength at which each network's predictions of typical images are kept."""

        def find(number: int) -> Content:
            inputs, targets = self._load(self.plan.typical)
            explainer, _ = self._bound("Saliency", number, inputs, twin=False)
            options: dict[str, Any] = {"keep": self.plan.keep, "flip": self.plan.flip}
            try:
                network = self.networks[number]
                found = perturbed_attributions(explainer, network, inputs, target=targets, n_draws=2, **options)
            except ValueError as error:
                raise ValueError(
                    f"how sure regions are cannot be measured of network {number + 1}: "
                    f"{str(error).partition(';')[0]}; take more images, train longer, or leave the confidence out"
                ) from error
            return {"strength": found.strength}

        of = {"keep": self.plan.keep, "images": list(self.plan.typical)}
        jobs = [
            Job(f"{self.prefix}strength-{number}", {**self._made_with, **of}, partial(find, number))
            for number in range(len(self.networks))
        ]
        return [content["strength"] for content in self.study.run(jobs, share=True)]

"""How sure a region is, against what independently trained networks show: calibration, and the mean map of the draws.

Each of M networks, trained independently of one another, is in turn the user's own. Its map of a held-out image that
all of them classify correctly has regions with scores; ``perturbed_attributions`` gives draws of these, and
``stays_top`` the probability that a region is among the top k of another network. What the other networks' maps show is
what it is held against. Parts are kept in the folder --out, so that the same command takes up what was interrupted, and
one with more images, methods or kinds of draws goes on from there: results.json and reliability.png keep what was found
of other methods.

    python tests/benchmarks/calibrate_confidence.py --dataset cifar10 --root DIR --network N --weights W …
    python tests/benchmarks/calibrate_confidence.py --dataset digits --models 8
    python tests/benchmarks/calibrate_confidence.py --dataset imagefolder --root DIR --classes FILE --network N …

Kinds of draws: *joint* (weights and views), *views* (strength 0), *weights* (no views) and *noise* (of the inputs, as
SmoothGrad adds it). The tables are printed in Markdown. Each figure has two intervals: over images, and over images and
networks, both drawn with replacement.
"""

import argparse
import json
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from calibration_results import calibration_records, draw_reliability, show_calibration
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from mean_map_results import show_mean_maps, survival

from captum_superpixel import ensemble_regions
from captum_superpixel._files import replacing
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import derive_seed, seeded
from captum_superpixel._store import Store
from captum_superpixel.attr import group_maps, perturbed_attributions, segment_images
from captum_superpixel.masks import Slic, multiscale
from captum_superpixel.models.memory_format import use_channels_last
from captum_superpixel.models.random_twin import random_twin
from captum_superpixel.pooling import segment_scores
from captum_superpixel.study.acquiring import check_outputs, common_preprocessing, load_checkpoints, train_networks
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import load_data
from captum_superpixel.study.jobs import World
from captum_superpixel.study.protocol import make_protocol
from captum_superpixel.study.settings import DATASETS, METHOD_NAMES, StudySettings

KINDS = ("joint", "views", "weights", "noise")
OF_MEAN_MAPS = ("joint", "views", "noise")
SEGMENTS = {"digits": (30,), "cifar10": (30,), "imagefolder": (30, 100)}
IMAGES_FOR_STRENGTH = 32
BATCH = 20


def make_study(options):
    """The settings and data of a study, and its networks."""
    settings = StudySettings(
        dataset=options.dataset,
        root=options.root,
        classes=options.classes,
        checkpoints=tuple(options.network),
        weights=tuple(options.weights),
        models=options.models,
        epochs=options.epochs,
        train_images=options.train_images,
        n_steps=options.steps,
        n_samples=options.samples,
        chunk_size=options.chunk,
        seed=options.seed,
    ).resolved()
    device = torch.device(options.device)
    networks = load_checkpoints(settings, device)
    data = load_data(settings, common_preprocessing(networks, settings))
    protocol = make_protocol(settings, data)
    study = Study(settings, data, protocol, device, Store(Path(options.out) / "parts"), World(), print)
    networks = networks or train_networks(study)
    check_outputs(study, networks)
    modules = [network.module.eval() for network in networks]
    return study, [use_channels_last(module) if device.type == "cpu" else module for module in modules]


def choose(study, networks, count):
    """The first held-out images that all networks classify correctly: only as many are classified as it takes."""
    held_out, chosen = study.data.held_out, []
    for start in range(0, len(held_out), BATCH):
        part = list(range(start, min(start + BATCH, len(held_out))))
        inputs = held_out.batch(part).to(study.device)
        with torch.no_grad():
            right = torch.stack([network(inputs).argmax(1).cpu() == held_out.labels[part] for network in networks])
        chosen += [index for index, all_right in zip(part, right.all(dim=0).tolist(), strict=True) if all_right]
        if len(chosen) >= count:
            break
    return chosen[:count]


class Explaining:
    """Maps, draws and scores of regions, chunk by chunk, each made once and kept."""

    def __init__(self, study, networks, options, images):
        self.study, self.networks, self.options = study, networks, options
        self.images, self.typical = images[: options.images], images[:IMAGES_FOR_STRENGTH]
        self.segments = tuple(options.segments or SEGMENTS[options.dataset])
        self.masks = lru_cache(maxsize=2)(self.segment)
        # All kinds of draws and all other networks are scored over the same regions, which are slow to find.
        self.regions = lru_cache(maxsize=2 * len(networks))(self.find_regions)
        self.made_with = {
            "data": study.data.fingerprint(),
            "networks": [fingerprint(network) for network in networks],
            "segments": self.segments,
            "seed": options.seed,
        }
        self.strengths = [self.find_strength(number) for number in range(len(networks))]

    @cached_property
    def twins(self):
        """The randomized models, which the mean maps alone are compared with."""
        held_out, generator = self.study.data.held_out, self.study.generator
        some = held_out.batch(range(min(512, len(held_out)))).to(self.study.device)
        return [random_twin(network, some, generator("twin", i)) for i, network in enumerate(self.networks)]

    @property
    def starts(self):
        return range(0, len(self.images), self.options.chunk)

    def chunk(self, start):
        """Inputs and labels."""
        return self.load(self.images[start : start + self.options.chunk])

    def load(self, indices):
        held_out, device = self.study.data.held_out, self.study.device
        return held_out.batch(indices).to(device), held_out.labels[indices].to(device)

    def segment(self, start):
        """Masks by the number of segments, and those of the ensemble."""
        data, inputs = self.study.data, self.chunk(start)[0]
        options = {"denormalize": data.denormalize, "channel_order": data.channel_order}
        single = segment_images([Slic(count, **options) for count in self.segments], inputs)
        return dict(zip(self.segments, single, strict=True)), segment_images(multiscale(**options), inputs)

    def kept(self, name, made_with, make):
        """A part from the store, or made and stored."""
        content = self.study.store.load(name, self.made_with | made_with)
        if content is None:
            content = make()
            self.study.store.save(name, self.made_with | made_with, content)
            print(name, flush=True)
        return content

    def method(self, name, network):
        """A method, and the options of its calls."""
        settings = self.study.settings
        if name == "Saliency":
            return Saliency(network), {"abs": False}
        if name == "IntegratedGradients":
            # As many images at once as fit beside one another at 224 pixels.
            path = {"baselines": self.study.data.baseline, "n_steps": settings.n_steps}
            return IntegratedGradients(network), path | {"internal_batch_size": max(self.options.chunk, 50)}
        noise = {"nt_samples": settings.n_samples, "stdevs": self.study.data.noise(settings.noise)}
        return NoiseTunnel(Saliency(network)), noise | {"nt_samples_batch_size": 1, "abs": False}

    def of_chunk(self, start):
        return {"chunk": self.images[start : start + self.options.chunk]}

    def of_method(self, name):
        options = {} if name == "Saliency" else {key: str(value) for key, value in self.method(name, None)[1].items()}
        return {"method": name, **options}

    def find_strength(self, number):
        """The strength at which a network's predictions of the first images are kept."""
        inputs, targets = self.load(self.typical)

        def find():
            network = self.networks[number]
            found = perturbed_attributions(
                Saliency(network), network, inputs, target=targets, n_draws=2, keep=self.options.keep, flip=self.flip
            )
            return {"strength": found.strength}

        made_with = {"keep": self.options.keep, "images": self.typical}
        return self.kept(f"strength-{number}", made_with, find)["strength"]

    @property
    def flip(self):
        """Digits mean something else in a mirror."""
        return self.options.dataset != "digits"

    def maps(self, name, start, number, twin=False):
        """The map of a network, or of its randomized model, ``(N, C, H, W)``."""

        def make():
            inputs, targets = self.chunk(start)
            method, options = self.method(name, (self.twins if twin else self.networks)[number])
            with seeded(derive_seed(self.options.seed, "map", number, start)):
                return {"maps": method.attribute(inputs.requires_grad_(), target=targets, **options).detach().cpu()}

        part = f"maps-{name}-{'twin-' * twin}{number}-{start}"
        return self.kept(part, self.of_chunk(start) | self.of_method(name), make)["maps"]

    def draws(self, name, kind, start, number, twin=False):
        """Scores of regions in draws ``(J, N, K)`` by kind of region and sign, and their ``mean_map`` (N, 1, H, W)."""
        made_with = self.of_chunk(start) | self.of_method(name) | {"kind": kind, "draws": self.options.draws}
        made_with["strength"] = self.strengths[number]
        part = f"draws-{name}-{kind}-{'twin-' * twin}{number}-{start}"

        def make():
            maps = self.drawn(name, kind, start, number, twin)
            content = {"mean_map": maps.abs().mean(dim=0).sum(dim=1, keepdim=True), "scores": {}}
            if not twin:
                content["scores"] = self.scores_of_draws(name, start, number, maps)
            return content

        return self.kept(part, made_with, make)

    def drawn(self, name, kind, start, number, twin):
        """Maps of all draws, ``(J, N, C, H, W)``."""
        inputs, targets = self.chunk(start)
        network = (self.twins if twin else self.networks)[number]
        method, options = self.method(name, network)
        seed = derive_seed(self.options.seed, kind, number, start)
        if kind == "noise":
            generator, found = torch.Generator().manual_seed(seed), []
            deviation = self.study.data.noise(self.study.settings.noise)
            for draw in range(self.options.draws):
                noisy = inputs + deviation * torch.randn(inputs.shape, generator=generator).to(inputs.device)
                with seeded(derive_seed(seed, draw)):
                    found.append(method.attribute(noisy.requires_grad_(), target=targets, **options).detach().cpu())
            return torch.stack(found)
        return perturbed_attributions(
            method,
            network,
            inputs,
            target=targets,
            n_draws=self.options.draws,
            strength=0.0 if kind == "views" else self.strengths[number],
            views=kind != "weights",
            flip=self.flip,
            generator=torch.Generator().manual_seed(seed),
            **options,
        ).attributions.cpu()

    def find_regions(self, name, start, number):
        """Masks by kind of region; those of the ensemble are of this network's own map."""
        single, members = self.masks(start)
        grouped = group_maps(self.maps(name, start, number).abs(), members)
        named = {f"Slic({count})": mask for count, mask in single.items()}
        return named | {"ensemble": ensemble_regions(grouped, members)}

    def scores(self, name, start, number, maps, regions):
        """Scores of regions in maps ``(N, C, H, W)``, ``(N, K)`` by kind of region and sign."""
        found = {}
        for kind, mask in regions.items():
            ensemble = kind == "ensemble"
            values = group_maps(maps.abs(), self.masks(start)[1]) if ensemble else maps
            found[kind, "magnitude"] = segment_scores(values.double(), mask, "abs_mean").mean(dim=1)
            if name == "IntegratedGradients" and not ensemble:
                found[kind, "signed"] = segment_scores(values.double(), mask, "mean").mean(dim=1)
        return found

    def scores_of_draws(self, name, start, number, draws):
        regions = self.regions(name, start, number)
        found = [self.scores(name, start, number, maps, regions) for maps in draws]
        return {" ".join(key): torch.stack([each[key] for each in found]) for key in found[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=DATASETS, default="digits")
    parser.add_argument("--root", help="folder of CIFAR-10, or of images, one folder a class")
    parser.add_argument("--classes", help="file with a class's folder name in each line")
    parser.add_argument("--network", action="append", default=[], metavar="module:factory", help="two or more")
    parser.add_argument("--weights", action="append", default=[], help="of each network, or none")
    parser.add_argument("--models", type=int, default=4, help="how many are trained where none is given")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--train-images", type=int)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--map-images", type=int, default=50, help="of which the mean maps are measured on")
    parser.add_argument("--method", action="append", choices=METHOD_NAMES, help="all, unless some are named")
    parser.add_argument("--kind", action="append", choices=KINDS, help="of draws; all, unless some are named")
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--keep", type=float, default=0.85, help="share of predictions that draws keep")
    parser.add_argument("--segments", type=int, nargs="*", help="of Slic")
    parser.add_argument("--steps", type=int, default=10, help="of IntegratedGradients")
    parser.add_argument("--samples", type=int, default=10, help="of SmoothGrad")
    parser.add_argument("--chunk", type=int, default=25, help="images that are explained together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", default="calibrate-confidence", help="folder of the parts and results")
    options = parser.parse_args()
    if options.images % options.chunk:
        parser.error(f"--images {options.images} is no multiple of --chunk {options.chunk}, and could not be extended")
    study, networks = make_study(options)
    if len(networks) < 2:
        parser.error("one network has no other to be compared with: name two or more")
    # The strength is found on the same images, however many are looked at.
    images = choose(study, networks, max(options.images, IMAGES_FOR_STRENGTH))
    explaining = Explaining(study, networks, options, images)
    kinds = [kind for kind in KINDS if kind in (options.kind or KINDS)]
    file = Path(options.out) / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    print(f"{len(explaining.images)} images; strengths {', '.join(f'{s:.3f}' for s in explaining.strengths)}")
    for name in options.method or METHOD_NAMES:
        of_method = results.setdefault(name, {"mean_maps": []})
        of_method |= {"images": len(explaining.images), "strengths": explaining.strengths}
        of_method["calibration"] = calibration_records(explaining, name, kinds)
        if options.map_images and set(OF_MEAN_MAPS) <= set(kinds):
            of_method["mean_maps"] = survival(explaining, name, options.map_images)
        show_calibration(of_method["calibration"])
        show_mean_maps(of_method["mean_maps"])
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(results, indent=1))
    records = [record for name in METHOD_NAMES if name in results for record in results[name]["calibration"]]
    draw_reliability(records).savefig(Path(options.out) / "reliability.png", dpi=110)


if __name__ == "__main__":
    main()

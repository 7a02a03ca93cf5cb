"""How sure a region is: calibration of kinds of draws that ``captum-superpixel study --confidence`` leaves out.

The study asks what the library gives, draws of weights and views, and noise of the inputs. Here the same code also asks
weights and views alone, the probability of the first region, which is refused elsewhere, and as many images of one
method as it takes: parts are kept in the folder --out, so that the same command takes up what was interrupted, and one
with more images, methods or kinds of draws goes on from there. confidence.json and reliability.png keep what was found
of other methods.

    python tests/benchmarks/calibrate_confidence.py --dataset cifar10 --root DIR --network N --weights W …
    python tests/benchmarks/calibrate_confidence.py --dataset digits --models 8
    python tests/benchmarks/calibrate_confidence.py --dataset imagefolder --root DIR --classes FILE --network N …

Kinds of draws: *joint* (weights and views), *views* (strength 0), *weights* (no views) and *noise* (of the inputs, as
SmoothGrad adds it). The tables are those of a study's report.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from captum_superpixel._files import replacing
from captum_superpixel._store import Store
from captum_superpixel.masks import multiscale
from captum_superpixel.models.memory_format import use_channels_last
from captum_superpixel.study.acquiring import (
    check_outputs,
    common_preprocessing,
    load_checkpoints,
    make_twins,
    train_networks,
)
from captum_superpixel.study.confidence import confidence_of_method
from captum_superpixel.study.confidence_tables import confidence_tables
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import load_data
from captum_superpixel.study.jobs import World
from captum_superpixel.study.mean_maps import COMPARED
from captum_superpixel.study.protocol import make_protocol
from captum_superpixel.study.redrawing import KINDS, Plan, Redrawing
from captum_superpixel.study.reliability import draw_reliability
from captum_superpixel.study.settings import DATASETS, METHOD_NAMES, StudySettings

TOPS = (1, 3, 5)
SEGMENTS = {"digits": (30,), "cifar10": (30,), "imagefolder": (30, 100)}
IMAGES_FOR_STRENGTH = 32
BATCH = 20


class Kept(Redrawing):
    """Parts as this program has kept them from its first version on."""

    prefix = ""

    def decisive(self):
        found = super().decisive()
        return {name: found[name] for name in ("data", "networks", "segments", "seed")}

    def method_settings(self, method):
        # As many steps as fit beside one another at 224 pixels, and the noisy copies of one draw at a time.
        at_once = max(self.plan.chunk_size, 50) if method == "IntegratedGradients" else self.plan.chunk_size
        return replace(super().method_settings(method), images_at_once=at_once)

    def describe(self, method, inputs):
        found = super().describe(method, inputs)
        found.pop("nt_type", None)
        return {"method": method} if method == "Saliency" else found


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
    kinds = [kind for kind in KINDS if kind in (options.kind or KINDS)]
    if "joint" not in kinds:
        parser.error("--kind joint is missing: it is what all others are held against")
    mean_maps = options.map_images if set(COMPARED) <= set(kinds) else 0
    # The strength is found on the same images, however many are looked at.
    images = choose(study, networks, max(options.images, IMAGES_FOR_STRENGTH))
    plan = Plan(
        images=images[: options.images],
        typical=images[:IMAGES_FOR_STRENGTH],
        segments=tuple(options.segments or SEGMENTS[options.dataset]),
        members=tuple(multiscale(denormalize=study.data.denormalize, channel_order=study.data.channel_order)),
        chunk_size=options.chunk,
        flip=options.dataset != "digits",
        draws=options.draws,
        keep=options.keep,
    )
    redrawing = Kept(study, networks, make_twins(study, networks) if mean_maps else [], plan)
    file = Path(options.out) / "confidence.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    made = {"images": len(plan.images), "networks": len(networks), "draws": plan.draws, "keep": plan.keep}
    for name in options.method or METHOD_NAMES:
        found = confidence_of_method(redrawing, name, kinds, tops=TOPS, mean_maps=mean_maps)
        results[name] = made | {"strengths": redrawing.strengths} | found
        print("\n".join(confidence_tables(results[name])))
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(results, indent=1))
    records = [record for name in METHOD_NAMES if name in results for record in results[name]["records"]]
    if figure := draw_reliability(records):
        figure.savefig(Path(options.out) / "reliability.png", dpi=110)


if __name__ == "__main__":
    main()

"""``captum-superpixel explain``, from options that were read to files that are written."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from captum_superpixel._checks import InputError
from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.explain.classes import find_target, read_labels
from captum_superpixel.explain.explainer import Explainer
from captum_superpixel.explain.layers import find_layer
from captum_superpixel.explain.mask_option import parse_masks
from captum_superpixel.explain.methods import RECIPES, find_recipe, make_method
from captum_superpixel.explain.outputs import save
from captum_superpixel.explain.photographs import find_photographs, plan_jobs, readable
from captum_superpixel.explain.summary import list_failures, summarise
from captum_superpixel.models.classifying import choose_target, load_model

__all__ = ["choose_preprocessing", "make_explainer", "run"]


def run(options: Namespace) -> int:
    """Explain the photographs.

    Args:
        options: Of the command line.

    Returns:
        The exit status: 0, or 1 if some photographs could not be explained.

    Raises:
        InputError: If an option cannot be used; nothing was written then.
    """
    jobs = plan_jobs(find_photographs(options.photographs), options.out, options.format)
    explainer = make_explainer(options, tqdm.write)
    failures: list[tuple[Path, str]] = []
    # disable=None: a bar on a terminal, and nothing in a log.
    for job in tqdm(jobs, desc="explaining", unit="photograph", disable=None if len(jobs) > 1 else True):
        try:
            explanation = explainer(job.photograph)
            for path in job.outputs:
                save(explanation, path, options.top)
        except (InputError, OSError) as error:
            failures.append((job.photograph, " ".join(str(error).split())))
            continue
        tqdm.write(summarise(explanation, job.outputs, options.top))
        # Lines are to be seen while the work goes on, through a pipe too.
        sys.stdout.flush()
    if failures:
        sys.stderr.write(f"captum-superpixel: error: {list_failures(failures, len(jobs))}\n")
    return 1 if failures else 0


def make_explainer(options: Namespace, report: Callable[[str], object]) -> Explainer:
    """Load the network and check that all options go together, by a picture of noise.

    Args:
        options: Of the command line.
        report: Called with every line of what there is to say.

    Raises:
        InputError: If an option cannot be used.
    """
    name = find_recipe(options.method)
    recipe = RECIPES[name]
    if options.layer is not None and not recipe.layer:
        raise InputError(f"--layer {options.layer}: {name} needs no layer; leave it out, or use such as LayerGradCam.")
    labels = None if options.labels is None else read_labels(options.labels)
    device = _device(options.device)
    model = load_model(options.model, options.weights)
    preprocessing, whose = choose_preprocessing(model, options)
    segmenter = parse_masks(options.masks, preprocessing)
    for module in model.modules():
        # Captum's hooks cannot bear what torchvision's networks do to save memory.
        if hasattr(module, "inplace"):
            vars(module)["inplace"] = False
    model = model.requires_grad_(False).to(device)

    noise = torch.randint(0, 256, (1, 3, *preprocessing.shape), generator=torch.Generator().manual_seed(0))
    inputs = preprocessing.from_uint8(noise.to(torch.uint8)).to(device)
    choose_target(model, inputs, None)
    with torch.no_grad():
        classes = int(model(inputs).shape[1])
    names = _class_names(model, labels, classes, options.labels)
    layer, layer_size = find_layer(model, options.layer, name, inputs) if recipe.layer else (None, None)
    # Methods check the network, and the wrapper the reduction.
    try:
        method = make_method(name, model, layer)
        reduction = options.reduction or recipe.reduction
        if name != "XRAI":
            SuperpixelGrouped(method, None, reduction=reduction)
    except (TypeError, ValueError) as error:
        raise InputError(f"--method {name}: {error}.") from error
    target = find_target(options.target, names, classes)
    report(f"preprocessing: {whose}\n{_describe(preprocessing)}")
    return Explainer(
        model=model,
        preprocessing=preprocessing,
        name=name,
        method=method,
        reduction=reduction,
        segmenter=segmenter,
        names=names,
        target=target,
        device=device,
        seed=options.seed,
        layer_size=layer_size,
    )


def choose_preprocessing(model: nn.Module, options: Namespace) -> tuple[Preprocessing, str]:
    """Take the network's own preprocessing, or ImageNet's, and what the user says instead.

    Returns:
        The preprocessing, and whose it is.

    Raises:
        InputError: If the user's numbers make no sense, or are in units that the others are not in.
    """
    own = getattr(model, "preprocessing", None)
    base, whose = (own, "the network's own") if isinstance(own, Preprocessing) else (IMAGENET, "ImageNet's")
    fields = ("size", "mean", "std", "scale", "channel_order", "resize")
    given = {name: getattr(options, name) for name in fields if getattr(options, name) is not None}
    if "scale" in given and not {"mean", "std"} <= given.keys():
        raise InputError(
            f"--scale {given['scale']:g} changes the units of mean and standard deviation: pass --mean and --std too."
        )
    try:
        if given.get("channel_order", base.channel_order) != base.channel_order:
            # Those of the base belong to colours, which now come in another order.
            mean, std = ((values[2], values[1], values[0]) for values in _statistics(base))
            base = replace(base, mean=mean, std=std)
        changed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        return replace(base, **given), f"{whose}, but for {changed}" if given else whose
    except (TypeError, ValueError) as error:
        raise InputError(f"the preprocessing makes no sense: {error}.") from error


def _statistics(preprocessing: Preprocessing) -> tuple[list[float], list[float]]:
    white = 255 * preprocessing.scale
    mean, std = ([value * white for value in values] for values in preprocessing.denormalize)
    return mean, std


def _describe(preprocessing: Preprocessing) -> str:
    height, width = preprocessing.shape
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in _statistics(preprocessing))
    return (
        f"  {'cropped' if preprocessing.resize == 'crop' else 'stretched'} to {height} x {width}, "
        f"{preprocessing.channel_order.upper()}\n  (pixels * {preprocessing.scale:.4g} - ({mean})) / ({std})"
    )


def _device(text: str | None) -> torch.device:
    if text is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # A device that there is none of fails only when it is used, each kind in its own way.
    try:
        device = torch.device(text)
        torch.zeros(1, device=device).item()
    except Exception as error:
        raise InputError(f"--device {text} cannot be used ({str(error).splitlines()[0]}); leave it out.") from error
    return device


def _class_names(model: nn.Module, labels: list[str] | None, classes: int, path: Path | None) -> list[str] | None:
    """The user's names, or the network's own."""
    if labels is not None:
        if len(labels) != classes:
            raise InputError(
                f"--labels {readable(path)} names {len(labels)} classes, but this network has {classes}: one a line."
            )
        return labels
    own = getattr(model, "labels", None)
    return [str(name) for name in own] if isinstance(own, (tuple, list)) and len(own) == classes else None

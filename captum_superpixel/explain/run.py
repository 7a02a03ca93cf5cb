"""``captum-superpixel explain``, from options that were read to files that are written."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn
from tqdm import tqdm

from captum_superpixel._batches import images_at_once
from captum_superpixel._checks import InputError, readable
from captum_superpixel._networks import guarded
from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.attr.methods import METHODS, MethodSettings, make_method
from captum_superpixel.datasets.class_names import read_labels
from captum_superpixel.explain.attributing import ChosenMethod
from captum_superpixel.explain.baselines import even_grays
from captum_superpixel.explain.batching import Batches
from captum_superpixel.explain.choices import DEFAULT_MASKS
from captum_superpixel.explain.classes import choose_names, find_target
from captum_superpixel.explain.confidence import Confidence, check_confidence
from captum_superpixel.explain.explainer import Explainer
from captum_superpixel.explain.gallery import Gallery
from captum_superpixel.explain.layers import LIST, FoundLayer, find_layer, list_layers
from captum_superpixel.explain.mask_option import Segmenter, parse_masks, recommended_masks
from captum_superpixel.explain.methods import find_methods, read_settings
from captum_superpixel.explain.network import Network, prepare_network
from captum_superpixel.explain.photographs import find_photographs, plan_outputs
from captum_superpixel.explain.printing import list_failures
from captum_superpixel.explain.records import Records, describe_settings
from captum_superpixel.explain.reshape_option import read_transform
from captum_superpixel.explain.rules import check_rule_options, choose_rule
from captum_superpixel.explain.tasks.preparing import prepare_target
from captum_superpixel.explain.tasks.task import check_task_options
from captum_superpixel.explain.work import Work
from captum_superpixel.explain.workers import Workers, choose_workers
from captum_superpixel.models.device import choose_device
from captum_superpixel.study.jobs import read_world

__all__ = ["make_explainer", "run"]

_FOR_STRENGTH = 16
"""Photographs on which the strength of ``--confidence`` is found, at least, unless the user says otherwise."""


def run(options: Namespace) -> int:
    """Explain the photographs; or list the layers, if that is what the layer is called.

    Args:
        options: Of the command line.

    Returns:
        The exit status: 0, or 1 if some photographs could not be explained.

    Raises:
        InputError: If an option cannot be used; nothing was written then.
    """
    if options.layer == LIST:
        network = _prepare(options, [], None, tqdm.write)
        with guarded(f"--model {options.model} does not show its layers"):
            listing = list_layers(network.model, network.inputs)
        sys.stdout.write(f"{listing}\n")
        return 0
    left_out: list[str] = []
    photographs = find_photographs(
        options.photographs, recursive=options.recursive, out=options.out, report=left_out.append
    )
    folders = options.photographs if options.recursive else []
    names = find_methods(options.method)
    plan = plan_outputs(photographs, options.out, options.format, folders, names)
    world = read_world()
    mine = photographs[world.rank :: world.size]
    if not mine:
        return 0
    explainer = make_explainer(options, tqdm.write if world.first else _silent, world.local_rank)
    if world.first:
        for line in left_out:
            sys.stderr.write(f"captum-superpixel: {line}\n")
    explainer.settle(photographs[: explainer.batches.size])
    records = Records(plan, describe_settings(options, explainer)) if plan.gallery else None
    work = Work(explainer, plan, records, options.top, redo=options.redo)
    count = choose_workers(options.workers, len(mine), world.local_size)
    failures: list[tuple[Path, str]] = []
    # disable=None: a bar on a terminal, and nothing in a log.
    quiet = True if len(mine) == 1 or not world.first else None
    bar = tqdm(total=len(mine), desc="explaining", unit="photograph", disable=quiet)
    with bar, Gallery(plan, records, mine) as gallery, Workers(count) as workers:
        try:
            for done in work.do(mine, workers):
                failures += [(done.photograph, message) for message in done.failures]
                if done.summary:
                    tqdm.write(done.summary)
                # Lines are to be seen while the work goes on, through a pipe too.
                sys.stdout.flush()
                bar.update()
                gallery.add(done.photograph, done.record)
        finally:
            # What takes minutes to explain is not lost to Ctrl-C while it is drawn.
            for done in work.rescue():
                gallery.add(done.photograph, done.record)
    if work.kept:
        again = "left as they are; --redo explains them again"
        tqdm.write(f"{work.kept} of {len(mine)} were explained before and are {again}")
    if gallery.error:
        sys.stderr.write(f"captum-superpixel: error: {gallery.error}\n")
    elif gallery.path is not None and world.first:
        tqdm.write(f"wrote {readable(gallery.path)}")
    if failures:
        sys.stderr.write(f"captum-superpixel: error: {list_failures(failures, len(mine))}\n")
    return 1 if failures or gallery.error else 0


def _silent(line: str) -> None:
    """Report nothing: the first of several processes does."""


def make_explainer(options: Namespace, report: Callable[[str], object], local_rank: int = 0) -> Explainer:
    """Load the network and check that all options go together, by a picture of noise.

    Args:
        options: Of the command line.
        report: Called with every line of what there is to say.
        local_rank: This process among those of its machine, each of which has a GPU of its own.

    Raises:
        InputError: If an option cannot be used.
    """
    chosen = find_methods(options.method)
    settings = read_settings(options, chosen)
    transform = read_transform(options, chosen)
    labels = None if options.labels is None else read_labels(options.labels, "--labels")
    network = _prepare(options, chosen, labels, report, local_rank)
    model, inputs, preprocessing = network.model, network.inputs, network.preprocessing
    at_once = images_at_once(inputs) if options.batch_size is None else options.batch_size
    together = max(at_once, _FOR_STRENGTH) if options.confidence and options.batch_size is None else at_once
    settings = replace(settings, images_at_once=together)
    check_rule_options(options, preprocessing.shape)
    segmenter = parse_masks(DEFAULT_MASKS if options.masks is None else options.masks, preprocessing)
    names = None
    if network.task is None:
        with guarded(f"--model {options.model} does not name its classes"):
            names = choose_names(model, network.classes, labels, options.labels)
    grays = preprocessing.from_uint8(even_grays(preprocessing.shape)).to(inputs.device)
    layered = next((name for name in chosen if METHODS[name].layer), None)
    with guarded(f"--model {options.model} does not show its layers"):
        layer = None if layered is None else find_layer(model, options.layer, layered, inputs, transform)
    methods = tuple(
        _choose(name, model, layer if METHODS[name].layer else None, options, settings, grays, segmenter)
        for name in chosen
    )
    if options.strength is not None and not options.confidence:
        raise InputError(f"--strength {options.strength:g} is of --confidence: pass that too, or leave it out.")
    if options.confidence:
        for method in methods:
            check_confidence(method)
    target = find_target(options.target, names, network.classes) if network.task is None else 0
    report(network.describe())
    if layer is not None:
        report(str(layer))
    return Explainer(
        model=model,
        preprocessing=preprocessing,
        outputs=network.outputs,
        methods=methods,
        names=names,
        target=target,
        device=inputs.device,
        seed=options.seed,
        batches=Batches(together, report),
        confidence=Confidence(model, options.seed, options.strength) if options.confidence else None,
        task=network.task,
    )


def _prepare(
    options: Namespace,
    methods: list[str],
    labels: list[str] | None,
    report: Callable[[str], object],
    local_rank: int = 0,
) -> Network:
    """Load the network, and put the target around it where a task explains something else than a class."""
    check_task_options(options)
    device = choose_device(options.device, local_rank)
    if options.task == "classification":
        return prepare_network(options, device, methods, report)
    return prepare_target(options, device, methods, labels, report)


def _choose(
    name: str,
    model: nn.Module,
    layer: FoundLayer | None,
    options: Namespace,
    settings: MethodSettings,
    grays: Tensor,
    segmenter: Segmenter,
) -> ChosenMethod:
    """Make a method, and settle what the options say about it."""
    known = METHODS[name]
    # Methods check the network, and the wrapper the reduction.
    try:
        method = make_method(name, model) if layer is None else layer.lay_out(make_method(name, model, layer.module))
        if not known.own_segments:
            SuperpixelGrouped(method, None, reduction=options.reduction or known.reduction)
    except (TypeError, ValueError) as error:
        raise InputError(f"--method {name}: {error}.") from error
    rule = choose_rule(name, method, options, segmenter.preprocessing.shape)
    if rule.recipe is not None:
        segmenter = recommended_masks(rule.recipe, segmenter.preprocessing)
    baseline = options.baseline if "baseline" in known.takes else None
    size, layer_name = (None, "") if layer is None else (layer.size, layer.name)
    return ChosenMethod(name, method, rule, segmenter, settings, grays, size, baseline, layer_name)

"""The user's network of a task made ready, with the target around it that is explained in its place."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

import torch

from captum_superpixel._networks import guarded
from captum_superpixel.explain.network import (
    Network,
    check_classifies,
    check_method,
    choose_preprocessing,
    make_probes,
    make_ready,
    needs_gradient,
)
from captum_superpixel.explain.tasks.detection import DetectionTask
from captum_superpixel.explain.tasks.segmentation import SegmentationTask
from captum_superpixel.explain.tasks.similarity import SimilarityTask
from captum_superpixel.explain.tasks.task import Task
from captum_superpixel.models.activation import Outputs
from captum_superpixel.models.loading import as_logits, load_model

__all__ = ["prepare_target"]

_CLASSES: dict[str, Callable[..., Task]] = {
    "segmentation": SegmentationTask,
    "detection": DetectionTask,
    "similarity": SimilarityTask,
}


def prepare_target(
    options: Namespace,
    device: torch.device,
    methods: list[str],
    labels: list[str] | None,
    report: Callable[[str], object],
) -> Network:
    """Load the user's network, and put the target of the task around it.

    Args:
        options: Of the command line; the task is not classification.
        device: Where the network is to be.
        methods: The names of the methods, in ``attr.methods.METHODS``.
        labels: The user's names of the categories, or None.
        report: Called with a line about whatever may surprise.

    Raises:
        InputError: If the network cannot be used, by itself, for the task or with one of the methods, or an option
            names nothing that it has.
    """
    network = load_model(options.model, options.weights, task=options.task, report=report)
    for name in methods:
        check_method(name, network)
    with guarded(f"--model {options.model} cannot be made ready"):
        network = make_ready(network, device)
        preprocessing, source = choose_preprocessing(network, options)
    inputs = make_probes(preprocessing, device)[:1]
    with guarded(f"--model {options.model} fails on a picture of noise"):
        task = _CLASSES[options.task](network, preprocessing, options, labels, inputs)
    target = task.target.to(device)
    as_logits(target)
    check_classifies(target, inputs, differentiable=any(map(needs_gradient, methods)))
    return Network(target, preprocessing, source, inputs, Outputs(1, "none", "value"), task)

"""The networks of a study: trained on disjoint parts of the data and kept, or brought by the user."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import captum_superpixel
from captum_superpixel._seeds import derive_seed
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.models.classifying import load_model
from captum_superpixel.study.data import StudyData, disjoint_parts
from captum_superpixel.study.distributed import World
from captum_superpixel.study.jobs import Job, run_jobs
from captum_superpixel.study.recipes import RECIPES
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.store import Store, fingerprint
from captum_superpixel.study.training import length, predict, train

__all__ = [
    "StudyNetwork",
    "check_outputs",
    "check_recipe",
    "common_preprocessing",
    "evaluate_networks",
    "load_checkpoints",
    "measuring_settings",
    "restored",
    "train_networks",
    "train_one",
    "training_settings",
]

Report = Callable[[str], None]


@dataclass(frozen=True)
class StudyNetwork:
    """A network and what is known about it.

    Attributes:
        module: In evaluation mode, on the device of the study.
        name: For the report.
        train_images: How many images it was trained on; None where it was brought.
        losses: The mean loss of every epoch of its training.
        predictions: (N,) int64, the classes it predicts for all held-out images.
        accuracy: The share of the held-out images that it classifies rightly.
    """

    module: nn.Module
    name: str
    train_images: int | None = None
    losses: tuple[float, ...] = ()
    predictions: Tensor | None = None
    accuracy: float = float("nan")


def load_checkpoints(settings: StudySettings, device: torch.device) -> list[StudyNetwork]:
    """Load the networks that the user brings.

    Raises:
        InputError: If one cannot be loaded.
    """
    networks = []
    for number, specification in enumerate(settings.checkpoints):
        weights = settings.weights[number] if settings.weights else None
        module = load_model(specification, weights, option="--checkpoint").to(device)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        name = specification if weights is None else f"{specification}, {Path(weights).name}"
        networks.append(StudyNetwork(module, name))
    return networks


def common_preprocessing(networks: list[StudyNetwork], settings: StudySettings) -> Preprocessing | None:
    """What brought networks want done to photographs; None where none of them says.

    Raises:
        ValueError: If they want different things, which the settings do not settle: all are given the same inputs.
    """
    brought = {
        network.name: preprocessing
        for network in networks
        if isinstance(preprocessing := getattr(network.module, "preprocessing", None), Preprocessing)
    }
    given = {name: getattr(settings, name) for name in ("size", "mean", "std", "scale", "channel_order")}
    given = {name: value for name, value in given.items() if value is not None}
    wanted = {name: replace(preprocessing, **given) for name, preprocessing in brought.items()}
    if len(set(wanted.values())) > 1:
        raise ValueError(
            "the networks are given the same inputs, but want different ones: "
            + "; ".join(f"{name} {preprocessing}" for name, preprocessing in wanted.items())
            + ". Pass size, mean, std, scale and channel order to settle it"
        )
    return next(iter(wanted.values()), None)


def check_recipe(settings: StudySettings, data: StudyData, device: torch.device) -> None:
    """Raise ValueError unless the network that is to be trained takes images of this size."""
    name = str(settings.network)
    module = RECIPES[name].make(len(data.classes), torch.Generator().manual_seed(0))
    check_outputs([StudyNetwork(module.to(device).eval(), name)], data, device)


def check_outputs(networks: list[StudyNetwork], data: StudyData, device: torch.device) -> None:
    """Raise ValueError unless every network maps the data's images to a logit for every class."""
    inputs = data.held_out.batch([0]).to(device)
    for network in networks:
        try:
            with torch.no_grad():
                logits: object = network.module(inputs)
        except Exception as error:
            raise ValueError(
                f"{network.name} fails on an input of shape {tuple(inputs.shape)} ({type(error).__name__}: {error}): "
                "check the size of the images"
            ) from error
        if not isinstance(logits, Tensor) or logits.shape != (1, len(data.classes)):
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(
                f"{network.name} returns {found} for one image, but {data.name} has {len(data.classes)} classes: it "
                f"must return (1, {len(data.classes)}); where the folders are some of its classes, list all of them in "
                "a file and pass that as the classes"
            )


def train_networks(
    settings: StudySettings, data: StudyData, store: Store, processes: World, device: torch.device, report: Report
) -> list[StudyNetwork]:
    """Train a network on each part of the training images, or take up those that are in the store."""
    parts = disjoint_parts(data, settings.models, settings)
    jobs = []
    for number, part in enumerate(parts):
        seed = derive_seed(settings.seed, "network", number)
        made_with = training_settings(settings, data, seed)
        what = f"network {number + 1} of {len(parts)}"
        run = partial(train_one, settings, data, part, seed, device, report, what)
        jobs.append(Job(f"network-{number}", made_with, run))
    contents = run_jobs(jobs, store, processes, share=True)
    return [
        StudyNetwork(
            restored(settings, data, content, device),
            f"{settings.network} {number + 1}",
            length(parts[number]),
            tuple(content["losses"]),
        )
        for number, content in enumerate(contents)
    ]


def evaluate_networks(
    networks: list[StudyNetwork], data: StudyData, store: Store, processes: World
) -> list[StudyNetwork]:
    """Let every network classify all held-out images, or take up what is in the store."""
    jobs = [
        Job(
            f"predictions-{number}",
            {"network": network.name, "weights": fingerprint(network.module), "data": data.fingerprint()},
            partial(_predictions, network.module, data),
        )
        for number, network in enumerate(networks)
    ]
    contents = run_jobs(jobs, store, processes, share=True)
    found = [content["predictions"] for content in contents]
    return [
        replace(
            network,
            predictions=predictions,
            accuracy=(predictions == data.held_out.labels).double().mean().item(),
        )
        for network, predictions in zip(networks, found, strict=True)
    ]


def train_one(
    settings: StudySettings,
    data: StudyData,
    images: Dataset[tuple[Tensor, int]],
    seed: int,
    device: torch.device,
    report: Report,
    what: str,
) -> dict[str, Any]:
    """Train a network of the study's recipe on some images: its ``weights``, on the CPU, and ``losses``."""
    recipe = RECIPES[str(settings.network)]
    report(f"training {what}: {settings.network}, {length(images)} images, {settings.epochs} epochs")
    generator = torch.Generator().manual_seed(seed)
    module = recipe.make(len(data.classes), generator)
    losses = train(
        module,
        images,
        epochs=int(settings.epochs or 1),
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        label_smoothing=recipe.label_smoothing,
        augment=recipe.augment,
        generator=generator,
        device=device,
        progress=False,
    )
    weights = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
    return {"weights": weights, "losses": losses}


def restored(settings: StudySettings, data: StudyData, content: dict[str, Any], device: torch.device) -> nn.Module:
    """The network of which :func:`train_one` returned the content, in evaluation mode."""
    module = RECIPES[str(settings.network)].make(len(data.classes), torch.Generator().manual_seed(0))
    module.load_state_dict(content["weights"])
    return module.to(device).eval().requires_grad_(False)


def training_settings(settings: StudySettings, data: StudyData, seed: int) -> dict[str, Any]:
    """What decides a trained network, and nothing else, so that other figures can be asked of the same networks."""
    names = ("dataset", "network", "epochs", "models", "train_images", "seed")
    return {name: getattr(settings, name) for name in names} | {
        "data": data.train_fingerprint(),
        "network_seed": seed,
        "recipe": RECIPES[str(settings.network)].describe(),
    }


def measuring_settings(settings: StudySettings) -> dict[str, Any]:
    """What decides the figures of given networks on given images, and nothing else."""
    names = ["dataset", "seed", "n_segments", "n_steps", "n_samples", "noise", "draws", "auc_steps"]
    names += ["size", "mean", "std", "scale", "channel_order"]
    return {name: getattr(settings, name) for name in names} | {"version": captum_superpixel.__version__}


def _predictions(module: nn.Module, data: StudyData) -> dict[str, Any]:
    return {"predictions": predict(module, data.held_out)[0]}  # type: ignore[arg-type]  # a LabelledBatches is a data set

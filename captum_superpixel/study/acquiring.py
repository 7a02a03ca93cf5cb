"""The networks of a study: trained on disjoint parts of the data and kept, or supplied by the user, and their twins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from captum_superpixel._hashes import fingerprint
from captum_superpixel._networks import guarded
from captum_superpixel._store import Content
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.models.classifying import classify
from captum_superpixel.models.loading import load_model
from captum_superpixel.models.random_twin import random_twin
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import disjoint_parts
from captum_superpixel.study.jobs import Job
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.training import RECIPES, length, predict, train

__all__ = [
    "StudyNetwork",
    "check_outputs",
    "check_recipe",
    "choose_images",
    "common_preprocessing",
    "evaluate_networks",
    "load_checkpoints",
    "make_twins",
    "restored",
    "train_networks",
    "train_one",
    "training_settings",
]

_TWIN_IMAGES = 512


@dataclass(frozen=True)
class StudyNetwork:
    """A network and what is known about it.

    Args:
        module: In evaluation mode, on the device of the study.
        name: For the report.
        train_images: How many images it was trained on; None where it is user-supplied.
        losses: The mean loss of every epoch of its training.
        predictions: (N,) int64, the classes it predicts for all held-out images.
        accuracy: The share of the held-out images that it classifies correctly.
    """

    module: nn.Module
    name: str
    train_images: int | None = None
    losses: tuple[float, ...] = ()
    predictions: Tensor | None = None
    accuracy: float = float("nan")


def load_checkpoints(settings: StudySettings, device: torch.device) -> list[StudyNetwork]:
    """Load the networks that the user supplies.

    Raises:
        InputError: If one cannot be loaded.
    """
    networks = []
    for number, specification in enumerate(settings.checkpoints):
        weights = settings.weights[number] if settings.weights else None
        module = load_model(specification, weights, option="--checkpoint")
        with guarded(f"--checkpoint {specification} cannot be made ready"):
            module = module.to(device).requires_grad_(False)
        name = specification if weights is None else f"{specification}, {Path(weights).name}"
        networks.append(StudyNetwork(module, name))
    return networks


def common_preprocessing(networks: Sequence[StudyNetwork], settings: StudySettings) -> Preprocessing | None:
    """The preprocessing that user-supplied networks expect; None where none of them says.

    Raises:
        ValueError: If they want different things, which the settings do not settle: all are given the same inputs.
    """
    wanted = {
        network.name: preprocessing.replaced(**settings.preprocessing)
        for network in networks
        if isinstance(preprocessing := getattr(network.module, "preprocessing", None), Preprocessing)
    }
    if len(set(wanted.values())) > 1:
        raise ValueError(
            "the networks are given the same inputs, but want different ones: "
            + "; ".join(f"{name} {preprocessing}" for name, preprocessing in wanted.items())
            + ". Pass size, mean, std, scale and channel order to settle it"
        )
    return next(iter(wanted.values()), None)


def check_recipe(study: Study) -> None:
    """Raise ValueError unless the network that is to be trained takes images of this size."""
    name = str(study.settings.network)
    module = RECIPES[name].make(len(study.data.classes), torch.Generator().manual_seed(0))
    check_outputs(study, [StudyNetwork(module.to(study.device).eval(), name)])


def check_outputs(study: Study, networks: Sequence[StudyNetwork]) -> None:
    """Raise ValueError unless every network maps the data's images to a logit for every class."""
    data, inputs = study.data, study.data.held_out.batch([0]).to(study.device)
    for network in networks:
        logits = classify(network.module, inputs, name=network.name, hint="check the size of the images")
        if logits.shape[1] != len(data.classes):
            raise ValueError(
                f"{network.name} returns {tuple(logits.shape)} for one image, but {data.name} has {len(data.classes)} "
                f"classes: it must return (1, {len(data.classes)}); where the folders are some of its classes, list "
                "all of them in a file and pass that as the classes"
            )


def train_networks(study: Study) -> list[StudyNetwork]:
    """Train a network on each part of the training images, or take up those that are in the store."""
    settings = study.settings
    parts = disjoint_parts(study.data, settings.models, settings)
    jobs = []
    for number, part in enumerate(parts):
        seed = study.seed("network", number)
        run = partial(train_one, study, part, seed, f"network {number + 1} of {len(parts)}")
        jobs.append(Job(f"network-{number}", training_settings(study, seed), run))
    contents = study.run(jobs, share=True)
    return [
        StudyNetwork(
            restored(study, content),
            f"{settings.network} {number + 1}",
            length(parts[number]),
            tuple(content["losses"]),
        )
        for number, content in enumerate(contents)
    ]


def evaluate_networks(study: Study, networks: Sequence[StudyNetwork]) -> list[StudyNetwork]:
    """Let every network classify all held-out images, or take up what is in the store."""

    def predictions(module: nn.Module) -> Content:
        return {"predictions": predict(module, study.data.held_out)[0]}

    data = study.data.fingerprint()
    jobs = [
        Job(
            f"predictions-{number}",
            {"network": network.name, "weights": fingerprint(network.module), "data": data},
            partial(predictions, network.module),
        )
        for number, network in enumerate(networks)
    ]
    found = [content["predictions"] for content in study.run(jobs, share=True)]
    labels = study.data.held_out.labels
    return [
        replace(network, predictions=predicted, accuracy=(predicted == labels).double().mean().item())
        for network, predicted in zip(networks, found, strict=True)
    ]


def choose_images(networks: Sequence[StudyNetwork], labels: Tensor, count: int) -> list[int]:
    """The first images that all networks classify correctly.

    Args:
        networks: With their predictions.
        labels: (N,) int64, of all held-out images.
        count: How many, at most.

    Raises:
        ValueError: If there are fewer than two.
    """
    right = torch.stack([network.predictions == labels for network in networks if network.predictions is not None])
    chosen: list[int] = torch.nonzero(right.all(dim=0)).flatten()[:count].tolist()
    if len(chosen) < 2:
        raise ValueError(
            f"{len(chosen)} of {len(labels)} held-out images are classified correctly by all {len(networks)} networks, "
            "too few to study: train longer, or check the preprocessing and the order of the classes"
        )
    return chosen


def make_twins(study: Study, networks: Sequence[nn.Module]) -> list[nn.Module]:
    """A randomized model of every network, its statistics from held-out images."""
    held_out = study.data.held_out
    inputs = held_out.batch(range(min(_TWIN_IMAGES, len(held_out)))).to(study.device)
    return [
        random_twin(network, inputs, study.generator("twin", number)).requires_grad_(False)
        for number, network in enumerate(networks)
    ]


def train_one(study: Study, images: Dataset[tuple[Tensor, int]], seed: int, what: str) -> Content:
    """Train a network of the study's recipe on some images: its ``weights``, on the CPU, and ``losses``."""
    settings = study.settings
    recipe = RECIPES[str(settings.network)]
    study.report(f"training {what}: {settings.network}, {length(images)} images, {settings.epochs} epochs")
    generator = torch.Generator().manual_seed(seed)
    module = recipe.make(len(study.data.classes), generator)
    losses = train(
        module,
        images,
        epochs=int(settings.epochs or 1),
        **recipe.options,
        generator=generator,
        device=study.device,
        progress=False,
    )
    weights = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
    return {"weights": weights, "losses": losses}


def restored(study: Study, content: Content) -> nn.Module:
    """The network of which :func:`train_one` returned the content, in evaluation mode."""
    module = RECIPES[str(study.settings.network)].make(len(study.data.classes), torch.Generator().manual_seed(0))
    module.load_state_dict(content["weights"])
    return module.to(study.device).eval().requires_grad_(False)


def training_settings(study: Study, seed: int) -> dict[str, Any]:
    """What decides a trained network, and nothing else, so that other figures can be asked of the same networks."""
    names = ("dataset", "network", "epochs", "models", "train_images", "seed")
    return {name: getattr(study.settings, name) for name in names} | {
        "data": study.data.train_fingerprint(),
        "network_seed": seed,
        "recipe": RECIPES[str(study.settings.network)].describe(),
    }

"""The demonstration: a network learns to read digits, and its decisions are explained by pixel and by superpixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import captum_superpixel
from captum_superpixel._checks import InputError
from captum_superpixel._files import check_output_file
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import seeded
from captum_superpixel._store import Store, StoreError
from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.attr.methods import MethodSettings, Scene, make_method, method_options
from captum_superpixel.datasets import DigitsOnPhotographs
from captum_superpixel.explain.rendering import save_figure
from captum_superpixel.masks import Slic
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.settings import METHOD_NAMES
from captum_superpixel.study.training import RECIPES, predict, train
from captum_superpixel.visualization import visualize_comparison

__all__ = ["draw", "explain", "run_demo", "trained_network"]

# Test images chosen by eye: four digits on four photographs, both lighter and darker than what they lie on.
_FAVORITES = (166, 75, 184, 224)
_BORDER = (1.0, 0.9, 0.1)

MethodMaps = Mapping[str, Mapping[str, Tensor]]
"""For each method its map by pixel and its map by superpixel, ``(N, C, H, W)`` each, non-negative."""


def run_demo(out: Path, *, seed: int, epochs: int, retrain: bool, report: Callable[[str], None]) -> None:
    """Train a small network on ``DigitsOnPhotographs``, or take it from the cache, and draw what it looks at.

    Args:
        out: The PNG to write.
        seed: Seed of the training and of SmoothGrad's noise.
        epochs: Passes over the training images.
        retrain: Whether to train even if there is a cached network.
        report: Called with every line of what there is to say.

    Raises:
        InputError: If ``out`` cannot be written.
    """
    check_output_file(out, "--out", (".png",))
    test = DigitsOnPhotographs("test")
    model = trained_network(test, seed=seed, epochs=epochs, retrain=retrain, report=report)
    predictions, labels = predict(model, test)
    right = predictions == labels
    report(f"The network gets {right.double().mean():.1%} of {len(test)} test images right.")
    chosen = _choose(labels, right)
    images = test.images[chosen]
    feature_mask, maps = explain(model, images, predictions[chosen], seed)
    figure = draw(images, feature_mask, maps, labels[chosen], predictions[chosen])
    try:
        save_figure(figure, out)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written ({error}).") from error
    segments = sum(len(mask.unique()) for mask in feature_mask) / len(feature_mask)
    report(f"Wrote {out.resolve()}")
    report(f"rows: test images {', '.join(map(str, chosen))} (digits {', '.join(map(str, labels[chosen].tolist()))})")
    report(
        f"columns: the image with the borders of its superpixels (about {segments:.0f}); then {', '.join(maps)}, each "
        "pixel by pixel and grouped (magnitudes; the brighter, the more the decision depends on it)"
    )


def explain(model: nn.Module, images: Tensor, targets: Tensor, seed: int) -> tuple[Tensor, MethodMaps]:
    """Explain decisions by three methods, pixel by pixel and averaged within superpixels.

    Args:
        model: From images ``(N, 3, H, W)`` in [0, 1] to logits ``(N, classes)``, in evaluation mode.
        images: ``(N, 3, H, W)`` in [0, 1].
        targets: ``(N,)`` int64, the classes to explain.
        seed: Seed of SmoothGrad's noise; the global generators are left as they were.

    Returns:
        The superpixels ``(N, 1, H, W)`` int64, and the maps' magnitudes: what is compared is only whether they were
        averaged within superpixels.
    """
    inputs = images.detach().clone().requires_grad_()
    # Gray: with a black baseline, IntegratedGradients would see no dark digit.
    scene = Scene(inputs, targets, MethodSettings(baseline=0.5))
    slic = Slic(n_segments=50, denormalize=(0, 1))
    maps: dict[str, dict[str, Tensor]] = {}
    for name in METHOD_NAMES:
        method: Any = make_method(name, model)
        grouped = SuperpixelGrouped(method, slic, reduction="abs_mean")
        options = method_options(name, method, scene)
        with seeded(seed):
            by_pixel = method.attribute(inputs, **options)
        with seeded(seed):
            by_superpixel = grouped.attribute(inputs, **options)
        maps[name] = {"pixel by pixel": by_pixel.detach().abs(), "grouped": by_superpixel.detach()}
    return slic(images), maps


def draw(images: Tensor, feature_mask: Tensor, maps: MethodMaps, labels: Tensor, predictions: Tensor) -> Figure:
    """Draw one row per image: the image with its superpixels' borders, then each method by pixel and by superpixel.

    Args:
        images: ``(N, 3, H, W)`` in [0, 1].
        feature_mask: ``(N, 1, H, W)`` int64, their superpixels.
        maps: What :func:`explain` returned.
        labels: ``(N,)``, the digits.
        predictions: ``(N,)``, what the network takes them for.

    Returns:
        A figure that pyplot's state does not hold.
    """
    figure, axes = visualize_comparison(
        images,
        maps,
        labels=labels,
        predictions=predictions,
        class_names="0123456789",
        feature_mask=feature_mask,
        scale="own",
        sign="absolute_value",
        cmap="inferno",
        border_color=_BORDER,
    )
    axes[0, 0].set_title("image\nand superpixels", fontsize=9)
    return figure


def trained_network(
    test: DigitsOnPhotographs, *, seed: int, epochs: int, retrain: bool, report: Callable[[str], None]
) -> nn.Module:
    """The demonstration's network, from the user's cache folder if it is there, trained and put there if not.

    Args:
        test: The test images, whose hash stands for the version of the data.
        seed: Seed of weights and training.
        epochs: Passes over the training images.
        retrain: Whether to train even if there is a cached network.
        report: Called with every line of what there is to say.

    Returns:
        The network, in evaluation mode.
    """
    generator = torch.Generator().manual_seed(seed)
    model = small_cnn(generator=generator)
    made_with = {
        "version": captum_superpixel.__version__,
        "network": str(model),
        "recipe": RECIPES["small_cnn"].describe(),
        "data": fingerprint(test.images),
        "epochs": epochs,
        "seed": seed,
    }
    store = Store(Path(platformdirs.user_cache_dir("captum_superpixel")))
    name = f"digits-{fingerprint(made_with)}"
    path, kept = store.path(name), None
    if not retrain:
        try:
            kept = store.load(name, made_with)
        except StoreError:
            report(f"The cached network {path} cannot be read; training it again.")
    if kept is not None:
        report(f"Took the trained network from {path} (--retrain trains it again).")
        model.load_state_dict(kept["state"])
        return model.eval()
    train(
        model,
        DigitsOnPhotographs("train"),
        epochs=epochs,
        **RECIPES["small_cnn"].options,
        generator=generator,
    )
    try:
        store.save(name, made_with, {"state": model.state_dict()})
    except OSError as error:
        report(f"The trained network could not be cached ({error}).")
    else:
        report(f"Cached the trained network as {path}.")
    return model


def _choose(labels: Tensor, right: Tensor) -> list[int]:
    """The favorites; in place of one that is classified wrongly, the next image of its digit that is not."""
    chosen = []
    for favorite in _FAVORITES:
        candidates = torch.nonzero(right & (labels == labels[favorite])).flatten().tolist()
        chosen.append(next((index for index in candidates if index >= favorite), (candidates or [favorite])[0]))
    return chosen

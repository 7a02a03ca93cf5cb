"""The demonstration: explanations by pixel and by superpixel side by side, of our own network or of the user's."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
import skimage.segmentation
import torch
from captum.attr import Attribution, IntegratedGradients, NoiseTunnel, Saliency
from captum.attr import visualization as viz
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm import tqdm

import captum_superpixel
from captum_superpixel._files import replacing
from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.datasets import DigitsOnPhotographs
from captum_superpixel.masks import Slic
from captum_superpixel.models.classifying import InputError, choose_target, load_image, load_model
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.training import predict, train

__all__ = ["EPOCHS", "Explanation", "draw", "explain", "explain_digits", "explain_photograph", "trained_network"]

EPOCHS = 12
# Test images chosen by eye: four digits on four photographs, both lighter and darker than what they lie on.
_FAVOURITES = (166, 75, 184, 224)
_BORDER = (1.0, 0.9, 0.1)
_mark_boundaries: Callable[..., npt.NDArray[np.float64]] = skimage.segmentation.mark_boundaries

Report = Callable[[str], None]


@dataclass(frozen=True)
class Explanation:
    """Maps of N images by several methods, as :func:`draw` draws them.

    Attributes:
        feature_mask: (N, 1, H, W) int64, the superpixels.
        maps: For every method its map by pixel and its map by superpixel, (N, C, H, W) each, not negative.
    """

    feature_mask: Tensor
    maps: dict[str, tuple[Tensor, Tensor]]


def explain(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    mask_generator: Slic,
    *,
    baseline: float = 0.0,
    seed: int = 0,
) -> Explanation:
    """Explain a network's decisions by Saliency, IntegratedGradients and SmoothGrad, by pixel and by superpixel.

    Args:
        model: From images (N, C, H, W) to logits (N, classes), in evaluation mode.
        inputs: (N, C, H, W).
        targets: (N,) int64, the classes to explain.
        mask_generator: Makes the superpixels, once for all methods.
        baseline: What all pixels of IntegratedGradients' baseline are.
        seed: Seed of SmoothGrad's noise; the global generator is left as it was.

    Returns:
        Magnitudes of the maps: what is compared is only whether they were averaged over superpixels.
    """
    inputs = inputs.detach().clone().requires_grad_()
    noise = 0.15 * float(inputs.detach().max() - inputs.detach().min())
    methods: dict[str, tuple[Attribution, dict[str, Any]]] = {
        "Saliency": (Saliency(model), {}),
        "IntegratedGradients": (
            IntegratedGradients(model),
            {"baselines": baseline, "internal_batch_size": max(16, len(inputs))},
        ),
        "SmoothGrad": (
            NoiseTunnel(Saliency(model)),
            {"nt_samples": 25, "nt_samples_batch_size": 5, "stdevs": noise},
        ),
    }
    feature_mask: Tensor = SuperpixelGrouped(Saliency(model), mask_generator).feature_mask(inputs)
    maps = {}
    # disable=None: a bar on a terminal, for large networks take a while, and nothing in a log.
    for name, (method, options) in tqdm(methods.items(), desc="explaining", unit="method", leave=False, disable=None):
        grouped = SuperpixelGrouped(method, mask_generator, reduction="abs_mean")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            by_pixel = method.attribute(inputs, target=targets, **options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            by_segment = grouped.attribute(inputs, target=targets, feature_mask=feature_mask, **options)
        maps[name] = (by_pixel.detach().abs(), by_segment.detach())
    return Explanation(feature_mask, maps)


def draw(images: Tensor, explanation: Explanation, titles: Sequence[str]) -> Figure:
    """Draw one row an image: the image with its segments' borders, then each method by pixel and by superpixel.

    Args:
        images: (N, 3, H, W) in [0, 1].
        explanation: Their maps.
        titles: A line or two of text for each image.

    Returns:
        A figure that no pyplot state knows of.
    """
    count, height, width = len(images), images.shape[-2], images.shape[-1]
    columns = 1 + 2 * len(explanation.maps)
    side = 1.8 if count > 1 else 2.6
    figure = Figure(figsize=(side * columns + 0.4, side * count * height / width + 0.7), layout="constrained")
    axes = figure.subplots(count, columns, squeeze=False)
    for row, title in enumerate(titles):
        # Enlarged, so that the borders are thin lines between the pixels rather than pixels.
        scale = max(1, round(400 / width))
        pixels = images[row].permute(1, 2, 0).detach().cpu().numpy().repeat(scale, 0).repeat(scale, 1)
        labels = explanation.feature_mask[row, 0].cpu().numpy().repeat(scale, 0).repeat(scale, 1)
        axes[row, 0].imshow(_mark_boundaries(pixels, labels, color=_BORDER, mode="thick"))
        axes[row, 0].set_ylabel(title)
        axes[row, 0].set(xticks=[], yticks=[])
        for number, pair in enumerate(explanation.maps.values()):
            for offset, maps in enumerate(pair):
                _draw_map(figure, axes[row, 1 + 2 * number + offset], maps[row])
    axes[0, 0].set_title("image\nand superpixels")
    for number, name in enumerate(explanation.maps):
        axes[0, 1 + 2 * number].set_title(f"{name}\npixel by pixel")
        axes[0, 2 + 2 * number].set_title(f"{name}\ngrouped")
    return figure


def _draw_map(figure: Figure, axis: Any, attributions: Tensor) -> None:
    values = attributions.detach().cpu().double().permute(1, 2, 0).numpy()
    peak = np.abs(values).max()
    if not np.isfinite(peak) or peak == 0:
        axis.set(xticks=[], yticks=[], facecolor="black")
        axis.text(0.5, 0.5, "all zero" if peak == 0 else "not finite", color="white", ha="center", va="center")
        return
    # Captum warns about values below 1e-5, although nothing depends on their scale.
    viz.visualize_image_attr(
        values / peak, method="heat_map", cmap="inferno", plt_fig_axis=(figure, axis), use_pyplot=False
    )


def explain_digits(
    out: Path, *, seed: int = 0, epochs: int = EPOCHS, retrain: bool = False, report: Report | None = None
) -> None:
    """Train a small network on ``DigitsOnPhotographs``, or take it from the cache, and draw what it goes by.

    Args:
        out: The PNG to write.
        seed: Seed of the training and of SmoothGrad's noise.
        epochs: Passes over the training images.
        retrain: Train even if there is a cached network.
        report: Called with every line of what there is to say.

    Raises:
        InputError: If ``out`` cannot be written.
    """
    check_out(out)
    report = report or _silent
    test = DigitsOnPhotographs("test")
    model = trained_network(test, seed=seed, epochs=epochs, retrain=retrain, report=report)
    predictions, labels = predict(model, test)
    right = predictions == labels
    report(f"The network gets {right.double().mean():.1%} of {len(test)} test images right.")
    chosen = _choose(labels, right)
    images = test.images[chosen]
    mask_generator = Slic(n_segments=50, denormalize=(0, 1))
    # Grey: from a black baseline, IntegratedGradients would see no dark digit.
    explanation = explain(model, images, predictions[chosen], mask_generator, baseline=0.5, seed=seed)
    titles = [
        f"digit {label}" if label == prediction else f"digit {label}\ntaken for {prediction}"
        for label, prediction in zip(labels[chosen].tolist(), predictions[chosen].tolist(), strict=True)
    ]
    _save(draw(images, explanation, titles), out)
    report(f"Wrote {out.resolve()}")
    report(f"rows: test images {', '.join(map(str, chosen))} (digits {', '.join(map(str, labels[chosen].tolist()))})")
    report(_describe_columns(explanation))


def explain_photograph(
    image: Path,
    model: str,
    out: Path,
    *,
    size: int = 224,
    mean: Sequence[float] = (0.485, 0.456, 0.406),
    std: Sequence[float] = (0.229, 0.224, 0.225),
    target: int | None = None,
    seed: int = 0,
    report: Report | None = None,
) -> None:
    """Draw what a network of the user's goes by in a photograph of the user's.

    Args:
        image: The photograph.
        model: The network as ``MODULE:FACTORY``.
        out: The PNG to write.
        size: Height and width in pixels of what the network is given.
        mean: Mean of red, green and blue, for pixels in [0, 1]; ImageNet's by default.
        std: Their standard deviations.
        target: The class to explain; the predicted one by default.
        seed: Seed of SmoothGrad's noise.
        report: Called with every line of what there is to say.

    Raises:
        InputError: If one of these cannot be used.
    """
    check_out(out)
    report = report or _silent
    pixels, inputs = load_image(image, size, mean, std)
    network = load_model(model)
    explained, predicted = choose_target(network, inputs, target)
    explanation = explain(
        network, inputs, torch.tensor([explained]), Slic(denormalize=(tuple(mean), tuple(std))), seed=seed
    )
    title = f"class {explained}" + ("" if explained == predicted else f"\n(predicted: {predicted})")
    _save(draw(pixels, explanation, [title]), out)
    report(f"The network predicts class {predicted}; explained is class {explained}.")
    report(f"Wrote {out.resolve()}")
    report(_describe_columns(explanation))


def trained_network(
    test: DigitsOnPhotographs,
    *,
    seed: int = 0,
    epochs: int = EPOCHS,
    retrain: bool = False,
    report: Report | None = None,
) -> nn.Module:
    """The demonstration's network, from the user's cache folder if it is there, trained and put there if not.

    Args:
        test: The test images, whose bits stand for the version of the data.
        seed: Seed of weights and training.
        epochs: Passes over the training images.
        retrain: Train even if there is a cached network.
        report: Called with every line of what there is to say.

    Returns:
        The network, in evaluation mode.
    """
    report = report or _silent
    generator = torch.Generator().manual_seed(seed)
    model = small_cnn(generator=generator)
    settings = {
        "version": captum_superpixel.__version__,
        "network": str(model),
        "data": hashlib.sha256(test.images[:100].numpy().tobytes()).hexdigest(),
        "epochs": epochs,
        "seed": seed,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    path = Path(platformdirs.user_cache_dir("captum_superpixel")) / f"digits-{digest}.pt"
    if path.exists() and not retrain:
        # A damaged file fails in as many ways as there are bytes, and each has the same remedy.
        try:
            model.load_state_dict(torch.load(path, weights_only=True))
        except Exception as error:
            report(f"The cached network {path} cannot be read ({type(error).__name__}); training it again.")
        else:
            report(f"Took the trained network from {path} (--retrain trains it again).")
            return model.eval()
    train(model, DigitsOnPhotographs("train"), epochs=epochs, generator=generator)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            torch.save(model.state_dict(), temporary)
    except OSError as error:
        report(f"The trained network could not be cached ({error}).")
    else:
        report(f"Cached the trained network as {path}.")
    return model


def check_out(out: Path) -> None:
    """Raise InputError unless ``out`` names a PNG in a folder that exists."""
    if out.suffix.lower() != ".png":
        raise InputError(f"--out {out} does not end in .png; the picture is a PNG.")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first.")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; pass the name of a file.")


def _save(figure: Figure, out: Path) -> None:
    try:
        with replacing(out) as temporary:
            figure.savefig(temporary, format="png", dpi=150)
    except OSError as error:
        raise InputError(f"--out {out} cannot be written ({error}).") from error


def _choose(labels: Tensor, right: Tensor) -> list[int]:
    """The favourites; in place of one that is classified wrongly, the next image of its digit that is not."""
    chosen = []
    for favourite in _FAVOURITES:
        candidates = torch.nonzero(right & (labels == labels[favourite])).flatten().tolist()
        chosen.append(next((index for index in candidates if index >= favourite), (candidates or [favourite])[0]))
    return chosen


def _describe_columns(explanation: Explanation) -> str:
    segments = np.mean([len(mask.unique()) for mask in explanation.feature_mask])
    return (
        f"columns: the image with the borders of its superpixels (about {segments:.0f}); then "
        f"{', '.join(explanation.maps)}, each pixel by pixel and grouped (magnitudes; the brighter, the more the "
        "decision depends on it)"
    )


def _silent(line: str) -> None:
    """Report nothing."""

"""Networks of the ``transformers`` library, from a folder or the hub: image classifiers, and those of other tasks."""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn

from captum_superpixel._checks import InputError, one_line
from captum_superpixel._networks import describe_error
from captum_superpixel.datasets.preprocessing import Preprocessing

__all__ = ["Task", "TransformersClassifier", "load_transformers", "load_transformers_for", "tokenize"]

Task = Literal["classification", "segmentation", "detection", "similarity"]
"""What a network does: categories of images, of pixels, of boxes; or embeddings, which are compared."""

_PREPROCESSING_FILE = "preprocessor_config.json"


class _Kind(NamedTuple):
    """The class of ``transformers`` that loads networks of a task, what these are, and what they were trained to do."""

    loader: str
    what: str
    does: str


_KINDS: dict[Task, _Kind] = {
    "classification": _Kind("AutoModelForImageClassification", "image classifier", "classify images"),
    "segmentation": _Kind("AutoModelForSemanticSegmentation", "network for semantic segmentation", "segment images"),
    "detection": _Kind("AutoModelForObjectDetection", "detector", "find objects"),
    "similarity": _Kind("AutoModel", "network of images", "embed images"),
}


class TransformersClassifier(nn.Module):
    """An image classifier of ``transformers``, from images (N, C, H, W) to logits (N, classes).

    Args:
        network: What ``AutoModelForImageClassification`` makes.
        labels: The names of the classes, or None.
        preprocessing: What the network wants done to photographs, or None.
    """

    def __init__(self, network: nn.Module, labels: tuple[str, ...] | None, preprocessing: Preprocessing | None) -> None:
        super().__init__()
        self.network = network
        self.labels = labels
        self.preprocessing = preprocessing

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W)."""
        logits: Tensor = self.network(pixel_values=images, return_dict=True).logits
        return logits


def load_transformers(name: str, *, option: str = "--model") -> TransformersClassifier:
    """Load an image classifier that ``save_pretrained`` wrote, or that the hub has.

    Code that comes with a model is not run.

    Args:
        name: A folder with ``config.json`` and the weights, which is read without any network access; else a name on
            the hub, ORGANIZATION/NAME.
        option: What to call the option that the user named the model with, in messages.

    Returns:
        The classifier, in evaluation mode, float32, on the CPU. Its ``labels`` are None if they are only
        LABEL_0, LABEL_1 ...; its ``preprocessing`` is None if there is no ``preprocessor_config.json``, or one without
        size, mean or standard deviation.

    Raises:
        InputError: If ``transformers`` is missing, the model cannot be loaded or is not an image classifier with
            trained weights, or its preprocessing cannot be used.

    Notes:
        A processor that resizes to more than it then cuts out of the middle (``shortest_edge`` 256, ``crop_size`` 224)
        becomes a :class:`Preprocessing` that resizes to what is cut out: a little more of the photograph is seen.
    """
    network, preprocessing = _load(name, option, "classification")
    model = TransformersClassifier(network.float(), _labels(network.config.id2label), preprocessing)
    return model.to("cpu").eval()


def load_transformers_for(task: Task, name: str, *, option: str = "--model") -> nn.Module:
    """Load a network of another task than classification, as :func:`load_transformers` loads a classifier.

    Args:
        task: What it does.
        name: A folder, or a name on the hub.
        option: What to call the option that the user named the model with, in messages.

    Returns:
        The network as ``transformers`` makes it, in evaluation mode, float32, on the CPU, with the attributes
        ``labels`` and ``preprocessing`` that a :class:`TransformersClassifier` has.

    Raises:
        InputError: If ``transformers`` is missing, the model cannot be loaded or has no trained weights for the task,
            or its preprocessing cannot be used.
    """
    network, preprocessing = _load(name, option, task)
    vars(network).update(labels=_labels(network.config.id2label), preprocessing=preprocessing)
    evaluated: nn.Module = network.float().to("cpu").eval()
    return evaluated


def tokenize(name: str, texts: Sequence[str], *, option: str = "--model") -> dict[str, Tensor]:
    """Turn texts into the tokens of a model.

    Args:
        name: The model, as :func:`load_transformers` takes it.
        texts: K of them.
        option: What to call the option that the user named the model with, in messages.

    Returns:
        ``input_ids`` ``(K, length)`` int64, and for most models ``attention_mask``.

    Raises:
        InputError: If the model has no tokenizer, or a text is too long for it.
    """
    transformers, local = _transformers(f"{option} {name}"), Path(name).is_dir()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, local_files_only=local, trust_remote_code=False)
        config = transformers.AutoConfig.from_pretrained(name, local_files_only=local, trust_remote_code=False)
        # SigLIP was trained on texts that all have the same length, and reads the last token.
        padding = "max_length" if "siglip" in config.model_type else True
        tokens = tokenizer(list(texts), padding=padding, return_tensors="pt")
    except Exception as error:  # formats and versions fail in as many ways as there are bytes
        raise InputError(
            f"{option} {name} has no tokenizer that can be used ({describe_error(error)}), and so takes no text: pass "
            "a model of images and texts, with its tokenizer, or compare with another photograph."
        ) from error
    most = getattr(getattr(config, "text_config", None), "max_position_embeddings", None)
    if most is not None and tokens["input_ids"].shape[1] > most:
        raise InputError(
            f"{option} {name} takes texts of {most} tokens, and the longest has {tokens['input_ids'].shape[1]}: "
            "shorten it."
        )
    return {key: tokens[key] for key in ("input_ids", "attention_mask") if key in tokens}


def _load(name: str, option: str, task: Task) -> tuple[Any, Preprocessing | None]:
    """The network of a task with its weights, and its preprocessing."""
    kind = _KINDS[task]
    local = Path(name).is_dir()
    if local and not (Path(name) / "config.json").is_file():
        raise InputError(
            f"{option} {name} is a folder without config.json, so it holds no model of transformers; pass a folder "
            "that save_pretrained wrote, or MODULE:FACTORY."
        )
    transformers = _transformers(f"{option} {name}")
    # Formats, versions, the hub and the network fail in as many ways as there are bytes.
    try:
        network, report = getattr(transformers, kind.loader).from_pretrained(
            name, local_files_only=local, output_loading_info=True, trust_remote_code=False
        )
    except Exception as error:
        cause = (
            f"the folder holds no {kind.what} that transformers can load"
            if local
            else f"there is no such folder, and no such {kind.what} could be had from the hub"
        )
        raise InputError(f"{option} {name}: {cause} ({describe_error(error)}).") from error
    if report["missing_keys"]:
        keys = sorted(report["missing_keys"])
        raise InputError(
            f"{option} {name} has no weights for {len(keys)} parameters, such as {keys[0]}: it was not trained to "
            f"{kind.does}, and its predictions would be random; pass one that was."
        )
    settings = _settings(transformers, name, option, local=local)
    try:
        preprocessing = _preprocessing(settings, getattr(network.config, "num_channels", None))
    except (TypeError, ValueError) as error:
        raise InputError(f"{option} {name}: {_PREPROCESSING_FILE} cannot be used ({error}); correct it.") from error
    return network, preprocessing


def _transformers(subject: str) -> Any:
    try:
        return import_module("transformers")
    except ImportError as error:
        raise InputError(
            f'{subject} needs the package transformers ({error}): pip install "captum-superpixel[models]".'
        ) from error


def _labels(names: Mapping[int, str]) -> tuple[str, ...] | None:
    """The classes' names by index; None if they are only numbered."""
    if set(names) != set(range(len(names))) or all(re.fullmatch(r"LABEL_\d+", name) for name in names.values()):
        return None
    return tuple(names[index] for index in range(len(names)))


def _settings(transformers: Any, name: str, option: str, *, local: bool) -> dict[str, Any]:
    try:
        settings, _ = transformers.ImageProcessingMixin.get_image_processor_dict(name, local_files_only=local)
    except OSError as error:
        if local and (Path(name) / _PREPROCESSING_FILE).exists():
            raise InputError(
                f"{option} {name}: {_PREPROCESSING_FILE} cannot be read ({one_line(error, 300)}); correct or remove it."
            ) from error
        return {}
    return dict(settings)


def _preprocessing(settings: Mapping[str, Any], channels: int | None = None) -> Preprocessing | None:
    """What the settings of an image processor come to, ``input = (pixels * scale - mean) / std``; None if incomplete.

    Files of old versions lack the switches: pixels were scaled then, and normalized where there was a mean. A network
    with one channel is given gray pictures.
    """
    size, resize = _size(settings)
    flipped = bool(settings.get("do_flip_channel_order"))
    # MobileViT, the one that flips, has a mean that it does not use, and says so by leaving out the switch.
    normalized = settings.get("do_normalize", "image_mean" in settings and not flipped)
    mean = _numbers(settings.get("image_mean") if normalized else 0.0)
    std = _numbers(settings.get("image_std") if normalized else 1.0)
    if size is None or not mean or not std:
        return None
    if settings.get("rescale_offset"):
        mean = tuple(value + 1 for value in mean)
    if normalized and settings.get("include_top"):
        # EfficientNet divides by the standard deviation twice, as the TensorFlow original does.
        std = tuple(value**2 for value in std)
    scale = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    if channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return Preprocessing(
        size=size,
        mean=mean[0] if len(mean) == 1 else mean,
        std=std[0] if len(std) == 1 else std,
        scale=scale,
        channel_order="gray" if channels == 1 else "bgr" if flipped else "rgb",
        resize=resize,
    )


def _size(settings: Mapping[str, Any]) -> tuple[int | tuple[int, int] | None, Literal["crop", "stretch"]]:
    """Size of the input, and whether the photograph is cropped or stretched to get there."""
    cropped = bool(settings.get("do_center_crop") and settings.get("crop_size"))
    size = settings["crop_size"] if cropped else settings.get("size")
    resize: Literal["crop", "stretch"] = "crop" if cropped else "stretch"
    if isinstance(size, Mapping):
        if size.get("height") and size.get("width"):
            return (size["height"], size["width"]), resize
        size, resize = size.get("shortest_edge"), "crop"
    if "crop_pct" in settings and isinstance(size, int):
        # ConvNeXt cuts out the middle of small images only.
        resize = "crop" if size < 384 else "stretch"
    return size, resize


def _numbers(value: Any) -> tuple[float, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)

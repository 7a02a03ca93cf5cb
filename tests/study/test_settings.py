"""Settings: what is refused before any work is done, and what None stands for."""

import dataclasses
from typing import Any

import pytest

from captum_superpixel.study.settings import DATASETS, METHOD_NAMES, NETWORKS, StudySettings
from captum_superpixel.study.training import RECIPES

FILES = {"dataset": "imagefolder", "root": "images"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "mnist"}, "dataset='mnist' is unknown: choose one of 'digits', 'cifar10', 'imagefolder'"),
        ({"models": 0}, "models must be at least 1, but 0"),
        ({"models": True}, "models must be an integer, but True"),
        ({"models": 2.0}, r"models must be an integer, but 2\.0"),
        ({"epochs": 0}, "epochs must be at least 1, but 0"),
        ({"train_images": 0}, "train_images must be at least 1, but 0"),
        ({"images": 1}, "images must be at least 2, but 1"),
        ({"fidelity_images": -1}, "fidelity_images must be at least 0, but -1"),
        ({"mean_color_images": -1}, "mean_color_images must be at least 0, but -1"),
        ({"rows": "some"}, r"rows='some' is unknown"),
        ({"road_images": -1}, "road_images must be at least 0, but -1"),
        ({"n_segments": 0}, "n_segments must be at least 1, but 0"),
        ({"n_steps": 0}, "n_steps must be at least 1, but 0"),
        ({"n_samples": 0}, "n_samples must be at least 1, but 0"),
        ({"draws": -1}, "draws must be at least 0, but -1"),
        ({"auc_steps": 0}, "auc_steps must be at least 1, but 0"),
        ({"chunk_size": 1}, "chunk_size must be at least 2, but 1"),
        ({"mosaics": -1}, "mosaics must be at least 0, but -1"),
        ({"mosaics": 1}, "mosaics=1: each is held against another one's map; ask for at least 2"),
        ({"mosaic_layout": "wide"}, "mosaic_layout='wide' is unknown: choose one of 'full', 'scaled'"),
        ({"n_views": 0}, "n_views must be at least 1, but 0"),
        ({"n_views": 2.5}, r"n_views must be an integer, but 2\.5"),
        ({"methods": ("Saliency", "LRP")}, "method='LRP' is unknown: choose one of 'Saliency', 'IntegratedGradients'"),
        ({"methods": ()}, r"methods=\(\) must name at least one method"),
        ({"methods": ("SmoothGrad",) * 2}, r"methods=\('SmoothGrad', 'SmoothGrad'\) must name .* each once"),
        ({"seed": -1}, "seed must be at least 0, but -1"),
        ({"confidence_images": -1}, "confidence_images must be at least 0, but -1"),
        ({"confidence_images": 2.5}, r"confidence_images must be an integer, but 2\.5"),
        ({"confidence_images": 9, "models": 1}, "confidence_images=9 with one network: .* train at least 2"),
        ({"confidence_images": 9, "checkpoints": ("a:b",)}, "confidence_images=9 with one network"),
        ({"confidence_images": 9, "n_segments": 5}, "n_segments=5, but which 5 regions are on top .* at least 6 segm"),
        ({"mean_map_images": 4}, "mean_map_images=4, but the draws whose mean is meant are those of confidence_images"),
        ({"mean_map_images": -1, "confidence_images": 3}, "mean_map_images must be at least 0, but -1"),
        ({"folds": 2}, "folds=2: MeGe compares networks trained on at least 3 folds"),
        ({"folds": -1}, "folds must be at least 0, but -1"),
        ({"noise": 0.0}, r"noise must be finite and above 0, but 0\.0"),
        ({"noise": float("nan")}, "noise must be finite and above 0, but nan"),
        ({"noise": float("inf")}, "noise must be finite and above 0, but inf"),
        ({"network": "resnet99"}, "network='resnet99' is unknown: choose one of 'small_cnn', 'resnet20'"),
        ({"root": "images"}, "root is about files, but the digits are embedded"),
        ({"size": 32}, "size is about files, but the digits are embedded"),
        ({"channel_order": "bgr"}, "channel_order is about files, but the digits"),
        ({"dataset": "cifar10"}, "dataset='cifar10' needs a root"),
        ({"dataset": "imagefolder"}, "dataset='imagefolder' needs a root"),
        ({"dataset": "cifar10", "root": "c", "classes": "c.txt"}, "folders of an imagefolder; 'cifar10' has none"),
        ({"weights": ("a.pt",)}, "1 weights for 0 checkpoints"),
        ({"checkpoints": ("a:b", "c:d"), "weights": ("a.pt",)}, "1 weights for 2 checkpoints: give each"),
        ({"checkpoints": ("a:b",), "network": "resnet20"}, "network is about training, but checkpoints are trained"),
        ({"checkpoints": ("a:b",), "epochs": 3}, "epochs is about training, but checkpoints"),
        ({"checkpoints": ("a:b",), "train_images": 30}, "train_images is about training, but checkpoints"),
        ({"checkpoints": ("a:b",), "folds": 4}, "MeGe and ROAR train networks of their own"),
        ({"checkpoints": ("a:b",), "roar": True}, "MeGe and ROAR train networks of their own"),
        ({**FILES, "mean": (0.5, 0.5, 0.5)}, "mean without std, or std without mean"),
        ({**FILES, "std": (0.5, 0.5, 0.5)}, "mean without std, or std without mean"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        StudySettings(**options)


def test_the_networks_are_those_that_can_be_trained() -> None:
    assert list(RECIPES) == list(NETWORKS)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("quick", [False, True])
def test_resolved_settings_leave_nothing_open(name: Any, quick: bool) -> None:
    settings = StudySettings(dataset=name, root=None if name == "digits" else "there", quick=quick).resolved()
    for field in ("epochs", "images", "fidelity_images", "road_images", "n_segments", "n_views", "draws"):
        assert isinstance(getattr(settings, field), int), field
    assert settings.network in RECIPES
    assert settings.methods == METHOD_NAMES
    assert settings.images is not None
    assert settings.fidelity_images is not None
    assert settings.road_images is not None
    assert settings.images >= settings.fidelity_images >= settings.road_images > 0
    assert settings.resolved() == settings


def test_quick_is_less_work_but_the_same_networks_and_segments() -> None:
    quick, full = (StudySettings(quick=quick).resolved() for quick in (True, False))
    for name in ("epochs", "images", "fidelity_images", "road_images", "draws"):
        assert getattr(quick, name) < getattr(full, name), name
    changed = {name for name, value in dataclasses.asdict(quick).items() if value != getattr(full, name)}
    assert changed == {"quick", "epochs", "images", "fidelity_images", "mean_color_images", "road_images", "draws"}


@pytest.mark.parametrize("quick", [False, True])
def test_what_is_given_stays(quick: bool) -> None:
    given: dict[str, Any] = {
        "network": "resnet20",
        "epochs": 2,
        "images": 70,
        "fidelity_images": 0,
        "road_images": 3,
        "n_segments": 9,
        "draws": 0,
        "models": 4,
        "n_views": 1,
        "methods": ("IntegratedGradients",),
    }
    settings = StudySettings(quick=quick, **given).resolved()
    assert {name: getattr(settings, name) for name in given} == given


def test_methods_are_measured_in_their_own_order() -> None:
    """So that parts of a study that was asked for them in another order serve again."""
    settings = StudySettings(methods=("SmoothGrad", "Saliency")).resolved()
    assert settings.methods == ("Saliency", "SmoothGrad")


def test_sparsified_smooth_grad_is_measured_where_it_is_asked_for() -> None:
    settings = StudySettings(methods=("SparsifiedSmoothGrad", "Saliency")).resolved()
    assert settings.methods == ("Saliency", "SparsifiedSmoothGrad")
    assert "SparsifiedSmoothGrad" not in METHOD_NAMES


def test_dear_metrics_are_not_measured_on_more_images_than_are_explained() -> None:
    settings = StudySettings(images=10, fidelity_images=40).resolved()
    assert (settings.fidelity_images, settings.mean_color_images, settings.road_images) == (10, 10, 10)


def test_no_more_regions_are_looked_at_than_images_are_explained() -> None:
    wanted = {"confidence_images": 100, "mean_map_images": 60}
    settings = StudySettings(images=70, **wanted).resolved()
    assert (settings.confidence_images, settings.mean_map_images) == (70, 60)
    settings = StudySettings(images=10, models=2, n_segments=6, **wanted).resolved()
    assert (settings.confidence_images, settings.mean_map_images) == (10, 10)
    assert StudySettings().resolved().confidence_images == 0


def test_the_mean_color_is_measured_on_all_images_of_the_curves_unless_told() -> None:
    wanted = {None: 40, 7: 7, 0: 0, 90: 40}
    found = {count: StudySettings(fidelity_images=40, mean_color_images=count).resolved() for count in wanted}
    assert {count: settings.mean_color_images for count, settings in found.items()} == wanted


@pytest.mark.parametrize("quick", [False, True])
def test_checkpoints_are_counted_and_not_trained(quick: bool) -> None:
    settings = StudySettings(checkpoints=("a:b", "c:d", "e:f"), quick=quick).resolved()
    assert settings.models == 3
    assert (settings.network, settings.epochs) == (None, None)
    assert StudySettings(checkpoints=("a:b",), weights=(None,)).resolved().models == 1

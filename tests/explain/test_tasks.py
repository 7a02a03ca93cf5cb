"""``explain --task``: what is explained is what the target says, its outline is drawn, and the rest is refused."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel.cli import main
from captum_superpixel.explain.outlines import outlined

MODULE = """
import torch
from torch import nn

class Colors(nn.Module):
    # Category c is where channel c is largest.
    labels = ("red", "green", "blue")
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False))
        self.features[0].weight.data = torch.eye(3).view(3, 3, 1, 1)
    def forward(self, images):
        return {"out": self.features(images)}

class Corners(nn.Module):
    # Category 1 in the top left, 2 in the bottom right, as probable as the corner is bright.
    def forward(self, images):
        found = []
        for image in images:
            scores = torch.stack([image[:, :8, :8].mean(), image[:, 8:, 8:].mean()])
            boxes, labels = torch.tensor([[0.0, 0, 8, 8], [8, 8, 16, 16]]), torch.tensor([1, 2])
            found.append({"boxes": boxes, "labels": labels, "scores": scores})
        return found

class Nothing(nn.Module):
    def forward(self, images):
        empty = images.new_zeros(0)
        return [{"boxes": images.new_zeros(0, 4), "labels": empty.long(), "scores": empty} for _ in images]

def colors():
    return Colors()

def corners():
    return Corners()

def named():
    net = Corners()
    net.labels = ("background", "lamp", "moon")
    return net

def nothing():
    return Nothing()

def embedding():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

def plain():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
"""

UNIT = ["--size", "16", "--mean", "0", "--std", "1", "--masks", "grid:4", "--out", "out.npz"]
Fails = Callable[..., str]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def module(folder: Path) -> str:
    """Networks in a module of a name that no other test has, and a picture of four colored quarters."""
    name = f"tasks_{abs(hash(str(folder)))}"
    (folder / f"{name}.py").write_text(MODULE)
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:8, :8], pixels[:8, 8:], pixels[8:, :8], pixels[8:, 8:] = (200, 0, 0), (0, 100, 0), (0, 0, 90), (150, 0, 0)
    Image.fromarray(pixels).save(folder / "quarters.png")
    return name


@pytest.fixture
def explain(module: str) -> Callable[..., dict[str, np.ndarray]]:
    """Explain the quarters, and read what was written."""

    def run(network: str, *arguments: str) -> dict[str, np.ndarray]:
        assert main(["explain", "quarters.png", "--model", f"{module}:{network}", *UNIT, *arguments]) == 0
        with np.load("out.npz", allow_pickle=False) as file:
            return dict(file)

    return run


def corners_of(values: np.ndarray) -> list[list[float]]:
    """One value of each quarter, which are the segments."""
    return values[0, ::8, ::8].round(6).tolist()


RED = np.kron([[1, 0], [0, 1]], np.ones((8, 8))) > 0


def test_a_category_over_the_predicted_region(explain: Callable[..., dict[str, np.ndarray]], capsys: Captured) -> None:
    arrays = explain("colors", "--task", "segmentation", "--method", "FeatureAblation")
    assert np.array_equal(arrays["target_region"], RED)  # red is in most pixels
    assert str(arrays["target_name"]) == "red in its region"
    expected = [[200 / 255 / 2, 0], [0, 150 / 255 / 2]]  # each quarter is half of the region
    assert np.allclose(corners_of(arrays["map"]), expected, atol=1e-5)
    assert arrays["prediction_value"][0] == pytest.approx(sum(map(sum, corners_of(arrays["map"]))), abs=1e-4)
    printed = capsys.readouterr().out
    assert "explained: the mean of a category's logits over the region that is outlined\n" in printed
    assert "note: the region is 50.0 % of the picture.\n" in printed
    assert re.search(r"\n  target    +0\.686  red in its region\n", printed)


def test_a_category_by_name_in_a_box(explain: Callable[..., dict[str, np.ndarray]], capsys: Captured) -> None:
    options = ["--task", "segmentation", "--target", "Green", "--box", "8,0,16,8", "--method", "FeatureAblation"]
    arrays = explain("colors", *options)
    assert arrays["target_region"].nonzero()[0].tolist() == [row for row in range(8) for _ in range(8)]
    assert arrays["target_region"][0].tolist() == [False] * 8 + [True] * 8
    (first, second), below = corners_of(arrays["map"])
    assert second == pytest.approx(100 / 255, abs=1e-5)
    assert [first, *below] == [0, 0, 0]
    assert "of which the network sees green in 100.0 %." in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_a_region_from_a_file(suffix: str, explain: Callable[..., dict[str, np.ndarray]]) -> None:
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[9:12, 2:5] = 255
    if suffix == "png":
        Image.fromarray(mask).save("mask.png")
    else:
        np.save("mask.npy", mask)
    arrays = explain("colors", "--task", "segmentation", "--region", f"mask.{suffix}", "--method", "InputXGradient")
    assert np.array_equal(arrays["target_region"], mask > 0)
    assert str(arrays["target_name"]) == "blue in --region"


def test_a_box_of_a_large_photograph_is_brought_to_the_input(module: str, capsys: Captured) -> None:
    """Of 32 x 64 pixels, the middle 32 x 32 are shown to the network, at half the size."""
    Image.new("RGB", (64, 32), (10, 200, 10)).save("wide.png")
    options = ["--model", f"{module}:colors", "--task", "segmentation", "--method", "InputXGradient", *UNIT]
    assert main(["explain", "wide.png", *options, "--box", "20,4,40,12"]) == 0
    with np.load("out.npz") as arrays:
        rows, columns = arrays["target_region"].nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 5, 2, 11)
    capsys.readouterr()
    assert main(["explain", "wide.png", *options, "--box", "10,4,40,12"]) == 0
    assert "note: the box reaches into what is cropped away.\n" in capsys.readouterr().out
    assert main(["explain", "wide.png", *options, "--box", "2,4,14,12"]) == 1
    assert "wide.png: The box lies in a part of the photograph that is cropped away" in capsys.readouterr().err
    assert main(["explain", "wide.png", *options, "--box", "2,4,14,12", "--resize", "stretch"]) == 0


def test_the_surest_detection(explain: Callable[..., dict[str, np.ndarray]], capsys: Captured) -> None:
    arrays = explain("named", "--task", "detection", "--method", "FeatureAblation")
    assert arrays["target_region"].sum() == 64
    assert arrays["target_region"][:8, :8].all()
    assert corners_of(arrays["map"]) == [[pytest.approx(200 / 255 / 3, abs=1e-5), 0], [0, 0]]
    printed = " ".join(capsys.readouterr().out.split())
    assert "the network's surest, from (0, 0) to (8, 8), with a probability of 26.1 %." in printed
    assert "target 0.261 lamp in the box" in printed


def test_a_detection_by_category_and_by_box(explain: Callable[..., dict[str, np.ndarray]], capsys: Captured) -> None:
    arrays = explain("corners", "--task", "detection", "--target", "2", "--method", "FeatureAblation")
    assert arrays["target_region"][8:, 8:].all()
    assert corners_of(arrays["map"]) == [[0, 0], [0, pytest.approx(150 / 255 / 3, abs=1e-5)]]
    capsys.readouterr()
    arrays = explain("named", "--task", "detection", "--box", "8,8,16,12", "--method", "FeatureAblation")
    assert corners_of(arrays["map"]) == [[0, 0], [0, pytest.approx(150 / 255 / 3 / 2, abs=1e-5)]]
    assert str(arrays["target_name"]) == "moon in the box"
    assert "and an overlap of 0.50." in " ".join(capsys.readouterr().out.split())


def test_each_photograph_has_a_target_of_its_own(module: str) -> None:
    """Those of a batch are looked at before the first is explained."""
    pixels = np.zeros((2, 16, 16, 3), dtype=np.uint8)
    pixels[0, :, :8], pixels[0, :, 8:] = (90, 0, 0), (0, 0, 10)
    pixels[1, :, :4], pixels[1, :, 4:] = (9, 0, 0), (0, 9, 8)
    for name, picture in zip("ab", pixels, strict=True):
        Image.fromarray(picture).save(f"{name}.png")
    options = ["--model", f"{module}:colors", "--task", "segmentation", "--method", "Saliency", *UNIT[:-2]]
    assert main(["explain", "a.png", "b.png", *options, "--format", "npz", "--format", "html"]) == 0
    for name, region, target in (("a", np.arange(16) < 8, "red"), ("b", np.arange(16) >= 4, "green")):
        with np.load(f"explanations/{name}.npz") as arrays:
            assert str(arrays["target_name"]) == f"{target} in its region"
            assert np.array_equal(arrays["target_region"], region[None].repeat(16, 0))
            channel = ("red", "green", "blue").index(target)
            assert [bool(each.any()) for each in arrays["map"]] == [n == channel for n in range(3)]
    page = Path("explanations/b.html").read_text(encoding="utf-8")
    assert "green in its region" in page
    assert "green in its region" in Path("explanations/index.html").read_text(encoding="utf-8")


def test_similarity_to_a_photograph(explain: Callable[..., dict[str, np.ndarray]], capsys: Captured) -> None:
    Image.new("RGB", (20, 30), (255, 0, 0)).save("red.png")
    arrays = explain("embedding", "--task", "similarity", "--reference", "red.png", "--method", "FeatureAblation")
    mean = np.array([350.0, 100, 90])
    assert arrays["prediction_value"][0] == pytest.approx(350 / np.linalg.norm(mean), abs=1e-5)
    assert "target_region" not in arrays
    without_green = 350 / np.hypot(350, 90)
    assert corners_of(arrays["map"])[0][1] == pytest.approx(350 / np.linalg.norm(mean) - without_green, abs=1e-5)
    assert "similarity to red.png\n" in capsys.readouterr().out


def test_pictures_show_the_outline(module: str) -> None:
    options = ["--model", f"{module}:named", "--task", "detection", "--method", "Saliency", *UNIT[:-2]]
    assert main(["explain", "quarters.png", *options, "--out", "out.png"]) == 0
    with Image.open("out.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    yellow = (np.abs(pixels - [255, 230, 26]) < 40).all(axis=-1)
    first, second, third = (panel.sum() for panel in np.array_split(yellow, 3, axis=1))
    assert min(first, second) > 500
    assert third < first / 10


def test_outlines_lie_at_the_inner_border() -> None:
    picture = torch.full((3, 8, 8), 7, dtype=torch.uint8)
    region = torch.zeros(8, 8, dtype=torch.bool)
    region[:4, 3:] = True
    drawn = outlined(picture, region)
    yellow = (drawn == torch.tensor([255, 230, 26]).view(3, 1, 1)).all(0)
    assert yellow.int().tolist() == [[0, 0, 0, 1, 0, 0, 0, 0]] * 3 + [[0, 0, 0, 1, 1, 1, 1, 1]] + [[0] * 8] * 4
    assert (drawn[:, 4, 4:] == 0).all()
    assert outlined(picture, None) is picture
    assert outlined(picture, torch.ones_like(region)) is picture
    assert (picture == 7).all()


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        ("colors", "--task segmentation --target green --box 0,0,17,8", r"\(0, 0, 17, 8\) does not lie in .* 16 x 16"),
        ("flat", "--task segmentation --target green", r"does not show green, but red"),
        (
            "named",
            "--task detection --target background",
            r"no object of category background; .* is lamp, moon",
        ),
        (
            "named",
            "--task detection --box 9,0,12,4",
            r"with no box of the network for an object; .* is lamp",
        ),
        ("nothing", "--task detection", r"finds no object; what it finds is nothing"),
    ],
)
def test_photographs_without_the_target(
    network: str, arguments: str, message: str, module: str, capsys: Captured
) -> None:
    if network == "flat":
        network = "colors"
        Image.new("RGB", (16, 16), (100, 0, 0)).save("quarters.png")
    assert main(["explain", "quarters.png", "--model", f"{module}:{network}", *UNIT, *arguments.split()]) == 1
    error = capsys.readouterr().err
    assert re.search(f"quarters.png: .*{message}", error), error
    assert not Path("out.npz").exists()


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        (
            "plain",
            "--box 0,0,1,1",
            r"--box is for --task segmentation or detection, not for classification: leave",
        ),
        ("colors", "--task segmentation --text cat", r"--text is for --task similarity"),
        (
            "embedding",
            "--task similarity --reference cat.png --target 1",
            r"--target is for --task classification",
        ),
        ("colors", "--task segmentation --confidence", r"--confidence .*not for segmentation, for it is measured"),
        ("colors", "--task segmentation --recommended", r"--recommended .*not for segmentation, for it averages over"),
        ("named", "--task detection --views 4", r"--views .*not for detection, for no target moves"),
        ("embedding", "--task similarity --text a --confidence", r"--confidence is for --task classification"),
        (
            "colors",
            "--task segmentation --activation sigmoid",
            r"--activation is for .* classification or detection",
        ),
        ("named", "--task detection --activation none", r"--activation none: detections have probabilities"),
        ("colors", "--task segmentation --box 0,0,1,1 --region cat.png", r"--box and --region both"),
        ("embedding", "--task similarity", r"with a --reference, another photograph, or a --text: pass one"),
        ("embedding", "--task similarity --text a --reference cat.png", r"pass one of the two"),
        ("embedding", "--task similarity --text a", r"has no tokenizer that can be used"),
        ("embedding", "--task similarity --reference none.png", r"--reference none\.png does not exist"),
        ("colors", "--task segmentation --region none.png", r"--region none\.png does not exist"),
        ("colors", "--task segmentation --region none.npy", r"--region none\.npy cannot be read"),
        ("colors", "--task segmentation --target dog", r"--target dog is no class"),
        ("plain", "--task segmentation", r"logits of shape \(1, 2\) for images of shape \(1, 3, 16, 16\)"),
        ("plain", "--task detection", r"returns a Tensor, which is no output of a detector"),
        ("colors", "--task similarity --reference cat.png", r"returns a dict, which has none of image_embeds"),
    ],
)
def test_what_does_not_go_together(network: str, arguments: str, message: str, module: str, fails: Fails) -> None:
    error = fails("cat.png", "--model", f"{module}:{network}", *UNIT, *arguments.split())
    assert re.search(message, error), error


def test_a_box_that_is_none(capsys: Captured) -> None:
    for text in ("1,2,3", "1,2,3,x", "1,2,3,nan"):
        with pytest.raises(SystemExit, match=r"^2$"):
            main(["explain", "cat.png", "--model", "m:f", "--box", text])
        assert f"'{text}' is no box" in capsys.readouterr().err

"""The command as it is typed, from photographs to files, messages and the exit status."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel import ensemble_regions
from captum_superpixel.cli import main
from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.explain import explainer

NETWORK = ["--model", "explain_net:load", "--size", "16"]
QUICK = ["--method", "Saliency", "--masks", "grid:9"]
Files = Callable[[], list[str]]
Fails = Callable[..., str]
Captured = pytest.CaptureFixture[str]


def test_a_picture(files: Files, capsys: Captured) -> None:
    assert main(["explain", "cat.png", *NETWORK, *QUICK, "--out", "out.png", "--top", "3"]) == 0
    assert files() == ["out.png"]
    with Image.open("out.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float)
    assert pixels.shape[1] > 1500
    for panel in np.array_split(pixels, 3, axis=1):
        assert panel.std() > 20
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "preprocessing: ImageNet's, but for --size"
    assert lines[3] == "cat.png"
    assert [re.match(r"  (predicted|         )  +[\d.]+ %  class \d$", line) is not None for line in lines[4:7]] == [
        True
    ] * 3
    assert lines[7] == "  Saliency, mean over grid:9 (9 regions)"
    assert lines[8].split() == ["rank", "area", "mean", "magnitude", "share", "center", "(row,", "column)"]
    assert [line.split()[0] for line in lines[9:12]] == ["1", "2", "3"]
    assert lines[12:] == ["  share: of the summed magnitudes of all regions' scores", "  wrote out.png"]


def test_a_page(files: Files) -> None:
    Path("a<b>.png").write_bytes(Path("cat.png").read_bytes())
    labels = "\n".join(f"<img src=x onerror=alert({number})>" for number in range(5))
    Path("labels.txt").write_text(labels)
    assert main(["explain", "a<b>.png", *NETWORK, *QUICK, "--labels", "labels.txt", "--out", "out.html"]) == 0
    page = Path("out.html").read_text(encoding="utf-8")
    assert "a&lt;b&gt;.png: Saliency, mean over grid:9" in page
    assert "&lt;img src=x onerror=alert(" in page
    assert "<img src=x" not in page
    assert '"pixels"' in page


@pytest.mark.parametrize("masks", ["grid:9", "multiscale"])
def test_arrays(masks: str) -> None:
    arguments = ["explain", "cat.png", "--model", "explain_net:named", "--size", "16", "--out", "out.npz"]
    assert main([*arguments, "--method", "InputXGradient", "--masks", masks, "--target", "lynx"]) == 0
    with np.load("out.npz", allow_pickle=False) as file:
        arrays = dict(file)
    assert arrays["map"].shape == arrays["pixel_map"].shape == (3, 16, 16)
    assert arrays["mask"].shape == (16, 16)
    assert (int(arrays["target"]), str(arrays["target_name"])) == (2, "lynx")
    assert sorted(arrays["prediction_probability"].tolist(), reverse=True) == arrays["prediction_probability"].tolist()
    assert str(arrays["method"]) == "InputXGradient"
    assert str(arrays["score_name"]) == "mean attribution"
    assert arrays["region_rank"].tolist() == list(range(1, len(np.unique(arrays["mask"])) + 1))
    shown = arrays["map"].mean(axis=0)
    for region, score, area in zip(arrays["region_id"], arrays["region_score"], arrays["region_area"], strict=True):
        inside = arrays["mask"] == region
        assert inside.sum() == area
        assert shown[inside].mean() == pytest.approx(score, abs=1e-6)
    if masks == "multiscale":
        masks_of_members = list(arrays["ensemble_masks"])
        expected = ensemble_regions(
            torch.from_numpy(shown)[None, None], [torch.from_numpy(m) for m in masks_of_members]
        )
        assert np.array_equal(arrays["mask"], expected[0, 0].numpy())
    else:
        assert "ensemble_masks" not in arrays
    with Image.open("cat.png") as photograph:
        assert np.array_equal(arrays["image"], Preprocessing(16, 0, 1).fit(photograph).numpy())


def test_several_photographs_and_a_broken_one(folder: Path, files: Files, capsys: Captured) -> None:
    (folder / "photos").mkdir()
    for place in ("photos/cat.png", "photos/dog.jpg"):
        with Image.open("cat.png") as photograph:
            photograph.save(place)
    (folder / "photos" / "bad.png").write_text("no picture")
    before = len(files())
    arguments = ["explain", "cat.png", "photos", "none.png", *NETWORK, *QUICK, "--format", "npz", "--format", "html"]
    assert main(arguments) == 1
    assert [name for name in files() if name.startswith("explanations/")] == [
        *(f"explanations/{name}.{kind}" for name in ("cat-2", "cat", "dog") for kind in ("html", "npz")),
        "explanations/index.html",
    ]
    assert len(files()) == before + 8
    captured = capsys.readouterr()
    assert captured.out.count("predicted") == 3
    assert captured.err.splitlines() == [
        "captum-superpixel: error: 2 of 5 photographs could not be explained:",
        "  photos/bad.png: is no picture that Pillow can read (UnidentifiedImageError: the format is unknown).",
        "  none.png: does not exist.",
    ]


def test_a_broken_photograph_alone(files: Files, capsys: Captured) -> None:
    Path("bad.png").write_text("no picture")
    assert main(["explain", "bad.png", *NETWORK, *QUICK]) == 1
    assert files() == ["bad.png"]
    assert capsys.readouterr().err.startswith("captum-superpixel: error: bad.png: is no picture")


def test_a_photograph_on_which_the_network_fails(capsys: Captured) -> None:
    Image.new("RGB", (16, 16)).save("black.png")
    Image.new("RGB", (16, 16)).save("night.png")
    arguments = [
        "--model",
        "explain_net:broken_on_black",
        "--size",
        "16",
        "--mean",
        "0",
        "0",
        "0",
        "--std",
        "1",
        "1",
        "1",
    ]
    assert main(["explain", "black.png", "cat.png", "night.png", *arguments, *QUICK, "--format", "npz"]) == 1
    assert re.search(r"black.png, night.png: The network fails .*not black", capsys.readouterr().err)
    assert Path("explanations/cat.npz").exists()


def test_what_was_written_is_replaced_whole_or_not_at_all(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["explain", "cat.png", *NETWORK, *QUICK, "--out", "out.npz"]
    assert main(arguments) == 0
    before = Path("out.npz").read_bytes()

    def fail(file: object, **arrays: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", fail)
    assert main(arguments) == 1
    assert Path("out.npz").read_bytes() == before
    assert files() == ["out.npz"]


def test_target_and_prediction_are_both_printed(capsys: Captured) -> None:
    arguments = ["explain", "cat.png", "--model", "explain_net:named", "--size", "16", *QUICK, "--out", "out.npz"]
    for target in ("tiger cat", "0"):
        assert main([*arguments, "--target", target]) == 0
    assert re.search(r"explained +[\d.]+ %  class (1, tiger cat|0, tabby, tabby cat)", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "channel"),
    [([], 0), (["--channel-order", "bgr"], 2)],
)
def test_preprocessing_reaches_the_network(options: list[str], channel: int) -> None:
    """The network adds up its first channel: the gradient is 1 there, and the logit that of the picture's channel."""
    scale = ["--scale", "1", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    arguments = [
        "explain",
        "cat.png",
        "--model",
        "explain_net:red",
        "--size",
        "8x12",
        "--masks",
        "grid:9",
        *scale,
        *options,
    ]
    assert main([*arguments, "--method", "InputXGradient", "--target", "1", "--out", "out.npz"]) == 0
    with np.load("out.npz") as arrays:
        assert arrays["map"].shape == (3, 8, 12)
        assert np.array_equal(arrays["pixel_map"][0], arrays["image"][channel])
        assert not arrays["pixel_map"][1:].any()


def test_the_networks_own_preprocessing(folder: Path, capsys: Captured) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=4,
        hidden_sizes=[4, 8],
        depths=[1, 1],
        layer_type="basic",
        id2label={0: "cat", 1: "dog", 2: "owl"},
        label2id={"cat": 0, "dog": 1, "owl": 2},
    )
    transformers.ResNetForImageClassification(config).eval().save_pretrained(folder / "net")
    settings = '{"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    (folder / "net" / "preprocessor_config.json").write_text(settings)
    capsys.readouterr()
    assert main(["explain", "cat.png", "--model", "net", *QUICK, "--target", "Owl", "--out", "out.npz"]) == 0
    assert capsys.readouterr().out.startswith(
        "preprocessing: the network's own\n  stretched to 32 x 32, RGB\n"
        "  (pixels * 0.003922 - (0.5, 0.5, 0.5)) / (0.5, 0.5, 0.5)\n"
    )
    with np.load("out.npz") as arrays:
        assert arrays["map"].shape == (3, 32, 32)
        assert arrays["target"] == 2
    assert main(["explain", "cat.png", "--model", "net", *QUICK, "--size", "16", "--out", "out.npz"]) == 0
    assert "the network's own, but for --size" in capsys.readouterr().out


def test_defaults_belong_to_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Preprocessing] = []
    original = explainer.Explainer.explain

    def spy(self: explainer.Explainer, paths: Iterable[Path], *rest: object) -> Iterator[explainer.Outcome]:
        seen.append(self.preprocessing)
        return original(self, paths, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(explainer.Explainer, "explain", spy)
    assert main(["explain", "cat.png", *NETWORK, *QUICK, "--channel-order", "bgr", "--out", "out.npz"]) == 0
    mean = seen[0].mean
    assert isinstance(mean, tuple)
    assert isinstance(IMAGENET.mean, tuple)
    assert mean == pytest.approx(IMAGENET.mean[::-1])


def test_ids_from_a_file(capsys: Captured) -> None:
    np.save("ids.npy", np.arange(24 * 20).reshape(24, 20) // 100 * 1000)
    assert (
        main(["explain", "cat.png", *NETWORK, "--masks", "ids.npy", "--method", "FeatureAblation", "--out", "o.npz"])
        == 0
    )
    with np.load("o.npz") as arrays:
        assert set(arrays["region_id"].tolist()) <= {0, 1000, 2000, 3000, 4000}
        assert "pixel_map" not in arrays
    np.save("ids.npy", np.zeros((3, 3), dtype=int))
    assert main(["explain", "cat.png", *NETWORK, "--masks", "ids.npy", "--out", "o.npz"]) == 1
    assert "holds 3 x 3 ids" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "Salient"], "--method Salient is no method"),
        (["--method", "NoiseTunnel"], "--method NoiseTunnel cannot be used here: it needs a method to wrap"),
        (["--method", "LayerGradCam", "--layer", "linear"], "--layer linear cannot be used: only a spatial layer"),
        (["--layer", "conv"], "--layer conv: IntegratedGradients needs no layer"),
        (["--method", "LayerGradCam", "--layer", "feature"], "near names are features"),
        (["--masks", "slic:999"], "--masks slic:999: write slic:N with N from 1 to 256"),
        (["--target", "7"], "--target 7 is no class of this network; it has classes 0 to 4"),
        (["--target", "cat"], "does not name its classes"),
        (["--labels", "explain_net.py"], r"--labels explain_net.py: line \d+ has no name"),
        (["--labels", "two.txt"], "--labels two.txt names 2 classes, but this network has 5"),
        (
            ["--scale", "1"],
            "the preprocessing makes no sense: scale.* changes the units of mean and std",
        ),
        (["--std", "1", "0", "1"], "the preprocessing makes no sense: std must be finite and above 0"),
        (["--device", "tpu9"], "device 'tpu9' cannot be used"),
        (["--size", "2"], "--masks slic:100: write slic:N with N from 1 to 4"),
        (["--weights", "none.pt"], "the weights none.pt do not exist"),
        (["--reduction", "max", "--method", "Lime"], "reduction='max' does not apply to Lime"),
        (["--out", "none/out.png"], "there is no folder none"),
        (["--out", "cat.png"], "would replace the photograph"),
    ],
)
def test_options_that_cannot_be_used(options: list[str], message: str, folder: Path, capsys: Captured) -> None:
    (folder / "two.txt").write_text("a\nb\n")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert main(["explain", "cat.png", *NETWORK, *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(message, captured.err)
    assert captured.err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_missing_photographs(fails: Fails) -> None:
    assert "none.png does not exist" in fails("none.png", *NETWORK)


def test_failures_of_a_method_are_reported_by_photograph(capsys: Captured) -> None:
    """LRP knows no rule for a module of the network; of the second photograph Captum alone would say something else."""
    Path("dog.png").write_bytes(Path("cat.png").read_bytes())
    arguments = ["--model", "explain_net:flat", "--size", "16", "--method", "LRP", "--batch-size", "1", "--out", "out"]
    assert main(["explain", "cat.png", "dog.png", *arguments]) == 1
    line = r"cat\.png, dog\.png: LRP failed on this network \(\w+: there is no rule for the layer Flatten: give such"
    assert re.search(line, capsys.readouterr().err)


PIXELS = ["--scale", "1", "--mean", "0", "0", "0", "--std", "1", "1", "1"]


@pytest.mark.parametrize("kind", ["png", "html", "npz"])
def test_a_map_of_zeros_is_said_and_not_ranked(kind: str, capsys: Captured) -> None:
    arguments = ["--model", "explain_net:red", "--size", "16", "--target", "0", "--out", f"out.{kind}"]
    assert main(["explain", "cat.png", *arguments, *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["  all scores are 0, so that no region has a rank", f"  wrote out.{kind}"]
    assert not any("share" in line for line in lines)
    if kind == "npz":
        with np.load("out.npz") as arrays:
            assert arrays["region_rank"].tolist() == arrays["region_score"].tolist() == [0] * 9


@pytest.mark.parametrize("kind", ["png", "html", "npz"])
def test_regions_that_are_not_finite_have_no_rank(kind: str, capsys: Captured) -> None:
    pixels = np.full((18, 18, 3), 90, dtype=np.uint8)
    pixels[:6, :6, 0] = 0
    Image.fromarray(pixels).save("corner.png")
    arguments = ["--model", "explain_net:rooted", "--size", "18", "--target", "0", *PIXELS, *QUICK]
    assert main(["explain", "corner.png", *arguments, "--out", f"out.{kind}"]) == 0
    out = capsys.readouterr().out
    assert "without score and rank: 1 region holds NaN or infinite values" in out
    if kind == "npz":
        with np.load("out.npz") as arrays:
            assert arrays["region_rank"].tolist() == [1] * 8 + [0]
            assert np.isnan(arrays["region_score"]).tolist() == [False] * 8 + [True]


def test_a_map_without_any_score_is_an_error(capsys: Captured) -> None:
    Image.new("RGB", (16, 16)).save("black.png")
    arguments = ["--model", "explain_net:rooted", "--size", "16", *PIXELS, *QUICK]
    assert main(["explain", "black.png", *arguments]) == 1
    assert "Saliency has no scores: all of its regions hold NaN or infinite values" in capsys.readouterr().err


def test_lime_finds_regions_in_probabilities(capsys: Captured) -> None:
    arguments = ["--model", "explain_net:probable", "--size", "16", "--method", "Lime", "--masks", "grid:9"]
    assert main(["explain", "cat.png", *arguments, "--out", "out.npz"]) == 0
    with np.load("out.npz") as arrays:
        assert (arrays["region_score"] != 0).sum() >= 7
        assert str(arrays["score_name"]) == "effect"


def test_too_few_samples_are_said(capsys: Captured) -> None:
    for count, expected in (("5", True), ("500", False)):
        arguments = [*NETWORK, "--method", "KernelShap", "--masks", "grid:9", "--samples", count, "--out", "out.npz"]
        assert main(["explain", "cat.png", *arguments]) == 0
        out = capsys.readouterr().out
        warning = "warning: KernelShap fits 9 features to n_samples=5, too few to tell them apart"
        assert (warning in " ".join(out.split())) == expected
        assert max(map(len, out.splitlines())) <= 80
        with np.load("out.npz") as arrays:
            assert [str(text).partition(" fits")[0] for text in arrays["warnings"]] == ["KernelShap"] * expected


def test_a_flat_photograph_has_one_region(capsys: Captured) -> None:
    Image.new("RGB", (20, 20), (90, 90, 90)).save("flat.png")
    assert main(["explain", "flat.png", *NETWORK, "--method", "Saliency", "--out", "out.png"]) == 0
    assert "(1 regions)" in capsys.readouterr().out


def test_remarks_are_printed_below_the_photograph(folder: Path, capsys: Captured) -> None:
    ramp = np.arange(400, dtype=np.uint16).reshape(20, 20)
    Image.fromarray(ramp * 10).save("dark.png")
    (folder / "IMG_1.HEIC").write_bytes(b"content")
    frames = [Image.fromarray((ramp // 2).astype(np.uint8))] * 2
    frames[0].save("stack.tif", save_all=True, append_images=frames[1:])
    assert main(["explain", ".", *NETWORK, *QUICK, "--format", "npz"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("captum-superpixel: left out: IMG_1.HEIC is HEIC, which Pillow cannot read here")
    assert captured.err.count("\n") == 1
    assert max(map(len, captured.out.splitlines())) <= 80
    printed = " ".join(captured.out.split())
    assert printed.count("note: ") == 2
    assert re.search(r"dark.png note: uses a sliver of its range: its values go from 0 to 3990 of 0 to 65535", printed)
    assert "stack.tif note: has 2 pages, of which the first alone is read." in printed


def test_folders_of_folders(folder: Path, files: Files, capsys: Captured) -> None:
    for name in ("photos/cat.png", "photos/old/cat.png"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(Path("cat.png").read_bytes())
    arguments = ["explain", "photos", "--recursive", *NETWORK, *QUICK, "--format", "npz", "--out", "photos/maps"]
    for _ in range(2):
        assert main(arguments) == 0
        written = [name for name in files() if name.startswith("photos/maps/")]
        assert written == [
            *("photos/maps/cat.npz", "photos/maps/index.html", "photos/maps/old", "photos/maps/old/cat.npz")
        ]
    assert capsys.readouterr().err == ""
    assert main(["explain", "photos/old", *NETWORK, *QUICK, "--recursive", "--out", "one.npz"]) == 0

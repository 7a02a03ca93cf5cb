"""``--confidence``: what is drawn, what is printed, and what it is refused for."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from PIL import Image
from torch import Tensor, nn

from captum_superpixel import region_table
from captum_superpixel._checks import InputError
from captum_superpixel.attr import PerturbedAttributions, perturbed_attributions
from captum_superpixel.cli import main
from captum_superpixel.explain import confidence
from captum_superpixel.pooling import pool_segments
from captum_superpixel.regions.confidence import describe_stays_top

NETWORK = ["--model", "explain_net:load", "--size", "16"]
SURE = [*NETWORK, "--confidence", "--strength", "0.1"]
QUICK = ["--method", "Saliency", "--masks", "grid:9"]
Files = Callable[[], list[str]]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], PerturbedAttributions]]:
    """Every call of ``perturbed_attributions``: its arguments and what it returned."""
    calls = []

    def remember(method: Any, model: Any, inputs: Any, **options: Any) -> PerturbedAttributions:
        found = perturbed_attributions(method, model, inputs, **options)
        calls.append(({"method": method, "inputs": inputs, **options}, found))
        return found

    monkeypatch.setattr(confidence, "perturbed_attributions", remember)
    return calls


def arrays(path: str = "out.npz") -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def test_regions_are_as_sure_as_their_table_with_these_draws_says(drawn: list[Any]) -> None:
    assert main(["explain", "cat.png", *SURE, *QUICK, "--out", "out.npz"]) == 0
    found = arrays()
    ((options, draws),) = drawn
    assert isinstance(options["method"], Saliency)
    assert (options["n_draws"], options["strength"], options["target"]) == (12, 0.1, int(found["target"]))
    mask = torch.from_numpy(found["mask"])[None, None]
    pooled = torch.stack([pool_segments(one, mask) for one in draws.attributions])
    table = region_table(torch.from_numpy(found["map"])[None], mask, draws=pooled, k=3)
    assert found["region_id"].tolist() == [region.id for region in table]
    np.testing.assert_allclose(found["region_stays_top"], [region.stays_top for region in table], rtol=1e-5)
    bounds = np.stack([found["region_interval_low"], found["region_interval_high"]], axis=1)
    np.testing.assert_allclose(bounds, [region.interval for region in table], rtol=1e-4)
    assert str(found["confidence"]) == "12 networks, their parameters perturbed by 10 %"


@pytest.mark.parametrize("method", ["SmoothGrad", "IntegratedGradients"])
@pytest.mark.parametrize("masks", ["grid:9", "multiscale"])
def test_magnitudes_are_taken_before_they_are_pooled(drawn: list[Any], method: str, masks: str) -> None:
    work = ["--samples", "2"] if method == "SmoothGrad" else ["--steps", "3"]
    options = ["--method", method, "--masks", masks, "--reduction", "abs_mean", *work]
    assert main(["explain", "cat.png", *SURE, *options, "--out", "out.npz"]) == 0
    found = arrays()
    ((_, draws),) = drawn
    members = found["ensemble_masks"] if masks == "multiscale" else found["mask"][None]
    pooled = torch.stack(
        [
            torch.stack([pool_segments(one.abs(), torch.from_numpy(member)) for member in members]).mean(dim=0)
            for one in draws.attributions
        ]
    )
    table = region_table(torch.from_numpy(found["map"])[None], torch.from_numpy(found["mask"]), draws=pooled, k=3)
    np.testing.assert_allclose(found["region_stays_top"], [region.stays_top for region in table], rtol=1e-4)


def test_what_is_printed(capsys: Captured) -> None:
    assert main(["explain", "cat.png", *SURE, *QUICK, "--out", "out.png", "--top", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    table = next(number for number, line in enumerate(lines) if line.lstrip().startswith("rank"))
    assert lines[table - 1] == "  confidence: 12 networks, their parameters perturbed by 10 %"
    assert lines[table].endswith("center (row, column)  stays top 3")
    assert all(re.search(r"  (> 99|< 1|\d+) %$", line) for line in lines[table + 1 : table + 5])
    assert describe_stays_top(3) in " ".join(line.strip() for line in lines)


def test_pages_and_pictures_say_it_too(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    from captum_superpixel.explain import figure

    seen = []
    original = figure.describe_superpixels
    monkeypatch.setattr(
        figure, "describe_superpixels", lambda *args, **options: seen.append(options) or original(*args, **options)
    )
    methods = ["--method", "Saliency", "--method", "InputXGradient", "--masks", "grid:9", "--reduction", "abs_mean"]
    formats = ["--format", "png", "--format", "html", "--out", "out"]
    assert main(["explain", "cat.png", *SURE, *methods, *formats]) == 0
    page = Path("out/cat.html").read_text(encoding="utf-8")
    assert page.count('"stays":3') == 2
    assert page.count("<li>confidence: 12 networks, their parameters perturbed by 10 %.</li>") == 1
    assert [options["confidence"].k for options in seen] == [3, 3]
    assert main(["explain", "cat.png", *NETWORK, *methods, *formats]) == 0
    assert '"stays":3' not in Path("out/cat.html").read_text(encoding="utf-8")
    assert [options["confidence"] for options in seen[2:]] == [None, None]
    capsys.readouterr()


def test_the_strength_is_found_once_on_the_first_photographs(capsys: Captured, drawn: list[Any]) -> None:
    Path("photos").mkdir()
    generator = np.random.default_rng(0)
    for number in range(9):
        # Of one color, views of it are what it is, and the network is as sure of them.
        Image.new("RGB", (16, 16), tuple(generator.integers(0, 255, 3).tolist())).save(f"photos/{number}.png")
    arguments = ["photos", *NETWORK, *QUICK, "--confidence", "--format", "npz", "--out", "out", "--batch-size", "8"]
    assert main(["explain", *arguments]) == 0
    found = [(len(options["inputs"]), draws.strength) for options, draws in drawn if options.get("strength") is None]
    assert [count for count, _ in found] == [8]
    assert {options["strength"] for options, _ in drawn[1:]} == {found[0][1]}
    out = " ".join(capsys.readouterr().out.split())
    assert out.count("at which 85 % of the predictions on 8 photographs are kept rank") == 9
    # A photograph has the same draws whatever its neighbors.
    strength = str(found[0][1])
    assert (
        main(["explain", "photos/3.png", *NETWORK, *QUICK, "--confidence", "--strength", strength, "--out", "3.npz"])
        == 0
    )
    np.testing.assert_allclose(arrays("3.npz")["region_stays_top"], arrays("out/3.npz")["region_stays_top"], rtol=1e-4)


def test_where_no_strength_is_found_the_explanation_says_so(capsys: Captured) -> None:
    arguments = ["--model", "explain_net:red", "--size", "16", *QUICK, "--confidence", "--out", "out.npz"]
    assert main(["explain", "cat.png", *arguments]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "warning: no confidence: no strength was found on 1 photograph (ValueError: " in out
    assert "or pass --strength" in out
    assert "stays top" not in out
    assert "region_stays_top" not in arrays()
    assert str(arrays()["confidence"]) == ""


def test_too_few_regions_are_said(capsys: Captured) -> None:
    assert main(["explain", "cat.png", *SURE, "--method", "Saliency", "--masks", "grid:2", "--out", "out.npz"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "warning: no confidence: k=3, but image 0 has only 2 regions with a rank" in out
    assert arrays()["region_rank"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--confidence"], "not for signed scores such as those of --method IntegratedGradients with --reduction mean"),
        (["--confidence", "--method", "Saliency", "--reduction", "evidence"], "with --reduction evidence: pass --red"),
        (["--confidence", "--method", "FeatureAblation"], "maps of pixels .* and --method FeatureAblation is none"),
        (["--confidence", "--method", "XRAI", "--reduction", "abs_mean"], "and --method XRAI is none"),
        (["--confidence", "--method", "LayerGradCam", "--reduction", "abs_mean"], "and --method LayerGradCam is none"),
        (["--strength", "0.1"], "--strength 0.1 is of --confidence: pass that too, or leave it out"),
    ],
)
def test_what_it_is_not_calibrated_for(options: list[str], message: str, fails: Callable[..., str]) -> None:
    assert re.search(message, fails("cat.png", *NETWORK, *options))


@pytest.mark.parametrize("strength", ["0", "1", "-0.1", "much", "nan"])
def test_strengths_that_are_none(strength: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["explain", "cat.png", *NETWORK, *QUICK, "--confidence", "--strength", strength])
    assert f"{strength!r} is not a number above 0 and below 1" in capsys.readouterr().err


def test_where_views_alone_change_the_class_the_strength_is_found_without_them() -> None:
    class Left(nn.Module):
        """Class 0 if there is more on the left, which a mirrored view changes."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2, 8))

        def forward(self, images: Tensor) -> Tensor:
            halves = images.sum(dim=(1, 2)).unflatten(1, (2, 8))
            return (halves * self.scale).sum(dim=2)

    image = torch.zeros(1, 1, 16, 16)
    image[..., 2:6] = torch.rand(16, 4, generator=torch.Generator().manual_seed(0))
    found = confidence.Confidence(Left().eval(), seed=0)
    found.find_strength(image)
    assert found.strength is not None
    assert found.strength > 0
    text = found.describe()
    assert "on 1 photograph are kept; shifted and mirrored, which each draw is too, they change more often" in text
    given = confidence.Confidence(Left().eval(), seed=0, strength=0.1)
    assert given.describe() == "12 networks, their parameters perturbed by 10 %"


def test_too_little_memory_is_no_lack_of_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(confidence, "perturbed_attributions", fail)
    with pytest.raises(InputError, match=r"memory does not suffice \(OutOfMemoryError: out of memory\)"):
        confidence.Confidence(nn.Linear(2, 2), seed=0).find_strength(torch.zeros(1, 3, 4, 4))


def test_the_strength_is_found_on_as_many_as_memory_suffices_for(capsys: Captured) -> None:
    Path("photos").mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{seed}.png")
    network = ["--model", "explain_net:greedy", "--size", "16", *QUICK, "--out", "out", "--format", "npz"]
    assert main(["explain", "photos", *network, "--confidence"]) == 0
    said = capsys.readouterr().out
    assert "memory does not suffice for batches of 3; going on with 2" in said
    assert "explained" not in said
    assert "of the predictions on 2 photographs are kept" in arrays("out/2.npz")["confidence"].item()

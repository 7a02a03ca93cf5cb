"""The README's Python runs, from top to bottom, with a model, images and labels."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import Saliency

from captum_superpixel import recommended
from captum_superpixel.models.networks import resnet18

README = Path(__file__).parents[1] / "README.md"


def test_the_code_of_the_readme_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    # Nearly of one color each, so that views of an image do not change what an untrained network takes it for.
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 1, 1, generator=generator) + 0.01 * torch.rand(2, 3, 32, 32, generator=generator)
    images.requires_grad_()
    names: dict[str, Any] = {
        "model": resnet18(10, generator=torch.Generator().manual_seed(0)).eval(),
        "other_model": resnet18(10, generator=torch.Generator().manual_seed(1)).eval(),
        "images": images,
        "labels": torch.tensor([1, 2]),
        "mean": (0.0,) * 3,
        "std": (1.0,) * 3,
    }
    for block in blocks:
        exec(block, names)
        if "method.passes" in block:
            assert names["method"].passes == 1  # as the comment has it
            assert recommended(Saliency(names["model"])).passes == 8
    assert names["shown"].shape == images.shape
    assert names["shown"].min() >= 0
    assert names["attributions"].shape == names["maps"].shape == images.shape
    assert names["keep"].shape == (2, 1, 32, 32)
    assert {region.image for region in names["table"]} == {0, 1}
    assert all(0 <= region.stays_top <= 1 for region in names["sure"])
    assert names["sure"].k == 3
    assert names["alike"].n_images == 2
    assert names["faithful"].shape == names["nothing"].shape == (2,)
    assert [text.get_text() for text in names["axes"].texts] == ["1", "2", "3", "4", "5"]
    assert (tmp_path / "explanation.html").read_text(encoding="utf-8").startswith("<!doctype html>")

"""Folders of photographs: what was finished is known again, shared over processes, shown while it grows, forgotten."""

import gc
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from captum_superpixel.cli import main
from captum_superpixel.explain import gallery, photographs
from captum_superpixel.explain.explainer import Explainer
from captum_superpixel.explain.explanation import Explanation
from captum_superpixel.explain.gallery import Gallery
from captum_superpixel.explain.reading import Opened

NETWORK = ["--model", "explain_net:load", "--size", "16", "--masks", "grid:4", "--method", "Saliency"]
Run = Callable[..., list[str]]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Explain three photographs, as npz unless otherwise said; the names of those that were explained and not kept."""
    (folder / "photos").mkdir()
    for number, name in enumerate("abc"):
        pixels = torch.full((3, 8, 8), 50 * number).numpy().astype("uint8").transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / "photos" / f"{name}.png")
    explained: list[str] = []
    original = Explainer._look

    def look(self: Explainer, batch: int, opened: list[Opened]) -> object:
        explained.extend(each.path.stem for each in opened)
        return original(self, batch, opened)

    monkeypatch.setattr(Explainer, "_look", look)

    def explain(*arguments: str, status: int = 0, kind: str = "npz") -> list[str]:
        explained.clear()
        assert main(["explain", "photos", *NETWORK, "--format", kind, "--out", "out", *arguments]) == status
        return sorted(set(explained))

    return explain


def cards(page: str = "index.html") -> list[str]:
    return re.findall(r'<a href="(\w+)\.npz"', (Path("out") / page).read_text(encoding="utf-8"))


def test_what_was_finished_is_not_redone_unless_asked(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == ["a", "b", "c"]
    page = Path("out/index.html").read_text(encoding="utf-8")
    capsys.readouterr()
    # How fast, where and from which folder does not matter; the index is made again from what was kept.
    Path("out/index.html").unlink()
    assert run("--batch-size", "2", "--device", "cpu", "--workers", "0", "--recursive") == []
    said = capsys.readouterr().out
    assert "3 of 3 were explained before and are left as they are; --redo explains them again" in said
    assert "wrote out/a.npz" not in said
    assert Path("out/index.html").read_text(encoding="utf-8") == page
    assert run("--redo") == ["a", "b", "c"]


def test_what_has_changed_is_redone(run: Run) -> None:
    run()
    # The same bytes under another time are the same photograph.
    os.utime("photos/a.png", (1, 1))
    photo = Path("photos/b.png")
    Image.open(photo).rotate(90).save(photo, comment="turned", pnginfo=None, compress_level=0)
    assert run() == ["b"]
    # Its explanation was changed, lost, or written by another run.
    Path("out/c.npz").write_bytes(b"something else")
    Path("out/a.npz").unlink()
    assert run() == ["a", "c"]
    assert run() == []


def test_other_settings_are_other_explanations(run: Run) -> None:
    run()
    Path("labels.txt").write_text("\n".join("abcde"))
    assert run("--labels", "labels.txt") == ["a", "b", "c"]
    assert run("--labels", "labels.txt") == []
    Path("labels.txt").write_text("\n".join("vwxyz"))
    assert run("--labels", "labels.txt") == ["a", "b", "c"]
    # The explanations of before were written over.
    assert run() == ["a", "b", "c"]
    # Those of another kind lie beside them.
    assert run(kind="html") == ["a", "b", "c"]
    assert run() == []
    module = Path("explain_net.py")
    module.write_text(module.read_text().replace("parameter.data *= 4", "parameter.data *= 3"))
    del sys.modules["explain_net"]
    assert run() == ["a", "b", "c"]
    # The same weights, used in another way.
    module.write_text(module.read_text().replace("self.relu(self.conv", "self.relu(-self.conv"))
    del sys.modules["explain_net"]
    assert run() == ["a", "b", "c"]


def test_records_of_files_that_were_written_over_are_forgotten(run: Run) -> None:
    """Those of other files, and of photographs of which nothing was written since, are not."""

    def records() -> list[int]:
        return sorted(
            len(list(settings.glob("*.pt"))) + len(list(settings.glob("failed/*.pt")))
            for settings in Path("out/.explained").iterdir()
        )

    good = Path("photos/b.png").read_bytes()
    Path("photos/b.png").write_text("no picture")
    run(status=1)
    assert records() == [3]
    run("--masks", "grid:9", kind="html", status=1)
    assert records() == [3, 3]
    run("--masks", "grid:9", status=1)  # the arrays of before are written over
    assert records() == [1, 3, 3]
    Path("photos/b.png").write_bytes(good)
    assert run("--masks", "grid:9") == ["b"]
    assert records() == [0, 3, 3]
    assert run("--masks", "grid:9", kind="html") == ["b"]
    assert run("--masks", "grid:9") == []


UNSEEN = """
import torch
from explain_net import Net, load
from torch import nn

def unseen():
    net = load().eval()
    return lambda images: net(images)

class Scaled(nn.Linear):
    def get_extra_state(self):
        return {"kind": object}
    def set_extra_state(self, state):
        pass

def extra():
    net = load()
    net.linear = Scaled(24, 5)
    net.linear.weight.data = torch.ones(5, 24) * torch.arange(5)[:, None]
    nn.init.zeros_(net.linear.bias)
    return net

def sparse():
    net = load()
    net.register_buffer("graph", torch.eye(3).to_sparse())
    return net

def refuses():
    net = load()
    def state_dict(*args, **kwargs):
        raise RuntimeError("no state")
    net.state_dict = state_dict
    return net

class Holds(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.function = load(), lambda outputs: outputs
    def extra_repr(self):
        return f"function={self.function}"
    def forward(self, images):
        return self.function(self.net(images))
"""


@pytest.mark.parametrize("factory", ["unseen", "extra", "sparse", "refuses", "Holds"])
def test_networks_that_do_not_show_what_they_hold(run: Run, monkeypatch: pytest.MonkeyPatch, factory: str) -> None:
    """They are known by their answers: again where these are the same, as others where they are not."""
    Path("unseen_net.py").write_text(UNSEEN)
    options = ["--model", f"unseen_net:{factory}"]
    for _ in range(2):
        monkeypatch.delitem(sys.modules, "unseen_net", raising=False)
        explained = run(*options)
    assert explained == []
    # The file of the factory stays as it is.
    original = nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, inputs: original(self, inputs).flip(1))
    assert run(*options) == ([] if factory == "Holds" else ["a", "b", "c"])


def test_what_was_explained_before_an_interrupt_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """While workers draw the first two photographs, the user interrupts at the third."""
    original = Explainer._look

    def look(self: Explainer, batch: int, opened: list[Opened]) -> object:
        if opened[0].path.stem == "c":
            raise KeyboardInterrupt
        return original(self, batch, opened)

    with monkeypatch.context() as patched:
        patched.setattr(Explainer, "_look", look)
        run("--batch-size", "1", "--workers", "1", status=130)
    assert cards() == ["a", "b"]
    assert run() == ["c"]
    assert cards() == ["a", "b", "c"]


def test_code_of_the_factory_counts(run: Run) -> None:
    run()
    module = Path("explain_net.py")
    module.write_text(f"{module.read_text()}\n# changed")
    assert run("--model", "explain_net:flat") == ["a", "b", "c"]
    module.write_text(f"{module.read_text()}\n# again")
    assert run("--model", "explain_net:flat") == ["a", "b", "c"]


def test_confidence_found_on_other_photographs_is_another(run: Run) -> None:
    assert run("--confidence") == ["a", "b", "c"]
    assert run("--confidence") == []
    assert run("--confidence", "--batch-size", "1") == ["a", "b", "c"]
    given = ["--confidence", "--strength", "0.1"]
    assert run(*given) == ["a", "b", "c"]
    assert run(*given, "--batch-size", "1") == []


def test_what_failed_is_tried_again(run: Run) -> None:
    good = Path("photos/b.png").read_bytes()
    Path("photos/b.png").write_text("no picture")
    assert run(status=1) == ["a", "c"]
    assert "1 with failures" in Path("out/index.html").read_text(encoding="utf-8")
    Path("photos/b.png").write_bytes(good)
    assert run() == ["b"]
    page = Path("out/index.html").read_text(encoding="utf-8")
    assert "3 explained, 0 with failures." in page
    assert "Not explained" not in page


def test_a_damaged_record_is_no_record(run: Run) -> None:
    run()
    for record in Path("out/.explained").rglob("*.pt"):
        record.write_bytes(record.read_bytes()[:-1])
    assert run() == ["a", "b", "c"]


def test_processes_of_torchrun_share_the_photographs_and_the_gallery(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert run() == ["b"]
    assert cards() == ["b"]
    assert "1 explained, 0 with failures, 2 not yet" in Path("out/index.html").read_text(encoding="utf-8")
    monkeypatch.setenv("RANK", "0")
    assert run() == ["a", "c"]
    assert cards() == ["a", "b", "c"]
    assert not torch.distributed.is_initialized()
    monkeypatch.setenv("WORLD_SIZE", "5")
    monkeypatch.setenv("RANK", "4")  # there is nothing for it
    assert run() == []


def test_the_index_grows_and_forgets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the process ends, the index shows what was finished; of that nothing is held but an open page."""
    for number in range(7):
        shutil.copy("photos/c.png", f"photos/d{number}.png")
    for module in (photographs, gallery):
        monkeypatch.setattr(module, "PER_PAGE", 4)
    monkeypatch.setattr(gallery, "_PAUSE", 0.0)
    monkeypatch.setattr(gallery, "_SHARE", 0.0)
    shown: list[int] = []
    alive: list[int] = []
    original = Gallery.add

    def add(self: Gallery, *arguments: Any) -> None:
        original(self, *arguments)
        pages = sorted(Path("out").glob("index*.html"))
        shown.append(sum(page.read_text(encoding="utf-8").count('class="card"') for page in pages))
        gc.collect()
        alive.append(sum(type(each) is Explanation for each in gc.get_objects()))
        held.append(len(self._held))

    held: list[int] = []
    monkeypatch.setattr(Gallery, "add", add)
    run("--batch-size", "2")
    assert shown == list(range(1, 11))
    assert max(alive) <= 2
    assert held == [1, 2, 3, 0, 1, 2, 3, 0, 1, 0]


def test_files_of_others_among_the_records_are_left_alone(run: Run) -> None:
    """File managers leave some in every folder that they show."""
    run()
    foreign = Path("out/.explained/.DS_Store")
    foreign.write_text("of a file manager")
    assert run("--seed", "1") == ["a", "b", "c"]
    assert foreign.read_text() == "of a file manager"

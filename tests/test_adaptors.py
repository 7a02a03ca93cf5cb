"""The recipes of the page on other libraries run and do what they say, each where its library is installed."""

import re
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from captum.attr import Attribution, NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel import pool_segments
from captum_superpixel.masks import Slic
from captum_superpixel.models import small_cnn

PAGE = Path(__file__).parents[1] / "tutorials" / "adaptors.md"
MODULES = {
    "Quantus": "quantus",
    "pytorch-grad-cam": "pytorch_grad_cam",
    "zennit": "zennit",
    "saliency (PAIR)": "saliency",
    "Lightning": "pytorch_lightning",
}


def recipes() -> dict[str, str]:
    """The code of each section by the name of the library in its heading."""
    sections = re.findall(
        r"^## (.+?): .*?^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return dict(sections)


def import_or_skip(library: str) -> ModuleType:
    with warnings.catch_warnings():
        # What their own imports warn of is theirs.
        warnings.simplefilter("ignore")
        module: ModuleType = pytest.importorskip(MODULES[library])
    return module


@pytest.fixture
def names() -> dict[str, Any]:
    """What the reader has."""
    generator = torch.Generator().manual_seed(0)
    return {
        "model": small_cnn(generator=torch.Generator().manual_seed(0)).eval(),
        "images": torch.rand(2, 3, 32, 32, generator=generator).requires_grad_(),
        "labels": torch.tensor([1, 2]),
    }


def is_constant_within(maps: Tensor, mask: Tensor) -> bool:
    return torch.allclose(pool_segments(maps, mask), maps, atol=1e-6)


def assert_works_in_a_tunnel(method: Attribution, images: Tensor) -> None:
    """Without noise a tunnel's mean is the method's map."""
    mean = NoiseTunnel(method).attribute(images, target=1, nt_samples=2, stdevs=0.0)
    torch.testing.assert_close(mean, method.attribute(images, target=1))


def test_each_recipe_is_of_a_library_that_is_tested_and_dated() -> None:
    assert recipes().keys() == MODULES.keys()
    tried = PAGE.read_text(encoding="utf-8").partition("## Tried with")[2]
    assert all(re.search(rf"\| {re.escape(library)} \| [\d.]+ \|", tried) for library in MODULES)


def test_quantus(names: dict[str, Any]) -> None:
    import_or_skip("Quantus")
    exec(recipes()["Quantus"], names)
    assert len(names["sensitivity"]) == 2
    assert all(value > 0 for value in names["sensitivity"])
    images, labels, mask = names["images"], names["labels"], names["mask"]
    arrays = {"inputs": images.detach().numpy(), "targets": labels.numpy()}
    maps = torch.from_numpy(names["explain_grouped"](names["model"], **arrays, feature_mask=mask))
    pixels = Saliency(names["model"]).attribute(images, target=labels)
    torch.testing.assert_close(maps, pool_segments(pixels, mask))
    halves = (torch.arange(32) >= 16).long().expand(1, 1, 32, 32)
    assert is_constant_within(
        torch.from_numpy(names["explain_grouped"](names["model"], **arrays, feature_mask=halves)), halves
    )


def test_pytorch_grad_cam(names: dict[str, Any]) -> None:
    import_or_skip("pytorch-grad-cam")
    exec(recipes()["pytorch-grad-cam"], names)
    model, images = names["model"], names["images"]
    with names["GradCAMPlusPlus"](model, [names["layer"]]) as cam:
        expected = cam(images, [names["ClassifierOutputTarget"](index) for index in (1, 2)])
        one = names["ClassActivationMap"](cam).attribute(images, target=1)
        assert one.shape == images.shape
        assert_works_in_a_tunnel(names["ClassActivationMap"](cam), images)
        assert torch.equal(one[:1], names["ClassActivationMap"](cam).attribute(images, target=names["labels"])[:1])
    expected = torch.from_numpy(expected)[:, None].expand_as(images)
    torch.testing.assert_close(names["activation"], pool_segments(expected, Slic(50)(images)))
    assert names["activation"].unique().numel() > 2


def test_zennit(names: dict[str, Any]) -> None:
    import_or_skip("zennit")
    # Without biases relevance is conserved, but for what the rules add against division by zero.
    for module in names["model"].modules():
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    exec(recipes()["zennit"], names)
    images, labels = names["images"], names["labels"]
    outputs = names["model"](images)[[0, 1], labels]
    torch.testing.assert_close(names["relevance"].sum(dim=(1, 2, 3)), outputs, rtol=1e-3, atol=1e-5)
    assert is_constant_within(names["relevance"], Slic(50)(images))
    assert_works_in_a_tunnel(names["Zennit"](names["Gradient"](names["model"], names["EpsilonPlus"]())), images)


def test_saliency(names: dict[str, Any]) -> None:
    library = import_or_skip("saliency (PAIR)")
    exec(recipes()["saliency (PAIR)"], names)
    model, images, labels = names["model"], names["images"], names["labels"]
    assert names["along_the_blur"].abs().sum() > 0
    assert is_constant_within(names["along_the_blur"], Slic(50)(images))
    gradient = names["Pair"](model, library.core.GradientSaliency())
    torch.testing.assert_close(
        gradient.attribute(images, target=labels), Saliency(model).attribute(images, target=labels, abs=False)
    )
    assert_works_in_a_tunnel(gradient, images)


def test_lightning(names: dict[str, Any], tmp_path: Path) -> None:
    lightning = import_or_skip("Lightning")
    exec(recipes()["Lightning"], names)
    model, images, labels = names["model"], names["images"], names["labels"]

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def forward(self, batch: Tensor) -> Tensor:
            return self.network(batch)

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def validation_step(self, batch: list[Tensor], _: int) -> None:
            self(batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    logged: list[tuple[str, int, int]] = []
    experiment = SimpleNamespace(
        add_figure=lambda name, figure, step: logged.append((name, step, len(figure.axes[0].texts)))
    )

    class Logger(lightning.loggers.CSVLogger):
        @property
        def experiment(self) -> Any:
            return experiment

        def save(self) -> None:
            pass

        def finalize(self, status: str) -> None:
            pass

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images.detach(), labels))
    with warnings.catch_warnings():
        # Of the number of workers, and of few batches.
        warnings.simplefilter("ignore")
        lightning.Trainer(
            accelerator="cpu",
            max_epochs=1,
            num_sanity_val_steps=0,
            callbacks=[names["LogSuperpixels"](images, labels)],
            logger=Logger(tmp_path),
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        ).fit(Classifier(), loader, loader)
    assert [(name, step) for name, step, _ in logged] == [("superpixels/0", 2), ("superpixels/1", 2)]
    assert all(numbered == 3 for *_, numbered in logged)

"""Training, evaluation and recipes: steps by hand, reproducibility, and data that can be learned."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import TensorDataset

from captum_superpixel.datasets import DigitsOnPhotographs
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.training import (
    RECIPES,
    TrainingRecipe,
    accuracy,
    predict,
    random_shift,
    shift_and_flip,
    train,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bright_or_dark(count: int = 60) -> TensorDataset:
    """Images (count, 1, 6, 6), of class 1 where they are bright."""
    labels = torch.arange(count) % 2
    return TensorDataset(torch.rand(count, 1, 6, 6, generator=seeded()) + labels.view(-1, 1, 1, 1).float() - 1, labels)


def linear(*, dropout: float = 0.0) -> nn.Module:
    layer = nn.Linear(36, 2)
    nn.init.normal_(layer.weight, generator=seeded(1))
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Flatten(), nn.Dropout(dropout), layer)


class Parrot(nn.Module):
    """Returns the logits that it is given."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits


def test_one_step_by_hand() -> None:
    """A cycle starts at a 25th of its peak rate and momentum .95, so Nesterov's first step is 1.95 gradients long."""
    data, model, lr, decay = bright_or_dark(), linear(), 0.2, 0.01
    images, labels = data.tensors
    weight = model[2].weight.detach().clone().double()  # type: ignore[index]
    x = images.flatten(1).double()
    probabilities = torch.softmax(x @ weight.T, dim=1)
    wanted = nn.functional.one_hot(labels, 2) * 0.9 + 0.05
    loss = -(wanted * probabilities.log()).sum(1).mean()
    gradient = (probabilities - wanted).T @ x / len(x) + decay * weight
    losses = train(
        model,
        data,
        epochs=1,
        batch_size=60,
        lr=lr,
        weight_decay=decay,
        augment=None,
        generator=seeded(),
        progress=False,
    )
    assert losses == [pytest.approx(loss.item(), rel=1e-5)]
    updated = model[2].weight.detach().double()  # type: ignore[index]
    assert torch.allclose(updated, weight - lr / 25 * 1.95 * gradient, atol=1e-6)


def test_the_rate_goes_through_one_cycle() -> None:
    """Up from a 25th of the peak to it in the first 30 % of the steps, then down to almost 0; every batch is a step."""
    rates: list[float] = []
    momenta: list[float] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])

    handle = register_optimizer_step_pre_hook(note)
    try:
        train(linear(), bright_or_dark(), epochs=5, batch_size=30, lr=0.5, generator=seeded(), progress=False)
    finally:
        handle.remove()
    peak = 10 * 0.3 - 1
    up = [0.02 + 0.48 * (1 - np.cos(np.pi * step / peak)) / 2 for step in range(3)]
    down = [2e-6 / 25 * 0.1 + 0.5 * (1 + np.cos(np.pi * (step - peak) / (9 - peak))) / 2 for step in range(3, 10)]
    assert rates == pytest.approx([*up, *down], abs=1e-4)
    assert (max(rates), rates.index(max(rates))) == (pytest.approx(0.5), 2)
    assert momenta[0] == pytest.approx(0.95)
    assert min(momenta) == pytest.approx(0.85)


def test_defaults_are_the_recipe_of_the_small_network() -> None:
    """The same steps with and without them, at most at a rate of .15: what the networks of the tutorials depend on."""
    generator, images = seeded(4), torch.rand(150, 3, 16, 16, generator=seeded())
    data = TensorDataset(images, torch.arange(150) % 2)
    rates: list[tuple[float, float]] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        group = optimizer.param_groups[0]
        rates.append((group["max_lr"], group["weight_decay"]))

    networks = []
    handle = register_optimizer_step_pre_hook(note)
    try:
        for options in ({}, RECIPES["small_cnn"].options):
            generator.manual_seed(4)
            networks.append(small_cnn(2, generator=generator))
            train(networks[-1], data, epochs=1, **options, generator=generator, progress=False)
    finally:
        handle.remove()
    assert rates == [(0.15, 5e-4)] * (2 * 3)  # 150 images in batches of 64
    for default, given in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(default, given)


def test_learns_what_can_be_learned() -> None:
    data, model = bright_or_dark(), linear()
    model[2].weight.data.neg_()  # type: ignore[index]
    assert accuracy(model, data) < 0.9
    losses = train(model, data, epochs=20, batch_size=10, lr=0.1, label_smoothing=0, generator=seeded(), progress=False)
    assert len(losses) == 20
    assert losses[-1] < 0.1 < losses[0]
    assert accuracy(model, data) == 1
    assert not model.training


def test_small_cnn_fits_digits() -> None:
    """Learning what generalises takes half a minute, so that is for the demo; fitting a few images does not."""
    generator, data = seeded(), DigitsOnPhotographs(size=24, length=40)
    model = small_cnn(generator=generator)
    train(model, data, epochs=12, batch_size=10, augment=None, generator=generator, progress=False)
    assert accuracy(model, data) > 0.9


def test_generator_decides_everything_and_is_left_alone_by_the_rest() -> None:
    models = [linear(dropout=0.5) for _ in range(3)]
    before = torch.get_rng_state()
    for model, seed in zip(models, (0, 0, 1), strict=True):
        train(model, bright_or_dark(), epochs=2, generator=seeded(seed), progress=False)
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
        before = torch.get_rng_state()
    first, again, other = (model[2].weight for model in models)  # type: ignore[index]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_generator_the_global_one_is_used() -> None:
    results = []
    for seed in (0, 0, 1):
        model = linear(dropout=0.5)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            train(model, bright_or_dark(), epochs=1, batch_size=10, progress=False)
        results.append(model[2].weight.detach())  # type: ignore[index]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_weights_are_left_contiguous() -> None:
    model = small_cnn(2)
    data = TensorDataset(torch.rand(8, 3, 16, 16), torch.arange(8) % 2)
    train(model, data, epochs=1, generator=seeded(), progress=False)
    assert all(parameter.is_contiguous() for parameter in model.parameters())


def test_bar_counts_batches(capsys: pytest.CaptureFixture[str]) -> None:
    train(linear(), bright_or_dark(), epochs=2, batch_size=20, generator=seeded())
    shown = capsys.readouterr().err
    assert "6/6" in shown
    assert "loss=" in shown
    train(linear(), bright_or_dark(), epochs=2, batch_size=20, generator=seeded(), progress=False)
    assert capsys.readouterr().err == ""


def test_shifted_images_are_crops_of_the_mirrored_image() -> None:
    """Against NumPy's padding; over many draws, every shift appears."""
    images = torch.rand(200, 2, 5, 7, generator=seeded())
    shifted = random_shift(images, seeded(1), limit=2).numpy()
    seen = set()
    for image, result in zip(images.numpy(), shifted, strict=True):
        padded = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="reflect")
        fits = [(y, x) for y in range(5) for x in range(5) if np.array_equal(padded[:, y : y + 5, x : x + 7], result)]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) == 25
    assert torch.equal(random_shift(images, seeded(1), limit=2), torch.from_numpy(shifted))


def test_predictions_and_accuracy_by_hand() -> None:
    logits = torch.tensor([[3.0, 1, 2], [0, 5, 1], [9, 8, 7], [1, 2, 3]])
    data = TensorDataset(logits, torch.tensor([0, 1, 2, 2]))
    predictions, labels = predict(Parrot(), data, batch_size=3)
    assert predictions.tolist() == [0, 1, 0, 2]
    assert labels.tolist() == [0, 1, 2, 2]
    assert accuracy(Parrot(), data, batch_size=3) == 0.75


def test_prediction_restores_the_mode_and_leaves_the_statistics() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.Flatten()).train()
    model[0].eval()
    predict(model, bright_or_dark())
    assert [module.training for module in model] == [False, True, True]
    model.train()
    predict(model, bright_or_dark())
    assert model[0].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, but 0"),
        ({"batch_size": 1.5}, r"batch_size must be an integer, but 1\.5"),
        ({"lr": 0.0}, r"lr must be finite and above 0, but 0\.0"),
        ({"weight_decay": -1}, "weight_decay must be finite and at least 0, but -1"),
        ({"label_smoothing": 2}, "label_smoothing is a share from 0 to 1, but 2"),
    ],
)
def test_bad_numbers(arguments: dict[str, float], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        train(linear(), bright_or_dark(), **{"epochs": 1} | arguments)  # type: ignore[arg-type]


def test_empty_data() -> None:
    empty = TensorDataset(torch.rand(0, 1, 6, 6), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="no images"):
        train(linear(), empty, epochs=1)
    with pytest.raises(ValueError, match="no images"):
        accuracy(linear(), empty)


@pytest.mark.parametrize("name", RECIPES)
def test_the_generator_decides_the_network(name: str) -> None:
    before = torch.get_rng_state()
    first, same, other = (RECIPES[name].make(7, torch.Generator().manual_seed(seed)).eval() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[key]), key
    size = 40 if name in ("resnet18", "squeezenet1_0") else 32
    inputs = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = first(inputs)
        assert logits.shape == (1, 7)
        assert not torch.allclose(logits, other(inputs))


def test_every_image_is_a_shift_of_itself_or_of_its_mirror_image() -> None:
    images = torch.rand(40, 2, 12, 12, generator=torch.Generator().manual_seed(1)) + 1
    shifted = shift_and_flip(images, torch.Generator().manual_seed(2))
    assert torch.equal(shifted, shift_and_flip(images, torch.Generator().manual_seed(2)))
    mirrored = 0
    for image, result in zip(images, shifted, strict=True):
        matches = [
            (flip, down, right)
            for flip, original in ((False, image), (True, image.flip(-1)))
            for down in range(-4, 5)
            for right in range(-4, 5)
            # What stays in the picture for sure, whatever fills the border.
            if torch.equal(result[:, 4:8, 4:8], original[:, 4 + down : 8 + down, 4 + right : 8 + right])
        ]
        assert len(matches) == 1
        mirrored += matches[0][0]
    assert 8 < mirrored < 32


@pytest.mark.parametrize("name", RECIPES)
def test_descriptions_hold_what_decides_the_training(name: str) -> None:
    described = RECIPES[name].describe()
    assert json.loads(json.dumps(described)) == described
    assert {*described, "make"} == {field.name for field in dataclasses.fields(TrainingRecipe)}
    assert dataclasses.replace(RECIPES[name], lr=9.0).describe() != described
    assert dataclasses.replace(RECIPES[name], augment=None).describe()["augment"] is None


def test_the_recipes() -> None:
    """What decides how long the networks of the evidence were trained, and how fast."""
    rates = {name: (recipe.lr, recipe.batch_size, recipe.weight_decay) for name, recipe in RECIPES.items()}
    assert rates == {
        "small_cnn": (0.15, 64, 5e-4),
        **{f"resnet{depth}": (0.4, 128, 5e-4) for depth in (20, 32, 44, 56)},
        "resnet18": (0.1, 64, 5e-4),
        "squeezenet1_0": (0.04, 64, 2e-4),
    }
    smoothing = {name: recipe.label_smoothing for name, recipe in RECIPES.items()}
    assert smoothing == {name: 0.0 if name[6:] in ("20", "32", "44", "56") else 0.1 for name in RECIPES}
    augmented = {name: recipe.augment for name, recipe in RECIPES.items()}
    assert augmented == {name: random_shift if name == "small_cnn" else shift_and_flip for name in RECIPES}

"""Training and evaluation: one step by hand, reproducibility, and data that can be learnt."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from captum_superpixel.datasets import DigitsOnPhotographs
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.training import accuracy, predict, random_shift, train


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
    weight = model[2].weight.detach().clone().double()  # type: ignore[index,union-attr,operator]
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
    updated = model[2].weight.detach().double()  # type: ignore[index,union-attr,operator]
    assert torch.allclose(updated, weight - lr / 25 * 1.95 * gradient, atol=1e-6)


def test_learns_what_can_be_learnt() -> None:
    data, model = bright_or_dark(), linear()
    model[2].weight.data.neg_()  # type: ignore[index,union-attr,operator]
    assert accuracy(model, data) < 0.9
    losses = train(model, data, epochs=20, batch_size=10, lr=0.1, label_smoothing=0, generator=seeded(), progress=False)
    assert len(losses) == 20
    assert losses[-1] < 0.1 < losses[0]
    assert accuracy(model, data) == 1
    assert not model.training


def test_small_cnn_fits_digits() -> None:
    """Learning what generalises takes half a minute, so that is for the demo; fitting a few images does not."""
    generator, data = seeded(), DigitsOnPhotographs(length=100)
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
    first, again, other = (model[2].weight for model in models)  # type: ignore[index,operator]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_generator_the_global_one_is_used() -> None:
    results = []
    for seed in (0, 0, 1):
        model = linear(dropout=0.5)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            train(model, bright_or_dark(), epochs=1, batch_size=10, progress=False)
        results.append(model[2].weight.detach())  # type: ignore[index,union-attr,operator]
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
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 1.5}, r"batch_size=1\.5"),
        ({"lr": 0.0}, r"lr=0\.0 must be above 0"),
        ({"weight_decay": -1}, "weight_decay=-1"),
        ({"label_smoothing": 2}, "label_smoothing=2 must be from 0 to 1"),
    ],
)
def test_bad_numbers(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(linear(), bright_or_dark(), **arguments)  # type: ignore[arg-type]


def test_empty_data() -> None:
    empty = TensorDataset(torch.rand(0, 1, 6, 6), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="no images"):
        train(linear(), empty)
    with pytest.raises(ValueError, match="no images"):
        accuracy(linear(), empty)

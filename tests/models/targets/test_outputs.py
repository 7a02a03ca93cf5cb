"""Several outputs at once are what their sum, mean or difference is, and so are their attributions."""

from typing import Any

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn

from captum_superpixel._checks import InputError
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.models.targets import OutputsTarget

LOGITS = torch.tensor([[1.0, 2, 4], [0, -3, 5]])


@pytest.mark.parametrize(
    ("outputs", "combine", "expected"),
    [
        ([0, 2], "sum", [5.0, 5.0]),
        ([2], "sum", [4.0, 5.0]),
        ([0, 2], "mean", [2.5, 2.5]),
        ([2, 1], "difference", [2.0, 8.0]),
        ([1, 0, 2], "difference", [-0.5, -5.5]),
    ],
)
def test_combinations(outputs: list[int], combine: Any, expected: list[float]) -> None:
    for network in (nn.Flatten(), Answers()):
        assert OutputsTarget(network, outputs, combine=combine)(LOGITS).tolist() == expected


class Answers(nn.Module):
    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": images}


def test_attributions_are_combined_alike() -> None:
    network = small_cnn(generator=torch.Generator().manual_seed(0)).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    by_class = [IntegratedGradients(network).attribute(images, target=c, n_steps=5) for c in (3, 7, 1)]
    target = OutputsTarget(network, [3, 7, 1], combine="difference")
    expected = by_class[0] - (by_class[1] + by_class[2]) / 2
    assert torch.allclose(IntegratedGradients(target).attribute(images, n_steps=5), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OutputsTarget(nn.Flatten(), [], combine="sum"), r"that were passed are none"),
        (lambda: OutputsTarget(nn.Flatten(), [1, 1], combine="sum"), r"outputs 1, 1 .* hold one twice"),
        (lambda: OutputsTarget(nn.Flatten(), [1], combine="difference"), r"difference of 1 output"),
        (lambda: OutputsTarget(nn.Flatten(), [0, 3], combine="sum")(LOGITS), r"output 3 is none .* which has 3"),
        (lambda: OutputsTarget(nn.Identity(), [0], combine="sum")(torch.ones(2, 3, 4)), r"shape \(2, 3, 4\) for 2"),
    ],
)
def test_what_cannot_be_used(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match=r"combine='max' is unknown"):
        OutputsTarget(nn.Flatten(), [0], combine="max")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a sequence of indices, but 3 was passed"):
        OutputsTarget(nn.Flatten(), 3, combine="sum")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"an output must be at least 0, but -1"):
        OutputsTarget(nn.Flatten(), [-1], combine="sum")

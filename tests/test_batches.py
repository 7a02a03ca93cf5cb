"""How many images a network is given at once, where nobody says."""

import pytest
import torch

from captum_superpixel._batches import checked_batch_size, images_at_once
from captum_superpixel.metrics import deletion_auc, irof, mu_fidelity, road


@pytest.mark.parametrize(
    ("size", "on_cpu", "elsewhere"),
    [
        ((8, 8), 32, 64),
        ((112, 112), 16, 64),
        ((224, 224), 4, 64),
        ((2000, 2000), 1, 1),
        ((10, 224, 224), 1, 6),
        ((), 32, 64),
    ],
)
def test_as_many_as_a_device_bears(size: tuple[int, ...], on_cpu: int, elsewhere: int) -> None:
    assert images_at_once(torch.empty(1, 1, *size)) == on_cpu
    assert images_at_once(torch.empty(5, 3, *size, device="meta")) == elsewhere


def test_what_a_caller_says_holds() -> None:
    inputs = torch.empty(1, 1, 224, 224)
    assert (checked_batch_size(None, inputs), checked_batch_size(100, inputs)) == (4, 100)


@pytest.mark.parametrize("metric", [deletion_auc, irof, mu_fidelity, road])
def test_metrics_hold_no_more_images_than_that(metric: object) -> None:
    seen: list[int] = []

    def model(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return images.mean(dim=(1, 2, 3))

    inputs = torch.rand(3, 1, 160, 160, generator=torch.Generator().manual_seed(0))
    options = {"feature_mask": torch.arange(160**2).view(1, 1, 160, 160) // 2560} if metric is irof else {}
    assert callable(metric)
    metric(model, inputs, inputs, softmax=False, **options)
    assert max(seen) == 7  # 4 * 224**2 / 160**2 = 7.8

"""How much is asked of a device: upper bounds on operations, on waits of the host, and on copies from it."""

from collections.abc import Callable

import pytest
import torch
from foreign_device import counted, foreign

from captum_superpixel import pool_segments
from captum_superpixel.attr import segment_images
from captum_superpixel.masks import Grid, Slic, multiscale

IMAGES = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
IMAGES = torch.nn.functional.interpolate(IMAGES, (64, 64), mode="bilinear")

CALLS: dict[str, tuple[Callable[[torch.Tensor], object], tuple[int, int, int]]] = {
    "Slic": (Slic(30), (600, 24, 5)),
    "multiscale": (lambda images: segment_images(multiscale(), images), (1500, 52, 12)),
    "Grid": (Grid(30), (15, 0, 0)),
    "pool_segments": (lambda images: pool_segments(images, Grid(30)(images)), (34, 3, 0)),
}


@pytest.mark.parametrize(("call", "most"), CALLS.values(), ids=CALLS)
def test_counts(call: Callable[[torch.Tensor], object], most: tuple[int, int, int]) -> None:
    images = foreign(IMAGES)
    call(images)
    with counted() as count:
        call(images)
    assert count.launches.total() <= most[0]
    assert count.reads.total() <= most[1]
    assert count.uploads.total() <= most[2]


def test_more_images_are_no_more_launches_of_colors() -> None:
    small, large = (foreign(IMAGES.repeat(times, 1, 1, 1)) for times in (1, 8))
    found = []
    for images in (small, large):
        with counted() as count:
            Slic(30)(images)
        found.append(sum(number for name, number in count.launches.items() if name.startswith("clamp")))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "call", [Slic(30), lambda images: segment_images(multiscale(), images)], ids=["Slic", "multiscale"]
)
def test_copies_of_images_ask_for_nothing_more(call: Callable[[torch.Tensor], object]) -> None:
    """Nothing is done image by image, also where specks grow and where segments are missing."""
    noise = torch.rand(IMAGES.shape, generator=torch.Generator().manual_seed(1))
    mixed = torch.cat([IMAGES[:3], (0.7 * IMAGES + 0.3 * noise)[:3], IMAGES[:2].round()])
    counts = []
    for times in (1, 4):
        images = foreign(mixed.repeat(times, 1, 1, 1))
        call(images)
        with counted() as count:
            call(images)
        counts.append(count)
    assert counts[0] == counts[1]


def test_views_and_allocations_are_not_counted() -> None:
    values = foreign(torch.arange(6.0))
    with counted() as count:
        values.view(2, 3)[0].t()
        torch.empty(3, device=values.device)
    assert (count.launches.total(), count.reads.total(), count.uploads.total()) == (0, 0, 0)
    with counted() as count:
        values += 1
        values[values > 2].sum().item()
        values + torch.tensor([1.0]).to(values.device)
    assert count.launches == {
        "add_.Tensor": 1, "gt.Scalar": 1, "index.Tensor": 1, "sum.default": 1, "_local_scalar_dense.default": 1,
        "copy_.default": 1, "add.Tensor": 1,
    }  # fmt: skip
    assert count.reads == {"index.Tensor": 1, "_local_scalar_dense.default": 1}
    assert count.uploads == {"copy_.default": 1}

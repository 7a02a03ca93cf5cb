"""Mosaics: different classes, sure images, none again before all had their turn, and each image in its place."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from captum_superpixel.datasets import choose_mosaics, lay_out_mosaics


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images_of(count: int) -> tuple[Tensor, Tensor]:
    """Labels of ten classes, and confidences that rise with the number of the image."""
    return torch.arange(count) % 10, torch.linspace(0, 1, count)


@pytest.mark.parametrize("side", [2, 3])
def test_mosaics_are_of_sure_images_of_different_classes(side: int) -> None:
    labels, confidences = images_of(100)
    chosen = choose_mosaics(labels, confidences, 30, side=side, minimum=0.5, generator=generator())
    assert chosen.shape == (30, side * side)
    assert chosen.dtype == torch.int64
    assert confidences[chosen].min() >= 0.5
    for mosaic in chosen:
        assert len(labels[mosaic].unique()) == side * side
    assert len(chosen.unique()) == 50


def test_what_is_just_sure_enough_is_taken() -> None:
    labels, confidences = torch.arange(5), torch.tensor([0.5, 0.4, 0.5, 0.5, 0.5])
    assert sorted(choose_mosaics(labels, confidences, 1, minimum=0.5)[0].tolist()) == [0, 2, 3, 4]


def test_no_image_recurs_before_all_had_their_turn() -> None:
    """Of sixteen images of as many classes four mosaics take each once, and eight take each twice."""
    labels, confidences = torch.arange(16), torch.ones(16)
    chosen = choose_mosaics(labels, confidences, 8, generator=generator(3))
    for half in (chosen[:4], chosen[4:]):
        assert sorted(half.flatten().tolist()) == list(range(16))
    assert not torch.equal(chosen[:4], chosen[4:])


def test_images_that_were_passed_over_come_next() -> None:
    """Nearly all images are of one class: each mosaic takes one of these, in turn, and waits for none of the others."""
    labels = torch.tensor([0] * 12 + [1, 2, 3])
    chosen = choose_mosaics(labels, torch.ones(15), 12, generator=generator(1))
    common = chosen[labels[chosen] == 0]
    assert len(common) == 12
    assert len(chosen.unique()) == 15


def test_the_choice_is_drawn_from_the_generator_and_more_mosaics_begin_with_the_same() -> None:
    labels, confidences = images_of(60)
    few, many = (choose_mosaics(labels, confidences, count, generator=generator(2)) for count in (5, 40))
    assert torch.equal(few, many[:5])
    assert not torch.equal(few, choose_mosaics(labels, confidences, 5, generator=generator(4)))
    default = choose_mosaics(labels, confidences, 5)
    assert torch.equal(default, choose_mosaics(labels, confidences, 5, generator=generator(0)))
    # Every image is as likely in one cell as in another.
    cells = torch.stack([(many == image).sum(dim=0) for image in many.unique()]).sum(dim=0)
    assert cells.tolist() == [40] * 4
    assert len(many[:, 0].unique()) > 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minimum": 0.9}, r"2 of 12 images have a confidence of at least 0\.9, of 2 classes, .* 2 x 2 shows 4: pass"),
        ({"side": 4}, r"12 of 12 images have a confidence of at least 0, of 10 classes, .* 4 x 4 shows 16"),
        ({"count": 0}, "count must be at least 1, but 0"),
        ({"side": 0}, "side must be at least 1, but 0"),
        ({"minimum": -1}, "minimum must be finite and at least 0, but -1"),
        ({"labels": torch.arange(11)}, "11 labels came with 12 confidences"),
        ({"labels": torch.ones(12, 1, dtype=torch.int64)}, r"labels must have shape \(N,\).* has shape \(12, 1\)"),
        ({"labels": torch.ones(12)}, r"labels must be integers, .*, but torch\.float32"),
        ({"labels": list(range(12))}, "labels must be a tensor of shape .*, but a list"),
        ({"confidences": torch.ones(12, dtype=torch.bool)}, r"confidences must be real numbers, but torch\.bool"),
        ({"confidences": torch.tensor([torch.nan] * 12)}, r"12 of 12 confidences \(index 0, 1, .*\) are NaN"),
        ({"generator": 3}, r"generator=3 is not a torch\.Generator"),
    ],
)
def test_what_cannot_be_chosen_from(changes: dict[str, Any], message: str) -> None:
    labels, confidences = images_of(12)
    given: dict[str, Any] = {"labels": labels, "confidences": confidences, "count": 2} | changes
    with pytest.raises((TypeError, ValueError), match=message):
        choose_mosaics(**given)


def test_images_keep_their_size_and_stand_in_rows() -> None:
    images = torch.rand(2, 9, 3, 4, 5, generator=generator())
    mosaics = lay_out_mosaics(images)
    assert mosaics.shape == (2, 3, 12, 15)
    for cell in range(9):
        row, column = divmod(cell, 3)
        part = mosaics[:, :, 4 * row : 4 * row + 4, 5 * column : 5 * column + 5]
        assert torch.equal(part, images[:, cell])


def test_scaled_images_are_what_pillow_makes_of_them() -> None:
    images = torch.rand(1, 4, 3, 32, 24, generator=generator(1))
    mosaic = lay_out_mosaics(images, scaled=True)
    assert mosaic.shape == (1, 3, 32, 24)
    for cell in range(4):
        row, column = divmod(cell, 2)
        part = mosaic[0, :, 16 * row : 16 * row + 16, 12 * column : 12 * column + 12]
        for found, channel in zip(part, images[0, cell], strict=True):
            expected = Image.fromarray(channel.numpy()).resize((12, 16), Image.Resampling.BILINEAR)
            np.testing.assert_allclose(found.numpy(), np.asarray(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("images", "scaled", "message"),
    [
        (torch.ones(2, 5, 3, 4, 4), False, r"images have shape \(2, 5, 3, 4, 4\): pass \(M, side\^2, C, H, W\)"),
        (torch.ones(4, 3, 4, 4), False, r"images have shape \(4, 3, 4, 4\)"),
        (torch.ones(0, 4, 3, 4, 4), False, r"images have shape \(0, 4, 3, 4, 4\)"),
        (torch.ones(1, 4, 3, 5, 4), True, "images of 5 x 4 pixels cannot be scaled to 2 x 2 cells"),
        (torch.ones(1, 4, 3, 4, 4, dtype=torch.uint8), False, r"images must be .*, but is of torch\.uint8"),
        ([1.0], False, "images must be .*, but is a list"),
    ],
)
def test_what_cannot_be_laid_out(images: Any, scaled: bool, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        lay_out_mosaics(images, scaled=scaled)

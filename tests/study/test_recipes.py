"""Recipes: every network can be made, by its seed alone; and the augmentation shifts and mirrors."""

import dataclasses
import json

import pytest
import torch

from captum_superpixel.study.recipes import RECIPES, Recipe, shift_and_flip


@pytest.mark.parametrize("name", RECIPES)
def test_the_generator_decides_the_network(name: str) -> None:
    before = torch.get_rng_state()
    first, same, other = (RECIPES[name].make(7, torch.Generator().manual_seed(seed)).eval() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[key]), key
    size = 64 if name in ("resnet18", "squeezenet1_0") else 32
    inputs = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = first(inputs)
        assert logits.shape == (2, 7)
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
    assert {*described, "make"} == {field.name for field in dataclasses.fields(Recipe)}
    assert dataclasses.replace(RECIPES[name], lr=9.0).describe() != described
    assert dataclasses.replace(RECIPES[name], augment=None).describe()["augment"] is None

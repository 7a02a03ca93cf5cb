"""Specks that grow, on drawings, against a loop over pixels, and inside of the connecting of clusters."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from skimage.measure import label
from torch import Tensor

from captum_superpixel.masks.slic._growing import grow
from captum_superpixel.masks.slic._largest import keep_largest


def draw(*rows: str) -> Tensor:
    """One image of digits, of which a dot is -1 and a # is -2."""
    return torch.tensor(
        [[".#".find(character) * -1 - 1 if character in ".#" else int(character) for character in row] for row in rows]
    )[None]


def grown(seeds: Tensor, colors: Sequence[float], shades: Tensor, least: Sequence[int], **settings: Tensor) -> Tensor:
    """Which part an element is in afterward; here colors have one channel, and shades ``(N, *spatial)``."""
    places, whose = grow(seeds, torch.tensor(colors)[:, None], shades[:, None].float(), torch.tensor(least), **settings)
    assert (seeds.flatten()[places] == -1).all()
    return seeds.flatten().index_copy(0, places, whose).view(seeds.shape)


def grow_by_loop(seeds: Tensor, colors: Tensor, shades: Tensor, least: Tensor, areas: Tensor) -> Tensor:
    """The rule of `grow`, element by element, for one image ``(H, W)``."""
    owner = {place: int(seeds[place]) for place in itertools.product(*map(range, seeds.shape))}
    while True:
        missing = [
            int(needed) - sum(int(areas[p]) for p in owner if owner[p] == part) for part, needed in enumerate(least)
        ]
        reached: dict[tuple[int, int], int] = {}
        for (row, column), part in owner.items():
            if part >= 0 and missing[part] > 0:
                for place in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                    if owner.get(place) == -1:
                        reached[place] = min(part, reached.get(place, part))
        if not reached:
            return torch.tensor([owner[place] for place in sorted(owner)]).view(seeds.shape)
        for part, needed in enumerate(missing):
            mine = [place for place in sorted(reached) if reached[place] == part]
            mine.sort(key=lambda place, part=part: float((shades[:, *place] - colors[part]).square().sum()))
            room, took = min(needed, -(-sum(int(areas[place]) for place in mine) // 4)), 0
            for place in mine:
                if took < room:
                    owner[place] = part
                    took += int(areas[place])


def test_a_speck_takes_what_is_most_like_it() -> None:
    """A star of two pixels with its halo to the right: 5 pixels of 9 and 6, and not the black ones that are as near."""
    shades = draw(
        "00000000",
        "00896600",
        "00096000",
        "00000000",
    )
    seeds = draw(
        "........",
        "...0....",
        "...0....",
        "........",
    )
    expected = draw(
        "........",
        "..0000..",
        "...00...",
        "........",
    )
    assert grown(seeds, [9.0], shades, [6]).tolist() == expected.tolist()
    assert grown(seeds, [9.0], shades, [2]).tolist() == seeds.tolist()


def test_two_share_what_is_between_them_and_take_nothing_that_may_not_be_taken() -> None:
    seeds = draw("0...1", "##.##")
    assert grown(seeds, [1.0, 1.0], torch.zeros(1, 2, 5), [9, 9]).tolist() == draw("00011", "##0##").tolist()


def test_images_do_not_reach_into_one_another_nor_around_their_edges() -> None:
    seeds = torch.cat([draw("..0", "..."), draw("...", "1..")])
    shades = torch.ones(2, 2, 3)
    shades[0, 1, 0] = shades[1, 0] = 0
    found = grown(seeds, [0.0, 1.0], shades, [6, 4])
    assert found[0].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert (found[1] == 1).sum() == 4
    assert found[1, 1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("seed", range(6))
def test_growing_is_the_same_as_by_a_loop(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    seeds = torch.where(torch.rand(9, 11, generator=generator) < 0.15, -2, -1)
    places = torch.randperm(99, generator=generator)[:4]
    seeds.view(-1)[places] = torch.arange(4)
    shades = torch.randint(-9, 9, (2, 9, 11), generator=generator).float()
    colors = torch.randint(-9, 9, (4, 2), generator=generator)
    least = torch.tensor([1, 7, 12, 30])
    areas = torch.randint(1, 4, (9, 11), generator=generator) if seed % 2 else torch.ones(9, 11, dtype=torch.int64)
    taken, whose = grow(seeds[None], colors, shades[None], least, areas if seed % 2 else None)
    found = seeds.flatten().index_copy(0, taken, whose).view(seeds.shape)
    assert torch.equal(found, grow_by_loop(seeds, colors, shades, least, areas))
    for part in range(4):
        assert label((found == part).numpy(), connectivity=1).max() == 1


def test_a_speck_among_the_largest_grows_and_what_it_cuts_off_is_merged() -> None:
    """The star 2 takes three gray pixels to its left, and the black ones below, cut off and too few, join it."""
    clusters = draw(
        "0001111",
        "0001111",
        "0021111",
        "0001111",
    ).int()
    colors = torch.tensor([[[0.0], [500.0], [90.0]]])
    shades = colors[0, :, 0][clusters.long()][:, None]
    shades[0, 0, 1:3, :2] = 80
    expected = draw(
        "0001111",
        "0201111",
        "2221111",
        "2221111",
    )
    least = torch.tensor([4])
    segments, counts = keep_largest(clusters, colors, 3, least=least, shades=lambda rows: shades[rows])
    assert counts.tolist() == [3]
    assert segments.tolist() == expected.tolist()
    # Without the colors of pixels it is merged.
    segments, counts = keep_largest(clusters, colors, 3, least=least)
    assert segments.tolist() == draw("0001111", "0001111", "0001111", "0001111").tolist()


@pytest.mark.parametrize("least", [1, 3, 8, 20])
@pytest.mark.parametrize("n_segments", [3, 12, 40])
def test_segments_stay_connected_and_large_enough(least: int, n_segments: int) -> None:
    generator = torch.Generator().manual_seed(least)
    clusters = torch.randint(0, 5, (3, 7, 8), generator=generator, dtype=torch.int32).repeat_interleave(3, 1)
    clusters = clusters.repeat_interleave(3, 2)
    clusters[torch.rand(clusters.shape, generator=generator) < 0.1] = 5
    colors = torch.randint(-2000, 2000, (3, 6, 3), generator=generator).float()
    shades = torch.stack([values[image.long()] for values, image in zip(colors, clusters, strict=True)]).movedim(3, 1)
    bounds = torch.tensor([least, 1, least])
    segments, counts = keep_largest(clusters, colors, n_segments, least=bounds, shades=lambda rows: shades[rows])
    plain, _ = keep_largest(clusters, colors, n_segments)
    for index, (image, count) in enumerate(zip(segments.numpy(), counts.tolist(), strict=True)):
        assert np.unique(image).tolist() == list(range(count))
        assert label(image, connectivity=1, background=-1).max() == count <= n_segments
        assert np.bincount(image.ravel()).min() >= bounds[index]
        one = slice(index, index + 1)
        alone = keep_largest(
            clusters[one], colors[one], n_segments, least=bounds[one], shades=lambda rows, one=one: shades[one][rows]
        )
        assert torch.equal(alone[0][0], segments[index])
        if plain[index].flatten().bincount().min() >= bounds[index]:
            assert torch.equal(plain[index], segments[index])

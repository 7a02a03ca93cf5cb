"""How sure regions are, in pictures: firm and faint outlines, probabilities below ranks and in lists."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from captum_superpixel.regions import RegionTable, region_table
from captum_superpixel.visualization import visualize_superpixels, visualize_top_regions

MASK = np.kron(np.arange(12).reshape(3, 4), np.ones((6, 6), dtype=np.int64))
IMAGE = np.random.default_rng(0).random((18, 24, 3))
VALUES = 12.0 - MASK
"""Twelve regions of 36 pixels; region 0 is the first, 11 the last."""


CHANCES = dict(enumerate([0.94, 0.8, 0.61, 0.3, 0.25, 0.2, 0.15, 0.1, 0.08, 0.05, 0.02, 0.001]))


def table(chances=CHANCES, mask=MASK, k=3, images=1):
    maps = torch.from_numpy(VALUES).expand(images, 1, -1, -1)
    rows = region_table(maps, torch.from_numpy(mask)[None, None])
    return RegionTable(tuple(replace(region, stays_top=chances.get(region.id, 0.5)) for region in rows), k=k)


TABLE = table()


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_each_region_that_is_shown_has_its_rank_and_its_probability():
    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, k=3, confidence=TABLE)
    assert texts(axis) == ["1", "94 %", "2", "80 %", "3", "61 %"]
    lines = axis.get_title().split("\n")
    assert lines[0] == "top 3 of 12 regions, 25 % of the picture"
    assert lines[1] == "%: chance of the top 3 in another network"


def test_sure_regions_are_outlined_firmly_and_unsure_ones_faintly():
    """Each region by itself, of which the map makes the first."""
    opacities, widths = [], []
    for region in (0, 4, 11):
        _, axis = visualize_top_regions(
            IMAGE, np.where(region == MASK, 100.0, 0.0), MASK, k=1, confidence=TABLE, border_color="red"
        )
        line = np.asarray(axis.images[1].get_array())
        assert set(np.unique(line[..., 3])) == {0, round(255 * (0.25 + 0.75 * CHANCES[region]))}
        opacities.append(line[..., 3].max())
        red = (line[..., 0] == 255) & (line[..., 3] > 0)
        factor = len(line) // len(MASK)
        row = factor * (6 * (region // 4) + 3)
        # Through the middle of each of these, which lie at an edge of the picture, a row meets the line once.
        widths.append(red[row].sum())
    assert opacities == sorted(opacities, reverse=True)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] >= 2 * widths[-1]


def test_where_two_meet_the_firmer_line_shows():
    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, k=3, confidence=TABLE)
    line = axis.images[1].get_array()
    factor = line.shape[0] // MASK.shape[0]
    meeting = line[factor * 2 : factor * 4, factor * 6]  # of regions 0 and 1, away from the corners
    assert_array_equal(np.unique(meeting[:, 3]), [round(255 * (0.25 + 0.75 * CHANCES[0]))])
    reverse = table({0: 0.1, 1: 0.9})
    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, k=3, confidence=reverse)
    meeting = axis.images[1].get_array()[factor * 2 : factor * 4, factor * 6]
    assert_array_equal(np.unique(meeting[:, 3]), [round(255 * (0.25 + 0.75 * 0.9))])


def test_without_confidence_nothing_changes():
    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, k=3)
    assert texts(axis) == []
    assert "%:" not in axis.get_title()


def test_the_map_has_probabilities_below_ranks_and_in_its_list():
    figure, axis = visualize_superpixels(IMAGE, VALUES, MASK, k=2, confidence=TABLE)
    assert texts(axis) == ["1", "94 %", "2", "80 %"]
    legend = axis.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["1:  12.0,  94 %", "2:  11.0,  80 %"]
    assert "%: chance of the top 3 in another network" in " ".join(legend.get_title().get_text().split("\n"))
    figure.draw_without_rendering()
    assert len(axis.images) == 4  # the picture, the map, all borders, and the outlines
    plain = visualize_superpixels(IMAGE, VALUES, MASK, k=2)[1]
    assert [text.get_text() for text in plain.get_legend().get_texts()] == ["1:  12.0", "2:  11.0"]
    borders, before = axis.images[2].get_array(), plain.images[2].get_array()
    assert 0 < borders[..., 3].max() < before[..., 3].max()


def test_a_region_of_unknown_probability_has_a_rank_alone():
    sure = table({**CHANCES, 0: np.nan})
    _, axis = visualize_superpixels(IMAGE, VALUES, MASK, k=2, confidence=sure)
    assert texts(axis) == ["1", "2", "80 %"]
    assert axis.get_legend().get_texts()[0].get_text() == "1:  12.0"
    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, k=1, confidence=sure)
    assert texts(axis) == ["1"]


@pytest.mark.parametrize("draw", [visualize_superpixels, visualize_top_regions])
@pytest.mark.parametrize(
    ("confidence", "error", "message"),
    [
        ({0: 0.5}, TypeError, "confidence must be a RegionTable or None, but dict was passed"),
        (table(k=None), ValueError, "confidence has no probabilities: pass region_table(…, draws=…, k=3)"),
        (table(images=2), ValueError, "confidence holds 2 images, but a picture is one: pass table.of_image(0) of it"),
        (table(mask=MASK + 12), ValueError, "other regions: 0 is in one of them alone"),
        (TABLE[:5], ValueError, "other regions: 5 is in one of them alone"),
    ],
)
def test_tables_that_do_not_fit(draw, confidence, error, message):
    with pytest.raises(error, match=re.escape(message)):
        draw(IMAGE, VALUES, MASK, k=2, confidence=confidence)

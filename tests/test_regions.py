"""The table of regions, against scikit-image and by hand; and the choice of the most important ones."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
from skimage.measure import regionprops
from torch import Tensor

from captum_superpixel.pooling import Reduction, pool_segments
from captum_superpixel.regions import Region, region_table, top_regions

MASK = torch.tensor([[[[7, 7, 2, 2], [7, 7, 2, 9], [7, 7, 9, 9]]]])
MAPS = torch.tensor([[[[1.0, 2, 4, 4], [1, 2, 4, -5], [0, 0, -5, -5]]]])
"""Means 1, 4, -5 and sums 6, 12, -15 of the regions 7, 2, 9, of 6, 3 and 3 pixels."""


def random_maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_mask(*shape: int, count: int = 9) -> Tensor:
    return torch.randint(0, count, shape, generator=torch.Generator().manual_seed(4)) * 1000 + 3


def chosen(marked: Tensor, mask: Tensor) -> set[int]:
    """Ids of the marked regions, all of whose pixels must be marked."""
    inside = set(mask[marked].tolist())
    assert torch.equal(marked, torch.isin(mask, torch.tensor(sorted(inside), dtype=torch.long)))
    return inside


def test_a_table_drawn_by_hand() -> None:
    first, second, third = region_table(MAPS, MASK)
    assert first == Region(0, 1, 2, 3, 0.25, (1 / 3, 7 / 3), (0, 2, 2, 4), 4.0, (4.0,), 0.4)
    assert second == Region(0, 2, 7, 6, 0.5, (1.0, 0.5), (0, 0, 3, 2), 1.0, (1.0,), 0.1)
    assert third == Region(0, 3, 9, 3, 0.25, (5 / 3, 8 / 3), (1, 2, 3, 4), -5.0, (-5.0,), 0.5)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("mean", {7: 1.0, 2: 4.0, 9: -5.0}),
        ("sum", {7: 6.0, 2: 12.0, 9: -15.0}),
        ("abs_mean", {7: 1.0, 2: 4.0, 9: 5.0}),
        ("max", {7: 2.0, 2: 4.0, 9: -5.0}),
    ],
)
def test_scores_ranks_and_shares_follow_the_reduction(reduction: Reduction, expected: dict[int, float]) -> None:
    table = region_table(MAPS, MASK, reduction=reduction)
    assert {region.id: region.score for region in table} == expected
    total = sum(map(abs, expected.values()))
    assert {region.id: region.share for region in table} == pytest.approx(
        {id_: abs(score) / total for id_, score in expected.items()}
    )
    assert [region.id for region in table] == sorted(expected, key=lambda id_: -expected[id_])
    assert [region.rank for region in table] == [1, 2, 3]


def test_rank_by_magnitude_puts_strong_evidence_against_first() -> None:
    assert [region.id for region in region_table(MAPS, MASK, by="magnitude")] == [9, 2, 7]


def test_equal_regions_stand_in_the_order_of_their_ids() -> None:
    mask = torch.tensor([[[[5, 5, 2**62, 1, 8]]]])
    values = torch.tensor([[[[1.0, 1.0, 1.0, 1.0, 2.0]]]])
    assert [region.id for region in region_table(values, mask)] == [8, 1, 5, 2**62]
    assert [region.id for region in region_table(-values, mask, by="magnitude")] == [8, 1, 5, 2**62]
    assert chosen(top_regions(values, mask, k=2), mask) == {8, 1}


def test_geometry_is_that_of_scikit_image() -> None:
    mask, values = random_mask(3, 1, 12, 17), random_maps(3, 2, 12, 17)
    table = region_table(values, mask)
    for n in range(3):
        # regionprops takes 0 for the background, and the ids here start at 3.
        properties = regionprops(mask[n, 0].numpy(), values[n].movedim(0, -1).double().numpy())  # type: ignore[no-untyped-call]
        rows = {region.id: region for region in table.of_image(n)}
        assert set(rows) == {item.label for item in properties}
        for item in properties:
            region = rows[item.label]
            assert region.area == item.area
            assert region.area_share == item.area / mask[n].numel()
            assert region.bounding_box == item.bbox
            assert region.centroid == pytest.approx(item.centroid)
            assert region.channel_scores == pytest.approx(item.intensity_mean)
            assert region.score == pytest.approx(item.intensity_mean.sum())


def test_sums_of_the_regions_are_the_sum_of_the_map() -> None:
    mask, values = random_mask(2, 1, 9, 9), random_maps(2, 3, 9, 9)
    table = region_table(values, mask, reduction="sum")
    for n in range(2):
        rows = table.of_image(n)
        assert sum(region.score for region in rows) == pytest.approx(values[n].double().sum().item())
        assert sum(region.area for region in rows) == 81
        assert sum(region.share for region in rows) == pytest.approx(1)
        assert [region.rank for region in rows] == list(range(1, len(rows) + 1))
        assert [region.score for region in rows] == sorted((region.score for region in rows), reverse=True)


def test_a_grouped_map_has_the_scores_of_its_map() -> None:
    mask, values = random_mask(2, 1, 9, 9), random_maps(2, 3, 9, 9)
    pooled = region_table(pool_segments(values, mask), mask)
    for before, after in zip(region_table(values, mask), pooled, strict=True):
        assert (after.image, after.id, after.rank) == (before.image, before.id, before.rank)
        assert after.channel_scores == pytest.approx(before.channel_scores, abs=1e-6)


def test_a_batch_gives_what_its_images_give() -> None:
    # The second image has fewer regions, and the third other ids.
    mask = torch.stack([random_mask(1, 8, 8), random_mask(1, 8, 8, count=2), random_mask(1, 8, 8) * 2**40])
    values = random_maps(4, 3, 2, 8, 8)
    for several in (values, values[0]):
        table = region_table(several, mask)
        for n in range(3):
            alone = region_table(several[..., n : n + 1, :, :, :], mask[n : n + 1])
            assert [dataclasses.replace(region, image=n) for region in alone] == list(table.of_image(n))


def test_one_mask_for_all_images() -> None:
    mask, values = random_mask(1, 1, 8, 8), random_maps(3, 2, 8, 8)
    assert region_table(values, mask) == region_table(values, mask.expand(3, -1, -1, -1))
    for options in ({"k": 3}, {"fraction": 0.4}, {"mass": 0.7}):
        together = top_regions(values, mask.expand(3, -1, -1, -1), **options)
        assert torch.equal(top_regions(values, mask, **options), together)


def test_a_map_of_zeros_has_shares_of_zero() -> None:
    table = region_table(torch.zeros(1, 2, 3, 4), MASK)
    assert [(region.id, region.rank, region.score, region.share) for region in table] == [
        (2, 1, 0, 0),
        (7, 2, 0, 0),
        (9, 3, 0, 0),
    ]


def test_half_precision_does_not_overflow() -> None:
    values = torch.full((1, 1, 100, 100), 100.0, dtype=torch.float16)
    (region,) = region_table(values, torch.zeros(1, 1, 100, 100, dtype=torch.long), reduction="sum")
    assert region.score == 1e6  # the largest float16 is 65504


def test_several_maps_by_hand() -> None:
    table = region_table(torch.stack([MAPS, 3 * MAPS, -MAPS, 0 * MAPS]), MASK)
    scores = {region.id: region.score for region in table}
    assert scores == {7: 0.75, 2: 3.0, 9: -3.75}
    for region, single in zip(table, region_table(MAPS, MASK), strict=True):
        assert region.standard_error == pytest.approx(
            np.std([single.score * factor for factor in (1, 3, -1, 0)], ddof=1) / 2
        )
        assert region.sign_agreement == 0.5  # two of four: the third has the other sign, and the fourth none
        assert region.share == pytest.approx(single.share)


def test_several_maps_agree_with_numpy() -> None:
    mask, values = random_mask(2, 1, 7, 7), random_maps(5, 2, 3, 7, 7)
    tables = [region_table(part, mask) for part in values]
    for region in region_table(values, mask):
        singles = [
            single for table in tables for single in table if (single.image, single.id) == (region.image, region.id)
        ]
        scores = np.array([single.score for single in singles])
        assert region.score == pytest.approx(scores.mean())
        assert region.channel_scores == pytest.approx(np.mean([single.channel_scores for single in singles], axis=0))
        assert region.standard_error == pytest.approx(scores.std(ddof=1) / math.sqrt(5))
        assert region.sign_agreement == max((scores > 0).mean(), (scores < 0).mean())


def test_maps_that_are_all_alike_can_be_trusted() -> None:
    for region in region_table(MAPS.expand(3, -1, -1, -1, -1), MASK):
        assert region.standard_error == 0
        assert region.sign_agreement == 1


@pytest.mark.parametrize("values", [MAPS, MAPS[None]])
def test_a_single_map_says_nothing_of_trust(values: Tensor) -> None:
    assert {(region.standard_error, region.sign_agreement) for region in region_table(values, MASK)} == {(None, None)}


def test_gradients_and_ids_of_other_types_do_no_harm() -> None:
    assert region_table(MAPS.clone().requires_grad_(), MASK.to(torch.uint8)) == region_table(MAPS, MASK)


@pytest.mark.parametrize(("k", "expected"), [(1, {2}), (2, {2, 7}), (3, {2, 7, 9})])
def test_the_first_k_regions(k: int, expected: set[int]) -> None:
    marked = top_regions(MAPS, MASK, k=k)
    assert marked.shape == (1, 1, 3, 4)
    assert marked.dtype == torch.bool
    assert chosen(marked, MASK) == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0, set()), (0.01, {2}), (0.25, {2}), (0.26, {2, 7}), (0.75, {2, 7}), (0.76, {2, 7, 9}), (1, {2, 7, 9})],
)
def test_at_least_this_fraction_of_the_image(fraction: float, expected: set[int]) -> None:
    assert chosen(top_regions(MAPS, MASK, fraction=fraction), MASK) == expected


def test_a_fraction_that_is_a_number_of_pixels_takes_that_many() -> None:
    mask = torch.arange(100).view(1, 1, 10, 10)
    for count in range(101):  # 0.07 * 100 is a little above 7 in floating point
        assert top_regions(random_maps(1, 1, 10, 10), mask, fraction=count / 100).sum() == count


@pytest.mark.parametrize(
    ("by", "mass", "expected"),
    [
        ("score", 0, set()),
        ("score", 0.8, {2}),  # 4 of the positive 5
        ("score", 0.81, {2, 7}),
        ("score", 1, {2, 7}),
        ("magnitude", 0.5, {9}),  # 5 of 10
        ("magnitude", 0.51, {9, 2}),
        ("magnitude", 0.9, {9, 2}),
        ("magnitude", 1, {9, 2, 7}),
    ],
)
def test_at_least_this_share_of_the_scores(by: str, mass: float, expected: set[int]) -> None:
    assert chosen(top_regions(MAPS, MASK, mass=mass, by=by), MASK) == expected  # type: ignore[arg-type]


def test_the_share_of_the_attribution_counts_pixels() -> None:
    values = torch.tensor([[[[3.0, 2.0, 2.0, 2.0]]]])
    mask = torch.tensor([[[[0, 1, 1, 1]]]])
    assert chosen(top_regions(values, mask, mass=0.6), mask) == {0}  # 3 of 5
    assert chosen(top_regions(values, mask, mass=0.6, reduction="sum"), mask) == {1}  # 6 of 9


def test_mass_is_the_sum_of_the_shares_of_the_table() -> None:
    mask, values = random_mask(2, 1, 9, 9, count=20), random_maps(2, 3, 9, 9)
    marked = top_regions(values, mask, mass=0.6, by="magnitude", reduction="sum")
    table = region_table(values, mask, by="magnitude", reduction="sum")
    for n in range(2):
        shares = np.cumsum([region.share for region in table.of_image(n)])
        needed = int(np.argmax(shares >= 0.6)) + 1
        assert chosen(marked[n : n + 1], mask[n : n + 1]) == {region.id for region in table.of_image(n)[:needed]}


def test_a_map_without_scores_has_no_mass() -> None:
    assert not top_regions(torch.zeros_like(MAPS), MASK, mass=1).any()
    assert not top_regions(-MAPS.abs(), MASK, mass=0.5).any()
    assert top_regions(torch.zeros_like(MAPS), MASK, fraction=1).all()


def test_images_of_a_batch_have_as_many_regions_as_they_need() -> None:
    mask = torch.tensor([[[[0, 0, 1]]], [[[4, 5, 6]]]])
    values = torch.tensor([[[[1.0, 1.0, 9.0]]], [[[1.0, 2.0, 3.0]]]])
    assert top_regions(values, mask, fraction=0.4).tolist() == [[[[True, True, True]]], [[[False, True, True]]]]
    assert top_regions(values, mask, k=1).tolist() == [[[[False, False, True]]], [[[False, False, True]]]]


def test_regions_of_several_maps_are_those_of_their_mean() -> None:
    mask, values = random_mask(2, 1, 7, 7), random_maps(5, 2, 3, 7, 7)
    assert torch.equal(top_regions(values, mask, k=3), top_regions(values.double().mean(dim=0), mask, k=3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing was given: pass exactly one of k, fraction and mass"),
        ({"k": 1, "mass": 0.5}, "k=1 and mass=0.5 was given"),
        ({"k": 0}, "k must be at least 1, but 0"),
        ({"k": 4}, "k=4, but image 0 has only 3 regions"),
        ({"fraction": -0.1}, "fraction must be finite and at least 0, but -0.1"),
        ({"fraction": 20}, "fraction is a share from 0 to 1, but 20 was"),
        ({"mass": 1.1}, "mass is a share from 0 to 1, but 1.1 was"),
        ({"mass": math.nan}, "mass must be finite and at least 0, but nan"),
        ({"k": 1, "by": "size"}, "by='size' is unknown: choose one of 'score', 'magnitude'"),
        ({"k": 1, "reduction": "median"}, "reduction='median' is unknown"),
    ],
)
def test_choices_out_of_range(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        top_regions(MAPS, MASK, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"k": 1.5}, "k must be an integer, but 1.5"), ({"fraction": "half"}, "fraction must be a number, but 'half'")],
)
def test_choices_that_are_no_numbers(options: dict[str, object], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        top_regions(MAPS, MASK, **options)  # type: ignore[arg-type]


def test_k_is_checked_for_every_image() -> None:
    mask = torch.tensor([[[[0, 1, 2]]], [[[0, 0, 1]]]])
    with pytest.raises(ValueError, match=r"k=3, but image 1 has only 2 regions"):
        top_regions(random_maps(2, 1, 1, 3), mask, k=3)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_attributions_are_finite(value: float) -> None:
    values = random_maps(2, 3, 1, 4, 4)
    values[1, 2, 0, 3, 3] = value
    with pytest.raises(ValueError, match=r"the attributions of image 2 hold NaN or infinite"):
        region_table(values, random_mask(1, 1, 4, 4))


@pytest.mark.parametrize(
    ("values", "mask", "message"),
    [
        (random_maps(3, 4), MASK, "attributions of shape (3, 4) are not maps of images"),
        (random_maps(1, 1, 1, 1, 3, 4), MASK, "(1, 1, 1, 1, 3, 4) are not maps"),
        (torch.zeros(0, 1, 3, 4), MASK, "(0, 1, 3, 4) hold no pixels"),
        (torch.zeros(0, 1, 1, 3, 4), MASK, "(0, 1, 1, 3, 4) hold no pixels"),
        (MAPS, MASK[..., :3], "feature_mask of shape (1, 1, 3, 3) does not fit"),
        (MAPS, MASK[0, 0].T, "feature_mask of shape (4, 3) does not fit"),
        (MAPS, -MASK, "negative id -9"),
        (MAPS.expand(4, 2, 3, 4), MASK.expand(2, 1, 3, 4), "(2, 1, 3, 4) does not fit"),
        (MAPS.expand(4, 2, 3, 4), MASK.expand(4, 2, 3, 4), "pass ids of shape (1 or 4, 1, 3, 4)"),
        (
            random_maps(1, 1, 2, 3, 4),
            torch.zeros(1, 1, 2, 3, 4, dtype=torch.long),
            "(1, 1, 2, 3, 4) is that of volumes",
        ),
    ],
)
def test_shapes_that_do_not_fit(values: Tensor, mask: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        region_table(values, mask)


@pytest.mark.parametrize(
    ("values", "mask", "message"),
    [
        (MASK, MASK, "attributions must be a floating-point tensor, but torch.int64"),
        ([1.0], MASK, "attributions must be a floating-point tensor, but a list"),
        (MAPS, MAPS, "feature_mask has dtype torch.float32"),
        (MAPS, MASK > 3, "feature_mask has dtype torch.bool"),
    ],
)
def test_types_that_do_not_fit(values: Tensor, mask: Tensor, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        top_regions(values, mask, k=1)

"""The table of regions, against scikit-image and by hand; and the choice of the most important ones."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, IntegratedGradients, KernelShap, ShapleyValues, ShapleyValueSampling
from captum.attr._utils.attribution import PerturbationAttribution
from skimage.measure import regionprops
from torch import Tensor, nn

from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.masks import Grid
from captum_superpixel.pooling import Reduction, pool_segments
from captum_superpixel.regions import Ranking, Region, region_table, top_regions

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
    ("score", "expected"),
    [
        ("mean", {7: 1.0, 2: 4.0, 9: -5.0}),
        ("sum", {7: 6.0, 2: 12.0, 9: -15.0}),
        ("abs_mean", {7: 1.0, 2: 4.0, 9: 5.0}),
        ("max", {7: 2.0, 2: 4.0, 9: -5.0}),
    ],
)
def test_scores_ranks_and_shares_are_of_what_was_asked_for(score: Reduction, expected: dict[int, float]) -> None:
    table = region_table(MAPS, MASK, score=score)
    assert {region.id: region.score for region in table} == expected
    total = sum(map(abs, expected.values()))
    assert {region.id: region.share for region in table} == pytest.approx(
        {id_: abs(score) / total for id_, score in expected.items()}
    )
    assert [region.id for region in table] == sorted(expected, key=lambda id_: -expected[id_])
    assert [region.rank for region in table] == [1, 2, 3]


@pytest.mark.parametrize(
    ("score", "expected", "channel_scores"),
    [
        ("mean", {0: 2.5, 1: -1.5}, {0: (1.0, 4.0), 1: (2.0, -5.0)}),
        ("sum", {0: 10.0, 1: -6.0}, {0: (2.0, 8.0), 1: (4.0, -10.0)}),
        ("abs_mean", {0: 2.5, 1: 3.5}, {0: (1.0, 4.0), 1: (2.0, 5.0)}),
        ("max", {0: 6.0, 1: 3.0}, {0: (2.0, 6.0), 1: (3.0, -4.0)}),
    ],
)
def test_scores_are_over_pixels_and_channels(
    score: Reduction, expected: dict[int, float], channel_scores: dict[int, tuple[float, ...]]
) -> None:
    values = torch.tensor([[[[0.0, 2, 1, 3]], [[2, 6, -6, -4]]]])
    table = region_table(values, torch.tensor([[[[0, 0, 1, 1]]]]), score=score)
    assert {region.id: region.score for region in table} == expected
    assert {region.id: region.channel_scores for region in table} == channel_scores


def nonlinear_model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 9), nn.Tanh(), nn.Linear(9, 2)).eval()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_score_of_an_ablation_is_what_the_output_loses(channels: int) -> None:
    weights = random_maps(1, channels, 8, 8)

    def forward(images: Tensor) -> Tensor:
        return torch.tanh((images * weights).sum(dim=(1, 2, 3)) / 9)

    image = torch.rand((1, channels, 8, 8), generator=torch.Generator().manual_seed(1))
    grouped = SuperpixelGrouped(FeatureAblation(forward), Grid(4))
    mask = grouped.feature_mask(image)
    table = region_table(grouped.attribute(image), mask)
    assert len(table) == 4
    for region in table:
        effect = forward(image) - forward(image * (mask != region.id))
        assert region.score == pytest.approx(effect.item(), abs=1e-6)
        assert region.channel_scores == pytest.approx([region.score] * channels)


@pytest.mark.parametrize(
    ("method", "options"),
    [(ShapleyValues, {}), (ShapleyValueSampling, {"n_samples": 3}), (KernelShap, {"n_samples": 1000})],
)
def test_shapley_values_add_up_to_the_difference_from_the_baseline(
    method: type[PerturbationAttribution], options: dict[str, int]
) -> None:
    model, image = nonlinear_model(), torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    grouped = SuperpixelGrouped(method(model), Grid(4))
    mask = grouped.feature_mask(image)
    table = region_table(grouped.attribute(image, target=1, baselines=0.5, **options), mask)
    difference = (model(image) - model(torch.full_like(image, 0.5)))[0, 1].item()
    assert sum(region.score for region in table) == pytest.approx(difference, abs=1e-4)


def test_the_sums_of_integrated_gradients_add_up_to_the_difference_of_the_outputs() -> None:
    model, image = nonlinear_model(), torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(1))
    grouped = SuperpixelGrouped(IntegratedGradients(model), Grid(4))
    table = region_table(grouped.attribute(image, target=1), grouped.feature_mask(image), score="sum")
    difference = (model(image) - model(torch.zeros_like(image)))[0, 1].item()
    assert sum(region.score for region in table) == pytest.approx(difference, rel=1e-4)


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
            assert region.score == pytest.approx(item.intensity_mean.mean())


def test_sums_of_the_regions_are_the_sum_of_the_map() -> None:
    mask, values = random_mask(2, 1, 9, 9), random_maps(2, 3, 9, 9)
    table = region_table(values, mask, score="sum")
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


def test_a_map_of_zeros_has_shares_of_zero_and_no_ranks() -> None:
    table = region_table(torch.zeros(1, 2, 3, 4), MASK)
    assert [(region.id, region.rank, region.score, region.share) for region in table] == [
        (2, None, 0, 0),
        (7, None, 0, 0),
        (9, None, 0, 0),
    ]


def test_half_precision_does_not_overflow() -> None:
    values = torch.full((1, 1, 100, 100), 100.0, dtype=torch.float16)
    (region,) = region_table(values, torch.zeros(1, 1, 100, 100, dtype=torch.long), score="sum")
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
    assert chosen(top_regions(values, mask, mass=0.6, score="sum"), mask) == {1}  # 6 of 9


def test_mass_is_the_sum_of_the_shares_of_the_table() -> None:
    mask, values = random_mask(2, 1, 9, 9, count=20), random_maps(2, 3, 9, 9)
    marked = top_regions(values, mask, mass=0.6, by="magnitude", score="sum")
    table = region_table(values, mask, by="magnitude", score="sum")
    for n in range(2):
        shares = np.cumsum([region.share for region in table.of_image(n)])
        needed = int(np.argmax(shares >= 0.6)) + 1
        assert chosen(marked[n : n + 1], mask[n : n + 1]) == {region.id for region in table.of_image(n)[:needed]}


def test_a_map_without_scores_has_no_mass() -> None:
    assert not top_regions(torch.zeros_like(MAPS), MASK, mass=1).any()
    assert not top_regions(-MAPS.abs(), MASK, mass=0.5).any()
    assert not top_regions(torch.zeros_like(MAPS), MASK, fraction=1).any()
    assert not top_regions(torch.zeros_like(MAPS), MASK, k=2).any()


@pytest.mark.parametrize(
    ("scores", "by", "expected"),
    [
        ([2.0, 5.0, 2.0, 1.0], "score", {0: 2, 1: 1, 2: 2, 3: 4}),
        ([2.0, 5.0, -2.0, 1.0], "magnitude", {0: 2, 1: 1, 2: 2, 3: 4}),
        ([0.0, -1.0, 0.0, 3.0], "score", {0: 2, 1: 4, 2: 2, 3: 1}),
        ([-1.0, -1.0, -1.0, -1.0], "score", {0: 1, 1: 1, 2: 1, 3: 1}),
        ([0.1 + 0.2, 0.3, 1.0, 1e-30], "score", {0: 2, 1: 2, 2: 1, 3: 4}),
        ([1.0, 1.0 + 1e-6, 1e-12, 2e-12], "score", {0: 2, 1: 1, 2: 4, 3: 3}),
        ([0.0, 0.0, 0.0, 0.0], "score", dict.fromkeys(range(4))),
        ([math.nan, 1.0, 1.0, 0.0], "score", {0: None, 1: 1, 2: 1, 3: 3}),
        ([math.inf, 0.0, 0.0, 0.0], "score", dict.fromkeys(range(4))),
        ([math.nan, -math.inf, math.nan, math.nan], "score", dict.fromkeys(range(4))),
    ],
)
def test_equal_scores_share_a_rank_and_others_have_none(
    scores: list[float], by: Ranking, expected: dict[int, int | None]
) -> None:
    values = torch.tensor(scores, dtype=torch.float64).view(1, 1, 2, 2)
    table = region_table(values, torch.arange(4).view(1, 1, 2, 2), by=by)
    assert {region.id: region.rank for region in table} == expected
    ranks = list(expected.values())
    for region in table:
        assert region.tied == (region.rank is not None and ranks.count(region.rank) > 1)
    order = [region.rank or math.inf for region in table]
    assert order == sorted(order)


def test_means_of_equal_pixels_are_equal_whatever_the_size_of_the_region() -> None:
    mask = torch.tensor([0] * 7 + [1] * 1000 + [2] * 3).view(1, 1, 1, -1)
    table = region_table(torch.full((1, 3, 1, 1010), 0.1, dtype=torch.float64), mask)
    assert [(region.id, region.rank) for region in table] == [(0, 1), (1, 1), (2, 1)]


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
        ({"k": 2**63 - 1}, f"k={2**63 - 1}, but image 0 has only 3 regions"),
        ({"k": 2**64}, f"k must be at most {2**63 - 1}, but {2**64} was passed"),
        ({"fraction": -0.1}, "fraction must be finite and at least 0, but -0.1"),
        ({"fraction": 20}, "fraction is a share from 0 to 1, but 20 was"),
        ({"mass": 1.1}, "mass is a share from 0 to 1, but 1.1 was"),
        ({"mass": math.nan}, "mass must be finite and at least 0, but nan"),
        ({"k": 1, "by": "size"}, "by='size' is unknown: choose one of 'score', 'magnitude'"),
        ({"k": 1, "score": "median"}, "score='median' is unknown"),
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


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("score", ["mean", "sum", "abs_mean", "max"])
@pytest.mark.parametrize("several", [False, True])
def test_a_region_that_is_not_finite_has_no_score_and_the_others_share_the_whole(
    value: float, score: Reduction, several: bool
) -> None:
    mask, values = random_mask(1, 1, 6, 6, count=4), random_maps(2, 2, 3, 6, 6)
    values = values if several else values[0]
    whole = region_table(values, mask, score=score)
    broken = int(mask[0, 0, 3, 3])
    values[..., 1, 2, 3, 3] = value  # of one channel of the second image
    table = region_table(values, mask, score=score)
    assert table.of_image(0) == whole.of_image(0)
    *others, last = table.of_image(1)
    assert (last.id, last.rank, last.tied) == (broken, None, False)
    assert math.isnan(last.score)
    assert math.isnan(last.share)
    assert all(map(math.isnan, last.channel_scores))
    assert last.standard_error is None or math.isnan(last.standard_error)
    assert last.sign_agreement is None or math.isnan(last.sign_agreement)
    before = [region for region in whole.of_image(1) if region.id != broken]
    assert [(region.id, region.score, region.channel_scores) for region in others] == [
        (region.id, region.score, region.channel_scores) for region in before
    ]
    assert [region.rank for region in others] == [1, 2, 3]
    assert sum(region.share for region in others) == pytest.approx(1)


@pytest.mark.parametrize("options", [{"k": 3}, {"fraction": 1.0}, {"mass": 1.0, "by": "magnitude"}])
def test_a_region_that_is_not_finite_is_never_marked(options: dict[str, object]) -> None:
    values = MAPS.clone()
    values[0, 0, 0, 0] = math.nan
    assert chosen(top_regions(values, MASK, **options), MASK) == {2, 9}  # type: ignore[arg-type]


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
            MAPS,
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

"""Cases of pairs of networks by hand, networks that are one another's twins, and statistics against repeated cases."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from captum_superpixel.metrics import auroc, brier_skill, expected_calibration_error
from captum_superpixel.regions.confidence import stays_top
from captum_superpixel.study.calibrating import (
    Cases,
    assess,
    held,
    is_top,
    of_third_networks,
    pair_cases,
    resample,
    said,
    shares,
)


def scores_of(networks: int, images: int = 40, regions: int = 12, seed: int = 0) -> Tensor:
    """Scores of regions ``(M, N, K)``, which no two networks share."""
    return torch.rand(networks, images, regions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draws_about(scores: Tensor, spread: float, seed: int = 1) -> Tensor:
    """Draws ``(M, J, N, K)`` about the scores ``(M, N, K)``."""
    shape = len(scores), 12, *scores.shape[1:]
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return scores[:, None] + spread * noise


def seen_from_all(scores: Tensor) -> Tensor:
    """The regions of every network in the maps of every other, ``(M, M, N, K)``, where all have the same regions."""
    return scores[None].expand(len(scores), *scores.shape)


def some_cases(count: int = 60, networks: int = 3, seed: int = 2) -> Cases:
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.rand(count, generator=generator, dtype=torch.float64).round(decimals=1)
    happened = torch.rand(count, generator=generator) < predicted
    first = torch.randint(networks, (count,), generator=generator)
    step = torch.randint(1, networks, (count,), generator=generator)
    pairs = torch.stack([first, (first + step) % networks], dim=1)
    return Cases(predicted, happened, pairs, torch.randint(7, (count,), generator=generator))


def test_the_top_are_the_largest_and_of_equal_ones_the_first() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.0, 3.0], [math.nan, 0.0, 0.0, -1.0]])
    assert is_top(scores, 1).tolist() == [[False, True, False, False], [False, True, False, False]]
    assert is_top(scores, 3).tolist() == [[False, True, True, True], [False, True, True, True]]


def test_what_is_said_is_what_the_library_says_from_two_regions_on() -> None:
    draws = draws_about(scores_of(3), 0.2)
    for one in draws:
        torch.testing.assert_close(said(one, 3), stays_top(one, 3))
    with pytest.raises(ValueError, match="k=1"):
        stays_top(draws[0], 1)
    alone = said(draws[0], 1)
    assert ((alone >= 0) & (alone <= 1)).all()
    # With several leading dimensions as one network at a time.
    torch.testing.assert_close(said(draws.movedim(1, 0), 3), torch.stack([stays_top(one, 3) for one in draws]))


def test_cases_are_those_of_ordered_pairs_of_different_networks() -> None:
    predicted = torch.tensor([[[0.9, 0.1, 0.5]], [[0.2, 0.7, math.nan]]])
    happened = torch.zeros(2, 2, 1, 3, dtype=torch.bool)
    happened[0, 1, 0, 0] = happened[1, 0, 0, 1] = True
    counted = torch.tensor([[[True, True, False]], [[True, True, True]]])
    cases = pair_cases(predicted, happened, counted)
    assert cases.predicted.tolist() == pytest.approx([0.9, 0.1, 0.2, 0.7])
    assert cases.happened.tolist() == [True, False, False, True]
    assert cases.networks.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]
    assert cases.images.tolist() == [0, 0, 0, 0]


def test_what_is_said_of_the_other_network_stays_with_that_network() -> None:
    predicted = torch.arange(4.0).view(2, 2, 1, 1)
    cases = pair_cases(predicted, torch.ones(2, 2, 1, 1, dtype=torch.bool), torch.ones(2, 1, 1, dtype=torch.bool))
    assert cases.predicted.tolist() == [1, 2]


def test_a_third_network_is_neither_the_own_nor_the_other() -> None:
    # The second network says of the first one's region ten times the first's number and its own.
    predicted = torch.tensor([[10.0 * i + j for j in range(4)] for i in range(4)]).view(4, 4, 1, 1)
    everything = torch.ones(4, 4, 1, 1, dtype=torch.bool)
    cases = of_third_networks(predicted, everything, everything[0])
    triples = [tuple(triple) for triple in cases.networks.tolist()]
    assert sorted(triples) == sorted(itertools.permutations(range(4), 3))
    assert cases.predicted.tolist() == [10 * own + third for own, _, third in triples]


def test_a_network_whose_twin_is_itself_is_predicted_perfectly() -> None:
    scores = scores_of(1).expand(3, -1, -1)
    happened = is_top(seen_from_all(scores), 3)
    predicted = torch.stack([said(one, 3) for one in draws_about(scores, 1e-9)])
    cases = pair_cases(predicted, happened, torch.ones_like(scores, dtype=torch.bool))
    found = assess(cases, probabilities=True, n_resamples=20)
    assert found["auroc"]["value"] == 1
    assert found["auroc"]["ci95"] == found["auroc"]["ci95_networks"] == [1, 1]
    assert found["brier_skill"]["value"] > 0.5
    # Draws that agree leave intervals of no width, which only the network itself falls into.
    wide = held(scores, draws_about(scores, 1e-3), seen_from_all(scores))
    assert shares(wide, n_resamples=5)["value"] == 1
    assert shares(held(scores, draws_about(scores, 1e-9), seen_from_all(scores_of(3, seed=9))))["value"] < 0.01


def test_permuted_draws_know_nothing() -> None:
    scores = scores_of(1, images=400).expand(3, -1, -1)
    draws = draws_about(scores, 0.1)
    happened = is_top(seen_from_all(scores), 3)
    counted = torch.ones_like(scores, dtype=torch.bool)
    order = torch.rand(scores.shape[1:], generator=torch.Generator().manual_seed(4)).argsort(dim=-1)
    permuted = draws.gather(-1, order.expand(draws.shape))
    as_it_is, shuffled = (
        assess(pair_cases(torch.stack([said(one, 3) for one in each]), happened, counted), probabilities=True)
        for each in (draws, permuted)
    )
    assert as_it_is["auroc"]["value"] > 0.9
    assert as_it_is["brier_skill"]["value"] > 0.4
    low, high = shuffled["auroc"]["ci95"]
    assert low < 0.5 < high
    assert high - low < 0.1
    assert shuffled["brier_skill"]["value"] < 0


def test_intervals_hold_what_they_say_of_networks_that_are_draws() -> None:
    middle = 3 * scores_of(1, images=200, regions=30)[0]
    noise = torch.randn(4, *middle.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    networks = middle + 0.3 * noise
    found = shares(held(networks, draws_about(networks, 0.3), seen_from_all(networks)))
    # Twelve draws know their own spread by a fifth, and a normal factor was not made for that.
    assert found["value"] == pytest.approx(0.93, abs=0.02)
    assert shares(held(networks, draws_about(networks, 0.1), seen_from_all(networks)))["value"] < 0.6


def test_intervals_do_not_depend_on_the_scale_of_the_other_network() -> None:
    scores = scores_of(3)
    draws, others = draws_about(scores, 0.1), seen_from_all(scores)
    scaled = others * torch.tensor([1.0, 50.0, 0.02])[:, None, None] + 7
    torch.testing.assert_close(held(scores, draws, scaled).happened, held(scores, draws, others).happened)


def test_regions_that_an_image_lacks_are_left_out() -> None:
    scores = scores_of(2, images=3, regions=5)
    scores[:, 1, 3:] = math.nan
    draws = draws_about(scores, 0.1)
    predicted = torch.stack([said(one, 2) for one in draws])
    cases = pair_cases(predicted, is_top(seen_from_all(scores), 2), ~scores.isnan())
    assert torch.bincount(cases.images).tolist() == [10, 6, 10]
    assert torch.bincount(held(scores, draws, seen_from_all(scores)).images).tolist() == [10, 6, 10]


def test_weighted_statistics_are_those_of_cases_repeated_as_often() -> None:
    cases = some_cases()
    found = assess(cases, probabilities=True, n_resamples=40, seed=3)
    library = {"auroc": auroc, "brier_skill": brier_skill, "calibration_error": expected_calibration_error}
    for name, function in library.items():
        assert found[name]["value"] == function(cases.predicted, cases.happened)
        for networks, key in ((False, "ci95"), (True, "ci95_networks")):
            values = []
            for weights in torch.cat(list(resample(cases, 40, 3, networks=networks))).long():
                predicted, happened = (each.repeat_interleave(weights) for each in (cases.predicted, cases.happened))
                if len(predicted) and not math.isnan(value := function(predicted, happened)):
                    values.append(value)
            expected = torch.tensor(values, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975]).double())
            torch.testing.assert_close(torch.tensor(found[name][key], dtype=torch.float64), expected)


def test_images_and_networks_are_drawn_as_wholes() -> None:
    cases = some_cases()
    for weights in resample(cases, 50, 0, networks=False):
        for image in range(7):
            assert (weights[:, cases.images == image].diff(dim=1) == 0).all()
        first = torch.tensor([int((cases.images == image).nonzero()[0]) for image in range(7)])
        assert (weights[:, first].sum(dim=1) == 7).all()
    for weights in resample(cases, 50, 0, networks=True):
        same = (cases.images == cases.images[0]) & (cases.networks == cases.networks[0]).all(dim=1)
        assert (weights[:, same].diff(dim=1) == 0).all()
        assert (weights[:, cases.images == cases.images[0]].unique(dim=1).shape[1]) > 1


def test_two_networks_say_nothing_of_others() -> None:
    found = assess(some_cases(networks=2), probabilities=False, n_resamples=10)
    assert set(found) == {"auroc"}
    assert all(math.isnan(end) for end in found["auroc"]["ci95_networks"])
    assert not any(math.isnan(end) for end in found["auroc"]["ci95"])


def test_resamples_in_which_all_came_true_have_no_skill() -> None:
    """Two images, of which one has nothing but regions that stayed: a quarter of the resamples are of it alone."""
    pairs, images = torch.tensor([[0, 1], [1, 0]] * 4), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    happened = torch.tensor([True] * 4 + [True, False, False, False])
    predicted = torch.tensor([0.9, 0.8, 0.7, 0.9, 0.6, 0.3, 0.2, 0.1], dtype=torch.float64)
    low, high = assess(Cases(predicted, happened, pairs, images), probabilities=True, seed=0)["brier_skill"]["ci95"]
    mixed = [brier_skill(predicted[index], happened[index]) for index in (slice(None), slice(4, None))]
    assert [low, high] == pytest.approx([min(mixed), max(mixed)])


def test_a_single_image_has_no_intervals() -> None:
    cases = some_cases()
    found = assess(cases._replace(images=torch.full_like(cases.images, 4)), probabilities=True, n_resamples=10)
    for name, figure in found.items():
        assert figure["value"] == assess(cases, probabilities=True, n_resamples=10)[name]["value"]
        assert all(math.isnan(end) for name in ("ci95", "ci95_networks") for end in figure[name])

"""What predicts, against other implementations: draws from standard errors, figures of each predictor, padded parts."""

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, roc_auc_score
from torch import Tensor

from captum_superpixel.study.predictors import (
    ALL,
    DRAWN,
    FURTHER,
    OWN_RANK,
    OWN_TOP,
    RegionScores,
    chunk_scores,
    coverage_records,
    draw_from_errors,
    join_scores,
    top_records,
)
from captum_superpixel.study.region_scores import ChunkMaps, Scored

NETWORKS, IMAGES, REGIONS = 3, 20, 9


def some_scores(networks: int = NETWORKS) -> RegionScores:
    """Networks that agree in part, and draws that know how far."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, IMAGES, REGIONS, generator=generator, dtype=torch.float64)

    # Some regions vary more than others, which only the draws can tell.
    spread = 0.2 + noise().abs()
    maps = 2 * noise() + spread * noise(networks)
    draws = {"joint": maps[:, None] + spread * noise(networks, 12), "noise": maps[:, None] + 0.1 * noise(networks, 12)}
    return RegionScores(maps, maps[None].expand(networks, -1, -1, -1), draws)


def found_in(records: list[dict[str, Any]], predictor: str, which: str = OWN_TOP) -> dict[str, Any]:
    (record,) = (each for each in records if (each["predictor"], each["which"]) == (predictor, which))
    return record


def cases_of(scores: RegionScores, k: int) -> list[tuple[int, int, int, int, bool]]:
    """By loops: own network, other one, image, region of the own top k, and whether it is of the other's."""
    maps = scores.own.numpy()
    return [
        (i, j, image, int(region), bool(region in np.argsort(-maps[j, image])[:k]))
        for i, j in permutations(range(len(maps)), 2)
        for image in range(IMAGES)
        for region in np.argsort(-maps[i, image])[:k]
    ]


@pytest.mark.parametrize("k", [3, 5])
def test_figures_are_those_of_loops_and_scikit_learn(k: int) -> None:
    scores = some_scores()
    records = top_records(scores, k, seed=0)
    cases = cases_of(scores, k)
    happened = [stayed for *_, stayed in cases]
    draws = scores.draws["joint"].numpy()
    said = []
    for i, _, image, region, _ in cases:
        one = draws[i, :, image]
        z = (one - one.mean(axis=1, keepdims=True)) / one.std(axis=1, keepdims=True)
        distances = z[:, region] - np.sort(np.delete(z, region, axis=1), axis=1)[:, -k]
        said.append(1 / (1 + math.exp(-distances.mean() / math.sqrt(distances.var(ddof=1) + 0.01))))
    joint = found_in(records, DRAWN["joint"])
    assert joint["n"] == len(cases) == NETWORKS * (NETWORKS - 1) * IMAGES * k
    assert joint["base_rate"] == pytest.approx(np.mean(happened))
    assert joint["auroc"]["value"] == pytest.approx(roc_auc_score(happened, said))
    skill = 1 - brier_score_loss(happened, said) / (np.mean(happened) * (1 - np.mean(happened)))
    assert joint["brier_skill"]["value"] == pytest.approx(skill)
    gaps = np.bincount([min(int(10 * p), 9) for p in said], np.array(said) - happened, 10)
    assert joint["calibration_error"]["value"] == pytest.approx(np.abs(gaps).sum() / len(cases))
    counts = np.bincount([min(int(10 * p), 9) for p in said], minlength=10)
    assert joint["curve"]["counts"] == counts.tolist()
    rank = [-int((scores.own[i, image] > scores.own[i, image, region]).sum()) for i, _, image, region, _ in cases]
    own_rank = found_in(records, OWN_RANK)
    assert own_rank["auroc"]["value"] == pytest.approx(roc_auc_score(happened, rank))
    assert own_rank["brier_skill"] is own_rank["calibration_error"] is own_rank["curve"] is None
    for record in records:
        for name in ("auroc", "brier_skill", "calibration_error"):
            if record[name] is not None and name != "calibration_error":
                low, high = record[name]["ci95"]
                assert low < record[name]["value"] < high


def test_a_further_network_says_what_its_own_map_shows_of_the_region() -> None:
    scores = some_scores()
    k = 3
    further = found_in(top_records(scores, k, seed=0), FURTHER)
    maps, said, happened = scores.own.numpy(), [], []
    for i, j, image, region, stayed in cases_of(scores, k):
        (third,) = {0, 1, 2} - {i, j}
        z = (maps[third, image] - maps[third, image].mean()) / maps[third, image].std()
        said.append(z[region] - np.sort(np.delete(z, region))[-k])
        happened.append(stayed)
    assert further["auroc"]["value"] == pytest.approx(roc_auc_score(happened, said))
    # Fitted, and so with a skill; it orders the cases by the same numbers.
    assert further["brier_skill"]["value"] > 0
    assert FURTHER not in {record["predictor"] for record in top_records(some_scores(networks=2), k, seed=0)}


def test_draws_that_know_how_regions_vary_tell_more_than_those_that_do_not() -> None:
    records = top_records(some_scores(), 3, seed=0)
    joint, noise = (found_in(records, DRAWN[kind]) for kind in ("joint", "noise"))
    assert joint["brier_skill"]["value"] > noise["brier_skill"]["value"]
    assert joint["calibration_error"]["value"] < noise["calibration_error"]["value"]
    everything = found_in(records, DRAWN["joint"], ALL)
    assert everything["base_rate"] == pytest.approx(3 / REGIONS)
    assert everything["n"] == NETWORKS * (NETWORKS - 1) * IMAGES * REGIONS


def test_images_of_no_more_than_k_regions_say_nothing() -> None:
    scores = some_scores()
    assert top_records(scores, REGIONS, seed=0) == []
    few = RegionScores(*(each.clone() for each in (scores.own, scores.others)), dict(scores.draws))
    for each in (few.own, few.others, few.draws["joint"]):
        each[..., :4, 2:] = math.nan
    (record,) = (r for r in top_records(few, 3, seed=0) if (r["predictor"], r["which"]) == (OWN_RANK, OWN_TOP))
    assert record["n"] == NETWORKS * (NETWORKS - 1) * (IMAGES - 4) * 3


def test_coverage_is_counted_over_pairs_of_networks() -> None:
    scores = some_scores()
    found = {record["predictor"]: record["held"]["value"] for record in coverage_records(scores, seed=0)}
    maps, draws = scores.own.numpy(), scores.draws["joint"].numpy()

    def standard(values: np.ndarray) -> np.ndarray:
        centered: np.ndarray = values - values.mean(axis=-1, keepdims=True)
        return centered / values.std(axis=-1, keepdims=True)

    half = 1.96 * math.sqrt(2) * standard(draws).std(axis=1, ddof=1)
    held = [np.abs(standard(maps[j]) - standard(maps[i])) <= half[i] for i, j in permutations(range(NETWORKS), 2)]
    assert found[DRAWN["joint"]] == pytest.approx(np.mean(held))
    assert found[DRAWN["noise"]] < found[DRAWN["joint"]]


def chunk_of(maps: list[Tensor], mask: Tensor, start: int = 0) -> ChunkMaps:
    inputs = torch.zeros(maps[0].shape)
    targets = torch.zeros(len(inputs), dtype=torch.long)
    return ChunkMaps("IntegratedGradients", start, range(len(inputs)), inputs, targets, {"Slic(2)": mask}, [mask], maps)


@pytest.mark.parametrize("sign", ["magnitude", "signed"])
def test_standard_errors_are_those_of_the_pixels_of_a_segment(sign: str) -> None:
    maps = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.long)
    mask[..., 6:] = 1
    draws = draw_from_errors(chunk_of([maps], mask), 0, Scored("Slic(2)", sign), 4000, seed=0).numpy()
    pixels = (maps.abs() if sign == "magnitude" else maps).mean(dim=1)[0].numpy()
    for region, part in enumerate((pixels[:, :6], pixels[:, 6:])):
        assert draws[:, 0, region].mean() == pytest.approx(part.mean(), abs=0.1 * part.std())
        assert draws[:, 0, region].std() == pytest.approx(part.std() / math.sqrt(part.size), rel=0.05)
    assert abs(np.corrcoef(draws[:, 0].T)[0, 1]) < 0.06


def test_scores_of_chunks_with_other_numbers_of_regions_are_padded() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.rand(2, 1, 4, 4, generator=generator) for _ in range(2)]
    halves = torch.arange(4).expand(2, 1, 4, 4) // 2
    columns = torch.arange(4).expand(2, 1, 4, 4).contiguous()
    key = Scored("Slic(2)", "magnitude")
    chunks = []
    for start, mask in enumerate((halves.contiguous(), columns)):
        chunk = chunk_of(maps, mask, 2 * start)
        scores = [
            {" ".join(name): values.expand(12, -1, -1) for name, values in chunk.scores(i, maps[i]).items()}
            for i in range(2)
        ]
        chunks.append(chunk_scores(chunk, {"joint": [{"scores": each} for each in scores]}, n_draws=12, seed=0))
    found = join_scores(chunks)[key]
    assert found.own.shape == (2, 4, 4)
    assert found.others.shape == (2, 2, 4, 4)
    assert {kind: tuple(drawn.shape) for kind, drawn in found.draws.items()} == {
        "joint": (2, 12, 4, 4),
        "errors": (2, 12, 4, 4),
    }
    assert found.own.isnan().sum(dim=-1).tolist() == [[2, 2, 0, 0]] * 2
    for network, one in enumerate(maps):
        expected = torch.stack([one[:, 0, :, :2].mean((1, 2)), one[:, 0, :, 2:].mean((1, 2))], dim=1)
        torch.testing.assert_close(found.own[network, :2, :2], expected.double())
        # Both networks have the same segments.
        torch.testing.assert_close(found.others[1 - network, network], found.own[network], equal_nan=True)

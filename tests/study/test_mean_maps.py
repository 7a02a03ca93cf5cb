"""Mean maps of networks that agree, of fidelity by the library's own curves, and top regions by hand."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel.study.mean_maps import (
    COMPARED,
    OWN,
    mean_map_records,
    measure_mean_maps,
    shared_tops,
    top_region_records,
)
from captum_superpixel.study.region_scores import ChunkMaps

KINDS = (OWN, *COMPARED)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class Asked:
    """Does what it is asked to do with a chunk, and keeps what it is made with."""

    def __init__(self, *networks: nn.Module) -> None:
        self.networks, self.plan, self.made_with = networks, SimpleNamespace(draws=12), {}

    def run_one(
        self, what: str, chunk: ChunkMaps, made_with: Mapping[str, Any], run: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        self.made_with = {"what": what, **made_with}
        return run()


@pytest.fixture
def chunk() -> ChunkMaps:
    """Three images of two networks that explain them alike, and of twins that do not."""
    inputs, targets = noise(0, 3, 3, 16, 16), torch.tensor([0, 1, 1])
    maps = noise(1, 3, 3, 16, 16) - 0.5
    grid = (torch.arange(16)[:, None] // 4 * 4 + torch.arange(16) // 4).expand(3, 1, 16, 16).contiguous()
    twins = [noise(2, *maps.shape), noise(3, *maps.shape)]
    return ChunkMaps("Saliency", 0, [0, 1, 2], inputs, targets, {"Slic(16)": grid}, [grid], [maps, 2 * maps], twins)


def draws_of(maps: Tensor, regions: int = 16, seed: int = 5) -> dict[str, list[dict[str, Any]]]:
    """Draws whose mean is the map, of two networks."""
    content = {
        "mean_map": maps.abs().sum(dim=1, keepdim=True),
        "scores": {"Slic(16) magnitude": noise(seed, 4, len(maps), regions)},
    }
    return {kind: [content, content] for kind in COMPARED}


def test_networks_that_differ_by_a_factor_have_the_same_mean_maps(chunk: ChunkMaps) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    asked: Any = Asked(network, network)
    twins = {kind: [{"mean_map": twin.sum(dim=1, keepdim=True)} for twin in chunk.twins] for kind in COMPARED}
    found = measure_mean_maps(asked, chunk, draws_of(chunk.maps[0]), twins)
    assert asked.made_with == {"what": "survival", "draws": 12, "steps": 10}
    assert set(found) == {f"{kind} {way}" for kind in KINDS for way in ("pixels", "ensemble", "blur")}
    for name, values in found.items():
        assert values["ssim"].tolist() == pytest.approx([1] * 3, abs=1e-5), name
        assert values["top_k_iou"].tolist() == pytest.approx([1] * 3)
        assert (values["ssim null"] < 0.95).all()
    # Each network's map beside the twin of the next one.
    first, second = (metrics.ssim(one, twin) for one, twin in zip(chunk.maps, chunk.twins[::-1], strict=True))
    torch.testing.assert_close(found["own pixels"]["ssim null"], (first + second) / 2)
    expected = metrics.insertion_auc(network, chunk.inputs, chunk.maps[0].abs(), chunk.targets, n_steps=10)
    torch.testing.assert_close(found["own pixels"]["insertion"].float(), expected.float())


def test_records_are_means_over_the_images_of_all_chunks() -> None:
    generator = torch.Generator().manual_seed(0)
    names = ("ssim", "ssim null", "top_k_iou", "top_k_iou null", "insertion", "deletion")
    chunks = [
        {
            f"{kind} {way}": {name: torch.rand(count, generator=generator, dtype=torch.float64) / 2 for name in names}
            for kind in KINDS
            for way in ("pixels", "ensemble", "blur")
        }
        for count in (3, 2)
    ]
    records = mean_map_records(chunks)
    assert len(records) == 12
    for record in records:
        values = {
            name: torch.cat([chunk[f"{record['map']} {record['smoothing']}"][name] for chunk in chunks]).numpy()
            for name in names
        }
        means = {name: each.mean() for name, each in values.items()}
        assert record["n"] == 5
        excess = (means["ssim"] - means["ssim null"]) / (1 - means["ssim null"])
        assert record["ssim_excess"]["value"] == pytest.approx(excess)
        difference = values["insertion"] - values["deletion"]
        assert record["insertion_minus_deletion"]["value"] == pytest.approx(difference.mean())
        low, high = record["insertion_minus_deletion"]["ci95"]
        assert difference.min() <= low < difference.mean() < high <= difference.max()


def test_top_regions_by_hand(chunk: ChunkMaps) -> None:
    drawn = draws_of(chunk.maps[0])
    # The second network's views turn the order of the regions around: of 16 none of the top 3 is shared.
    turned = {"scores": {"Slic(16) magnitude": 1 - drawn["views"][0]["scores"]["Slic(16) magnitude"]}}
    drawn["views"] = [drawn["views"][0], turned]
    found = shared_tops(chunk, drawn)
    assert set(found) == {("Slic(16)", kind, k) for kind in KINDS for k in (3, 5)}
    assert found["Slic(16)", OWN, 3].tolist() == found["Slic(16)", "joint", 5].tolist() == [1] * 3
    assert found["Slic(16)", "views", 3].tolist() == [0] * 3
    records = top_region_records([found, found])
    (views,) = (record for record in records if (record["map"], record["k"]) == ("views", 3))
    assert views == {"map": "views", "regions": "Slic(16)", "k": 3, "n": 6, "iou": {"value": 0, "ci95": [0, 0]}}


def test_segmentations_of_too_few_segments_have_no_top_regions(chunk: ChunkMaps) -> None:
    halves = (torch.arange(16) // 4).expand(3, 1, 16, 16).contiguous()
    few = ChunkMaps(
        "Saliency", 0, chunk.images, chunk.inputs, chunk.targets, {"Slic(16)": halves}, [halves], chunk.maps
    )
    assert {k for _, _, k in shared_tops(few, draws_of(chunk.maps[0], regions=4))} == {3}

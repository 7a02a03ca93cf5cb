"""Scores of regions in hand-drawn maps: of segments, with and without signs, and of an ensemble's own regions."""

import torch

from captum_superpixel.study.region_scores import ChunkMaps, Scored

HALVES = torch.tensor([[[[0, 0, 1, 1]]]])
QUARTERS = torch.tensor([[[[0, 1, 2, 3]]]])
MAP = torch.tensor([[[[2.0, -4.0, 1.0, 1.0]], [[0.0, 0.0, 3.0, -3.0]]]])


def chunk(method: str = "IntegratedGradients") -> ChunkMaps:
    images, targets = torch.zeros(1, 2, 1, 4), torch.zeros(1, dtype=torch.long)
    maps = [MAP, torch.ones_like(MAP)]
    return ChunkMaps(method, 0, [5], images, targets, {"Slic(2)": HALVES}, [HALVES, QUARTERS], maps)


def test_scores_are_means_over_the_pixels_and_channels_of_a_region() -> None:
    found = chunk().scores(0, MAP)
    assert found[Scored("Slic(2)", "magnitude")].tolist() == [[1.5, 2.0]]
    assert found[Scored("Slic(2)", "signed")].tolist() == [[-0.5, 0.5]]
    assert found.keys() - {Scored("Slic(2)", "signed")} == {
        Scored("Slic(2)", "magnitude"),
        Scored("ensemble", "magnitude"),
    }


def test_signs_are_those_of_methods_that_have_a_sign_for_a_region() -> None:
    assert Scored("Slic(2)", "signed") not in chunk("Saliency").scores(0, MAP)


def test_the_regions_of_an_ensemble_are_of_the_own_map_whatever_map_is_scored() -> None:
    # Averaged over halves and quarters the magnitudes are, over the channels, 1.25, 1.75, 2 and 2.
    own = chunk().regions(0)["ensemble"]
    assert own.flatten().tolist() == [0, 1, 1, 1]
    assert chunk().regions(1)["ensemble"].unique().numel() == 1
    other = torch.tensor([[[[8.0, 0.0, 0.0, 0.0]], [[8.0, 0.0, 0.0, 0.0]]]])
    assert chunk().scores(0, other)[Scored("ensemble", "magnitude")].tolist() == [[6.0, 2 / 3]]

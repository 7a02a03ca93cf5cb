"""``--baseline``: what pixels are replaced by, and what is said of it."""

import math

import pytest
import torch

from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.explain.baselines import describe_baseline, even_grays, make_baseline
from captum_superpixel.explain.choices import BASELINES

INPUTS = torch.tensor([[[[1.0, 3, 8, 0], [5, 7, 2, 6]]], [[[0.0, 0, 4, 4], [4, 4, 0, 0]]]])
MASK = torch.tensor([[[[0, 0, 1, 1], [0, 0, 1, 1]]], [[[3, 3, 3, 3], [9, 9, 9, 9]]]])


def test_each_photograph_has_its_own_means() -> None:
    assert make_baseline("0", INPUTS, [MASK]).tolist() == torch.zeros(2, 1, 2, 4).tolist()
    assert make_baseline("mean", INPUTS, [MASK]).tolist() == [[[[4.0] * 4] * 2], [[[2.0] * 4] * 2]]
    assert make_baseline("segment-mean", INPUTS, [MASK]).tolist() == [[[[4.0] * 4] * 2], [[[2.0] * 4] * 2]]
    halves = torch.tensor([[[[0, 0, 1, 1]] * 2], [[[0, 1, 2, 3]] * 2]])
    expected = [[[[4.0, 4, 4, 4]] * 2], [[[2.0, 2, 2, 2]] * 2]]
    assert make_baseline("segment-mean", INPUTS, [halves]).tolist() == expected
    rows = torch.tensor([[[[5]], [[7]]]]).view(1, 1, 2, 1).expand(2, 1, 2, 4)
    assert make_baseline("segment-mean", INPUTS, [rows])[0, 0, :, 0].tolist() == [3.0, 5.0]


def test_the_blur_loses_detail_and_keeps_a_flat_image() -> None:
    dot = torch.zeros(1, 3, 40, 60)
    dot[0, 1, 20, 30] = 100
    blurred = make_baseline("blur", dot, [])
    # A tenth of the shorter side is 4 pixels: the height of a Gaussian of two dimensions.
    assert blurred[0, 1, 20, 30].item() == pytest.approx(100 / (2 * torch.pi * 16), rel=1e-3)
    assert blurred[0, 1, 20, 34].item() == pytest.approx(100 / (2 * torch.pi * 16) * math.exp(-0.5), rel=1e-3)
    assert not blurred[0, [0, 2]].any()
    torch.testing.assert_close(make_baseline("blur", torch.full((1, 1, 9, 9), 3.0), []), torch.full((1, 1, 9, 9), 3.0))


def test_every_baseline_is_described_exactly() -> None:
    assert len({describe_baseline(kind, IMAGENET) for kind in BASELINES}) == len(BASELINES)
    caffe = Preprocessing(227, mean=(104, 117, 123), std=1, scale=1, channel_order="bgr")
    assert describe_baseline("0", caffe) == "0 in the network's units, the color (123, 117, 104)"
    assert describe_baseline("blur", Preprocessing((64, 48), 0, 1)) == "the photograph blurred, sigma 4.8 pixels"


def test_grays_go_from_black_to_white() -> None:
    assert even_grays((2, 3)).shape == (5, 3, 2, 3)
    assert even_grays((1, 1))[:, 0, 0, 0].tolist() == [0, 64, 128, 191, 255]

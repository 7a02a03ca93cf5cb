"""Targets, further arguments, the softmax and the bar, through the metric that uses them most plainly."""

import pytest
import torch
from torch import Tensor

from captum_superpixel.metrics.fidelity import deletion_curve
from captum_superpixel.metrics.road import road

N, SIZE = 3, 4


def images() -> Tensor:
    return torch.rand(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def maps() -> Tensor:
    return torch.rand(N, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def channels(pictures: Tensor) -> Tensor:
    """Three classes, each the sum of a channel."""
    return pictures.sum(dim=(2, 3))


def grid(pictures: Tensor) -> Tensor:
    """Outputs (B, 3, 4, 4), as of a segmentation."""
    return pictures + 0


def whole(function, target, *, softmax: bool = False, **options) -> Tensor:
    """Scores of the unchanged images: the start of the deletion curve."""
    return (
        deletion_curve(function, images(), maps(), target, softmax=softmax, n_steps=2, **options).scores[:, 0].float()
    )


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (1, [1, 1, 1]),
        (torch.tensor(2), [2, 2, 2]),
        (torch.tensor([2]), [2, 2, 2]),
        ([0, 2, 1], [0, 2, 1]),
        ((1,), [1, 1, 1]),
        (torch.tensor([0, 2, 1], dtype=torch.int32), [0, 2, 1]),
        ([(0,), (2,), (1,)], [0, 2, 1]),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_targets_select_as_in_captum(target, classes: list[int], batch_size: int) -> None:
    outputs = channels(images())
    expected = outputs[torch.arange(N), classes]
    torch.testing.assert_close(whole(channels, target, batch_size=batch_size), expected)
    probabilities = outputs.softmax(dim=1)[torch.arange(N), classes]
    torch.testing.assert_close(whole(channels, target, softmax=True, batch_size=batch_size), probabilities)


def test_targets_of_several_indices() -> None:
    assert torch.equal(whole(grid, (2, 0, 3)), images()[:, 2, 0, 3])
    places = [(0, 1, 2), (1, 3, 3), (2, 0, 0)]
    expected = torch.stack([images()[n][place] for n, place in enumerate(places)])
    assert torch.equal(whole(grid, places), expected)
    probabilities = images().softmax(dim=1)[:, 2, 0, 3]
    torch.testing.assert_close(whole(grid, (2, 0, 3), softmax=True), probabilities)


def test_no_target_takes_the_only_output() -> None:
    expected = images().sum(dim=(1, 2, 3))
    torch.testing.assert_close(whole(lambda x: x.sum(dim=(1, 2, 3)), None), expected)
    torch.testing.assert_close(whole(lambda x: x.sum(dim=(1, 2, 3))[:, None], None), expected)


def test_further_arguments_go_with_their_images() -> None:
    shifts, scale = torch.tensor([1.0, 20.0, 300.0]), torch.tensor(2.0)

    def model(pictures: Tensor, shift: Tensor, scale: Tensor, name: str) -> Tensor:
        assert shift.shape == (len(pictures),)
        assert name == "a name"
        return scale * pictures.sum(dim=(1, 2, 3)) + shift

    further = (shifts, scale, "a name")
    expected = 2 * images().sum(dim=(1, 2, 3)) + shifts
    torch.testing.assert_close(whole(model, None, additional_forward_args=further, batch_size=4), expected)
    one = whole(lambda x, shift: x.sum(dim=(1, 2, 3)) + shift, None, additional_forward_args=shifts)
    torch.testing.assert_close(one, images().sum(dim=(1, 2, 3)) + shifts)
    result = road(model, images(), maps(), softmax=False, additional_forward_args=further, batch_size=4, noise=0)
    assert (result.most_relevant_first[2] > 300).all()
    assert (result.most_relevant_first[1] < 200).all()


@pytest.mark.parametrize(
    ("function", "target", "softmax", "message"),
    [
        (channels, None, True, r"target=None names no class"),
        (channels, None, False, r"target=None selects nothing of outputs of shape \(\d+, 3\)"),
        (channels, 3, False, r"target 3 lies outside .* \(\d+, 3\)"),
        (channels, -1, False, r"target -1 lies outside"),
        (channels, [0, 1], False, r"target of shape \(2,\) does not fit 3 images"),
        (channels, torch.zeros(3, 1, 1, dtype=torch.long), False, r"target of shape \(3, 1, 1\) does not fit"),
        (channels, (0, 1), False, r"outputs of shape \(\d+, 3\), of which 2 target indices"),
        (grid, 0, False, r"outputs of shape \(\d+, 3, 4, 4\), of which 1 target indices .* pass 3"),
        (lambda x: x.sum(dim=(1, 2, 3)), 0, False, r"outputs of shape \(\d+,\), of which 1 .*target=None"),
        (lambda x: channels(x)[:, :1], 0, True, r"softmax over outputs of shape \(\d+, 1\) is 1"),
        (lambda x: x.sum(), 0, False, r"an output of shape \(\) for \d+ images"),
        (lambda x: channels(x)[:1], 0, False, r"an output of shape \(1, 3\) for \d+ images"),
        (lambda x: {"out": channels(x)}, 0, False, r"an output of type dict of 'out', which has no tensor of logits"),
    ],
)
def test_targets_and_outputs_that_do_not_fit(function, target, softmax: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        whole(function, target, softmax=softmax)
    with pytest.raises(ValueError, match=message):
        road(function, images(), maps(), target, softmax=softmax)


@pytest.mark.parametrize("target", ["cat", 1.5, torch.tensor([0.0, 1.0, 2.0]), [True, False, True], [], [int, None]])
def test_targets_of_another_kind(target) -> None:
    with pytest.raises(TypeError, match=r"target="):
        whole(channels, target)


def test_a_bar_counts_the_images(capsys: pytest.CaptureFixture[str]) -> None:
    whole(channels, 0, show_progress=True)
    assert "9/9" in capsys.readouterr().err
    road(channels, images(), maps(), 0, show_progress=True)
    assert "30/30" in capsys.readouterr().err
    whole(channels, 0)
    assert capsys.readouterr().err == ""

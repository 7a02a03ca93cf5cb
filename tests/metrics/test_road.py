"""The imputation against a dense system written down from the paper, and ROAD on models that are known."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from captum_superpixel.metrics.fidelity import deletion_curve
from captum_superpixel.metrics.road import noisy_linear_imputation, road

Draw = Callable[..., Tensor]


def dense_imputation(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Every removed pixel is the weighted mean of its neighbors: one equation per pixel, image (C, H, W)."""
    channels, height, width = image.shape
    system, right = np.zeros((height * width,) * 2), np.zeros((height * width, channels))
    for y in range(height):
        for x in range(width):
            here = y * width + x
            system[here, here] = 1
            if not removed[y, x]:
                right[here] = image[:, y, x]
                continue
            around = {
                (y + dy, x + dx): 1 / 6 if dy == 0 or dx == 0 else 1 / 12
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
                if (dy, dx) != (0, 0) and 0 <= y + dy < height and 0 <= x + dx < width
            }
            for (row, column), weight in around.items():
                system[here, row * width + column] = -weight / sum(around.values())
    return np.linalg.solve(system, right).T.reshape(image.shape)


@pytest.mark.parametrize("size", [(5, 6), (1, 7), (7, 1), (2, 2), (9, 4)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation_against_a_dense_system(size: tuple[int, int], share: float, random: Draw) -> None:
    images = random(3, 2, *size)
    removed = torch.rand(3, 1, *size, generator=torch.Generator().manual_seed(3)) < share
    removed[:, :, 0, 0] = False
    expected = [dense_imputation(i.numpy(), r[0].numpy()) for i, r in zip(images, removed, strict=True)]
    imputed = noisy_linear_imputation(images, removed, noise=0)
    np.testing.assert_allclose(imputed.numpy(), np.stack(expected), atol=1e-10)


def test_imputation_by_hand() -> None:
    image = torch.tensor([[[[6.0, 0.0, 0.0], [0.0, 99.0, 12.0], [24.0, 0.0, 0.0]]]])
    middle = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    middle[..., 1, 1] = True
    # (6 + 24) / 12 from the corners and 12 / 6 from the side.
    assert noisy_linear_imputation(image, middle, noise=0)[0, 0, 1, 1].item() == pytest.approx(4.5)
    corner = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    corner[..., 0, 2] = True
    # (0 / 6 + 12 / 6 + 99 / 12) / (1/6 + 1/6 + 1/12): what the border cuts off is renormalized.
    assert noisy_linear_imputation(image, corner, noise=0)[0, 0, 0, 2].item() == pytest.approx(10.25 / (5 / 12))


def test_a_ramp_and_a_constant_are_restored_between_kept_borders() -> None:
    ramp = torch.arange(12.0).expand(1, 1, 9, 12) + 5 * torch.arange(9.0)[:, None]
    removed = torch.zeros(1, 1, 9, 12, dtype=torch.bool)
    removed[..., 1:-1, 1:-1] = True
    torch.testing.assert_close(noisy_linear_imputation(ramp * ~removed, removed, noise=0), ramp)
    constant, most = torch.full((2, 3, 9, 12), 0.3), torch.ones(2, 1, 9, 12, dtype=torch.bool)
    most[0, 0, 4, 4] = most[1, 0, 8, 11] = False
    torch.testing.assert_close(noisy_linear_imputation(constant * ~most, most, noise=0), constant)


def test_imputed_values_stay_in_the_range_of_those_kept_which_stay_as_they_are(random: Draw) -> None:
    images, removed = random(2, 3, 12, 11), random(2, 1, 12, 11, seed=1) > -0.5
    imputed = noisy_linear_imputation(images, removed, noise=0.5)
    kept = ~removed.expand_as(images)
    assert torch.equal(imputed[kept], images[kept])
    smooth = noisy_linear_imputation(images, removed, noise=0).flatten(2)
    held = images.masked_fill(~kept, torch.nan).flatten(2)
    assert (smooth.amax(dim=2) <= held.nan_to_num(-torch.inf).amax(dim=2) + 1e-12).all()
    assert (smooth.amin(dim=2) >= held.nan_to_num(torch.inf).amin(dim=2) - 1e-12).all()


def test_the_noise_is_normal_independent_and_repeats() -> None:
    images, removed = torch.zeros(4, 3, 40, 40), torch.ones(1, 1, 40, 40, dtype=torch.bool)
    removed[..., 0, 0] = False
    noisy = noisy_linear_imputation(images, removed, noise=0.2)
    values = noisy[removed.expand_as(noisy)].reshape(12, -1).numpy()
    assert values.std() == pytest.approx(0.2, rel=0.03)
    assert values.mean() == pytest.approx(0, abs=0.01)
    assert np.abs(np.corrcoef(values) - np.eye(12)).max() < 0.15
    assert torch.equal(noisy, noisy_linear_imputation(images, removed, noise=0.2))
    other = noisy_linear_imputation(images, removed, noise=0.2, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(noisy, other)


def test_nothing_removed_is_the_image_and_threads_change_nothing(random: Draw) -> None:
    images, removed = random(3, 2, 8, 8), random(3, 1, 8, 8, seed=1) > 0
    removed[1] = False
    expected = noisy_linear_imputation(images, removed)
    assert torch.equal(expected[1], images[1])
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.equal(noisy_linear_imputation(images, removed), expected)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_imputation_keeps_the_dtype(dtype: torch.dtype, random: Draw) -> None:
    images, removed = random(2, 3, 6, 6).to(dtype), random(2, 1, 6, 6, seed=1) > 0
    imputed = noisy_linear_imputation(images.requires_grad_(), removed, noise=0)
    assert imputed.dtype == dtype
    assert not imputed.requires_grad
    assert torch.equal(imputed, noisy_linear_imputation(images.double(), removed, noise=0).to(dtype))


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        (torch.ones(2, 1, 4, 4, dtype=torch.bool), r"no pixel of image 0"),
        (torch.tensor([False, True]).reshape(2, 1, 1, 1).expand(2, 1, 4, 4), r"no pixel of image 1"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.bool), r"removed of shape \(2, 3, 4, 4\) does not fit .*\(2, 3, 4, 4\)"),
        (torch.zeros(4, 4, dtype=torch.bool), r"removed of shape \(4, 4\)"),
    ],
)
def test_imputation_refuses_masks_that_do_not_fit(removed: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        noisy_linear_imputation(torch.zeros(2, 3, 4, 4), removed)


def test_imputation_refuses_other_types_and_noise() -> None:
    removed = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    with pytest.raises(TypeError, match=r"removed is of dtype torch\.int64"):
        noisy_linear_imputation(torch.zeros(1, 3, 4, 4), removed.long())
    with pytest.raises(TypeError, match=r"removed is of type list"):
        noisy_linear_imputation(torch.zeros(1, 3, 4, 4), [True])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"images has dtype torch\.uint8"):
        noisy_linear_imputation(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), removed)
    with pytest.raises(ValueError, match=r"noise must be finite and at least 0, but -1.0 was passed"):
        noisy_linear_imputation(torch.zeros(1, 3, 4, 4), removed, noise=-1)
    with pytest.raises(TypeError, match=r"generator=3 is not a torch\.Generator"):
        noisy_linear_imputation(torch.zeros(1, 3, 4, 4), removed, generator=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"1 of 1 entries of images"):
        noisy_linear_imputation(torch.full((1, 3, 4, 4), torch.nan), removed)


def test_road_against_a_loop(net: nn.Module, images: Tensor, random: Draw) -> None:
    maps, labels, fractions = random(4, 3, 16, 12), [0, 3, 1, 2], (0.2, 0.75)
    result = road(net, images, maps, labels, fractions=fractions, noise=0, batch_size=5)
    for n in range(4):
        scores = maps[n].sum(dim=0).numpy().ravel()
        for name, order in (("most_relevant_first", np.argsort(-scores)), ("least_relevant_first", np.argsort(scores))):
            for p, fraction in enumerate(fractions):
                removed = np.isin(np.arange(192), order[: round(fraction * 192)]).reshape(16, 12)
                imputed = dense_imputation(images[n].detach().double().numpy(), removed)
                with torch.no_grad():
                    expected = net(torch.from_numpy(imputed)[None].float()).softmax(dim=1)[0, labels[n]]
                assert getattr(result, name)[n, p].item() == pytest.approx(expected.item(), abs=1e-5)
    means = (result.least_relevant_first - result.most_relevant_first).mean(dim=1)
    torch.testing.assert_close(result.score, means)
    assert result.fractions == fractions
    assert result.score.dtype == torch.float64


def test_the_pixels_that_count_score_highest_and_the_negated_map_minus_that(random: Draw) -> None:
    weights = random(1, 1, 10, 9) ** 4
    images = weights.expand(3, -1, -1, -1)

    def model(pictures: Tensor) -> Tensor:
        return (pictures * weights).sum(dim=(1, 2, 3))

    maps = torch.cat([weights, random(1, 1, 10, 9, seed=8), -weights])
    score = road(model, images, maps, softmax=False).score
    assert score[0] > score[1].abs()
    assert torch.equal(road(model, images, -maps, softmax=False).score, -score)
    torch.testing.assert_close(score[2], -score[0])


@pytest.mark.parametrize("value", [0.0, 0.1, -2.0])
def test_a_map_that_says_nothing_scores_zero(net: nn.Module, images: Tensor, value: float) -> None:
    result = road(net, images, torch.full((4, 1, 16, 12), value), 1)
    assert torch.equal(result.most_relevant_first, result.least_relevant_first)
    assert result.score.tolist() == [0.0] * 4


def test_only_the_order_of_the_map_matters(net: nn.Module, images: Tensor, random: Draw) -> None:
    maps = random(4, 1, 16, 12)
    expected = road(net, images, maps, 1).score
    for same in (maps.exp(), maps - maps.max() - 1, maps.repeat(1, 3, 1, 1)):
        assert torch.equal(road(net, images, same, 1).score, expected)
    assert not torch.equal(road(net, images, maps.abs(), 1).score, expected)


def test_a_batch_is_its_images_one_by_one_and_memory_is_bounded(images: Tensor, random: Draw) -> None:
    maps, batches = random(4, 1, 16, 12), []

    def model(pictures: Tensor) -> Tensor:
        batches.append(len(pictures))
        assert not torch.is_grad_enabled()
        return pictures.mean(dim=(1, 2, 3)).sin()

    together = road(model, images, maps, softmax=False, batch_size=7)
    assert max(batches) == 7
    assert sum(batches) == 4 * 2 * 5
    single = [road(model, images[n : n + 1], maps[n : n + 1], softmax=False).score for n in range(4)]
    torch.testing.assert_close(together.score, torch.cat(single), atol=1e-7, rtol=1e-5)


def test_the_generator_gives_the_noise(net: nn.Module, images: Tensor, random: Draw) -> None:
    maps = random(4, 1, 16, 12)
    first, again, other = (
        road(net, images, maps, 1, noise=0.3, generator=generator).score
        for generator in (None, torch.Generator().manual_seed(0), torch.Generator().manual_seed(1))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_defaults_are_the_odd_tenths_and_the_noise_of_the_authors(net: nn.Module, images: Tensor, random: Draw) -> None:
    maps, removed = random(4, 1, 16, 12), random(1, 1, 16, 12) > 0
    result, stated = road(net, images, maps, 1), (0.1, 0.3, 0.5, 0.7, 0.9)
    assert result.fractions == stated
    assert torch.equal(result.score, road(net, images, maps, 1, fractions=stated, noise=0.01).score)
    imputed = noisy_linear_imputation(images, removed)
    assert torch.equal(imputed, noisy_linear_imputation(images, removed, noise=0.01))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 1)])
def test_one_pixel_always_stays(height: int, width: int) -> None:
    images = torch.full((1, 1, height, width), 0.5)
    result = road(lambda x: x.sum(dim=(1, 2, 3)), images, images, fractions=[0.9], noise=0, softmax=False)
    torch.testing.assert_close(result.most_relevant_first, torch.full((1, 1), 0.5 * height * width).double())


@pytest.mark.parametrize("fractions", [True, 0.5, None, ["a"], [None]])
def test_fractions_that_are_no_numbers(net: nn.Module, images: Tensor, fractions: Any) -> None:
    with pytest.raises(TypeError, match=rf"sequence of numbers, but {re.escape(repr(fractions))} was passed"):
        road(net, images, images, 1, fractions=fractions)


def test_numbers_that_no_float_holds(net: nn.Module, images: Tensor) -> None:
    with pytest.raises(ValueError, match="fractions must be above 0 and below 1, but a number that no float holds"):
        road(net, images, images, 1, fractions=[10**400])
    with pytest.raises(TypeError, match=r"baselines have dtype torch\.complex64: pass real pixels"):
        deletion_curve(net, images, images, 1, baselines=torch.zeros(1, dtype=torch.complex64))
    with pytest.raises(ValueError, match="baselines are a number that no float holds"):
        deletion_curve(net, images, images, 1, baselines=10**400)


@pytest.mark.parametrize("fractions", [(), (0.0, 0.5), (0.5, 1.0), (-0.1,), (float("nan"),)])
def test_fractions_outside_of_their_range(net: nn.Module, images: Tensor, fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=rf"fractions=\({', '.join(map(str, fractions))},?\) must"):
        road(net, images, torch.zeros(4, 1, 16, 12), 0, fractions=fractions)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"attributions": torch.zeros(4, 1, 12, 16)}, r"\(4, 1, 12, 16\) do not fit inputs of shape \(4, 3, 16, 12\)"),
        ({"attributions": torch.full((4, 1, 16, 12), torch.nan)}, r"4 of 4 entries of attributions"),
        ({"inputs": torch.full((4, 3, 16, 12), torch.nan)}, r"4 of 4 entries of inputs"),
        ({"noise": float("nan")}, r"noise must be finite and at least 0, but nan was passed"),
        ({"batch_size": 0}, r"batch_size must be at least 1, but 0 was passed"),
    ],
)
def test_bad_values(net: nn.Module, images: Tensor, bad: dict, message: str) -> None:
    arguments = {"inputs": images, "attributions": torch.zeros(4, 1, 16, 12), "target": 0} | bad
    with pytest.raises(ValueError, match=message):
        road(net, **arguments)

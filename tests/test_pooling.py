import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel import pool_segments, segment_scores
from captum_superpixel.pooling import Reduction, _accumulator

REDUCTIONS: list[Reduction] = ["mean", "abs_mean", "sum", "max"]
NUMPY = {"mean": np.mean, "abs_mean": lambda values: np.mean(np.abs(values)), "sum": np.sum, "max": np.max}


def maps(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3)).to(dtype)


def ids(*shape: int, count: int = 7) -> Tensor:
    return torch.randint(0, count, shape, generator=torch.Generator().manual_seed(4))


def pool_by_loop(attributions: Tensor, mask: Tensor, reduction: str, pool_channels: bool) -> Tensor:
    """Independent reference: NumPy, one image, one channel and one id after the other."""
    values = attributions.double().numpy()
    result = np.empty_like(values)
    labels = np.broadcast_to(mask.numpy(), (len(values), *mask.shape[1:]))
    for image, label, out in zip(values, labels, result, strict=True):
        if len(label) == 1 and not pool_channels:
            parts = [(image[c], label[0], out[c]) for c in range(len(image))]
        else:
            parts = [(image, np.broadcast_to(label, image.shape), out)]
        for part, part_label, part_out in parts:
            for identity in np.unique(part_label):
                inside = part_label == identity
                part_out[inside] = NUMPY[reduction](part[inside])
    return torch.from_numpy(result).to(attributions.dtype)


def test_two_segments_drawn_by_hand() -> None:
    mask = torch.tensor([[[[0, 0, 1], [0, 1, 1]]]])
    attributions = torch.tensor([[[[1.0, 2.0, -4.0], [6.0, 0.0, 1.0]]]])
    assert pool_segments(attributions, mask).tolist() == [[[[3.0, 3.0, -1.0], [3.0, -1.0, -1.0]]]]
    assert pool_segments(attributions, mask, "sum").tolist() == [[[[9.0, 9.0, -3.0], [9.0, -3.0, -3.0]]]]
    assert pool_segments(attributions, mask, "max").tolist() == [[[[6.0, 6.0, 1.0], [6.0, 1.0, 1.0]]]]
    assert segment_scores(attributions, mask).tolist() == [[[3.0, -1.0]]]
    magnitudes = pool_segments(attributions, mask, "abs_mean")
    torch.testing.assert_close(magnitudes[0, 0], torch.tensor([[3.0, 3.0, 5 / 3], [3.0, 5 / 3, 5 / 3]]))


def test_ids_that_no_image_has_have_no_column() -> None:
    attributions = torch.tensor([[[1.0, 3.0, 5.0, 7.0, 9.0]], [[1.0, 2.0, 3.0, 4.0, 5.0]]])
    scores = segment_scores(attributions, torch.tensor([[[1, 1, 3, 3, 3]], [[4, 4, 4, 4, 3]]]), "sum")
    expected = torch.tensor([[[4.0, 21.0, torch.nan]], [[torch.nan, 5.0, 10.0]]])
    torch.testing.assert_close(scores, expected, rtol=0, atol=0, equal_nan=True)


def test_channels_of_a_segment_drawn_by_hand() -> None:
    attributions = torch.tensor([[[1.0, 3.0], [-5.0, 7.0]]])
    together = torch.tensor([[[0, 0]]])
    assert pool_segments(attributions, together).tolist() == [[[2.0, 2.0], [1.0, 1.0]]]
    assert pool_segments(attributions, together, pool_channels=True).tolist() == [[[1.5, 1.5], [1.5, 1.5]]]
    across = torch.tensor([[[0, 1], [1, 0]]])
    assert pool_segments(attributions, across).tolist() == [[[4.0, -1.0], [-1.0, 4.0]]]
    assert segment_scores(attributions, across).tolist() == [[[4.0, -1.0]]]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("pool_channels", [False, True])
@pytest.mark.parametrize("mask_shape", [(1, 1), (3, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("spatial", [(5, 6), (11,), (2, 3, 4)])
def test_agrees_with_a_loop_over_labels(
    reduction: Reduction, pool_channels: bool, mask_shape: tuple[int, int], spatial: tuple[int, ...]
) -> None:
    attributions, mask = maps(3, 2, *spatial), ids(*mask_shape, *spatial)
    expected = pool_by_loop(attributions, mask, reduction, pool_channels)
    pooled = pool_segments(attributions, mask, reduction, pool_channels)
    torch.testing.assert_close(pooled, expected)
    assert pooled.is_contiguous()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("mask_shape", [(1, 1), (3, 1), (1, 2), (3, 2)])
def test_scores_are_the_columns_of_unique(reduction: Reduction, mask_shape: tuple[int, int]) -> None:
    attributions, mask = maps(3, 2, 4, 5), ids(*mask_shape, 4, 5, count=30) * 1000 + 5
    scores = segment_scores(attributions, mask, reduction)
    unique = torch.unique(mask)
    assert scores.shape == (3, 2 if mask_shape[1] == 1 else 1, len(unique))
    labels = mask.expand(3, -1, -1, -1)
    for n, c, (k, identity) in itertools.product(range(3), range(scores.shape[1]), enumerate(unique)):
        inside = labels[n, 0] == identity if mask_shape[1] == 1 else labels[n] == identity
        values = attributions[n, c][inside] if mask_shape[1] == 1 else attributions[n][inside]
        if values.numel():
            assert scores[n, c, k].item() == pytest.approx(
                NUMPY[reduction](values.double().numpy()), rel=1e-5, abs=1e-6
            )
        else:
            assert scores[n, c, k].isnan()


@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_one_segment_a_pixel_is_the_map_itself(reduction: Reduction) -> None:
    attributions = maps(2, 3, 5, 7)
    torch.testing.assert_close(pool_segments(attributions, torch.arange(35).view(1, 1, 5, 7), reduction), attributions)


def test_one_segment_is_the_mean_of_each_channel() -> None:
    attributions = maps(2, 3, 5, 7)
    expected = attributions.mean(dim=(2, 3), keepdim=True).expand_as(attributions)
    torch.testing.assert_close(pool_segments(attributions, torch.full((1, 1, 5, 7), 9)), expected)


def test_the_mean_keeps_the_sum_of_a_long_segment() -> None:
    attributions = maps(1, 1, 1500, 1500) + 1000
    pooled = pool_segments(attributions, torch.zeros(1, 1, 1500, 1500, dtype=torch.long))
    exact = attributions.double().sum()
    assert abs(pooled[0, 0, 0, 0].double() * 1500**2 - exact) / exact < 1e-7


@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_pooling_twice_is_pooling_once(reduction: Reduction) -> None:
    once = pool_segments(maps(2, 3, 6, 6), ids(2, 1, 6, 6), reduction)
    torch.testing.assert_close(pool_segments(once, ids(2, 1, 6, 6), reduction), once)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_names_of_segments_change_nothing(reduction: Reduction) -> None:
    attributions, mask = maps(2, 3, 6, 6), ids(2, 1, 6, 6)
    names = torch.tensor([2**62, 5, 0, 2**40, 77, 2**62 - 1, 3])
    torch.testing.assert_close(
        pool_segments(attributions, names[mask], reduction),
        pool_segments(attributions, mask, reduction),
        rtol=0,
        atol=0,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("gap", [1, 2**40])
def test_a_batch_gives_what_its_images_give_bit_for_bit(reduction: Reduction, gap: int) -> None:
    attributions, mask = maps(8, 3, 64, 64), ids(8, 1, 64, 64, count=40) * gap
    single = [pool_segments(attributions[n : n + 1], mask[n : n + 1], reduction) for n in range(8)]
    torch.testing.assert_close(pool_segments(attributions, mask, reduction), torch.cat(single), rtol=0, atol=0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("channels", [3, 7, 40])
def test_how_channels_lie_in_memory_changes_no_bit(reduction: Reduction, channels: int) -> None:
    attributions = torch.randn(2, channels, 9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = (torch.arange(45) % 4).view(1, 1, 9, 5)
    side_by_side = attributions.to(memory_format=torch.channels_last)

    found = pool_segments(side_by_side, mask, reduction, pool_channels=True)

    assert torch.equal(found, pool_segments(attributions, mask, reduction, pool_channels=True))


def test_ids_apart_between_the_images_cost_no_memory() -> None:
    # Distinct ids over the whole batch: scores of all of them for every image would take 64 x 409600 doubles.
    mask = torch.arange(64 * 80 * 80).reshape(64, 1, 80, 80) * 2**40
    attributions = maps(64, 1, 80, 80)
    torch.testing.assert_close(pool_segments(attributions, mask), attributions)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nan_stays_in_its_segment(reduction: Reduction) -> None:
    attributions = torch.tensor([[[1.0, torch.nan, 3.0, 5.0]]])
    pooled = pool_segments(attributions, torch.tensor([[[0, 0, 1, 1]]]), reduction)
    assert pooled.isnan().tolist() == [[[True, True, False, False]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_point_type_comes_back_as_it_went_in(dtype: torch.dtype) -> None:
    attributions = maps(1, 2, 100, 100, dtype=dtype) + 3
    pooled = pool_segments(attributions, torch.zeros(1, 1, 100, 100, dtype=torch.long))
    assert pooled.dtype == dtype
    # A float16 sum of these 10,000 values would stop growing at 8192.
    torch.testing.assert_close(pooled[0, :, 0, 0], attributions.double().mean(dim=(2, 3))[0].to(dtype))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradients_flow_through(reduction: Reduction) -> None:
    attributions = maps(2, 2, 3, 3, dtype=torch.float64).requires_grad_()
    mask = ids(2, 1, 3, 3, count=3)
    assert torch.autograd.gradcheck(lambda values: pool_segments(values, mask, reduction), attributions)


def test_tables_and_vectors_pool_by_element_ids() -> None:
    table = torch.tensor([[1.0, 3.0, 8.0]])
    assert pool_segments(table, torch.tensor([[0, 0, 1]])).tolist() == [[2.0, 2.0, 8.0]]
    assert pool_segments(table, torch.tensor([[0]])).tolist() == [[1.0, 3.0, 8.0]]
    assert pool_segments(torch.tensor([1.0, 3.0]), torch.tensor([0])).tolist() == [1.0, 3.0]


def test_an_unknown_reduction_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"reduction='median' is unknown: choose one of 'mean', 'abs_mean', 'sum', 'max'"
    ):
        pool_segments(maps(1, 1, 2, 2), ids(1, 1, 2, 2), "median")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad", [torch.zeros(1, 1, 2, 2, dtype=torch.long), torch.zeros(1, 1, 2, 2, dtype=torch.cfloat)]
)
def test_attributions_are_floating_point(bad: Tensor) -> None:
    with pytest.raises(TypeError, match=f"but {bad.dtype} was passed"):
        segment_scores(bad, ids(1, 1, 2, 2))


def test_attributions_are_a_tensor() -> None:
    with pytest.raises(TypeError, match="but a list was passed"):
        segment_scores([1.0], ids(1, 1, 2, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(0, 1, 2, 2), (1, 1, 0, 2), ()])
def test_nothing_to_pool(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="hold nothing to pool"):
        pool_segments(torch.zeros(shape), ids(1, 1, 2, 2))


def test_the_batch_of_the_mask_is_one_or_that_of_the_attributions() -> None:
    with pytest.raises(ValueError, match=r"its batch size must be 1 or 4"):
        pool_segments(maps(4, 1, 2, 2), ids(2, 1, 2, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_long_segments_of_half_precision_are_counted_in_full(dtype: torch.dtype) -> None:
    length = 2**24 + 2**22
    attributions = torch.zeros(1, 1, length, dtype=dtype)
    attributions[..., length // 2 :] = 1
    mask = torch.zeros(1, dtype=torch.uint8).expand(1, 1, length)
    assert segment_scores(attributions, mask).tolist() == [[[0.5]]]


@pytest.mark.parametrize(
    ("device", "dtype", "expected"),
    [
        ("cpu", torch.float16, torch.float64),
        ("cpu", torch.float32, torch.float64),
        ("meta", torch.float16, torch.float32),
        ("meta", torch.float32, torch.float32),
        ("meta", torch.float64, torch.float64),
    ],
)
def test_other_devices_sum_in_float64_only_what_is_given_in_it(
    device: str, dtype: torch.dtype, expected: torch.dtype
) -> None:
    assert _accumulator(torch.empty(1, dtype=dtype, device=device)) == expected

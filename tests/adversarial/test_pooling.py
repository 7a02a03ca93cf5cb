"""Pooling: the identities that hold for every map and mask, and an average computed by hand beside it."""

from typing import Any

import numpy as np
import pytest
import torch
from fuzzed_inputs import FLOATS, feature_masks, partitions, renamed, shapes, tensors, tried
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from untouched import all_untouched

from captum_superpixel import pool_segments, segment_scores

REDUCTIONS = ("mean", "abs_mean", "sum", "max")


@st.composite
def cases(draw: st.DrawFn, *, per_channel: bool = True) -> tuple[Tensor, Any]:
    shape = draw(shapes(spatial=(0, 1, 2, 3)))
    return draw(tensors(shape)), draw(feature_masks(shape, per_channel=per_channel))


def by_hand(maps: Tensor, mask: Any, reduction: str) -> Tensor:
    """Loops over images, channels and ids, in float64."""
    values, ids = maps.double().numpy(), np.broadcast_to(np.asarray(mask, dtype=np.int64), mask.shape)
    reduce = {"mean": np.mean, "abs_mean": lambda part: np.abs(part).mean(), "sum": np.sum, "max": np.max}[reduction]
    pooled = np.empty_like(values)
    for image, labels, out in zip(values, np.broadcast_to(ids, (len(values), *ids.shape[1:])), pooled, strict=True):
        parts = [(image, out)] if len(labels) > 1 else zip(image[:, None], out[:, None], strict=True)
        for part, target in parts:
            for label in np.unique(labels):
                target[labels == label] = reduce(part[labels == label])
    return torch.from_numpy(pooled)


@tried(60)
@given(cases(), st.sampled_from(REDUCTIONS))
def test_every_reduction_is_what_it_says(case: tuple[Tensor, Any], reduction: Any) -> None:
    maps, mask = case
    with all_untouched((maps, mask)):
        pooled = pool_segments(maps, mask, reduction)
    assert (pooled.shape, pooled.dtype, pooled.is_contiguous()) == (maps.shape, maps.dtype, True)
    expected = by_hand(maps, mask, reduction)
    # What was added up rounds, however little is left of it.
    summed = by_hand(maps.abs(), mask, reduction)
    scale = max(1.0, summed[summed.isfinite()].abs().max().item())
    # float16 ends at 65,504.
    close = (pooled.double() - expected).abs() <= 4 * torch.finfo(maps.dtype).eps * scale
    assert (close | (pooled.isinf() & (expected.abs() > 60_000))).all()


@tried(40)
@given(cases(), st.booleans())
def test_the_mean_keeps_the_sum_of_each_segment_and_pooling_twice_is_pooling_once(
    case: tuple[Tensor, Any], joint: bool
) -> None:
    maps, mask = case
    wide = maps.double()
    pooled = pool_segments(wide, mask, pool_channels=joint)
    assert torch.allclose(pooled.flatten(1).sum(1), wide.flatten(1).sum(1), atol=1e-9, rtol=1e-9)
    again = pool_segments(pooled, mask, pool_channels=joint)
    assert torch.allclose(again, pooled, atol=1e-12, rtol=1e-12)
    # Equal ids have equal values, exactly.
    highest = pool_segments(pooled, mask, "max", pool_channels=joint)
    assert torch.equal(highest, pooled)
    assert torch.equal(pool_segments(-pooled, mask, "max", pool_channels=joint), -pooled)


@tried(40)
@given(st.data(), st.sampled_from(REDUCTIONS), st.booleans())
def test_an_image_alone_has_the_result_that_it_has_in_a_batch(data: st.DataObject, reduction: Any, joint: bool) -> None:
    shape = data.draw(shapes(spatial=(0, 1, 2, 3), batch=(2, 5)))
    maps, mask = data.draw(tensors(shape)), torch.as_tensor(np.asarray(data.draw(feature_masks(shape))))
    together = pool_segments(maps, mask, reduction, pool_channels=joint)
    for number in range(len(maps)):
        own = mask if len(mask) == 1 else mask[number : number + 1]
        alone = pool_segments(maps[number : number + 1], own, reduction, pool_channels=joint)
        assert torch.equal(alone[0], together[number])


@tried(40)
@given(st.data(), st.sampled_from(REDUCTIONS), st.booleans())
def test_names_and_layouts_of_ids_do_not_matter(data: st.DataObject, reduction: Any, joint: bool) -> None:
    shape = data.draw(shapes(spatial=(0, 1, 2, 3)))
    maps = data.draw(tensors(shape))
    mask = data.draw(partitions(shape[2:], shape[0]))
    other = data.draw(renamed(mask))
    if data.draw(st.booleans()):
        other = other.max() - other if int(other.max()) < 2**62 else other.flip(0).flip(0)
    assert torch.equal(
        pool_segments(maps, mask, reduction, pool_channels=joint),
        pool_segments(maps.contiguous(), other, reduction, pool_channels=joint),
    )


@tried(40)
@given(cases(), st.sampled_from(REDUCTIONS))
def test_scores_stand_in_the_order_of_the_ids(case: tuple[Tensor, Any], reduction: Any) -> None:
    maps, mask = case
    scores = segment_scores(maps, mask, reduction)
    ids = torch.as_tensor(np.asarray(mask, dtype=np.int64))
    names = torch.unique(ids)
    assert scores.shape == (len(maps), 1 if ids.shape[1] > 1 else maps.shape[1], len(names))
    pooled = pool_segments(maps, mask, reduction)
    for column, name in enumerate(names):
        where = (ids == name).expand_as(maps)
        for image in range(len(maps)):
            if not where[image].any():
                assert scores[image, :, column].isnan().all()
                continue
            for channel, score in enumerate(scores[image, :, column]):
                chosen = where[image] if scores.shape[1] == 1 else where[image, channel : channel + 1]
                of = pooled[image] if scores.shape[1] == 1 else pooled[image, channel : channel + 1]
                assert (of[chosen] == score).all()


@tried(20)
@given(cases(), st.sampled_from((float("nan"), float("inf"), -float("inf"))), st.integers(0, 2**16))
def test_what_is_not_finite_stays_in_its_segment(case: tuple[Tensor, Any], value: float, place: int) -> None:
    maps, mask = case
    damaged = maps.clone(memory_format=torch.contiguous_format)
    damaged.view(-1)[place % maps.numel()] = value
    pooled, clean = pool_segments(damaged, mask), pool_segments(maps, mask)
    ids = torch.as_tensor(np.asarray(mask, dtype=np.int64))
    image, channel = divmod(place % maps.numel() // maps[0, 0].numel(), maps.shape[1])
    labels = ids.expand(len(maps), *ids.shape[1:])[image]
    hit = torch.zeros_like(maps, dtype=torch.bool)
    position = place % maps[0, 0].numel()
    if len(labels) == 1:
        hit[image, channel] = labels[0] == labels[0].reshape(-1)[position]
    else:
        hit[image] = labels == labels[channel].reshape(-1)[position]
    assert not pooled[hit].isfinite().any()
    assert torch.equal(pooled[~hit], clean[~hit])


@tried(20)
@given(cases(per_channel=False))
def test_gradients_flow_back_as_averages(case: tuple[Tensor, Any]) -> None:
    """Averaging is symmetric: the gradient of a weighted sum of averages is the average of the weights."""
    maps, mask = case
    leaf = maps.double().requires_grad_()
    weights = torch.arange(leaf.numel(), dtype=torch.float64).view(leaf.shape)
    (pool_segments(leaf, mask) * weights).sum().backward()
    assert leaf.grad is not None
    assert torch.allclose(leaf.grad, pool_segments(weights, mask))


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_largest_values_of_a_dtype_have_a_mean(dtype: torch.dtype) -> None:
    maps = torch.full((1, 1, 9), torch.finfo(dtype).max, dtype=dtype)
    if dtype != torch.float64:  # whose sums have nothing wider
        assert torch.equal(pool_segments(maps, torch.zeros(1, 1, 9, dtype=torch.int64)), maps)

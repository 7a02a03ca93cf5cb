import pytest
import torch

from captum_superpixel._segment_sums import segment_sizes, segment_sums


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_go_on_where_float32_stops_to_count(dtype: torch.dtype) -> None:
    length = 2**24 + 2**22
    ones, labels = torch.ones(1, dtype=dtype), torch.zeros(1, dtype=torch.long)
    ones, labels = ones.expand(1, 1, length), labels.expand(1, 1, length)
    assert segment_sums(ones, labels, 2).tolist() == [[[length, 0]]]
    assert segment_sizes(labels, 2).tolist() == [[[length, 0]]]


def test_partial_sums_are_differentiable_and_agree_with_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captum_superpixel._segment_sums._PARTIAL_SUM", 7)
    values = torch.rand(2, 3, 50, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.arange(50).mul(3).remainder(4).expand(2, 1, 50)
    sums = segment_sums(values, labels, 4)
    torch.testing.assert_close(sums.double(), segment_sums(values.double(), labels, 4))
    (gradient,) = torch.autograd.grad(sums[..., 1].sum(), values)
    assert torch.equal(gradient, (labels == 1).float().expand_as(values))


def test_long_sums_of_equal_values_are_as_good_as_short_ones() -> None:
    values, labels = torch.full((1, 1, 2**20), 0.1), torch.arange(2**20).remainder(3)[None, None]
    expected = segment_sums(values.double(), labels, 3)
    torch.testing.assert_close(segment_sums(values, labels, 3).double(), expected, rtol=1e-5, atol=0)

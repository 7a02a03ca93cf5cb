import pytest
import torch

from captum_superpixel.attr._strength import find_strength, n_search_draws


def lost_of(thresholds: torch.Tensor, always: int = 0):
    """Of each draw, row by row, how many images change their class: those whose threshold is passed."""
    return lambda strength, draw: always + int((strength > thresholds[draw]).sum())


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.85, 0.97])
@pytest.mark.parametrize("scale", [1e-4, 0.01, 1, 20])
def test_it_is_the_quantile_of_the_strengths_at_which_predictions_change(keep, scale) -> None:
    thresholds = scale * torch.rand(20, 50, generator=torch.Generator().manual_seed(0))
    found = find_strength(lost_of(thresholds), 20, 50, keep)
    # Of uniform thresholds a share of strength / scale is passed; bisection ends within 5 %.
    assert (1 - keep) / 1.05 - 0.04 < found / scale < 1 - keep + 0.04
    assert (thresholds < found).float().mean() <= 1 - keep < (thresholds < 1.05 * found).float().mean() + 0.002


def test_of_few_predictions_the_expected_share_is_met() -> None:
    """On average over many samples, the strength is passed by the share of the distribution that was asked for."""
    generator = torch.Generator().manual_seed(0)
    found = [find_strength(lost_of(torch.rand(20, 1, generator=generator)), 20, 1, 0.85) for _ in range(400)]
    # The third of 20 thresholds is at 3 / 21 on average; with bisection, up to 5 % less.
    assert sum(found) / 400 == pytest.approx(3 / 21, rel=0.08)


def test_draws_are_not_looked_at_once_it_is_decided() -> None:
    seen = []

    def lost(strength: float, draw: int) -> int:
        seen.append((strength, draw))
        return 10 if strength > 0.2 else 0

    assert 0.2 / 1.05 <= find_strength(lost, 20, 10, 0.85) <= 0.2
    assert max(draw for strength, draw in seen if strength > 0.2) == 2  # 30 of 200 are too many
    assert max(draw for strength, draw in seen if strength <= 0.2) == 19


@pytest.mark.parametrize(("keep", "smallest"), [(0.85, 6), (0.5, 6), (0.99, 13), (0.01, 13)])
def test_there_are_enough_draws_for_the_share(keep, smallest) -> None:
    assert n_search_draws(8, keep) == max(16, smallest)
    assert n_search_draws(1000, keep) == 6
    assert n_search_draws(1, 0.999) == 999


def test_where_there_is_none() -> None:
    with pytest.raises(ValueError, match=r"every strength up to 100 .* keep=0\.5 "):
        find_strength(lambda strength, draw: 0, 6, 4, 0.5)
    with pytest.raises(ValueError, match=r"keep=0\.9 .* views alone keep it in 0\.75"):
        find_strength(lambda strength, draw: 1, 6, 4, 0.9)
    with pytest.raises(ValueError, match=r"no strength down to 1e-06 .* keep=0\.9 "):
        find_strength(lambda strength, draw: 4 if strength else 0, 6, 4, 0.9)

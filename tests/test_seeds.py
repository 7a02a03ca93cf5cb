"""Seeds: reproducible on every machine, and different for every purpose."""

import hashlib

import numpy as np
import pytest
import torch

from captum_superpixel._seeds import derive_seed, seeded


def test_the_seed_is_that_of_the_hash_on_every_machine() -> None:
    digest = hashlib.sha256(b'[7, "training", 1]').hexdigest()
    assert derive_seed(7, "training", 1) == int(digest[:16], 16) // 4


def test_no_two_purposes_share_a_seed() -> None:
    purposes = [(0,), (1,), (0, 1), (0, "1"), (0, "a", "b"), (0, "ab"), (0, "a,b"), (0, "a", 1), (0, "a", 11)]
    assert len({derive_seed(*purpose) for purpose in purposes}) == len(purposes)  # type: ignore[arg-type]


def test_seeds_fill_62_bits_and_fit_a_generator() -> None:
    seeds = [derive_seed(0, number) for number in range(200)]
    assert all(0 <= seed < 2**62 for seed in seeds)
    bits = [sum(seed >> bit & 1 for seed in seeds) for bit in range(62)]
    assert min(bits) > 55
    assert max(bits) < 145  # six standard deviations of a fair coin
    torch.Generator().manual_seed(max(seeds))


def draw() -> tuple[float, float]:
    return torch.rand(()).item(), np.random.rand()  # noqa: NPY002


def test_global_generators_are_seeded_for_a_while_and_left_as_they_were() -> None:
    kept = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        expected = [draw() for _ in range(3)]
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        found = []
        for seed in (5, 2**62 - 1, 5):
            with seeded(seed):
                found.append(draw())
            expected_next = expected.pop(0)
            assert draw() == expected_next
        with pytest.raises(KeyError, match="inside"), seeded(5):
            raise KeyError("inside")
    np.random.set_state(kept)  # noqa: NPY002
    assert found[0] == found[2]
    assert found[0][0] != found[1][0]
    assert found[0][1] != found[1][1]

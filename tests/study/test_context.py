"""What every stage of a study is given: seeds for each purpose, and jobs that are done once."""

import dataclasses
from collections.abc import Callable

import torch

from captum_superpixel._seeds import derive_seed
from captum_superpixel.study.context import Study
from captum_superpixel.study.jobs import Job
from captum_superpixel.study.settings import StudySettings


def test_seeds_and_jobs(settings_of: Callable[..., StudySettings], study_of: Callable[..., Study]) -> None:
    study = study_of(settings_of(seed=5))
    assert study.seed("network", 1) == derive_seed(5, "network", 1)
    drawn = torch.rand(3, generator=study.generator("network", 1))
    assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(derive_seed(5, "network", 1))))
    ran: list[int] = []

    def run() -> dict[str, int]:
        ran.append(1)
        return {"value": 7}

    counts: list[int] = []
    for _ in range(2):
        assert study.run([Job("part", {}, run)], finished=counts.append) == [{"value": 7}]
    assert (ran, counts) == ([1], [1])
    assert study.store.path("part").exists()
    elsewhere = dataclasses.replace(study, world=dataclasses.replace(study.world, rank=1))
    assert elsewhere.run([], share=False) == []

"""What all stages of a study share: the settings, the images, how these are measured, and where work is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import Content, Store
from captum_superpixel.study.data import StudyData
from captum_superpixel.study.jobs import Job, World, run_jobs
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.settings import StudySettings

__all__ = ["Reporter", "Study"]

Reporter: TypeAlias = Callable[[str], None]
"""Called with every line of what there is to say."""


@dataclass(frozen=True)
class Study:
    """What every stage of a study needs to know.

    Args:
        settings: What is studied, with all defaults filled in.
        data: Training and held-out images.
        protocol: How maps are made, grouped and measured.
        device: Where this process works.
        store: Where finished parts are kept.
        world: The processes that share the work.
        report: Called with every line of what there is to say.
    """

    settings: StudySettings
    data: StudyData
    protocol: Protocol
    device: torch.device
    store: Store
    world: World
    report: Reporter

    def seed(self, *purpose: str | int) -> int:
        """The seed for one purpose of the study, which does not depend on what was drawn before."""
        return derive_seed(self.settings.seed, *purpose)

    def generator(self, *purpose: str | int) -> torch.Generator:
        """A generator on the CPU for one purpose of the study."""
        return torch.Generator().manual_seed(self.seed(*purpose))

    def run(
        self, jobs: Sequence[Job], *, share: bool = False, finished: Callable[[int], None] | None = None
    ) -> list[Content]:
        """Do what is not in the store yet: :func:`~captum_superpixel.study.jobs.run_jobs`."""
        return run_jobs(jobs, self.store, self.world, share=share, finished=finished)

"""An attribution method of given maps."""

from collections.abc import Callable

import pytest
from captum.attr import Attribution
from torch import nn


class Stored(Attribution):
    """Returns the maps that it was given."""

    def __init__(self, maps: object) -> None:
        super().__init__(nn.Identity())
        self.maps = maps

    def attribute(self, inputs: object) -> object:
        return self.maps


@pytest.fixture
def stored() -> Callable[[object], Attribution]:
    return Stored

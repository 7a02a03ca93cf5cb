"""A small network and images for the tests of the wrapper."""

import os

import pytest
import torch
from torch import Tensor, nn

# Whatever is compiled on a developer's computer: torch is the reference, and the compiled engine has its own tests.
os.environ.setdefault("CAPTUM_SUPERPIXEL_ENGINE", "torch")

# It makes a simulated device known to torch, which changes the whole process.
collect_ignore = ["benchmarks/launches.py"]

# The networks here are tiny: a second thread costs more than it brings, above all on a busy machine.
torch.set_num_threads(1)


class Net(nn.Module):
    """Two convolutions and a linear layer; 3 channels, any size, 5 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.linear = nn.Linear(24, 5)

    def forward(self, images: Tensor) -> Tensor:
        features = self.pool(self.relu2(self.conv2(self.relu1(self.conv1(images)))))
        return self.linear(features.flatten(1))


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net().eval()
    for parameter in net.parameters():  # so that the effects of a segment are far above rounding
        parameter.data *= 4
    return net


@pytest.fixture
def images() -> Tensor:
    """Four images; they require gradients, because Captum warns about those that do not."""
    return torch.rand(4, 3, 16, 12, generator=torch.Generator().manual_seed(5)).requires_grad_()


@pytest.fixture
def masks() -> Tensor:
    """A mask of its own for each of four images, with gaps between the ids and other ids in each."""
    ids = torch.tensor([[0, 7, 9], [1, 7, 2**40], [4, 5, 6], [0, 2**62, 3]])
    blocks = torch.stack([torch.arange(16 * 12).reshape(1, 16, 12) * (n + 2) // 97 % 3 for n in range(4)])
    return torch.stack([row[block] for row, block in zip(ids, blocks, strict=True)])


@pytest.fixture
def shared_mask() -> Tensor:
    """One mask of 12 squares for all images."""
    return (torch.arange(16).view(1, 1, 16, 1) // 4) * 3 + torch.arange(12).view(1, 1, 1, 12) // 4

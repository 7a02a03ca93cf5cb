"""Signed maps of a network's decisions by the study's three methods.

Saliency and IntegratedGradients explain an image alike whatever its neighbours; the noise of SmoothGrad is drawn for
the batch, so an image meets other noise in another one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from captum.attr import Attribution, IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor, nn

__all__ = ["METHODS", "Explainer", "seeded"]

METHODS = ("Saliency", "IntegratedGradients", "SmoothGrad")


@dataclass(frozen=True)
class Explainer:
    """The study's methods of attribution and their settings, by Captum.

    Args:
        n_steps: Steps of IntegratedGradients.
        n_samples: Noisy copies of each image for SmoothGrad.
        noise: Standard deviation of SmoothGrad's noise, in units of the network's input.
        baseline: What all pixels of IntegratedGradients' baseline are, in units of the network's input.
        images_at_once: How many images, steps and noisy copies counted in, the network is given at once; for
            IntegratedGradients and SmoothGrad never fewer than are explained together.
    """

    n_steps: int = 20
    n_samples: int = 20
    noise: float = 0.12
    baseline: float = 0.0
    images_at_once: int = 256

    def explain(self, method: str, model: nn.Module, inputs: Tensor, targets: Tensor, seed: int) -> Tensor:
        """Explain the logits of the targets.

        Args:
            method: One of ``METHODS``.
            model: From images (N, C, H, W) to logits (N, classes), in evaluation mode.
            inputs: (N, C, H, W).
            targets: (N,) int64.
            seed: Seed of SmoothGrad's noise; the global generators are left as they were.

        Returns:
            Signed maps (N, C, H, W), detached: ``abs=False`` for Saliency, inside SmoothGrad too.

        Raises:
            ValueError: If the method is none of ``METHODS``.

        Examples:
            >>> import torch
            >>> linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2, bias=False))
            >>> inputs, targets = torch.ones(1, 1, 2, 2), torch.tensor([1])
            >>> maps = [Explainer().explain(method, linear, inputs, targets, seed=0) for method in METHODS]
            >>> all(torch.allclose(map, linear[1].weight[1].view(1, 1, 2, 2), atol=1e-6) for map in maps)
            True
        """
        explain: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
            "Saliency": self._saliency,
            "IntegratedGradients": self._integrated_gradients,
            "SmoothGrad": self._smooth_grad,
        }
        if method not in explain:
            raise ValueError(f"method={method!r} is unknown: choose one of {', '.join(map(repr, METHODS))}")
        with seeded(seed, inputs.device):
            return explain[method](model, inputs.detach().clone().requires_grad_(), targets).detach()

    def _saliency(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        method = Saliency(model)
        # A part of a batch is no leaf, whose gradient Captum could read without a warning.
        parts = [part.detach().requires_grad_() for part in torch.split(inputs, self.images_at_once)]
        pairs = zip(parts, torch.split(targets, self.images_at_once), strict=True)
        return torch.cat([method.attribute(part, target=target, abs=False) for part, target in pairs])

    def _integrated_gradients(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        method: Attribution = IntegratedGradients(model)
        maps: Tensor = method.attribute(
            inputs,
            baselines=self.baseline,
            target=targets,
            n_steps=self.n_steps,
            internal_batch_size=max(len(inputs), self.images_at_once),
        )
        return maps

    def _smooth_grad(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        maps: Tensor = NoiseTunnel(Saliency(model)).attribute(
            inputs,
            nt_type="smoothgrad",
            nt_samples=self.n_samples,
            nt_samples_batch_size=min(self.n_samples, max(1, self.images_at_once // len(inputs))),
            stdevs=self.noise,
            target=targets,
            abs=False,
        )
        return maps


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators for a while, the only ones that NoiseTunnel and dropout know."""
    # A seed for all is a seed for every GPU, also for those that are not worked on.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield

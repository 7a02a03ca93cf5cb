import pytest
import torch
from captum.attr import IntegratedGradients, KernelShap, Saliency
from torch import Tensor, nn

from captum_superpixel import perturbed_attributions


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 16 * 12, 5)

    def forward(self, images: Tensor) -> Tensor:
        # The first class wins, whatever the parameters are.
        return self.linear(images.flatten(1)).tanh() - torch.tensor([0.0, 3, 3, 3, 3])


class LeftSide(nn.Module):
    """Predicts another class for the mirrored image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([images[..., :6].sum((1, 2, 3)), images[..., 6:].sum((1, 2, 3))], dim=1) * self.weight


def test_where_no_strength_will_do(net, images) -> None:
    network = Constant()
    with pytest.raises(ValueError, match=r"every strength up to 100 keeps the predicted class in keep=0\.85"):
        perturbed_attributions(Saliency(network), network, images, target=1)
    halves, side = images.detach().clone(), LeftSide()
    halves[..., :6] += 5
    with pytest.raises(ValueError, match=r"no strength keeps .* keep=0\.85 .* the views alone keep it in 0\.50"):
        perturbed_attributions(Saliency(side), side, halves, target=1)
    assert perturbed_attributions(Saliency(side), side, halves, target=1, flip=False).strength > 0.1
    dense = nn.Conv2d(3, 2, 1)
    with pytest.raises(ValueError, match="predicts no classes"):
        perturbed_attributions(Saliency(dense), dense, images, target=(1, 0, 0))
    assert perturbed_attributions(Saliency(dense), dense, images, target=(1, 0, 0), strength=0.1).kept is None
    with pytest.raises(ValueError, match=r"what Saliency\(Net\) explains does not change .* parameters of Linear"):
        perturbed_attributions(Saliency(net), nn.Linear(3, 3), images, target=1)


@pytest.mark.parametrize("options", [{"keep": 0.9}, {"strength": 0.1}])
def test_a_single_output_is_kept_on_its_side_of_0(images, options) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 12, 1, bias=False))
    draws = perturbed_attributions(Saliency(network), network, images.detach() - 0.5, views=False, **options)
    assert draws.kept.shape == (12, 4)
    assert draws.strength > 0.01


def test_what_does_not_fit_is_refused(net, images) -> None:
    method = Saliency(net)
    for keep in (0, 1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match=rf"keep .*{keep}"):
            perturbed_attributions(method, net, images, keep=keep)
    with pytest.raises(ValueError, match="keep=1 is kept by no strength"):
        perturbed_attributions(method, net, images, keep=1)
    with pytest.raises(TypeError, match="keep must be a number, but 'most'"):
        perturbed_attributions(method, net, images, keep="most")
    with pytest.raises(ValueError, match="n_draws must be at least 2, but 1"):
        perturbed_attributions(method, net, images, n_draws=1)
    with pytest.raises(ValueError, match=r"strength must be .* but -1\.0"):
        perturbed_attributions(method, net, images, strength=-1)
    with pytest.raises(TypeError, match=r"generator=3 is not a torch\.Generator"):
        perturbed_attributions(method, net, images, generator=3)
    with pytest.raises(ValueError, match="max_shift=3 is of views"):
        perturbed_attributions(method, net, images, views=False, max_shift=3)
    with pytest.raises(ValueError, match="max_shift=12, but an input has shape"):
        perturbed_attributions(method, net, images, max_shift=12)
    with pytest.raises(ValueError, match=r"no image among the inputs, \[\(4, 7\)\]"):
        perturbed_attributions(method, net, torch.rand(4, 7))
    with pytest.raises(ValueError, match="return_convergence_delta=True"):
        perturbed_attributions(IntegratedGradients(net), net, images, return_convergence_delta=True)
    with pytest.raises(ValueError, match="return_input_shape=False gives coefficients"):
        perturbed_attributions(KernelShap(net), net, images, return_input_shape=False)
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_steps'"):
        perturbed_attributions(method, net, images, target=1, n_steps=3)
    with pytest.raises(TypeError, match="is the model Net"):
        perturbed_attributions(net, net, images)
    with pytest.raises(TypeError, match=r"model must be the torch\.nn\.Module .* is a function"):
        perturbed_attributions(Saliency(lambda inputs: inputs.sum()), lambda inputs: inputs.sum(), images)
    with pytest.raises(ValueError, match="Identity has no parameters"):
        perturbed_attributions(Saliency(nn.Identity()), nn.Identity(), images)
    with pytest.raises(ValueError, match="LazyLinear are not initialized yet"):
        perturbed_attributions(method, nn.LazyLinear(3), images)


def test_training_mode_is_warned_of(images) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 12, 5), nn.BatchNorm1d(5))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for method in (Saliency(network), Saliency(lambda inputs: network(inputs))):
        with pytest.warns(UserWarning, match="Sequential is in training mode and holds BatchNorm1d"):
            perturbed_attributions(method, network, images, target=1, strength=0.1)
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())

import copy
import pickle

import pytest
import torch
from captum.attr import (
    Deconvolution,
    FeatureAblation,
    GradientAttribution,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    LayerGradCam,
    NoiseTunnel,
    Saliency,
)
from scipy.ndimage import gaussian_filter1d
from torch import nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr import Contributions, ViewTunnel
from captum_superpixel.masks import Grid


def linear(images) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 3))


def test_contributions_of_a_linear_network_add_up_exactly(images) -> None:
    model, reference = linear(images), torch.rand(3, 16, 12)
    maps = Contributions(Saliency(model), reference).attribute(images, target=1)
    difference = model(images)[:, 1] - model(reference[None])[:, 1]
    torch.testing.assert_close(maps.flatten(1).sum(dim=1), difference.detach())


def test_a_gradient_is_multiplied_by_what_lies_above_the_reference(net, images) -> None:
    gradient = Saliency(net).attribute(images, target=2, abs=False)
    maps = Contributions(Saliency(net), 0.25).attribute(images, target=2)
    torch.testing.assert_close(maps, gradient * (images.detach() - 0.25))
    zero = Contributions(Saliency(net), 0).attribute(images, target=2)
    torch.testing.assert_close(zero, InputXGradient(net).attribute(images, target=2).detach())


def test_the_blur_is_a_tenth_of_the_shorter_side(net, images) -> None:
    maps = Contributions(Saliency(net)).attribute(images, target=2)
    rows = torch.exp(-0.5 * ((torch.arange(16)[:, None] - torch.arange(16)) / 1.2) ** 2)
    columns = torch.exp(-0.5 * ((torch.arange(12)[:, None] - torch.arange(12)) / 1.2) ** 2)
    blurred = (rows / rows.sum(1, keepdim=True)) @ images.detach() @ (columns / columns.sum(1, keepdim=True)).T
    gradient = Saliency(net).attribute(images, target=2, abs=False)
    torch.testing.assert_close(maps, gradient * (images.detach() - blurred))
    # Far from the borders it is SciPy's.
    smooth = gaussian_filter1d(gaussian_filter1d(images.detach().numpy(), 1.2, axis=2, truncate=8), 1.2, axis=3)
    torch.testing.assert_close(blurred[:, :, 7:9, 5:7], torch.from_numpy(smooth)[:, :, 7:9, 5:7], atol=2e-3, rtol=0)


@pytest.mark.parametrize("method", [IntegratedGradients, InputXGradient, FeatureAblation, KernelShap])
def test_maps_that_hold_contributions_already_pass_unchanged(net, images, method) -> None:
    options = {"n_samples": 40} if method is KernelShap else {}
    images = images[:1].detach().requires_grad_()  # Captum warns of several images for KernelShap
    if method in (FeatureAblation, KernelShap):
        options["feature_mask"] = Grid(4)(images)
    torch.manual_seed(0)
    expected = method(net).attribute(images, target=1, **options)
    torch.manual_seed(0)
    actual = Contributions(method(net)).attribute(images, target=1, **options)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_a_convergence_delta_is_passed_on_where_there_is_one(net, images) -> None:
    method = Contributions(IntegratedGradients(net))
    assert method.has_convergence_delta()
    maps, delta = method.attribute(images, target=1, return_convergence_delta=True)
    torch.testing.assert_close(method.compute_convergence_delta(maps, 0 * images, images, target=1), delta)


def test_a_convergence_delta_is_refused_where_there_is_none(net, images) -> None:
    method = Contributions(Saliency(net))
    assert not method.has_convergence_delta()
    with pytest.raises(ValueError, match="first-order estimates, which do not add up"):
        Contributions(NoiseTunnel(Saliency(net))).attribute(images, target=1, return_convergence_delta=True)
    with pytest.raises(ValueError, match="has no convergence delta: its maps are first-order estimates"):
        method.compute_convergence_delta(images, 0 * images, images, target=1)


@pytest.mark.parametrize("multiplies", [False, True])
def test_integrated_gradients_that_are_not_multiplied_are(net, images, multiplies) -> None:
    method = IntegratedGradients(net, multiply_by_inputs=multiplies)
    maps = Contributions(method, 0).attribute(images, target=1)
    torch.testing.assert_close(maps, IntegratedGradients(net).attribute(images, target=1))


def test_a_noise_tunnel_fits_inside_and_outside(net, images) -> None:
    torch.manual_seed(0)
    smooth = NoiseTunnel(Saliency(net)).attribute(images, nt_samples=3, stdevs=0.1, target=1, abs=False)
    torch.manual_seed(0)
    inside = Contributions(NoiseTunnel(Saliency(net)), 0.5).attribute(images, nt_samples=3, stdevs=0.1, target=1)
    torch.testing.assert_close(inside, smooth * (images.detach() - 0.5))
    torch.manual_seed(0)
    outside = NoiseTunnel(Contributions(Saliency(net), 0)).attribute(images, nt_samples=3, stdevs=0.1, target=1)
    torch.manual_seed(0)
    expected = NoiseTunnel(InputXGradient(net)).attribute(images, nt_samples=3, stdevs=0.1, target=1)
    torch.testing.assert_close(outside, expected)


def test_references_of_each_image_are_repeated_with_it(net, images) -> None:
    references = torch.rand(4, 3, 16, 12)
    alone = Contributions(Saliency(net), references).attribute(images, target=1)
    twice = images.detach().repeat_interleave(2, dim=0).requires_grad_()
    torch.testing.assert_close(Contributions(Saliency(net), references).attribute(twice, target=1)[::2], alone)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_references_of_another_dtype_leave_that_of_the_maps(net, images, dtype) -> None:
    reference = torch.tensor([[0.0, 1], [1, 0]], dtype=dtype).repeat(8, 6)
    maps = Contributions(Saliency(net), reference).attribute(images, target=1)
    assert maps.dtype == images.dtype
    torch.testing.assert_close(maps, Contributions(Saliency(net), reference.float()).attribute(images, target=1))


def test_the_maps_can_be_grouped(net, images, masks) -> None:
    contributions = Contributions(Saliency(net), 0)
    grouped = SuperpixelGrouped(contributions, None).attribute(images, target=1, feature_mask=masks)
    expected = SuperpixelGrouped(InputXGradient(net), None).attribute(images, target=1, feature_mask=masks)
    torch.testing.assert_close(grouped, expected)
    inside = Contributions(SuperpixelGrouped(Saliency(net), None), 0).attribute(images, target=1, feature_mask=masks)
    pooled = SuperpixelGrouped(Saliency(net), None).attribute(images, target=1, abs=False, feature_mask=masks)
    torch.testing.assert_close(inside, pooled * images.detach())


def test_each_of_several_inputs_has_its_reference(images) -> None:
    table = torch.rand(4, 7, requires_grad=True)

    def network(images, table):
        return images.flatten(1).square().sum(dim=1) + table.pow(3).sum(dim=1)

    maps = Contributions(Saliency(network), (0.5, None)).attribute((images, table))
    torch.testing.assert_close(maps[0], 2 * images.detach() * (images.detach() - 0.5))
    torch.testing.assert_close(maps[1], 3 * table.detach() ** 2)
    with pytest.raises(ValueError, match="1 references for 2 inputs"):
        Contributions(Saliency(network), (0.5,)).attribute((images, table))
    with pytest.raises(ValueError, match=r"images \(N, C, H, W\), but an input has shape \(4, 7\)"):
        Contributions(Saliency(network)).attribute((images, table))


def test_a_callable_makes_the_reference(net, images) -> None:
    maps = Contributions(Saliency(net), lambda inputs: inputs.flip(-1)).attribute(images, target=1)
    gradient = Saliency(net).attribute(images, target=1, abs=False)
    torch.testing.assert_close(maps, gradient * (images - images.flip(-1)).detach())
    with pytest.raises(TypeError, match="returned a NoneType"):
        Contributions(Saliency(net), lambda inputs: None).attribute(images, target=1)


@pytest.mark.parametrize("inner", [Saliency, FeatureAblation])
def test_it_is_a_gradient_method_exactly_when_the_wrapped_one_is(net, inner) -> None:
    method = Contributions(inner(net))
    assert isinstance(method, GradientAttribution) == (inner is Saliency)
    assert type(method).__name__ == "Contributions"


def test_it_can_be_pickled_and_copied(net, images) -> None:
    method = Contributions(Saliency(net), torch.full((3, 1, 1), 0.5))
    expected = method.attribute(images, target=1)
    for other in (pickle.loads(pickle.dumps(method)), copy.deepcopy(method)):
        torch.testing.assert_close(other.attribute(images, target=1), expected)
    assert repr(method) == "Contributions(Saliency(Net), reference=<tensor of (3, 1, 1)>)"
    assert repr(Contributions(Deconvolution(net))) == "Contributions(Deconvolution(Net), reference='blur')"


def test_what_has_lost_its_signs_is_refused(net, images) -> None:
    with pytest.raises(ValueError, match="abs=True takes the signs"):
        Contributions(Saliency(net)).attribute(images, target=1, abs=True)
    with pytest.raises(ValueError, match="nt_type='vargrad' takes the signs"):
        Contributions(NoiseTunnel(Saliency(net))).attribute(images, nt_type="vargrad", target=1)


def test_bad_references_are_refused(net, images) -> None:
    with pytest.raises(ValueError, match="reference='mean' is unknown: pass 'blur', a number"):
        Contributions(Saliency(net), "mean")
    with pytest.raises(ValueError, match="reference must be finite"):
        Contributions(Saliency(net), float("nan"))
    with pytest.raises(ValueError, match=r"a number that a float holds, up to 1\.8e308"):
        Contributions(Saliency(net), 10**400)
    assert Contributions(Saliency(net), 2**70).attribute(images, target=1).isfinite().all()
    for beyond in (2**64, 1e300):
        with pytest.raises(ValueError, match=r"is beyond what inputs of torch\.float16 can hold"):
            Contributions(Saliency(net), beyond).attribute(images.half(), target=1)
    with pytest.raises(ValueError, match="holds NaN"):
        Contributions(Saliency(net), torch.tensor([float("inf")]))
    with pytest.raises(TypeError, match=r"reference must be a number, but \[\]"):
        Contributions(Saliency(net), [])
    with pytest.raises(ValueError, match=r"reference of shape \(5, 5\) does not fit inputs of shape \(4, 3, 16, 12\)"):
        Contributions(Saliency(net), torch.zeros(5, 5)).attribute(images, target=1)
    with pytest.raises(ValueError, match=r"LayerGradCam\(Net\) attributes to a layer"):
        Contributions(LayerGradCam(net, net.conv2))
    with pytest.raises(NotImplementedError, match="Contributions: call attribute"):
        Contributions(Saliency(net)).attribute_future()


def test_contributions_are_not_multiplied_twice(net, images) -> None:
    once = Contributions(Saliency(net), 0.25)
    assert once.multiplies_by_inputs
    expected = once.attribute(images, target=1)
    for wrapped in (once, SuperpixelGrouped(once, lambda inputs: torch.arange(192).view(1, 1, 16, 12))):
        torch.testing.assert_close(Contributions(wrapped, 0.25).attribute(images, target=1), expected)


@pytest.mark.parametrize("method", [Saliency, IntegratedGradients])
def test_maps_without_signs_are_refused(net, images, method) -> None:
    for reduction in ("abs_mean", "evidence"):
        grouped = SuperpixelGrouped(method(net), Grid(4), reduction=reduction)
        for wrapped in (grouped, ViewTunnel(grouped)):
            with pytest.raises(ValueError, match=rf"without the signs .* reduction='{reduction}'"):
                Contributions(wrapped)
    with pytest.raises(ValueError, match="average='abs' takes the signs"):
        Contributions(ViewTunnel(method(net))).attribute(images, target=1, average="abs")
    with pytest.raises(ValueError, match="nt_type='vargrad' takes the signs"):
        Contributions(NoiseTunnel(method(net))).attribute(images, target=1, nt_type="vargrad")


def test_the_delta_of_a_network_that_returns_objects_can_be_computed(net, images) -> None:
    def network(inputs):
        return {"logits": net(inputs)}

    delta = Contributions(IntegratedGradients(network)).compute_convergence_delta(images, 0 * images, images, target=1)
    expected = IntegratedGradients(net).compute_convergence_delta(images, 0 * images, images, target=1)
    torch.testing.assert_close(delta, expected)


def test_inputs_that_are_no_images_are_refused(net, images) -> None:
    method = Contributions(Saliency(net))
    with pytest.raises(TypeError, match="but hold a list"):
        method.attribute([images], target=1)
    with pytest.raises(ValueError, match=r"shape \(0, 3, 16, 12\) hold no example"):
        method.attribute(images[:0], target=1)
    with pytest.raises(
        ValueError, match=r"reference='blur' blurs .* \(4, 16, 12, 3\) seem to have their channels last"
    ):
        method.attribute(images.movedim(1, -1).contiguous(), target=1)


def test_references_of_several_inputs_are_written_short(net) -> None:
    method = Contributions(Saliency(net), (torch.zeros(3, 16, 12), "blur", None))
    assert repr(method).endswith("reference=(<tensor of (3, 16, 12)>, 'blur', None))")


@pytest.mark.filterwarnings("ignore:Setting backward")
def test_guided_grad_cam_of_tokens_can_be_multiplied(images) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.norm, self.head = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), nn.Linear(8, 3)
            self.relu = nn.ReLU()

        def forward(self, images):
            return self.head(self.relu(self.norm(self.embed(images).flatten(2).transpose(1, 2))).mean(dim=1))

    network = Tokens().eval()
    method = GuidedGradCam(network, network.norm)
    ids = torch.arange(192).view(1, 1, 16, 12)  # a pixel each
    guided = SuperpixelGrouped(method, None).attribute(images, target=1, feature_mask=ids)
    maps = Contributions(method, 0.25).attribute(images, target=1)
    assert maps.any()
    torch.testing.assert_close(maps, guided.detach() * (images.detach() - 0.25))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.uint16])
def test_images_of_integers_are_not_blurred(dtype, stored, images) -> None:
    """Their dtype would round the weights of the blur to zero."""
    method = Contributions(stored(torch.ones(4, 3, 16, 12)))
    with pytest.raises(
        TypeError, match=rf"reference='blur' averages pixels, which {dtype} cannot hold: pass inputs.float"
    ):
        method.attribute((images.detach() * 255).to(dtype))


def test_a_reference_beyond_the_dtype_of_the_inputs() -> None:
    method = Contributions(Saliency(nn.Flatten()), reference=-1e159)
    images = torch.rand(1, 1, 2, 2, requires_grad=True)
    with pytest.raises(ValueError, match=r"reference=-1e\+159 is beyond what inputs of torch.float32 can hold"):
        method.attribute(images, target=0)
    assert method.attribute(images.detach().double().requires_grad_(), target=0).isfinite().all()


def test_complex_references_are_refused() -> None:
    images = torch.rand(1, 3, 8, 8)
    method = Contributions(Saliency(nn.Flatten()), torch.zeros(3, 8, 8, dtype=torch.complex64))
    with pytest.raises(TypeError, match=r"reference is torch.complex64, .* torch.float32: pass reference.real"):
        method.attribute(images, target=0)

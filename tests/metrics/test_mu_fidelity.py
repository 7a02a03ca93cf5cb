"""muFidelity: exact on linear models, against NumPy and SciPy, and what the subsets are that it draws."""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from torch import Tensor, nn

from captum_superpixel.masks import Grid
from captum_superpixel.metrics._removal import background
from captum_superpixel.metrics.mu_fidelity import Correlation, mu_fidelity

Draw = Callable[..., Tensor]

HEIGHT, WIDTH = 10, 8
metric = mu_fidelity


class Linear:
    """The sum of the weighted pixels; keeps the images that it was shown, batch by batch."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self.batches: list[Tensor] = []
        self.recorded = False

    def __call__(self, images: Tensor) -> Tensor:
        self.batches.append(images)
        self.recorded |= torch.is_grad_enabled()
        return (images * self.weights).sum(dim=(1, 2, 3))

    def changed(self, value: float = 0) -> Tensor:
        """Which pixels had the baseline's value: bool ``(E, H, W)``."""
        return (torch.cat(self.batches) == value).all(dim=1)


@pytest.fixture
def linear(random: Draw) -> Linear:
    return Linear(random(1, 3, HEIGHT, WIDTH))


@pytest.fixture
def inputs(random: Draw) -> Tensor:
    return random(4, 3, HEIGHT, WIDTH, seed=1)


@pytest.fixture
def maps(random: Draw) -> Tensor:
    return random(4, 1, HEIGHT, WIDTH, seed=2)


@pytest.fixture
def mask() -> Tensor:
    """Four masks of 11, 14, 17 and 19 segments, with gaps between their ids."""
    pixels = torch.arange(HEIGHT * WIDTH).reshape(1, HEIGHT, WIDTH)
    return torch.stack([5 * (pixels % number) for number in (11, 14, 17, 19)])


@pytest.mark.parametrize("baselines", ["zero", "mean", "blur", 0.7])
@pytest.mark.parametrize("regions", [False, True])
def test_exact_contributions_to_a_linear_output_have_1(
    linear: Linear, inputs: Tensor, mask: Tensor, baselines, regions: bool
) -> None:
    contributions = linear.weights * (inputs - background(baselines, inputs))
    options = {"softmax": False, "baselines": baselines, "feature_mask": mask if regions else None}
    for map_, expected in ((contributions, 1.0), (contributions.sum(dim=1, keepdim=True), 1.0), (-contributions, -1.0)):
        value = mu_fidelity(linear, inputs, map_, **options)
        assert value.dtype == torch.float64
        torch.testing.assert_close(value, torch.full((4,), expected, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("regions", [False, True])
def test_against_numpy_and_scipy(net: nn.Module, images: Tensor, masks: Tensor, regions: bool, random: Draw) -> None:
    maps, labels = random(4, 3, 16, 12), [0, 4, 2, 1]
    shown: list[Tensor] = []

    def model(pictures: Tensor) -> Tensor:
        shown.append(pictures)
        return net(pictures)

    used = {"feature_mask": masks} if regions else {}
    options = {"baselines": -1, "subset_share": 0.4, "n_subsets": 30, "batch_size": 7}
    values = mu_fidelity(model, images, maps, labels, **options, **used)
    changed = (torch.cat(shown) == -1).all(dim=1).reshape(4, 30, 16, 12).numpy()
    picture = images.detach().numpy()

    def score(one: np.ndarray, label: int) -> float:
        with torch.no_grad():
            logits = net(torch.from_numpy(one)[None]).double().numpy()[0]
        odds = np.exp(logits - logits.max())
        return float(odds[label] / odds.sum())

    for n in range(4):
        given, lost = [], []
        ids = masks[n, 0].numpy() if regions else np.arange(192).reshape(16, 12)
        for gone in changed[n]:
            chosen = np.unique(ids[gone])
            assert len(chosen) == round(0.4 * len(np.unique(ids)))
            given.append(sum(float(maps[n].numpy()[:, ids == i].sum()) for i in chosen))
            replaced = np.where(np.isin(ids, chosen), np.float32(-1), picture[n])
            lost.append(score(picture[n], labels[n]) - score(replaced, labels[n]))
        assert values[n].item() == pytest.approx(pearsonr(given, lost).statistic, abs=1e-4)


def test_as_xplique_has_it_against_numpy_and_scipy(random: Draw) -> None:
    """Cells of a grid, each in a subset by itself; the ranks of the logit's drop and of the sum of the map."""
    images, maps, weights = random(3, 2, 9, 9), random(3, 2, 9, 9, seed=1), random(2, 9, 9, seed=2)
    cells = Grid(9)(images)
    shown: list[Tensor] = []

    def model(pictures: Tensor) -> Tensor:
        shown.append(pictures)
        return (pictures * weights).sum(dim=(1, 2, 3)).div(12).tanh()

    values = mu_fidelity(
        model,
        images,
        maps.round(),  # with ties
        feature_mask=cells,
        baselines="zero",
        subset_sizes="random",
        n_subsets=50,
        correlation="spearman",
        softmax=False,
    )
    gone = (torch.cat(shown) == 0).all(dim=1).reshape(3, 50, 9, 9)
    assert len(gone[0].sum(dim=(1, 2)).unique()) > 2
    for n in range(3):
        given = (maps[n].round() * gone[n][:, None]).sum(dim=(1, 2, 3))
        lost = torch.stack([model(images[n : n + 1])[0] - model((images[n] * ~each)[None])[0] for each in gone[n]])
        assert values[n].item() == pytest.approx(spearmanr(given, lost.numpy().round(12)).statistic, abs=1e-9)


def test_ranks_see_the_order_alone(linear: Linear, inputs: Tensor) -> None:
    contributions = linear.weights * inputs
    options = {"baselines": "zero", "softmax": False}

    def steep(images: Tensor) -> Tensor:
        return (linear(images) / 4).exp()

    by_rank = mu_fidelity(steep, inputs, contributions, correlation="spearman", **options)
    torch.testing.assert_close(by_rank, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-3)
    assert (mu_fidelity(steep, inputs, contributions, **options) < 0.98).all()


def test_features_are_drawn_one_by_one_where_sizes_are_random(linear: Linear, inputs: Tensor, maps: Tensor) -> None:
    options = {"softmax": False, "baselines": "zero", "subset_sizes": "random"}
    mu_fidelity(linear, inputs[:1], maps[:1], subset_share=0.3, n_subsets=2000, **options)
    changed = linear.changed().flatten(1).double()
    sizes = changed.sum(dim=1)
    # 80 pixels: a mean of 24 and a variance of 16.8, whose standard errors over 2000 subsets are .09 and .53.
    assert sizes.mean().item() == pytest.approx(24, abs=0.4)
    assert sizes.var().item() == pytest.approx(16.8, abs=2.5)
    assert (changed.mean(dim=0) - 0.3).abs().max() < 0.05


def test_a_constant_map_counts_the_features_where_sizes_are_random(inputs: Tensor) -> None:
    """Each pixel adds 1 to the output: what is lost is their number."""
    ones = torch.ones_like(inputs[:, :1])
    options = {"softmax": False, "baselines": "zero", "subset_sizes": "random"}
    for correlation in ("pearson", "spearman"):
        value = mu_fidelity(lambda x: x.sum(dim=(1, 2, 3)), ones, ones, correlation=correlation, **options)
        torch.testing.assert_close(value, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-9)
        # Among subsets of equal size it does not tell one from another.
        equal = mu_fidelity(
            lambda x: x.exp().sum(dim=(1, 2, 3)), ones, 0.1 * ones, correlation=correlation, softmax=False
        )
        assert equal.isnan().all()


def test_random_sizes_in_a_batch_are_those_of_the_images_one_by_one(linear: Linear, inputs: Tensor, maps, mask) -> None:
    options = {"softmax": False, "subset_sizes": "random", "correlation": "spearman"}
    together = mu_fidelity(linear, inputs, maps, feature_mask=mask, **options)
    alone = [mu_fidelity(linear, inputs[n : n + 1], maps[n : n + 1], feature_mask=mask[n], **options) for n in range(4)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=0, atol=1e-12)


def test_many_subsets_come_close_to_all_of_them(random: Draw) -> None:
    """Six pixels have twenty subsets of three."""
    image, map_, weights = random(1, 1, 2, 3), random(1, 1, 2, 3, seed=1), random(6, seed=2).numpy()

    def model(pictures: Tensor) -> Tensor:
        return (pictures.flatten(1) @ torch.from_numpy(weights)).sin()

    given, lost = [], []
    for chosen in itertools.combinations(range(6), 3):
        replaced = image.numpy().ravel().copy()
        replaced[list(chosen)] = 0.5
        given.append(map_.numpy().ravel()[list(chosen)].sum())
        lost.append(np.sin(image.numpy().ravel() @ weights) - np.sin(replaced @ weights))
    exact = np.corrcoef(given, lost)[0, 1]
    value = mu_fidelity(model, image, map_, softmax=False, subset_share=0.5, n_subsets=20_000, baselines=0.5)
    assert abs(exact) < 0.9
    assert value.item() == pytest.approx(exact, abs=0.02)


def test_subsets_have_their_size_and_every_pixel_its_share(linear: Linear, inputs: Tensor, maps: Tensor) -> None:
    mu_fidelity(linear, inputs[:1], maps[:1], softmax=False, baselines="zero", subset_share=0.3, n_subsets=2000)
    changed = linear.changed().flatten(1)
    assert changed.shape == (2000, HEIGHT * WIDTH)
    assert changed.sum(dim=1).unique().tolist() == [round(0.3 * HEIGHT * WIDTH)]
    assert len(changed.unique(dim=0)) == 2000
    # The standard error of a frequency of .3 over 2000 subsets is .01.
    assert (changed.double().mean(dim=0) - 0.3).abs().max() < 0.05
    pairs = (changed.double().T @ changed.double() / 2000)[~torch.eye(HEIGHT * WIDTH, dtype=torch.bool)]
    assert pairs.mean().item() == pytest.approx(24 / 80 * 23 / 79)
    assert (pairs - 24 / 80 * 23 / 79).abs().max() < 0.04


def test_whole_segments_go(linear: Linear, inputs: Tensor, maps: Tensor, mask: Tensor) -> None:
    options = {"softmax": False, "baselines": "zero", "n_subsets": 40, "subset_share": 0.25}
    mu_fidelity(linear, inputs, maps, feature_mask=mask, **options)
    changed = linear.changed().reshape(4, 40, HEIGHT, WIDTH)
    for n, size in enumerate((3, 4, 4, 5)):  # a quarter of 11, 14, 17 and 19, where a half goes to the even one
        for gone in changed[n]:
            chosen = mask[n, 0][gone].unique()
            assert len(chosen) == size
            assert torch.equal(gone, torch.isin(mask[n, 0], chosen))


@pytest.mark.parametrize(("share", "size"), [(0.001, 1), (0.999, 3)])
def test_one_feature_goes_and_one_stays(linear: Linear, inputs: Tensor, maps: Tensor, share: float, size: int) -> None:
    quarters = torch.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) // 20
    mu_fidelity(
        linear, inputs, maps, softmax=False, baselines="zero", n_subsets=10, subset_share=share, feature_mask=quarters
    )
    assert linear.changed().flatten(1).sum(dim=1).unique().tolist() == [20 * size]


def test_a_batch_is_its_images_one_by_one_and_memory_is_bounded(linear: Linear, inputs: Tensor, maps, mask) -> None:
    for regions in (None, mask):
        linear.batches.clear()
        together = mu_fidelity(linear, inputs, maps, softmax=False, feature_mask=regions, batch_size=7)
        assert {len(batch) for batch in linear.batches[:-1]} == {7}
        assert sum(map(len, linear.batches)) == 4 * 200
        for order in ([2], [3, 0], [1, 2, 3, 0]):
            part = None if regions is None else regions[order]
            value = mu_fidelity(linear, inputs[order], maps[order], softmax=False, feature_mask=part)
            torch.testing.assert_close(value, together[order], rtol=0, atol=1e-12)
    assert not linear.recorded


def test_one_segment_a_pixel_is_pixel_by_pixel_and_names_of_segments_do_not_matter(
    linear: Linear, inputs: Tensor, maps: Tensor, mask: Tensor
) -> None:
    pixels = torch.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 2**40
    by_pixel = mu_fidelity(linear, inputs, maps, softmax=False)
    assert torch.equal(mu_fidelity(linear, inputs, maps, softmax=False, feature_mask=pixels), by_pixel)
    by_segment = mu_fidelity(linear, inputs, maps, softmax=False, feature_mask=mask)
    assert not torch.isclose(by_segment, by_pixel).any()
    assert torch.equal(mu_fidelity(linear, inputs, maps, softmax=False, feature_mask=3 * mask.numpy() + 1), by_segment)


def test_two_masks_serve_four_images_in_a_row(linear: Linear, inputs: Tensor, maps: Tensor, mask: Tensor) -> None:
    each = mask[:2].repeat_interleave(2, dim=0)
    expected = mu_fidelity(linear, inputs, maps, softmax=False, feature_mask=each)
    assert torch.equal(mu_fidelity(linear, inputs, maps, softmax=False, feature_mask=mask[:2]), expected)


def test_scale_and_channels_change_nothing_and_signs_do(linear: Linear, inputs: Tensor, maps: Tensor) -> None:
    value = mu_fidelity(linear, inputs, maps, softmax=False)
    for same in (1e-200 * maps, 1e150 * maps, maps.repeat(1, 3, 1, 1), maps + 5):
        torch.testing.assert_close(mu_fidelity(linear, inputs, same, softmax=False), value, rtol=0, atol=1e-9)
    torch.testing.assert_close(mu_fidelity(linear, inputs, -maps, softmax=False), -value)
    assert not torch.isclose(mu_fidelity(linear, inputs, maps.abs(), softmax=False), value).any()


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_a_constant_side_has_no_correlation(
    linear: Linear, inputs: Tensor, maps: Tensor, mask: Tensor, correlation: Correlation
) -> None:
    mu_fidelity = partial(metric, correlation=correlation)
    constant = torch.tensor([0.0, 0.1, -3.0, 1e30]).reshape(4, 1, 1, 1).expand(4, 1, HEIGHT, WIDTH)
    assert mu_fidelity(linear, inputs, constant, softmax=False).isnan().all()
    # Segments of different sizes sum up to different numbers, even of a constant map.
    assert not mu_fidelity(linear, inputs, constant, softmax=False, feature_mask=mask)[1:].isnan().any()
    assert mu_fidelity(linear, inputs, maps, softmax=False, baselines=inputs).isnan().all()
    assert mu_fidelity(linear, inputs, maps, softmax=False, feature_mask=0 * mask).isnan().all()
    linear.weights = torch.zeros_like(linear.weights)
    assert mu_fidelity(linear, inputs, maps, softmax=False).isnan().all()


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_rounding_is_no_signal(net: nn.Module, images: Tensor, random: Draw, correlation: Correlation) -> None:
    """The outputs for one image differ in their last digits from one size of the batch to another."""
    mu_fidelity = partial(metric, correlation=correlation)
    outcomes = iter([0.0, 1e-7] * 100)

    def model(pictures: Tensor) -> Tensor:
        return torch.full((len(pictures),), 3.0 + 3.0 * next(outcomes), dtype=torch.float64)

    maps = random(4, 3, 16, 12)
    assert mu_fidelity(model, images, maps, softmax=False, batch_size=64).isnan().all()
    assert mu_fidelity(net, images, maps, 1, baselines=images.detach(), batch_size=3).isnan().all()


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_nan_of_the_model_stays_with_its_image(
    linear: Linear, inputs: Tensor, maps: Tensor, correlation: Correlation
) -> None:
    mu_fidelity = partial(metric, correlation=correlation)
    inputs[2, 0, 0, 0] = 1e4

    def model(pictures: Tensor) -> Tensor:
        outputs = linear(pictures)
        return outputs.masked_fill(pictures[:, 0, 0, 0] > 1e3, torch.nan)

    assert mu_fidelity(model, inputs, maps, softmax=False, baselines="zero").isnan().tolist() == [False] * 2 + [
        True,
        False,
    ]


def test_the_generator_gives_the_subsets(net: nn.Module, images: Tensor, random: Draw) -> None:
    maps = random(4, 1, 16, 12)
    first, again, other = (
        mu_fidelity(net, images, maps, 1, generator=generator)
        for generator in (None, torch.Generator().manual_seed(0), torch.Generator().manual_seed(1))
    )
    assert torch.equal(first, again)
    assert not torch.isclose(first, other).any()
    # The error of a correlation near 0 over 200 subsets is .07.
    assert (first - other).abs().max() < 0.5


def test_defaults_are_200_subsets_of_a_fifth_probabilities_and_the_blur(net: nn.Module, images: Tensor, random) -> None:
    maps = random(4, 1, 16, 12)
    stated = {"subset_share": 0.2, "n_subsets": 200, "softmax": True, "batch_size": 64, "feature_mask": None}
    expected = mu_fidelity(net, images, maps, 1, baselines=background("blur", images.detach()), **stated)
    assert torch.equal(mu_fidelity(net, images, maps, 1), expected)
    assert not torch.isclose(mu_fidelity(net, images, maps, 1, softmax=False), expected).any()


def test_objects_further_arguments_the_warning_and_the_bar(
    net: nn.Module, images: Tensor, random: Draw, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, factors = random(4, 1, 16, 12), torch.tensor([1.0, 2.0, 3.0, 4.0])

    def model(pictures: Tensor, factor: Tensor) -> dict[str, Tensor]:
        return {"logits": factor[:, None] * net(pictures)}

    value = mu_fidelity(model, images, maps, [0, 1, 2, 3], additional_forward_args=factors, show_progress=True)
    assert "800/800" in capsys.readouterr().err
    for n in range(4):
        alone = mu_fidelity(lambda x, n=n: (n + 1) * net(x), images[n : n + 1], maps[n : n + 1], n)
        torch.testing.assert_close(alone, value[n : n + 1], rtol=0, atol=1e-4)
    training = nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Linear(576, 2))
    with pytest.warns(UserWarning, match=r"Sequential is in training mode and holds Dropout"):
        mu_fidelity(training, images, maps, 0, n_subsets=3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes(dtype: torch.dtype, inputs: Tensor, maps: Tensor) -> None:
    value = mu_fidelity(lambda x: x.double().sum(dim=(1, 2, 3)), inputs.to(dtype), maps.to(dtype), softmax=False)
    exact = mu_fidelity(lambda x: x.sum(dim=(1, 2, 3)), inputs, maps, softmax=False)
    assert value.dtype == torch.float64
    torch.testing.assert_close(value, exact, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"attributions": torch.zeros(4, 1, 8, 10)}, r"\(4, 1, 8, 10\) do not fit inputs of shape \(4, 3, 10, 8\)"),
        ({"attributions": torch.full((4, 1, 10, 8), torch.nan)}, r"4 of 4 entries of attributions"),
        ({"inputs": torch.full((4, 3, 10, 8), torch.inf)}, r"4 of 4 entries of inputs"),
        ({"subset_share": 0}, r"subset_share must be finite and above 0, but 0\.0 was passed"),
        ({"subset_share": 1}, r"subset_share must be below 1, but 1 was passed"),
        ({"subset_share": 20}, r"subset_share must be below 1, but 20 was passed"),
        ({"subset_share": float("nan")}, r"subset_share must be finite .* nan was passed"),
        ({"n_subsets": 2}, r"n_subsets must be at least 3, but 2 was passed"),
        ({"subset_sizes": "equals"}, r"subset_sizes='equals' is unknown: choose one of 'equal', 'random'"),
        ({"correlation": "kendall"}, r"correlation='kendall' is unknown: choose one of 'pearson', 'spearman'"),
        ({"batch_size": 0}, r"batch_size must be at least 1, but 0 was passed"),
        ({"baselines": "black"}, r"baselines='black' is unknown"),
        ({"feature_mask": torch.zeros(3, 1, 10, 8, dtype=torch.long)}, r"feature_mask of shape \(3, 1, 10, 8\)"),
        ({"feature_mask": torch.zeros(1, 3, 10, 8, dtype=torch.long)}, r"feature_mask of shape \(1, 3, 10, 8\)"),
    ],
)
def test_bad_values(linear: Linear, inputs: Tensor, maps: Tensor, bad: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mu_fidelity(linear, **({"inputs": inputs, "attributions": maps, "softmax": False} | bad))
    assert not linear.batches


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"inputs": torch.zeros(4, 3, 10, 8, dtype=torch.uint8)}, r"inputs has dtype torch\.uint8"),
        ({"attributions": [1.0]}, r"attributions must be a tensor .* a list was passed"),
        ({"subset_share": "0.2"}, r"subset_share must be a number, but '0\.2' \(str\) was passed"),
        ({"n_subsets": 2.5}, r"n_subsets must be an integer, but 2\.5 \(float\) was passed"),
        ({"generator": 3}, r"generator=3 is not a torch\.Generator"),
        ({"baselines": None}, r"a NoneType was passed"),
        ({"feature_mask": torch.zeros(1, 1, 10, 8)}, r"feature_mask has dtype torch\.float32"),
    ],
)
def test_bad_types(linear: Linear, inputs: Tensor, maps: Tensor, bad: dict, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        mu_fidelity(linear, **({"inputs": inputs, "attributions": maps, "softmax": False} | bad))
    assert not linear.batches

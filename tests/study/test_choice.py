"""The choice: what is recommended for images of a size is what the library recommends, and is one ensemble for all."""

import pytest

from captum_superpixel.attr.recipes import RECIPES, SMALL, Kind, Size
from captum_superpixel.study.choice import Choice, Recommended, choice_for
from captum_superpixel.study.settings import METHOD_NAMES

KINDS: dict[str, Kind] = {"Saliency": "gradient", "IntegratedGradients": "path", "SmoothGrad": "noisy"}
SIGNS = {"evidence": "evidence", "abs_mean": "magnitude"}


@pytest.mark.parametrize(
    ("size", "shape"),
    [("small", (32, 32)), ("small", (SMALL, 500)), ("large", (SMALL + 1, SMALL + 1)), ("large", (480, 224))],
)
def test_the_choice_is_what_is_recommended(size: Size, shape: tuple[int, int]) -> None:
    choice = choice_for(*shape)
    assert set(METHOD_NAMES) == set(KINDS)
    for method, kind in KINDS.items():
        recipe = RECIPES[kind, size]
        found = choice.recommended_for(method)
        assert found == Recommended("ensemble", SIGNS[recipe.reduction], recipe.n_views > 1, recipe.negative_weight)  # type: ignore[arg-type]
        # A study has one ensemble, whatever the method.
        assert (choice.n_segments, choice.compactness) == (recipe.n_segments, recipe.compactness)


def test_sparsified_smooth_grad_has_what_smooth_grad_has() -> None:
    """Magnitudes: it has no others, and nothing was chosen on its maps."""
    for shape in ((32, 32), (224, 224)):
        recommended = choice_for(*shape).recommended_for("SparsifiedSmoothGrad")
        assert recommended == choice_for(*shape).recommended_for("SmoothGrad")
        assert recommended.sign == "magnitude"


def test_methods_that_are_not_named_have_the_default() -> None:
    assert Choice(recommended={"Saliency": Recommended("Slic")}).recommended_for("SmoothGrad") == Recommended()
    assert Choice(recommended={"Saliency": Recommended("Slic")}).recommended_for("Saliency") == Recommended("Slic")

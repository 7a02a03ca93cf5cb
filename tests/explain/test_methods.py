"""``--method``: every class of Captum is known or refused with a reason."""

import inspect

import captum.attr
import pytest
from captum.attr import Attribution

from captum_superpixel._checks import InputError
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.methods import REFUSED, find_method


def test_the_table_knows_every_class_of_captum() -> None:
    classes = [getattr(captum.attr, name) for name in captum.attr.__all__]
    exported = {cls.__name__ for cls in classes if inspect.isclass(cls) and issubclass(cls, Attribution)}
    assert set(METHODS) - {"SmoothGrad", "SparsifiedSmoothGrad", "OwenValues", "XRAI"} | set(REFUSED) == exported
    assert not set(METHODS) & set(REFUSED)


def test_names_in_whatever_case() -> None:
    assert find_method("xrai") == "XRAI"
    assert find_method("layergradcam") == "LayerGradCam"


def test_unknown_methods() -> None:
    with pytest.raises(
        InputError, match=r"--method IntegratedGradient is no method .* did you mean IntegratedGradients"
    ):
        find_method("IntegratedGradient")
    with pytest.raises(InputError, match=r"choose one of Saliency, SmoothGrad, .*LayerFeatureAblation"):
        find_method("qqq")


@pytest.mark.parametrize("name", REFUSED)
def test_methods_that_need_more_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InputError, match=f"--method {name} cannot be used here: it .*\\.$"):
        find_method(name)

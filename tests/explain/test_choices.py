"""The names of options and their help are those of the tables that hold what they stand for."""

from captum_superpixel.attr.methods import METHODS, MethodSettings
from captum_superpixel.attr.recipes import Recipe
from captum_superpixel.explain import choices
from captum_superpixel.explain.methods import SETTINGS, takers
from captum_superpixel.masks import GENERATORS, is_counted
from captum_superpixel.regions.confidence import describe_stays_top


def test_methods_are_those_of_their_table() -> None:
    assert list(choices.CANCELLING) == [name for name, method in METHODS.items() if method.reduction == "abs_mean"]
    assert {name: list(methods) for name, methods in choices.TAKERS.items()} == {
        name: takers(name) for name in SETTINGS
    }


def test_masks_are_those_of_their_table() -> None:
    assert [name for name in GENERATORS if is_counted(name)] == list(choices.COUNTED_MASKS)
    assert [name for name in GENERATORS if not is_counted(name)] == list(choices.OTHER_MASKS)


def test_defaults_are_those_of_the_library() -> None:
    assert MethodSettings.n_steps == choices.STEPS
    assert Recipe.negative_weight == choices.NEGATIVE_WEIGHT


def test_what_is_said_of_confidence_is_what_tables_say() -> None:
    assert describe_stays_top(choices.TOP) == choices.STAYS_TOP

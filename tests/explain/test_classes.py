"""Names of classes, the one to explain, and probabilities."""

import math
import re
from pathlib import Path

import pytest
import torch

from captum_superpixel._checks import InputError
from captum_superpixel.explain.classes import choose_names, find_target, rank_classes
from captum_superpixel.models.activation import Outputs

NAMES = ["tabby, tabby cat", "tiger cat", "Tiger Cat", "crane", "crane", "great_white_shark"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("0", 0),
        ("5", 5),
        ("tiger cat", 1),
        ("Tiger Cat", 2),
        ("TABBY CAT", 0),
        ("Tabby", 0),
        ("great white  shark", 5),
    ],
)
def test_targets(text: str | None, expected: int | None) -> None:
    assert find_target(text, NAMES, 6) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6", "--target 6 is no class of this network; it has classes 0 to 5."),
        ("-1", "--target -1 is no class"),
        ("crane", "--target crane names the classes 3, 4; pass the index of one."),
        ("TIGER CAT", "names the classes 1, 2"),
        ("tigre cat", "--target tigre cat is no class of this network: 1 is tiger cat"),
        ("shark", "5 is great_white_shark"),
        ("xyz", "pass the index or the name of one"),
    ],
)
def test_targets_that_are_none(text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        find_target(text, NAMES, 6)


def test_names_need_labels() -> None:
    with pytest.raises(
        InputError, match="--target cat: this network does not name its classes; pass an index from 0 to 4"
    ):
        find_target("cat", None, 5)


def test_names_are_the_users_or_else_the_networks() -> None:
    network = torch.nn.Identity()
    assert choose_names(network, 2, None) is None
    network.labels = ("cat", "dog")
    assert choose_names(network, 2, None) == ["cat", "dog"]
    assert choose_names(network, 3, None) is None
    assert choose_names(network, 2, ["crane", "crane"]) == ["crane", "crane"]
    with pytest.raises(InputError, match=r"--labels two\.txt names 2 classes, but this network has 3"):
        choose_names(network, 3, ["crane", "crane"], Path("two.txt"))


def test_probabilities_are_a_softmax_unless_they_are_probabilities() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0]])
    ranked = rank_classes(logits, ["a", "b", "c"])
    assert [prediction.name for prediction in ranked] == ["b", "c", "a"]
    expected = torch.softmax(logits[0].double(), dim=0)[[1, 2, 0]].tolist()
    assert [prediction.probability for prediction in ranked] == pytest.approx(expected)
    already = Outputs(2, "softmax", "probability")
    shares = [prediction.probability for prediction in rank_classes(torch.tensor([[0.2, 0.8]]), None, already)]
    assert shares == pytest.approx([0.8, 0.2])


def test_classes_that_each_hold_or_do_not() -> None:
    ranked = rank_classes(torch.tensor([[0.0, 3.0]]), ["a", "b"], Outputs(2, "sigmoid", "logit"))
    assert [prediction.probability for prediction in ranked] == pytest.approx([1 / (1 + math.exp(-3)), 0.5])
    assert {prediction.role for prediction in ranked} == {"likeliest"}


def test_outputs_that_are_no_probabilities() -> None:
    (only,) = rank_classes(torch.tensor([[3.0]]), None, Outputs(1, "none", "value"))
    assert (only.name, only.probability, only.value, only.figure, only.role) == ("output 0", None, 3.0, "3", "output")
    several = rank_classes(torch.tensor([[-1.0, 2.5]]), None, Outputs(2, "none", "value"))
    assert [(prediction.name, prediction.figure) for prediction in several] == [("output 1", "2.5"), ("output 0", "-1")]
    assert several[0].role == "largest"


def test_one_output_may_have_two_names() -> None:
    network = torch.nn.Identity()
    assert choose_names(network, 1, ["no", "yes"]) == ["yes"]
    assert choose_names(network, 1, ["yes"]) == ["yes"]
    with pytest.raises(InputError, match=r"names 3 classes, but this network has 1: .* the second is what the output"):
        choose_names(network, 1, ["a", "b", "c"], Path("three.txt"))

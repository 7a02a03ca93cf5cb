"""What save_html refuses, and what it says then."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captum_superpixel.visualization.page.page import save_html

MASK = np.array([[3, 3, 9, 9], [3, 3, 9, 9], [5, 5, 5, 2**60]])
VALUES = np.array([[1.0, 1, -4, -4], [1, 1, -4, -4], [2, 2, 2, 0.5]])
PICTURE = np.full((3, 3, 4), 0.5)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"attributions": np.zeros((3, 5))}, ValueError, r"attributions is of \(3, 5\) .* image is of \(3, 4\)"),
        ({"feature_mask": MASK[:2]}, ValueError, r"feature_mask is of \(2, 4\) .* image is of \(3, 4\)"),
        ({"feature_mask": MASK * 1.0}, TypeError, "feature_mask is of float64"),
        ({"feature_mask": MASK - 4}, ValueError, "feature_mask has the id -1"),
        ({"pixel_attributions": np.zeros((2, 4))}, ValueError, r"pixel_attributions is of \(2, 4\)"),
        ({"attributions": {}}, ValueError, "attributions is empty"),
        ({"attributions": {7: VALUES}}, TypeError, "attributions has the key 7"),
        ({"attributions": {" ": VALUES}}, TypeError, "attributions has the key ' '"),
        ({"attributions": {"a": np.zeros((1, 4))}}, ValueError, r"attributions\['a'\] is of \(1, 4\)"),
        ({"feature_mask": {"a": MASK}}, ValueError, "masks for 'a', but attributions has a single map without a name"),
        (
            {"attributions": {"a": VALUES, "b": VALUES}, "feature_mask": {"a": MASK}},
            ValueError,
            "masks for 'a', but attributions has 'a', 'b'",
        ),
        (
            {"attributions": {"a": VALUES, "b": VALUES}, "pixel_attributions": VALUES},
            ValueError,
            "one map, but attributions has 'a', 'b'",
        ),
        (
            {"attributions": {"a": VALUES}, "pixel_attributions": {"z": VALUES}},
            ValueError,
            "has 'z', which attributions has not: it has 'a'",
        ),
        ({"image": np.zeros((2, 3, 4, 3))}, ValueError, "a batch of 2"),
        ({"image": "cat.png"}, TypeError, "image is str"),
        ({"title": 3}, TypeError, "title must be text or None, but 3"),
        ({"class_name": b"cat"}, TypeError, "class_name must be text or None, but b'cat'"),
        ({"class_name": {"a": "cat"}}, ValueError, "class_name has 'a', but attributions has a single"),
        (
            {"class_name": {"a": 7}, "attributions": {"a": VALUES}},
            TypeError,
            "class_name must be text or None, but 7",
        ),
        ({"headline": "cat"}, TypeError, "headline must be texts by what they are, but 'cat'"),
        ({"headline": {"Explained": 3}}, TypeError, "each text of headline must be text or None, but 3"),
        ({"headline": {3: "cat"}}, TypeError, "each name in headline must be text or None, but 3"),
        ({"probability": 93}, ValueError, "probability is a share from 0 to 1, but 93 was"),
        ({"probability": "high"}, TypeError, "probability must be a number, but 'high'"),
        ({"score_name": " "}, TypeError, "score_name must be text that is not empty, but ' '"),
        ({"score_name": {"a": "effect"}}, ValueError, "score_name has 'a', but attributions has a single"),
        (
            {"score_name": {"a": "effect"}, "attributions": {"a": VALUES, "b": VALUES}},
            ValueError,
            "has 'a', but .* 'a', 'b'",
        ),
        ({"score": "max"}, ValueError, "score='max' is unknown: choose one of 'mean', 'sum'"),
        ({"signed": "yes"}, TypeError, "signed must be a bool, but 'yes'"),
        ({"signed": False}, ValueError, "signed=False, but the map has negative values"),
        ({"signed": {"z": True}}, ValueError, "signed has 'z', but attributions has a single map"),
        ({"remarks": "one"}, TypeError, "remarks must be a list of texts, but 'one'"),
        ({"remarks": ["one", 2]}, TypeError, "each of remarks must be text or None, but 2"),
        ({"predicted_name": 5}, TypeError, "predicted_name must be text or None, but 5"),
        ({"predicted_probability": 50}, ValueError, "predicted_probability is a share from 0 to 1, but 50"),
        ({"outlier_perc": 101}, ValueError, "outlier_perc=101"),
        ({"by": "size"}, ValueError, "by='size'"),
    ],
)
def test_errors_say_what_was_passed(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"image": PICTURE, "attributions": VALUES, "feature_mask": MASK, **changes}
    with pytest.raises(error, match=message):
        save_html(tmp_path / "page.html", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_paths_that_cannot_be_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=rf"path {re.escape(str(tmp_path))} is a folder; pass the name of a file in it"
    ):
        save_html(tmp_path, PICTURE, VALUES, MASK)
    with pytest.raises(ValueError, match=r"page\.html: there is no folder .*missing; make it first"):
        save_html(tmp_path / "missing" / "page.html", PICTURE, VALUES, MASK)

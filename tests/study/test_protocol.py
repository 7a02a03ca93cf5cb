"""The protocol: what is measured, compared and claimed, by the settings and by what was chosen."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.masks import Grid, Watershed
from captum_superpixel.study import protocol as protocol_module
from captum_superpixel.study.choice import Choice, Recommended
from captum_superpixel.study.context import Study
from captum_superpixel.study.groupings import FORMER_ENSEMBLE, Grouping, size_groupings, standard_groupings
from captum_superpixel.study.protocol import (
    Claim,
    Protocol,
    claims_about,
    compared_rows,
    make_protocol,
    recommended_rows,
)
from captum_superpixel.study.rows import PIXELS, Row
from captum_superpixel.study.settings import METHOD_NAMES
from captum_superpixel.study.smoothing import Segments

STANDARD = standard_groupings(12, n_views=5, choice=Choice())
ROWS = {row for grouping in STANDARD for row in grouping.rows}
BEST = Row("ensemble", "evidence", 5)


def test_all_settings_reach_the_protocol(
    settings_of: Callable[..., Any], study_of: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_module, "choice_for", lambda *_: Choice())
    given = {"n_segments": 7, "n_steps": 3, "n_samples": 4, "noise": 0.25, "draws": 5, "auc_steps": 6, "models": 3}
    study = study_of(settings_of(**given, n_views=5, mean=(0.5,) * 3, std=(0.5,) * 3))
    protocol, methods = study.protocol, study.protocol.method_settings
    assert (methods.n_steps, methods.n_samples, methods.noise) == (3, 4, 0.5)  # for inputs from -1 to 1
    assert (methods.baseline, methods.signed, methods.images_at_once) == (0.0, True, 256)
    assert (protocol.draws, protocol.auc_steps, protocol.road_noise) == (5, 6, 0.02)
    assert protocol.stability
    options: dict[str, Any] = {"denormalize": ((0.5,) * 3, (0.5,) * 3)}
    assert protocol.groupings == standard_groupings(7, n_views=5, choice=Choice(), **options)
    assert protocol.regions == Watershed(7, **options)
    assert not any(repr(protocol.regions) in grouping.describe() for grouping in protocol.groupings)
    assert protocol.sizes == size_groupings(16, 16, **options)
    assert protocol.recommended == dict.fromkeys(METHOD_NAMES, BEST)
    assert protocol.claims == claims_about(protocol.groupings, protocol.recommended)
    assert protocol.compared == compared_rows(protocol.groupings, protocol.claims)
    one = study_of(settings_of(models=1, methods=("SmoothGrad",), n_views=1), data=study.data).protocol
    assert (one.stability, one.sizes, one.methods) == (False, (), ("SmoothGrad",))
    assert {row.views for row in one.rows} == {1}
    assert one.recommended == {"SmoothGrad": Row("ensemble", "evidence")}


def test_the_choice_reaches_the_protocol(
    settings_of: Callable[..., Any], study_of: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    by_method = {"SmoothGrad": Recommended(sign="magnitude"), "Saliency": Recommended(negative_weight=0.25)}
    choice = Choice((9,), (4.0,), recommended=by_method)

    def chosen(height: int, width: int) -> Choice:
        seen.append((height, width))
        return choice

    settings = settings_of(n_views=3)
    data = study_of(settings).data
    monkeypatch.setattr(protocol_module, "choice_for", chosen)
    protocol = make_protocol(settings, data)
    assert seen == [(16, 16)]
    assert protocol.negative_weights == {"Saliency": 0.25, "IntegratedGradients": 0.5, "SmoothGrad": 0.5}
    evidence = Row("ensemble", "evidence", 3)
    recommended = {"Saliency": evidence, "IntegratedGradients": evidence, "SmoothGrad": Row("ensemble", "magnitude", 3)}
    assert protocol.recommended == recommended
    of = {grouping.name: grouping for grouping in protocol.groupings}
    assert len(of["ensemble"].smoothing.generators) == 1  # type: ignore[attr-defined]
    assert FORMER_ENSEMBLE in of


def test_what_is_compared() -> None:
    claims = claims_about(STANDARD, {"Saliency": BEST})
    pairs = compared_rows(STANDARD, claims)
    assert len(set(pairs)) == len(pairs)
    assert {row for pair in pairs for row in pair} <= ROWS
    claimed = {(claim.row, claim.rival) for claim in claims}
    assert claimed <= set(pairs)
    others = {(row, rival) for row, rival in pairs if (row, rival) not in claimed or row[1:] == rival[1:]}
    # The same rule and the same number of passes.
    assert {row[1:] == rival[1:] for row, rival in others} == {True}
    assert {row.grouping for row, _ in others} == {"Slic", "Felzenszwalb", "ensemble"}
    controls = {PIXELS, "cells", "cell ensemble", "blur", "narrow blur", "wide blur", "guided filter"}
    for name in ("Slic", "Felzenszwalb", "ensemble"):
        assert {rival.grouping for row, rival in others if row == Row(name, "magnitude")} == controls
    assert {rival.grouping for row, rival in others if row == BEST} == controls - {"cells", "narrow blur", "wide blur"}


def test_what_is_claimed() -> None:
    claims = claims_about(STANDARD, dict.fromkeys(METHOD_NAMES, BEST))
    of_paper = [
        Claim(Row("Slic", sign), Row(rival, sign), "raw")
        for sign in ("signed", "magnitude")
        for rival in (PIXELS, "cells")
    ]
    of_paper += [Claim(Row(name, "signed"), Row(PIXELS, "signed"), "corrected") for name in ("Slic", "ensemble")]
    rivals = [
        Row(PIXELS, "magnitude"),
        Row("ensemble", "magnitude"),
        *(Row(name, "evidence", 5) for name in ("blur", "guided filter", "cell ensemble")),
    ]
    nulls = [
        Row("centered Gaussian", "magnitude"),
        Row("another image", "magnitude", 5),
        Row("shuffled", "magnitude", 5),
    ]
    # Signed pixels and null maps are rivals in fidelity alone.
    signed = Row(PIXELS, "signed")
    assert claims[: len(of_paper)] == tuple(of_paper)
    of_recommended = claims[len(of_paper) :]
    assert [claim.rival for claim in of_recommended if claim.of == "corrected"] == rivals
    in_order = [rivals[0], signed, *rivals[1:], *nulls]
    assert [claim.rival for claim in of_recommended if claim.of == "fidelity"] == in_order
    assert {claim.row for claim in of_recommended} == {BEST}
    assert not any(claim.methods for claim in claims)


def test_claims_by_method_and_against_what_was_recommended_before() -> None:
    groupings = standard_groupings(12, n_views=5, choice=Choice((9,), (4.0,)))
    former, magnitude = Row(FORMER_ENSEMBLE, "magnitude"), Row("ensemble", "magnitude")
    recommended = {"Saliency": BEST, "IntegratedGradients": magnitude, "SmoothGrad": BEST}
    claims = claims_about(groupings, recommended)[6:]
    assert {(claim.row, claim.methods) for claim in claims} == {
        (BEST, ("Saliency", "SmoothGrad")),
        (magnitude, ("IntegratedGradients",)),
    }
    for row in (BEST, magnitude):
        assert Claim(row, former, "fidelity", next(c.methods for c in claims if c.row == row)) in claims
    # Where it is still the same ensemble, what was recommended before is not set above itself.
    still = claims_about(STANDARD, {"Saliency": magnitude})
    assert all(claim.row != claim.rival for claim in still)
    assert Claim(magnitude, Row("blur", "magnitude"), "corrected") in still


def test_what_is_measured_of_claims_alone(settings_of: Callable[..., Any], study_of: Callable[..., Study]) -> None:
    everything = study_of(settings_of(n_views=3))
    protocol = make_protocol(settings_of(n_views=3, rows="claimed"), everything.data)
    assert not everything.protocol.claimed_only
    assert everything.protocol.rows_of("Saliency", "fidelity") == protocol.rows
    for method in METHOD_NAMES:
        claims = [claim for claim in protocol.claims if method in (claim.methods or METHOD_NAMES)]
        of_all = {row for claim in claims for row in (claim.row, claim.rival)}
        of_fidelity = {row for claim in claims if claim.of == "fidelity" for row in (claim.row, claim.rival)}
        assert set(protocol.rows_of(method)) == of_all < set(protocol.rows)
        assert set(protocol.rows_of(method, "fidelity")) == of_fidelity < of_all
        assert protocol.recommended[method] in of_fidelity
    unclaimed = dataclasses.replace(protocol, claims=())
    assert unclaimed.rows_of("Saliency", "fidelity") == (protocol.recommended["Saliency"],)


def test_recommended_rows_have_views_only_where_there_are_any() -> None:
    choice = Choice(recommended={"SmoothGrad": Recommended("Slic", "magnitude", over_views=False)})
    assert recommended_rows(choice, METHOD_NAMES, 5) == {
        "Saliency": BEST,
        "IntegratedGradients": BEST,
        "SmoothGrad": Row("Slic", "magnitude"),
    }
    assert recommended_rows(choice, ("Saliency",), 1) == {"Saliency": Row("ensemble", "evidence")}


@pytest.mark.parametrize("name", ["compared", "claims", "recommended"])
def test_what_is_not_measured_is_refused(name: str) -> None:
    pixels, other = Row(PIXELS, "signed"), Row("cells", "magnitude", 3)
    changes: dict[str, Any] = {
        "compared": ((pixels, other),),
        "claims": (Claim(other, pixels, "raw"),),
        "recommended": {"Saliency": other},
    }
    cells = Grouping("cells", Segments((Grid(4),)))
    protocol = Protocol(MethodSettings(), METHOD_NAMES, (Grouping(PIXELS), cells))
    assert protocol.rows == (pixels, Row(PIXELS, "magnitude"), Row("cells", "signed"), Row("cells", "magnitude"))
    with pytest.raises(ValueError, match=r"grouping='cells', sign='magnitude', views=3.* no grouping measures it"):
        dataclasses.replace(protocol, **{name: changes[name]})

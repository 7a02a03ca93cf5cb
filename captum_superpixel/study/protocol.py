"""What a study measures and how, what it compares with what, and what it claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.masks import Watershed
from captum_superpixel.masks.base import ImageMaskGenerator
from captum_superpixel.study.choice import Choice, choice_for
from captum_superpixel.study.data import StudyData
from captum_superpixel.study.groupings import FORMER_ENSEMBLE, Grouping, size_groupings, standard_groupings
from captum_superpixel.study.rows import PIXELS, SIGNS, Row
from captum_superpixel.study.settings import METHOD_NAMES, StudySettings

__all__ = ["Claim", "Protocol", "claims_about", "compared_rows", "make_protocol", "recommended_rows"]

# As Rong et al. have it, for pixels in [0, 1].
_ROAD_NOISE = 0.01
_REGIONS = Watershed(30)


@dataclass(frozen=True)
class Claim:
    """That one row is above another.

    Args:
        row: What the claim is about.
        rival: What it is to be above.
        of: The measures: similarities ``"raw"`` or ``"corrected"`` for chance, or ``"fidelity"``.
        methods: For which methods of attribution; empty for all.
    """

    row: Row
    rival: Row
    of: Literal["raw", "corrected", "fidelity"]
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """How maps are made, grouped and measured.

    Args:
        method_settings: How much work the methods do, and in which units.
        methods: Their names.
        groupings: What is compared.
        sizes: Groupings whose variance over models is measured in addition, beside that of :data:`PIXELS`, and nothing
            else.
        draws: Permutations for the permutation null, spread over the pairs of networks; 0 leaves it out.
        stability: Whether the maps of several networks are compared.
        fidelity: Whether fidelity is measured.
        auc_steps: Steps of the insertion and the deletion curve.
        road_noise: Standard deviation of the noise of ROAD's imputation, in units of the network's input.
        regions: Whose segments are perturbed by those measures of fidelity that perturb superpixels.
        negative_weights: By method, what negative values count for where they are averaged apart; half where nothing is
            said.
        compared: Pairs of rows whose differences are reported, the first being the one that is to be above.
        claims: What the intervals decide on.
        recommended: The row that is recommended, by method.
        claimed_only: Whether those rows alone are measured that a claim is about, and their fidelity where it is about
            fidelity.

    Raises:
        ValueError: If a row is compared, claimed or recommended that is not measured.
    """

    method_settings: MethodSettings
    methods: tuple[str, ...]
    groupings: tuple[Grouping, ...]
    sizes: tuple[Grouping, ...] = ()
    draws: int = 2
    stability: bool = True
    fidelity: bool = True
    auc_steps: int = 20
    road_noise: float = 0.01
    regions: ImageMaskGenerator = _REGIONS
    negative_weights: Mapping[str, float] = field(default_factory=dict)
    compared: tuple[tuple[Row, Row], ...] = ()
    claims: tuple[Claim, ...] = ()
    recommended: Mapping[str, Row] = field(default_factory=dict)
    claimed_only: bool = False

    def __post_init__(self) -> None:
        claimed = [row for claim in self.claims for row in (claim.row, claim.rival)]
        named = {*(row for pair in self.compared for row in pair), *claimed, *self.recommended.values()}
        missing = sorted(named - set(self.rows))
        if missing:
            raise ValueError(f"{', '.join(map(str, missing))} is compared or recommended, but no grouping measures it")

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is measured for every method, in the order of the groupings."""
        return tuple(row for grouping in self.groupings for row in grouping.rows)

    def rows_of(self, method: str, measured: Literal["at all", "fidelity"] = "at all") -> tuple[Row, ...]:
        """What is measured for a method, or what its fidelity is measured of.

        Examples:
            >>> pixels, cells, blur = Row("pixels", "signed"), Row("cells", "signed"), Row("blur", "signed")
            >>> protocol = Protocol(
            ...     MethodSettings(),
            ...     ("Saliency", "SmoothGrad"),
            ...     tuple(Grouping(name, forms=(("signed", 1),)) for name in ("pixels", "cells", "blur")),
            ...     claims=(Claim(cells, pixels, "raw"), Claim(blur, pixels, "fidelity", methods=("Saliency",))),
            ...     claimed_only=True,
            ... )
            >>> [row.grouping for row in protocol.rows_of("Saliency")]
            ['pixels', 'cells', 'blur']
            >>> [row.grouping for row in protocol.rows_of("Saliency", "fidelity")]
            ['pixels', 'blur']
            >>> [row.grouping for row in protocol.rows_of("SmoothGrad")]
            ['pixels', 'cells']
        """
        if not self.claimed_only:
            return self.rows
        wanted = {self.recommended[method]} if method in self.recommended else set()
        for claim in self.claims:
            if method in (claim.methods or (method,)) and (measured == "at all" or claim.of == measured):
                wanted |= {claim.row, claim.rival}
        return tuple(row for row in self.rows if row in wanted)

    @property
    def null_maps(self) -> tuple[str, ...]:
        """Names of the groupings that know nothing of what a map is to show."""
        return tuple(grouping.name for grouping in self.groupings if "null" in grouping.roles)


def make_protocol(settings: StudySettings, data: StudyData) -> Protocol:
    """What the settings say about images of this kind and size."""
    options: dict[str, Any] = {"denormalize": data.denormalize, "channel_order": data.channel_order}
    height, width = data.held_out.batch([0]).shape[-2:]
    choice, methods, n_segments = choice_for(height, width), settings.methods or METHOD_NAMES, settings.n_segments or 1
    n_views = settings.n_views or 1
    groupings = standard_groupings(n_segments, n_views=n_views, choice=choice, **options)
    recommended = recommended_rows(choice, methods, n_views)
    claims = claims_about(groupings, recommended)
    return Protocol(
        method_settings=MethodSettings(
            n_steps=settings.n_steps,
            n_samples=settings.n_samples,
            noise=data.noise(settings.noise),
            baseline=data.baseline,
            images_at_once=max(1, 256 * 48 * 48 // max(48 * 48, height * width)),
            signed=True,
        ),
        methods=methods,
        groupings=groupings,
        sizes=size_groupings(height, width, **options) if settings.models > 2 else (),
        draws=int(settings.draws or 0),
        stability=settings.models > 1,
        auc_steps=settings.auc_steps,
        road_noise=data.noise(_ROAD_NOISE),
        # Superpixels that no map is averaged over: within its own segments Slic's map has the sums of the pixels' map,
        # and the measures that perturb them would not tell one from the other.
        regions=Watershed(n_segments, **options),
        negative_weights={method: choice.recommended_for(method).negative_weight for method in methods},
        compared=compared_rows(groupings, claims),
        claims=claims,
        recommended=recommended,
        claimed_only=settings.rows == "claimed",
    )


def recommended_rows(choice: Choice, methods: Sequence[str], n_views: int) -> dict[str, Row]:
    """The row that is recommended for each method; with one view, its map of the image as it is."""
    return {
        method: Row(chosen.grouping, chosen.sign, n_views if chosen.over_views else 1)
        for method in methods
        for chosen in (choice.recommended_for(method),)
    }


def claims_about(groupings: Sequence[Grouping], recommended: Mapping[str, Row]) -> tuple[Claim, ...]:
    """What the paper and its design claim, and what the recommendation must be better than to be one.

    Args:
        groupings: Their rows are rivals.
        recommended: By method.

    Returns:
        Of the paper: maps averaged in ``Slic`` are more alike than pixels and cells, raw, and signed ones than pixels
        beyond chance, as are those of the ensemble. Of what is recommended: it is above the magnitudes of pixels (in
        fidelity above signed pixels too), above
        what was recommended before it (magnitudes in the ensemble), above the controls by the same rule and number of
        passes, both in stability beyond chance and in fidelity, and above all nulls in fidelity.
    """
    of_paper = [Claim(Row("Slic", sign), Row(rival, sign), "raw") for sign in SIGNS for rival in (PIXELS, "cells")]
    of_paper += [Claim(Row(name, "signed"), Row(PIXELS, "signed"), "corrected") for name in ("Slic", "ensemble")]
    nulls = [row for grouping in groupings if "null" in grouping.roles for row in grouping.rows]
    names = [grouping.name for grouping in groupings]
    former = Row(FORMER_ENSEMBLE if FORMER_ENSEMBLE in names else "ensemble", "magnitude")
    claims = []
    for row in dict.fromkeys(recommended.values()):
        methods = tuple(method for method, chosen in recommended.items() if chosen == row)
        only = () if len(methods) == len(recommended) else methods
        # Similarities are of magnitudes: signed pixels are another rival in fidelity alone, as null maps are.
        of_fidelity = {Row(PIXELS, "signed"), *nulls}
        rivals = [Row(PIXELS, "magnitude"), Row(PIXELS, "signed"), former]
        rivals += [row._replace(grouping=name) for name in ("blur", "guided filter", "cell ensemble")]
        for rival in dict.fromkeys([*rivals, *nulls]):
            if rival == row:
                continue
            if rival not in of_fidelity:
                claims.append(Claim(row, rival, "corrected", only))
            claims.append(Claim(row, rival, "fidelity", only))
    return (*of_paper, *claims)


def compared_rows(groupings: Sequence[Grouping], claims: Sequence[Claim]) -> tuple[tuple[Row, Row], ...]:
    """Pairs of rows: candidates against controls of the same sign and views, and what is claimed."""
    candidates, controls = (
        [row for grouping in groupings if role in grouping.roles for row in grouping.rows]
        for role in ("candidate", "control")
    )
    pairs = [(row, rival) for row in candidates for rival in controls if row[1:] == rival[1:]]
    return tuple(dict.fromkeys([*pairs, *((claim.row, claim.rival) for claim in claims)]))

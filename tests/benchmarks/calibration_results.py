"""From draws and scores of regions to records, tables and a figure of calibration, for calibrate_confidence.py."""

from collections import defaultdict

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from tabulate import tabulate

from captum_superpixel._seeds import derive_seed
from captum_superpixel.metrics import reliability_curve
from captum_superpixel.pooling import segment_scores
from captum_superpixel.regions.confidence import margins
from captum_superpixel.study.calibrating import assess, held, is_top, of_third_networks, pair_cases, said, shares

TOPS = (1, 3, 5)
LABELS = {
    "joint": "draws of weights and views",
    "views": "views alone",
    "weights": "weights alone",
    "noise": "input noise alone",
    "errors": "standard errors within segments",
}
WITHIN = "among the own top k"
ALL = "all regions"
FIGURES = {"auroc": "AUROC", "brier_skill": "Brier skill", "calibration_error": "calibration error"}
RESAMPLES = {WITHIN: 500, ALL: 200}


def calibration_records(explaining, name, kinds):
    """Records of one method: by kind of region, sign, k, which regions count, and what predicts."""
    collected = collect(explaining, name, kinds)
    records = []
    for (regions, sign), parts in collected.items():
        own, others, draws = parts
        place = {"method": name, "regions": regions, "sign": sign}
        for k in TOPS:
            happened = is_top(others, k) & ~others.isnan()
            for which, counted in ((WITHIN, is_top(own, k)), (ALL, ~own.isnan())):
                where = place | {"k": k, "which": which}
                records += records_of(where, own, others, draws, happened, counted, explaining.options.seed)
        for kind, drawn in draws.items():
            figure = shares(held(own, drawn, others), seed=explaining.options.seed)
            records.append(place | {"predictor": LABELS[kind], "coverage": figure})
        print(f"{name}, {sign}, {regions}: assessed", flush=True)
    return records


def records_of(where, own, others, draws, happened, counted, seed):
    """What every predictor is worth for one k and one choice of regions."""
    k, within = where["k"], where["which"] == WITHIN
    found = []

    def add(label, cases, probabilities):
        record = where | {"predictor": label, "n": len(cases.images)}
        record["base_rate"] = float(cases.happened.double().mean())
        resamples = RESAMPLES[where["which"]]
        record |= assess(cases, probabilities=probabilities, n_resamples=resamples, seed=seed)
        if probabilities and label == LABELS["joint"]:
            record["curve"] = [part.tolist() for part in reliability_curve(cases.predicted, cases.happened)]
        found.append(record)

    # Of all regions, which are ten times as many, what matters most.
    for kind, drawn in draws.items() if within else [("joint", draws["joint"])]:
        predicted = torch.stack([said(each, k) for each in drawn])
        add(LABELS[kind], pair_cases(predicted, happened, counted), True)
    if k == 1:
        return found
    margin = margins_of(own, k)
    rank = -own.nan_to_num(-torch.inf).argsort(dim=-1, descending=True).argsort(dim=-1).double()
    by_margin, by_rank = (pair_cases(each, happened, counted) for each in (margin, rank))
    add("own score, by its margin", by_margin, False)
    add("own rank", by_rank, False)
    if within:
        features = torch.stack([by_margin.predicted, by_rank.predicted], dim=1)
        add("own margin and rank, fitted", by_margin._replace(predicted=fitted(features, by_margin)), True)
    if len(own) > 2:
        third = of_third_networks(margins_of(others, k), happened, counted)
        add("one more network", third, False)
        if within:
            add("one more network, fitted", third._replace(predicted=fitted(third.predicted[:, None], third)), True)
    return found


def margins_of(scores, k):
    """Of one map: the formula for draws wants at least two."""
    flat = scores.reshape(-1, scores.shape[-1])
    return margins(torch.stack([flat, flat]), k)[0].reshape(scores.shape)


def fitted(features, cases):
    """Probabilities of a logistic regression that was fitted to other images, five folds of them."""
    folds = GroupKFold(5)
    images, happened = cases.images.numpy(), cases.happened.numpy()
    found = cross_val_predict(
        LogisticRegression(C=1e6), features.numpy(), happened, groups=images, cv=folds, method="predict_proba"
    )
    return torch.from_numpy(found[:, 1].copy())


def collect(explaining, name, kinds):
    """By (regions, sign): own scores (M, N, K), others' (M, M, N, K), and by kind draws (M, J, N, K)."""
    count = len(explaining.networks)
    own, others, draws = defaultdict(list), defaultdict(list), defaultdict(lambda: defaultdict(list))
    for start in explaining.starts:
        of_each = [explaining.regions(name, start, i) for i in range(count)]
        maps = [explaining.maps(name, start, i) for i in range(count)]
        table = [[explaining.scores(name, start, j, maps[j], of_each[i]) for j in range(count)] for i in range(count)]
        parts = {kind: [explaining.draws(name, kind, start, i)["scores"] for i in range(count)] for kind in kinds}
        for key in table[0][0]:
            own[key].append(stack([table[i][i][key] for i in range(count)]))
            others[key].append(stack([stack([table[i][j][key] for j in range(count)]) for i in range(count)]))
            for kind, found in parts.items():
                draws[key][kind].append(stack([each[" ".join(key)] for each in found]))
            if key[0] != "ensemble":
                simulated = [
                    from_errors(explaining, maps[i], of_each[i][key[0]], key[1], (start, i)) for i in range(count)
                ]
                draws[key]["errors"].append(stack(simulated))

    def join(parts):
        return torch.cat(padded(parts), dim=-2)

    return {
        key: (join(own[key]), join(others[key]), {kind: join(parts) for kind, parts in draws[key].items()})
        for key in own
    }


def from_errors(explaining, maps, mask, sign, purpose):
    """Scores with the standard errors of means over the pixels of each segment, as independent normal draws."""
    pixels = (maps.abs() if sign == "magnitude" else maps).double().mean(dim=1, keepdim=True)
    mean, square = (segment_scores(each, mask, "mean")[:, 0] for each in (pixels, pixels.square()))
    size = segment_scores(torch.ones_like(pixels), mask.expand(len(maps), -1, -1, -1), "sum")[:, 0]
    error = ((square - mean.square()).clamp(min=0) / size).sqrt()
    generator = torch.Generator().manual_seed(derive_seed(explaining.options.seed, "errors", *purpose))
    return mean + error * torch.randn(explaining.options.draws, *mean.shape, generator=generator, dtype=torch.float64)


def stack(parts):
    return torch.stack(padded(parts))


def padded(parts):
    """With as many regions everywhere, those that are not there NaN."""
    most = max(part.shape[-1] for part in parts)
    pad = torch.nn.functional.pad
    return [pad(part, (0, most - part.shape[-1]), value=torch.nan) for part in parts]


def show_calibration(records):
    """Print a table for each method, sign, regions, k, and which regions count; and one of the coverage."""
    groups = defaultdict(list)
    for record in records:
        if "k" in record:
            groups[record["method"], record["sign"], record["regions"], record["k"], record["which"]].append(record)
    for (method, sign, regions, k, which), found in groups.items():
        rate, cases = found[0]["base_rate"], found[0]["n"]
        print(f"\n{method}, {sign}, {regions}, k = {k}, {which}: {cases} cases, of which {number(rate)} stayed\n")
        body = [[r["predictor"], *(cell(r.get(name)) for name in FIGURES)] for r in found]
        print(tabulate(body, ["predictor", *FIGURES.values()], tablefmt="github", disable_numparse=True))
    print("\nCoverage of the 95 % intervals\n")
    covered = [r for r in records if "coverage" in r]
    body = [[r["method"], r["sign"], r["regions"], r["predictor"], cell(r["coverage"])] for r in covered]
    print(tabulate(body, ["method", "sign", "regions", "draws", "held"], tablefmt="github", disable_numparse=True))


def cell(figure):
    """A value, its interval over images, and that over images and networks."""
    if figure is None:
        return "–"
    ends = [f"{number(low)} to {number(high)}" for low, high in (figure["ci95"], figure["ci95_networks"])]
    return f"{number(figure['value'])} ({ends[0]}; {ends[1]})"


def number(value, digits=3):
    """Without the zero before the point."""
    return f"{value:.{digits}f}".replace("0.", ".", abs(value) < 1).replace("-", "−")


def draw_reliability(records):
    """What was said of the regions of the own top k, and how often it came true: a panel for each method."""
    shown = [r for r in records if "curve" in r and r["which"] == WITHIN and r["regions"].startswith("Slic")]
    panels = list(dict.fromkeys((r["method"], r["sign"], r["regions"]) for r in shown))
    figure, axes = plt.subplots(
        1, len(panels), figsize=(2.7 * len(panels), 3.6), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        axis.plot([0, 1], [0, 1], color="0.8", linewidth=1, zorder=0)
        for record in shown:
            if (record["method"], record["sign"], record["regions"]) == panel:
                predicted, happened, counts = (torch.tensor(part) for part in record["curve"])
                filled = counts >= 10
                k = record["k"]
                style = {"color": "0.6", "linestyle": "--"} if k == 1 else {"color": {3: "C0", 5: "C1"}[k]}
                label = f"k = {k}" + " (refused)" * (k == 1)
                axis.plot(predicted[filled], happened[filled], marker="o", markersize=3, label=label, **style)
        method, sign, regions = panel
        axis.set(
            title=f"{method},\n{sign}, {regions}", xlabel="probability said", xlim=(0, 1), ylim=(0, 1), aspect="equal"
        )
        axis.title.set_fontsize(9)
    axes[0, 0].set_ylabel("share that stayed on top")
    axes[0, 0].legend(fontsize=7, loc="upper left")
    return figure

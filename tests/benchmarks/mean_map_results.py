"""The mean magnitude of draws as a map of its own, beside maps of as many passes: a part of calibrate_confidence.py."""

import itertools
from collections import defaultdict

import torch
from calibration_results import number
from tabulate import tabulate

from captum_superpixel import metrics
from captum_superpixel._blur import gaussian_blur
from captum_superpixel.attr import group_maps
from captum_superpixel.metrics.bootstrap import bootstrap_mean, interval, resampled_means
from captum_superpixel.study.calibrating import is_top
from captum_superpixel.study.choice import choice_for

MAPS = {
    "own": "the map itself",
    "views": "mean magnitude of {} views",
    "noise": "mean magnitude of {} noisy images",
    "joint": "mean magnitude of {} draws",
}
WAYS = ("pixels", "ensemble", "blur")
STEPS = 10
"""Of the insertion and the deletion curve."""


def survival(explaining, name, count):
    """Records of one method: similarities of pairs of networks over the random network, fidelity, and top regions."""
    starts = [start for start in explaining.starts if start < count]
    chunks = [measured(explaining, name, start) for start in starts]
    records = []
    for kind, way in itertools.product(MAPS, WAYS):
        record = {"method": name, "map": MAPS[kind].format(explaining.options.draws), "smoothing": way}
        parts = [chunk[f"{kind} {way}"] for chunk in chunks]
        columns = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        means = resampled_means(torch.stack(list(columns.values()), dim=1), generator=torch.Generator().manual_seed(0))
        resampled = dict(zip(columns, means.T, strict=True))
        for metric in ("ssim", "top_k_iou"):
            value, null = (columns[f"{metric}{end}"].mean() for end in ("", " null"))
            excess = metrics.excess(resampled[metric], resampled[f"{metric} null"])
            record |= {
                metric: figure(value, resampled[metric]),
                f"{metric} excess": figure(metrics.excess(value, null), excess),
            }
        for key in ("insertion", "deletion"):
            record[key] = figure(columns[key].mean(), resampled[key])
        difference = resampled["insertion"] - resampled["deletion"]
        record["difference"] = figure((columns["insertion"] - columns["deletion"]).mean(), difference)
        records.append(record)
    return records + top_regions(explaining, name, starts)


def figure(value, resampled):
    return {"value": float(value), "ci95": list(interval(resampled))}


def measured(explaining, name, start):
    """Of one chunk, by map and smoothing: a number per image ``(n,)`` for every metric, averaged over the networks."""

    def make():
        inputs = explaining.chunk(start)[0]
        members = explaining.masks(start)[1]
        width = choice_for(*inputs.shape[-2:]).blur * min(inputs.shape[-2:])
        smooth = {
            "pixels": lambda maps: maps,
            "ensemble": lambda maps: group_maps(maps, members),
            "blur": lambda maps: gaussian_blur(maps, width),
        }
        found = {}
        for kind, way in itertools.product(MAPS, WAYS):
            trained, random = (
                [
                    smooth[way](magnitudes(explaining, name, kind, start, i, twin))
                    for i in range(len(explaining.networks))
                ]
                for twin in (False, True)
            )
            found[f"{kind} {way}"] = similarities(trained, random) | fidelity(explaining, start, trained)
        return found

    settings = (
        explaining.of_chunk(start) | explaining.of_method(name) | {"draws": explaining.options.draws, "steps": STEPS}
    )
    return explaining.kept(f"survival-{name}-{start}", settings, make)


def magnitudes(explaining, name, kind, start, number, twin):
    """The map or a mean of maps, magnitudes summed over the channels, ``(N, 1, H, W)``."""
    if kind == "own":
        return explaining.maps(name, start, number, twin).abs().sum(dim=1, keepdim=True)
    return explaining.draws(name, kind, start, number, twin)["mean_map"]


def similarities(trained, random):
    """Means over all pairs of networks, and over all pairs of one and the randomized model of another."""
    found = {}
    for metric in ("ssim", "top_k_iou"):
        function = getattr(metrics, metric)
        pairs = [function(one, other) for one, other in itertools.combinations(trained, 2)]
        # The next network's twin alone: twins are alike in what counts, and every pair would cost as much again.
        nulls = [function(one, twin) for one, twin in zip(trained, random[1:] + random[:1], strict=True)]
        found |= {metric: torch.stack(pairs).mean(dim=0), f"{metric} null": torch.stack(nulls).mean(dim=0)}
    return found


def fidelity(explaining, start, trained):
    """Insertion and deletion of one network for each image, each in turn."""
    inputs, targets = explaining.chunk(start)
    found = {name: torch.zeros(len(inputs), dtype=torch.float64) for name in ("insertion", "deletion")}
    owner = (torch.arange(len(inputs)) + start) % len(trained)
    for place, maps in enumerate(trained):
        own = owner == place
        if own.any():
            arguments = explaining.networks[place], inputs[own], maps[own].to(inputs.device), targets[own]
            options = {"n_steps": STEPS, "batch_size": 100}
            found["insertion"][own] = metrics.insertion_auc(*arguments, **options).double().cpu()
            found["deletion"][own] = metrics.deletion_auc(*arguments, **options).double().cpu()
    return found


def top_regions(explaining, name, starts):
    """How far the top regions of two networks are the same: of the maps, and of the means of the draws."""
    records, count = [], len(explaining.networks)
    for segments, k in itertools.product(explaining.segments, (3, 5)):
        key = f"Slic({segments}) magnitude"
        found = defaultdict(list)
        for start in starts:
            for kind in MAPS:
                tops = [is_top(region_scores(explaining, name, kind, start, i, key), k) for i in range(count)]
                shared = [(a & b).sum(dim=1) / (a | b).sum(dim=1) for a, b in itertools.combinations(tops, 2)]
                found[kind].append(torch.stack(shared).mean(dim=0))
        for kind, parts in found.items():
            value, ends = bootstrap_mean(torch.cat(parts))
            text = MAPS[kind].format(explaining.options.draws)
            records.append(
                {
                    "method": name,
                    "map": text,
                    "regions": f"Slic({segments})",
                    "k": k,
                    "iou": {"value": value, "ci95": ends},
                }
            )
    return records


def region_scores(explaining, name, kind, start, number, key):
    """``(N, K)``."""
    if kind != "own":
        return explaining.draws(name, kind, start, number)["scores"][key].mean(dim=0)
    regions = explaining.regions(name, start, number)
    found = explaining.scores(name, start, number, explaining.maps(name, start, number), regions)
    return found[tuple(key.split(" "))]


def show_mean_maps(records):
    """Print a table of maps and one of top regions."""
    if not records:
        return
    names = ("ssim", "ssim excess", "top_k_iou", "top_k_iou excess", "insertion", "deletion", "difference")
    maps = [r for r in records if "smoothing" in r]
    body = [[r["method"], r["map"], r["smoothing"], *(with_interval(r[name]) for name in names)] for r in maps]
    titles = ["SSIM", "SSIM excess", "top-10 % IoU", "IoU excess", "insertion", "deletion", "insertion − deletion"]
    print("\nMean maps\n")
    print(tabulate(body, ["method", "map", "smoothing", *titles], tablefmt="github", disable_numparse=True))
    body = [[r["method"], r["map"], r["regions"], r["k"], with_interval(r["iou"])] for r in records if "iou" in r]
    print("\nTop regions of two networks\n")
    print(tabulate(body, ["method", "map", "regions", "k", "IoU"], tablefmt="github", disable_numparse=True))


def with_interval(found):
    low, high = found["ci95"]
    return f"{number(found['value'])} ({number(low)} to {number(high)})"

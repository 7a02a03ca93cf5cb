"""What tests/benchmarks/paper_tables.py measures: the authors' engines, and maps pooled in their segments."""

from collections import defaultdict
from functools import partial
from itertools import combinations

import numpy as np
import torch
from skimage.color import rgb2gray
from skimage.filters import sobel
from skimage.segmentation import felzenszwalb, quickshift, slic, watershed

from captum_superpixel import metrics, pool_segments
from captum_superpixel._hashes import fingerprint
from captum_superpixel.attr.pixel_maps import attribute_views
from captum_superpixel.datasets import CIFAR10
from captum_superpixel.masks import Grid
from captum_superpixel.metrics.across_models import distances_between_models
from captum_superpixel.metrics.mu_fidelity import SubsetDrops, drops_of_subsets
from captum_superpixel.study.jobs import Job
from captum_superpixel.study.measuring import measuring_settings

# The settings of scikit-image's gallery of segmentations, which the paper's names of engines are taken from.
ENGINES = {
    "Felzenszwalb": partial(felzenszwalb, scale=100, sigma=0.5, min_size=50),
    "SLIC": partial(slic, n_segments=250, compactness=10, sigma=1, start_label=1),
    "Quickshift": partial(quickshift, kernel_size=3, max_dist=6, ratio=0.5),
    "compact watershed": lambda picture: watershed(sobel(rgb2gray(picture)), markers=250, compactness=0.001),
}
FEEDS = ("normalized", "picture")
"""What an engine is given: pixels as torchvision's networks take them, or the picture in [0, 1]."""
PIXELS, CONSTANT = ("pixels", ""), ("a constant map", "")
READINGS = {"signed": "mean", "magnitude": "abs_mean"}
"""How a map is averaged in a segment: channel by channel with its signs, or its magnitudes."""
KINDS = ("value", "permutation", "random_network")
XPLIQUE = {"baselines": "zero", "subset_share": 0.2, "subset_sizes": "random", "n_subsets": 200, "softmax": False}
"""Xplique's muFidelity, over a grid of 9 x 9, with Spearman's correlation."""


def segment(inputs, denormalize):
    """Labels by engine and feed, each (N, 1, H, W), of images (N, 3, H, W)."""
    mean, std = (torch.as_tensor(each, dtype=torch.float64).view(-1, 1, 1) for each in denormalize)
    pictures = (inputs.double() * std + mean).clamp(0, 1)
    mean, std = (torch.tensor(each, dtype=torch.float64).view(-1, 1, 1) for each in CIFAR10.denormalize)
    fed = {"normalized": (pictures - mean) / std, "picture": pictures}
    found = {}
    for name, engine in ENGINES.items():
        for feed in FEEDS:
            labels = [engine(image.movedim(0, -1).contiguous().numpy()) for image in fed[feed]]
            found[name, feed] = torch.from_numpy(np.stack(labels)[:, None].astype(np.int16))
    return found


def sizes(labels):
    """The number of segments, and the mean size in pixels of the segment that a pixel lies in, as (2, N)."""
    counts = [torch.bincount(one.flatten().long()).double() for one in labels]
    return torch.tensor([[(count > 0).sum(), (count**2).sum() / count.sum()] for count in counts]).T


def size_map(labels, channels):
    """The map that shows one over the root of each segment's size, as the mean of noise does, and nothing else."""
    roots = [torch.bincount(one.flatten().long()).clamp(min=1).double().rsqrt() for one in labels]
    sizes = torch.stack([root[one.long()] for root, one in zip(roots, labels, strict=True)])
    return sizes.expand(-1, channels, -1, -1)


def pool(maps, labels, reading):
    """Average maps (N, C, H, W) in segments; without segments leave the values as they are."""
    if labels is None:
        return maps if reading == "signed" else maps.abs()
    return pool_segments(maps, labels, reduction=READINGS[reading])


def prepare(study, network, indices, fidelity):
    """Segment images and measure what the network loses with subsets of the first of them, once for all methods."""
    inputs = study.data.held_out.batch(indices)
    masks = {"\t".join(key): labels for key, labels in segment(inputs, study.data.denormalize).items()}
    content = {"masks": masks, "drops": None}
    if fidelity:
        first = inputs[:fidelity]
        targets = study.data.held_out.labels[indices][:fidelity]
        generator = study.generator("muFidelity", indices[0])
        grid = Grid(81)(first)
        drops = drops_of_subsets(
            network, first, targets, feature_mask=grid, generator=generator, batch_size=50, **XPLIQUE
        )
        content["drops"] = drops._asdict()
    return content


def explain(study, networks, indices, method):
    """Signed maps of all networks (N, C, H, W)."""
    inputs, targets = study.data.held_out.batch(indices), study.data.held_out.labels[indices]
    settings = study.protocol.method_settings
    seeds = [study.seed("images", indices[0], method, number) for number in range(len(networks))]
    return [
        attribute_views(method, network, inputs, targets, settings, seed).signed
        for network, seed in zip(networks, seeds, strict=True)
    ]


def measure(study, networks, twins, indices, prepared, method, draws):
    """SSIM, Euclidean distance and muFidelity of a method's maps, by engine, feed and reading."""
    count = len(networks)
    maps = explain(study, [*networks, *twins], indices, method)
    pairs = list(combinations(range(count), 2))
    generator = study.generator("permutation", indices[0], method)
    for draw in range(draws):  # as in the study, the pairs of networks take turns
        maps += [metrics.permute_pixels(maps[number], generator) for number in pairs[draw % len(pairs)]]
    compared = {
        "value": pairs,
        "permutation": [(2 * count + 2 * draw, 2 * count + 2 * draw + 1) for draw in range(draws)],
        # A network's own twin may keep parameters of it, shuffled where they cannot be drawn anew.
        "random_network": [(number, count + (number + 1) % count) for number in range(count)],
    }
    drops = None if prepared["drops"] is None else SubsetDrops(**prepared["drops"])
    found = defaultdict(dict)
    for key, labels in {"\t".join(PIXELS): None, **prepared["masks"]}.items():
        for reading in READINGS:
            pooled = [pool(each, None if labels is None else labels.long(), reading) for each in maps]
            row = f"{key}\t{reading}"
            found["ssim"][row] = torch.stack([_similarity(pooled, compared[kind]) for kind in KINDS])
            if labels is not None:
                found["size_map"][row] = metrics.ssim(pooled[0], size_map(labels, pooled[0].shape[1]))[None]
            distances = distances_between_models(torch.stack(pooled), "l2")
            found["l2"][row] = torch.stack([_distance(distances, compared[kind]) for kind in KINDS])
            if drops is not None:
                # The first network's own map, that with permuted pixels, and its randomized model's.
                found["mu_fidelity"][row] = _fidelity(drops, [pooled[0], pooled[2 * count], pooled[count]])
    if drops is not None:
        found["mu_fidelity"]["\t".join((*CONSTANT, "magnitude"))] = _fidelity(drops, [torch.ones_like(maps[0])])
    return dict(found)


def _fidelity(drops, maps):
    """Give muFidelity of the first images of maps; 0, as Xplique does, where one side is constant."""
    return torch.stack([drops.correlate(each[: len(drops.left)], "spearman").nan_to_num(nan=0.0) for each in maps])


def _similarity(maps, pairs):
    return torch.stack([metrics.ssim(maps[i], maps[j]) for i, j in pairs]).mean(dim=0)


def _distance(distances, pairs):
    return torch.stack([distances[:, i, j] for i, j in pairs]).mean(dim=0)


def measure_all(study, networks, twins, chosen, options):
    """Do what the folder does not hold yet; what comes out is joined over the images.

    Returns:
        By engine and feed the sizes of segments (2, N); and by method and metric, by engine, feed and reading, values
        (3, N), in the order of KINDS.
    """
    made_with = measuring_settings(study.settings) | {
        "networks": [fingerprint(network) for network in networks],
        "data": study.data.fingerprint(),
    }
    parts = [chosen[start : start + options.chunk] for start in range(0, len(chosen), options.chunk)]
    fidelity = [max(0, min(len(part), options.fidelity_images - options.chunk * n)) for n, part in enumerate(parts)]
    first, by_method = defaultdict(list), defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for number, (part, count) in enumerate(zip(parts, fidelity, strict=True)):
        settings = made_with | {"images": list(part), "fidelity_images": count}
        job = Job(f"images-{number:04d}", settings, partial(prepare, study, networks[0], part, count))
        (prepared,) = study.run([job])
        for key, labels in prepared["masks"].items():
            first[tuple(key.split("\t"))].append(sizes(labels))
        for method in options.method:
            run = partial(measure, study, networks, twins, part, prepared, method, options.draws)
            (found,) = study.run([Job(f"{method}-{number:04d}", settings | {"draws": options.draws}, run)])
            for metric, rows in found.items():
                for row, values in rows.items():
                    by_method[method][metric][tuple(row.split("\t"))].append(values)
        study.report(f"measured {sum(map(len, parts[: number + 1]))} of {len(chosen)} images")
    joined = {
        method: {metric: {row: torch.cat(each, dim=1) for row, each in rows.items()} for metric, rows in of.items()}
        for method, of in by_method.items()
    }
    return {key: torch.cat(each, dim=1) for key, each in first.items()}, joined

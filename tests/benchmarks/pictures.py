"""CPU time that a photograph takes in ``captum-superpixel explain``: to explain it, and to draw it, by part.

Run it as ``python tests/benchmarks/pictures.py``, on photographs of scikit-image and SqueezeNet with random weights; or
with photographs and a network, both given as to ``captum-superpixel explain``. Times are those of one thread, the
least of some rounds of the mean over the photographs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from masks import load_photographs, print_table, processor
from PIL import Image

from captum_superpixel._options import CommandParser
from captum_superpixel.explain.arrangement import arrange
from captum_superpixel.explain.command import add_explain
from captum_superpixel.explain.explanation import Explanation
from captum_superpixel.explain.figure import describe
from captum_superpixel.explain.letters import paint
from captum_superpixel.explain.outputs import save
from captum_superpixel.explain.png import save_png
from captum_superpixel.explain.rendering import DPI
from captum_superpixel.explain.run import make_explainer

SIZE = 227
"""Pixels of scikit-image's photographs, and of SqueezeNet's input."""


def read_options(arguments: Sequence[str], folder: Path) -> argparse.Namespace:
    """Read options of ``explain``, or choose them where there are none."""
    if not arguments:
        for number, photograph in enumerate(load_photographs(SIZE)):
            pixels = (255 * photograph).round().to(torch.uint8).permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(folder / f"{number}.png")
        network = ["--model", "captum_superpixel.models.squeezenet:squeezenet1_0", "--size", str(SIZE)]
        arguments = [*map(str, sorted(folder.glob("*.png"))), *network, "--method", "Saliency"]
    parser = argparse.ArgumentParser()
    add_explain(parser.add_subparsers(parser_class=CommandParser))
    return parser.parse_args(["explain", *arguments])


def measure(call: Callable[[], Any]) -> tuple[Any, float]:
    """Call something, and take the CPU milliseconds of it."""
    start = time.process_time()
    result = call()
    return result, 1000 * (time.process_time() - start)


def draw_all(explanations: Sequence[Explanation], top: int, path: Path) -> dict[str, float]:
    """Draw pictures and pages: the mean CPU milliseconds of each part."""
    times: dict[str, float] = {}
    for explanation in explanations:
        sheet, describing = measure(lambda: describe(explanation, top))  # noqa: B023
        figure, placing = measure(lambda: arrange(sheet))  # noqa: B023
        pixels, painting = measure(lambda: paint(figure, DPI))  # noqa: B023
        _, writing = measure(lambda: save_png(pixels, path.with_suffix(".png"), DPI))  # noqa: B023
        _, page = measure(lambda: save([explanation], path.with_suffix(".html"), top))  # noqa: B023
        parts = {
            "regions, colors and texts are settled": describing,
            "pictures are resized, and texts placed": placing,
            "texts and lines are drawn": painting,
            "the file is compressed": writing,
        }
        taken = {**parts, "picture, all of it": sum(parts.values()), "page": page}
        times = {name: times.get(name, 0) + value / len(explanations) for name, value in taken.items()}
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options, arguments = parser.parse_known_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        asked = read_options(arguments, Path(folder))
        explainer = make_explainer(asked, lambda line: None)
        rounds = []
        for _ in range(options.rounds + 1):
            outcomes, explaining = measure(lambda: list(explainer.explain(asked.photographs)))
            explanations = [each for outcome in outcomes for each in outcome.explanations]
            drawing = draw_all(explanations, asked.top, Path(folder) / "drawn")
            rounds.append({"explained": explaining / len(outcomes), **drawing})
    # The first round also imports and loads.
    least = {name: min(each[name] for each in rounds[1:]) for name in rounds[0]}
    made = f"{len(explanations)} explanations of {len(outcomes)} photographs"
    print(f"{made}; {processor(explainer.device)}, torch {torch.__version__}\n")
    print_table(["of a photograph", "ms"], [[name, f"{value:.0f}"] for name, value in least.items()])


if __name__ == "__main__":
    main()

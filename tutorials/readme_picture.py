"""Draw the README's picture: a real photograph, explained by a real network, pixel by pixel and grouped.

The network is SqueezeNet 1.0, with the weights that its authors published for Caffe (blue, green, red, from 0 to 255):

    python tutorials/readme_picture.py --weights squeezenet1_0.safetensors \
        --size 227 --scale 1 --mean 104 117 123 --std 1 1 1 --channel-order bgr

or with those of torchvision, whose preprocessing is the default:

    python tutorials/readme_picture.py --weights squeezenet1_0-b66bff10.pth

--model MODULE:FACTORY takes any other classifier of ImageNet.
"""

import argparse
import io
from pathlib import Path

import skimage.data
import torch
from PIL import Image

from captum_superpixel import SuperpixelGrouped, recommended
from captum_superpixel.attr.methods import MethodSettings, Scene, make_method, method_options
from captum_superpixel.datasets import IMAGENET
from captum_superpixel.masks import Slic
from captum_superpixel.models import load_model
from captum_superpixel.visualization import visualize_comparison

METHODS = ("Saliency", "IntegratedGradients", "SmoothGrad")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="captum_superpixel.models.networks:squeezenet1_0")
    parser.add_argument("--weights")
    parser.add_argument("--size", type=int)
    parser.add_argument("--scale", type=float)
    parser.add_argument("--mean", type=float, nargs=3)
    parser.add_argument("--std", type=float, nargs=3)
    parser.add_argument("--channel-order", choices=("rgb", "bgr"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "cat.png")
    options = vars(parser.parse_args())
    out, model = options.pop("out"), load_model(options.pop("model"), options.pop("weights"))
    preprocessing = IMAGENET.replaced(**options)
    inputs = preprocessing(Image.fromarray(skimage.data.chelsea()))[None]
    probabilities = model(inputs).softmax(dim=1)[0].detach()
    target = probabilities.argmax()[None]
    print(f"class {target.item()}, probability {float(probabilities[target]):.2f}")

    like_the_network = {"denormalize": preprocessing.denormalize, "channel_order": preprocessing.channel_order}
    superpixels = Slic(**like_the_network)
    noise = 0.12 / torch.tensor(preprocessing.denormalize[1]).mean().item()
    settings = MethodSettings(n_samples=48, noise=noise, images_at_once=12, signed=True)
    maps: dict[str, list[torch.Tensor]] = {"pixel by pixel": [], "superpixels": [], "recommended": []}
    for name in METHODS:
        method = make_method(name, model)
        wrapped = {
            "pixel by pixel": method,
            "superpixels": SuperpixelGrouped(method, superpixels, reduction="abs_mean"),
            "recommended": recommended(method, **like_the_network),
        }
        for label, attribution in wrapped.items():
            leaf = inputs.clone().requires_grad_()
            arguments = method_options(name, method, Scene(leaf, target, settings))
            if label == "recommended":
                arguments.pop("abs", None)  # it settles by itself how signs are treated
            torch.manual_seed(0)
            found = attribution.attribute(leaf, **arguments)
            # Evidence is looked at where it speaks for the class.
            maps[label].append((found.clamp(min=0) if label == "recommended" else found.abs()).detach())

    photograph = preprocessing.to_pixels(inputs).repeat(len(METHODS), 1, 1, 1)
    columns = {label: torch.cat(rows) for label, rows in maps.items()}
    figure, axes = visualize_comparison(
        photograph, columns, feature_mask=superpixels(inputs), scale="own", show_colorbar=False
    )
    for axis, name in zip(axes[:, 0], METHODS, strict=True):
        axis.set_ylabel(name)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    # A palette takes a third of the bytes, and nobody sees the difference.
    picture = Image.open(drawn).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)
    picture.save(out, format="png", optimize=True)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()

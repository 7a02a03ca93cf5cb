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
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from PIL import Image

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._files import replacing
from captum_superpixel.datasets import IMAGENET, Preprocessing
from captum_superpixel.masks import Slic, multiscale
from captum_superpixel.models.loading import load_model
from captum_superpixel.visualization import visualize_comparison


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="captum_superpixel.models.networks:squeezenet1_0")
    parser.add_argument("--weights")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--scale", type=float, default=IMAGENET.scale)
    parser.add_argument("--mean", type=float, nargs=3, default=IMAGENET.mean)
    parser.add_argument("--std", type=float, nargs=3, default=IMAGENET.std)
    parser.add_argument("--channel-order", choices=("rgb", "bgr"), default="rgb")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "cat.png")
    options = parser.parse_args()

    preprocessing = Preprocessing(
        options.size, options.mean, options.std, options.scale, channel_order=options.channel_order
    )
    model = load_model(options.model, options.weights)
    inputs = preprocessing(Image.fromarray(skimage.data.chelsea()))[None].requires_grad_()
    probabilities = model(inputs).softmax(dim=1)[0].detach()
    target = int(probabilities.argmax())
    print(f"class {target}, probability {float(probabilities[target]):.2f}")

    like_the_network = {"denormalize": preprocessing.denormalize, "channel_order": preprocessing.channel_order}
    noise = 0.12 * 255 * preprocessing.scale / torch.tensor(preprocessing.std).mean().item()
    methods = {
        "Saliency": (Saliency(model), {"abs": False}),
        "IntegratedGradients": (IntegratedGradients(model), {"internal_batch_size": 10}),
        "SmoothGrad": (
            NoiseTunnel(Saliency(model)),
            {"abs": False, "nt_samples": 50, "nt_samples_batch_size": 10, "stdevs": noise},
        ),
    }
    groupings = {"superpixels": Slic(**like_the_network), "ensemble": multiscale(**like_the_network)}
    maps: dict[str, list[torch.Tensor]] = {"pixel by pixel": [], **{label: [] for label in groupings}}
    for method, settings in methods.values():
        torch.manual_seed(0)
        maps["pixel by pixel"].append(method.attribute(inputs, target=target, **settings).detach().abs())
        for label, masks in groupings.items():
            grouped = SuperpixelGrouped(method, masks, reduction="abs_mean")
            torch.manual_seed(0)
            maps[label].append(grouped.attribute(inputs, target=target, **settings).detach())

    photograph = preprocessing.to_pixels(inputs).repeat(len(methods), 1, 1, 1)
    mask = Slic(**like_the_network)(inputs)
    columns = {label: torch.cat(rows) for label, rows in maps.items()}
    figure, axes = visualize_comparison(photograph, columns, feature_mask=mask, scale="own", show_colorbar=False)
    for axis, name in zip(axes[:, 0], methods, strict=True):
        axis.set_ylabel(name)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    with replacing(options.out) as temporary:
        # A palette takes a third of the bytes, and nobody sees the difference.
        picture = Image.open(drawn).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)
        picture.save(temporary, format="png", optimize=True)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()

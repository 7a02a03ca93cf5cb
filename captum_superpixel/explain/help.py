"""What ``--help`` says of ``demo`` and ``explain`` beside their options: what they do, examples, and what there is."""

from __future__ import annotations

import textwrap

from captum_superpixel._checks import listed
from captum_superpixel._texts import joined
from captum_superpixel.explain.choices import (
    CANCELLING,
    COUNTED_MASKS,
    NEGATIVE_WEIGHT,
    OTHER_MASKS,
    STAYS_TOP,
    STEPS,
    TAKERS,
    TOP,
)

__all__ = ["DEMO", "DEMO_EXAMPLES", "EXPLAIN", "EXPLAIN_EXAMPLES", "explain_details"]

DEMO = """\
Trains a small network on handwritten digits that lie on photographs, explains its decisions on four test images by
Saliency, IntegratedGradients and SmoothGrad, pixel by pixel and averaged within superpixels, and draws the maps side
by side.

Nothing is downloaded. Training takes about a minute on two cores and happens only once: the network is cached.
To explain a network and photographs of your own, use captum-superpixel explain."""

DEMO_EXAMPLES = """\
examples:
  captum-superpixel demo
  captum-superpixel demo --out digits.png --seed 1 --retrain"""

EXPLAIN = """\
Which regions of a photograph does a network's decision depend on? Explains the decision by any method of Captum,
averages the map within superpixels (or perturbs superpixels, where the method perturbs), prints the prediction and
the top regions, and writes a picture (.png), an interactive page for a browser (.html) or arrays (.npz)."""

EXPLAIN_EXAMPLES = """\
examples:
  captum-superpixel explain cat.jpg --model microsoft/resnet-50
  captum-superpixel explain cat.jpg --model mynet:load --weights mynet.safetensors --labels classes.txt --out cat.html
  captum-superpixel explain cat.jpg --model mynet:load --target "tiger cat" --method LayerGradCam --layer features.12
  captum-superpixel explain photos/ --model my-vit/ --method SmoothGrad --masks multiscale --format png --format html
  captum-superpixel explain cat.jpg --model mynet:load --method Saliency --method IntegratedGradients --out cat.html
  captum-superpixel explain cat.jpg --model mynet:load --method IntegratedGradients --baseline blur --steps 200
  captum-superpixel explain cat.jpg --model mynet:load --method Saliency --recommended
  captum-superpixel explain cat.jpg --model my-segformer/ --task segmentation --target sofa
  captum-superpixel explain cat.jpg --model my-clip/ --task similarity --text "a cat" --text "a dog"
  captum-superpixel explain cat.jpg --model caffenet:load --size 227 --scale 1 --mean 104 117 123 --std 1 1 1 \\
      --channel-order bgr

MODULE:FACTORY names a network, or a function or class that makes one when called without arguments: mynet:load is
load() in mynet.py of the current folder. The network maps images (N, 3, H, W), or (N, 1, H, W), to (N, classes).
What it returns is explained, mostly the logit of the class. Where it returns probabilities, or numbers that are not
probabilities, the explanation says so; if this is wrong, say what it returns by --activation.

methods:
  without a layer: Saliency, SmoothGrad (NoiseTunnel of Saliency), SparsifiedSmoothGrad, IntegratedGradients,
    InputXGradient, DeepLift, DeepLiftShap, GradientShap, GuidedBackprop, Deconvolution, LRP, XRAI, Occlusion
  that perturb superpixels: FeatureAblation, Lime, KernelShap, OwenValues, ShapleyValueSampling, ShapleyValues (12
    superpixels at most)
  of a layer: GuidedGradCam, LayerGradCam, LayerActivation, LayerGradientXActivation, LayerIntegratedGradients,
    LayerConductance, InternalInfluence, LayerDeepLift, LayerDeepLiftShap, LayerGradientShap, LayerLRP,
    LayerFeatureAblation
  The layer may have channels first, channels last or tokens, as those of ViT, DINOv2, Swin and ConvNeXt.
  XRAI makes a map of regions of its own, which is averaged like any other. The channels of a layer's map are summed;
  those of LayerFeatureAblation, each of which holds the whole effect of a place, are averaged.
{settings}
  Equal scores share a rank, and regions without a score, or of a map that is zero, have none (0 in .npz).
  A warning is printed where GuidedBackprop, Deconvolution or GuidedGradCam finds no torch.nn.ReLU in the network whose
  gradient it could change, and where a map of IntegratedGradients, DeepLift, DeepLiftShap or LRP does not add up to
  the change of the output.

evidence and recommended:
{evidence}

confidence:
{confidence}

tasks:
{tasks}

baselines:
{baselines}

masks:
{masks}

files:
  cat.jpg becomes cat.png, cat.html or cat.npz in the folder --out. With several methods the page holds all of them, and
  of pictures and arrays there is one for each: cat.Saliency.png. A folder that gets several files gets index.html too,
  a gallery with thumbnails, predictions and links (200 photographs a page; further ones are index-2.html and so on).
  It grows as the work goes on. Run the same command again to take up what was interrupted: photographs that were
  explained with the same network and options, and have not changed since, are left as they are. What is known of them
  is in the folder .explained in --out, which can be deleted; --redo explains them again.

many photographs:
  Reading and drawing go on beside the network in --workers processes. Several GPUs or machines share the photographs
  of a folder under torchrun, each process its own; --out is then a folder that all of them can write to:
  torchrun --nproc-per-node 4 -m captum_superpixel.cli explain photos/ --model microsoft/resnet-50 --out maps

exit status: 0; 1 if some photographs could not be explained, which does not stop the others, or a file could not be
written; 2 if the options cannot be used, and then nothing is written. Nothing but --out is ever written, except that
transformers keeps what it downloads."""


def explain_details() -> dict[str, str]:
    """What stands in the help of ``explain`` for the names in braces."""
    return {
        "cancelling": joined(CANCELLING),
        "negative_weight": f"{NEGATIVE_WEIGHT:g}",
        "steps": str(STEPS),
        "masks": _masks(),
        "settings": _settings(),
        "baselines": _baselines(),
        "evidence": _evidence(),
        "confidence": _confidence(),
        "tasks": _tasks(),
    }


def _masks() -> str:
    """Say which superpixels there are to choose from."""
    counted = [f"{name}:N" for name in COUNTED_MASKS]
    return _fill(
        f"{listed(counted)} make about N segments (100 by default); {joined(OTHER_MASKS)} take no "
        "number. multiscale averages the map over several segmentations; the regions that are listed and drawn are "
        "those in which the averaged map has about one value. With @P, as in slic:50@16 or multiscale@14, segments are "
        "made of whole patches of P x P pixels, as the tokens of a vision transformer are. FILE.npy holds ids (H, W), "
        "of the size of the photograph "
        "or of the network's input."
    )


def _evidence() -> str:
    """Say what evidence is, and what a recommendation chooses."""
    return "\n".join(
        (
            _fill(
                "--reduction evidence says how much each superpixel speaks for the class: what its pixels contribute "
                "for the class and against it are averaged apart, and the latter is subtracted, less or more as "
                "--negative-weight says. The map of a gradient is multiplied by the detail of the photograph, its "
                "difference from a blurred one, so that it says what each pixel contributes; that of "
                "IntegratedGradients and its like says so by itself. Pictures show what speaks for the class, pages "
                "and tables also what speaks against it."
            ),
            _fill(
                "--recommended chooses what the measurements of this package favor for looking at maps and comparing "
                "them, by the method and the size of the network's input: superpixels, reduction and views. Methods "
                "that perturb get the superpixels alone, those of a layer superpixels and views. The heading of the "
                "map says what was chosen."
            ),
        )
    )


def _confidence() -> str:
    """Say what confidence is, and for what it is calibrated."""
    return _fill(
        "--confidence explains 12 networks too whose parameters are multiplied by random factors, each on a photograph "
        "that is shifted a little or mirrored. How much the scores of the regions differ between them predicts how "
        "much they differ between networks that are trained independently, without training one. It adds to tables "
        f"the column stays top {TOP}: {STAYS_TOP}. Pages and arrays also hold 95 % intervals of the scores; in "
        "pictures and pages sure regions are outlined firmly, unsure ones faintly. It is for methods whose maps of "
        "pixels are pooled, and for magnitudes: Saliency and SmoothGrad as they are, others with --reduction abs_mean. "
        "--strength "
        "S sets the standard deviation of the factors; found on a single photograph, it depends on that one."
    )


def _tasks() -> str:
    """Say what each task explains."""
    segmentation = (
        "segmentation: the mean of the logits of --target, by default of the category that most pixels show, over the "
        "region in which the network sees it in the photograph as it is, or over a --box or --region. The network "
        "returns logits (N, categories, h, w), also in an object with logits or a dictionary with out."
    )
    detection = (
        "detection: the probability of the object times the overlap with the box, of the detection that matches best; "
        "the object and its box are those of the surest detection, of --target if that is given, or of the best match "
        "with --box. The network returns what those of torchvision return (boxes, labels, scores), or DETR and YOLOS "
        "of transformers (logits, pred_boxes)."
    )
    similarity = (
        "similarity: the cosine similarity of the embedding with that of --reference, or with a --text for CLIP and "
        "its like, a folder or name of a transformers model with its tokenizer."
    )
    shown = (
        "Pictures and pages outline the region or box, and arrays hold it as target_region. Boxes are in pixels of the "
        "photograph; --resize stretch shows the network all of it."
    )
    return "\n".join((*(_fill(each, hanging="  ") for each in (segmentation, detection, similarity)), _fill(shown)))


def _baselines() -> str:
    """Say what each baseline is."""
    return _fill(
        "0: zero in the network's units, which is the mean color that the preprocessing takes away, a gray for most "
        "networks; mean: the mean color of the photograph; blur: the photograph blurred by a Gaussian whose standard "
        "deviation is a tenth of the shorter side; segment-mean: each superpixel's own mean color (of several "
        "segmentations each has a map of its own, and their mean is shown). DeepLiftShap and GradientShap, and those "
        "of layers, have five grays instead, from black to white."
    )


def _settings() -> str:
    """Say which methods take which setting."""
    return "\n".join(
        _fill(f"--{option} is for {', '.join(takers)}.", hanging="  ") for option, takers in TAKERS.items()
    )


def _fill(text: str, hanging: str = "") -> str:
    """Break a text into lines as long as those around it."""
    return textwrap.fill(text, 119, initial_indent="  ", subsequent_indent=f"  {hanging}", break_on_hyphens=False)

"""Labeled images to train and explain networks on: a built-in set, and readers of real data in local files."""

from captum_superpixel.datasets.cifar import cifar10
from captum_superpixel.datasets.class_names import read_classes
from captum_superpixel.datasets.digits import DigitsOnPhotographs
from captum_superpixel.datasets.folders import image_folder
from captum_superpixel.datasets.labelled_images import LabelledImages
from captum_superpixel.datasets.mosaics import choose_mosaics, lay_out_mosaics
from captum_superpixel.datasets.photographs import PhotographWarning
from captum_superpixel.datasets.preprocessing import CIFAR10, IMAGENET, Preprocessing

__all__ = [
    "CIFAR10",
    "IMAGENET",
    "DigitsOnPhotographs",
    "LabelledImages",
    "PhotographWarning",
    "Preprocessing",
    "choose_mosaics",
    "cifar10",
    "image_folder",
    "lay_out_mosaics",
    "read_classes",
]

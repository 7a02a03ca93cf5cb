"""SLIC for whole batches, on the device of the images, and its steps as private files."""

from captum_superpixel.masks.slic.compiled import compile_engine, describe_engine
from captum_superpixel.masks.slic.slic import Slic

__all__ = ["Slic", "compile_engine", "describe_engine"]

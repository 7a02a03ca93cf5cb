"""Captum attributions averaged within super-pixels."""

__version__ = "0.1.0"

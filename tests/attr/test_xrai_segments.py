"""XRAI's own segmentation equals that of the authors' implementation."""

import numpy as np
import pytest
import skimage.data
import torch
from saliency.core.xrai import _get_segments_felzenszwalb

from captum_superpixel.attr._region_growing import Regions
from captum_superpixel.attr._xrai_segments import SCALES, segment_at_scales


def photograph(name, height, width):
    pixels = getattr(skimage.data, name)()[:height, :width]
    return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(pixels))).movedim(-1, 0)[None].float() / 255


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [("coffee", 224, 224), ("astronaut", 300, 260), ("camera", 40, 31), ("chelsea", 250, 1)],
)
def test_segments_equal_those_of_the_reference(name, height, width):
    images = photograph(name, height, width)
    (segmentations,) = segment_at_scales(images)
    assert len(segmentations) == len(SCALES)
    expected = _get_segments_felzenszwalb(images[0].movedim(0, -1).numpy(), dilation_rad=0)
    # Segments that vanish when they are brought back to a small size are empty there, and left out here.
    expected = [np.flatnonzero(mask) for mask in expected if mask.any()]
    found = Regions.from_labels(segmentations).split()
    assert [pixels.tolist() for pixels in found] == [pixels.tolist() for pixels in expected]


def test_many_channels_work_without_a_warning():
    images = photograph("coffee", 32, 32)
    doubled = torch.cat([images, images], dim=1)
    for labels in segment_at_scales(doubled)[0]:
        assert labels.shape == (32, 32)


def test_an_image_does_not_depend_on_the_batch_or_the_threads():
    images = torch.cat([photograph("coffee", 40, 40), photograph("astronaut", 40, 40), torch.ones(1, 3, 40, 40)])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        together = segment_at_scales(images)
    finally:
        torch.set_num_threads(threads)
    for image, segmentations in zip(images.split(1), together, strict=True):
        for labels, alone in zip(segmentations, segment_at_scales(image)[0], strict=True):
            assert np.array_equal(labels, alone)
    assert not np.any(together[2])

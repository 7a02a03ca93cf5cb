"""Region growing: hand-drawn cases, identities, and equality to the last bit with the authors' implementation."""

import numpy as np
import pytest
from saliency.core import XRAI as ReferenceXRAI
from saliency.core import XRAIParameters
from skimage.morphology import dilation, disk
from skimage.transform import resize

from captum_superpixel.attr._region_growing import Regions, dilate, grow_in_turn, grow_ranked

SHAPE = (40, 28)


def reference(values, regions, algorithm="full", area_threshold=1.0, min_pixel_diff=50):
    """The map of PAIR's implementation, given each region as a boolean mask."""
    masks = np.zeros((len(regions), *regions.shape), dtype=bool)
    for mask, pixels in zip(masks, regions.split(), strict=True):
        mask.ravel()[pixels] = True
    parameters = XRAIParameters(algorithm=algorithm, area_threshold=area_threshold)
    parameters.experimental_params = {"min_pixel_diff": min_pixel_diff}
    values = values.reshape(regions.shape)
    options = {"segments": list(masks), "base_attribution": values, "extra_parameters": parameters}
    return ReferenceXRAI().GetMask(values, None, **options).ravel()


def random_labels(rng, shape, count):
    """Blobs: the largest of a few smooth random fields."""
    fields = [resize(rng.normal(size=(5, 5)), shape, order=1) for _ in range(count)]
    return np.argmax(fields, axis=0)


def random_regions(rng, radius=2):
    return Regions.from_labels([random_labels(rng, SHAPE, count) for count in (3, 6, 6, 12)], radius)


MAPS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy-tailed": lambda rng, size: rng.standard_cauchy(size=size) ** 3,
    "few values": lambda rng, size: rng.integers(-1, 2, size=size) / 10,
    "mostly zero": lambda rng, size: rng.normal(size=size) * (rng.random(size) < 0.02),
    "constant": lambda rng, size: np.full(size, 0.1),
    "zero": lambda rng, size: np.zeros(size),
    "tiny differences": lambda rng, size: 1 + 1e-6 * rng.normal(size=size),
}


class TestRegions:
    def test_segments_are_taken_in_the_order_of_their_ids(self):
        first = np.array([[7, 7, 2], [7, 2, 2]])
        second = np.array([[0, 2**62, 0], [0, 0, 0]])
        regions = Regions.from_labels([first, second])
        assert [region.tolist() for region in regions.split()] == [[2, 4, 5], [0, 1, 3], [0, 2, 3, 4, 5], [1]]
        assert (len(regions), regions.shape) == (4, (2, 3))

    def test_dilation_of_a_single_pixel_is_a_disk(self):
        labels = np.full((5, 5), 1)
        labels[2, 2] = 2
        assert dilate(labels, 1)[1].tolist() == [7, 11, 12, 13, 17]
        assert np.array_equal(dilate(labels, 2)[1], np.flatnonzero(disk(2)))

    @pytest.mark.parametrize("radius", [1, 2, 5, 7])
    @pytest.mark.parametrize("shape", [(40, 28), (3, 4), (1, 9), (9, 1), (1, 1)])
    def test_dilation_equals_that_of_scikit_image(self, shape, radius):
        rng = np.random.default_rng(radius)
        labels = random_labels(rng, shape, 6) * 3
        expected = [dilation(labels == label, disk(radius)) for label in np.unique(labels)]
        grown = Regions.from_labels([labels], radius).split()
        for pixels, mask in zip(grown, expected, strict=True):
            assert np.array_equal(pixels, np.flatnonzero(mask))


class TestByHand:
    # Six pixels; three overlapping regions of two, three and two of them; the last pixel is in none.
    values = np.array([1.0, 5.0, 4.0, 0.0, 2.0, 9.0])
    regions = Regions(np.array([0, 1, 1, 2, 3, 3, 4]), np.array([0, 2, 5, 7]), (1, 6))

    def test_full_looks_at_what_is_not_yet_covered(self):
        # Means 3, 3, 1: the first of equals is taken; then {2, 3} with 2 and {3, 4} with 1; then {4}.
        assert grow_in_turn(self.values, self.regions, min_pixel_diff=1).tolist() == [3, 3, 2, 2, 2, 9]

    def test_fast_takes_the_regions_in_the_order_of_their_means(self):
        values = np.array([5.0, 5.0, 4.0, 0.0, 2.0, 9.0])
        assert grow_ranked(values, self.regions, min_pixel_diff=1).tolist() == [5, 5, 2, 2, 2, 9]
        # {1, 2, 3} has the larger mean at first, {3, 4} once pixel 1 is covered: only "full" sees it.
        values = np.array([9.0, 9.0, 1.0, 1.0, 4.0, 0.0])
        regions = Regions(np.array([0, 1, 1, 2, 3, 3, 4]), np.array([0, 2, 5, 7]), (1, 6))
        assert grow_ranked(values, regions, min_pixel_diff=1).tolist() == [9, 9, 1, 1, 4, 0]
        assert grow_in_turn(values, regions, min_pixel_diff=1).tolist() == [9, 9, 1, 2.5, 2.5, 0]

    def test_regions_that_add_too_little_leave_their_pixels_to_the_rest(self):
        # After {0, 1}, {2, 3} is added, which leaves one pixel to the third region: too few, so it joins the rest.
        assert grow_in_turn(self.values, self.regions, min_pixel_diff=2).tolist() == [3, 3, 2, 2, 5.5, 5.5]
        assert grow_in_turn(self.values, self.regions, min_pixel_diff=7).tolist() == [3.5] * 6

    def test_growing_stops_beyond_the_area_threshold(self):
        # A third of the image is covered after the first region: not more than 1/3, so one more is added.
        assert grow_in_turn(self.values, self.regions, 0.2, min_pixel_diff=1).tolist() == [3, 3, 3.75, 3.75, 3.75, 3.75]
        assert grow_in_turn(self.values, self.regions, 1 / 3, min_pixel_diff=1).tolist() == [3, 3, 2, 2, 5.5, 5.5]

    def test_a_difference_of_none_asks_for_one(self):
        for grow in (grow_in_turn, grow_ranked):
            none, one = (grow(self.values, self.regions, min_pixel_diff=least) for least in (0, 1))
            assert np.array_equal(none, one)


class TestIdentities:
    @pytest.mark.parametrize("grow", [grow_in_turn, grow_ranked])
    def test_one_region_a_pixel_changes_nothing(self, grow):
        values = np.random.default_rng(0).normal(size=60)
        assert np.array_equal(
            grow(values, Regions.from_labels([np.arange(60).reshape(6, 10)]), min_pixel_diff=1), values
        )

    @pytest.mark.parametrize("grow", [grow_in_turn, grow_ranked])
    def test_one_region_is_the_mean(self, grow):
        values = np.random.default_rng(0).normal(size=60)
        grown = grow(values, Regions.from_labels([np.zeros((6, 10), dtype=int)]))
        assert np.array_equal(grown, np.full(60, values.mean()))

    @pytest.mark.parametrize("grow", [grow_in_turn, grow_ranked])
    @pytest.mark.parametrize("kind", MAPS)
    def test_the_sum_is_kept(self, kind, grow):
        rng = np.random.default_rng(3)
        regions = random_regions(rng)
        values = MAPS[kind](rng, SHAPE[0] * SHAPE[1])
        assert grow(values, regions).sum() == pytest.approx(values.sum(), abs=1e-12 * np.abs(values).sum())

    def test_full_gives_the_largest_density_to_the_first_region(self):
        rng = np.random.default_rng(4)
        regions = random_regions(rng)
        values = rng.normal(size=SHAPE[0] * SHAPE[1])
        grown = grow_in_turn(values, regions)
        assert grown.max() == max(values[pixels].mean() for pixels in regions.split() if len(pixels) >= 50)


class TestReference:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("kind", MAPS)
    @pytest.mark.parametrize("seed", range(4))
    def test_full(self, seed, kind, dtype):
        rng = np.random.default_rng(seed)
        regions = random_regions(rng, radius=seed)
        values = MAPS[kind](rng, SHAPE[0] * SHAPE[1]).astype(dtype)
        for area_threshold, min_pixel_diff in [(1.0, 50), (1.0, 1), (0.3, 10), (0.7, 200)]:
            grown = grow_in_turn(values, regions, area_threshold, min_pixel_diff)
            assert grown.dtype == dtype
            assert np.array_equal(grown, reference(values, regions, "full", area_threshold, min_pixel_diff))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("kind", MAPS)
    @pytest.mark.parametrize("seed", range(4))
    def test_fast(self, seed, kind, dtype):
        rng = np.random.default_rng(seed)
        regions = random_regions(rng, radius=seed)
        values = MAPS[kind](rng, SHAPE[0] * SHAPE[1]).astype(dtype)
        for min_pixel_diff in (50, 1, 200):
            grown = grow_ranked(values, regions, min_pixel_diff)
            assert grown.dtype == dtype
            assert np.array_equal(grown, reference(values, regions, "fast", 1.0, min_pixel_diff))

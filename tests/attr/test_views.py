import pytest
import torch

from captum_superpixel.attr._views import View, choose_views, show, shown_places, take_back


def test_an_image_is_shifted_and_mirrored() -> None:
    image = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    down_and_left = show(image, View((1.0, -1.0), flip=False), (1, 2))
    # Down by one row, left by two columns; what the shift leaves empty is reflected about the border's pixels.
    assert down_and_left.tolist() == [[7, 8, 7, 6], [3, 4, 3, 2], [7, 8, 7, 6]]
    assert show(image, View((0.0, 0.0), flip=True), (1, 1)).tolist() == image.flip(-1).tolist()
    mirrored = show(image, View((0.0, 1.0), flip=True), (1, 1))
    assert mirrored.tolist() == [[3, 4, 3, 2], [7, 8, 7, 6], [11, 12, 11, 10]]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.0, -1.0), (-0.5, 1.0), (0.25, 0.75)])
def test_what_a_view_shows_comes_back_to_its_place(flip, shift) -> None:
    image, view, largest = 1 + torch.arange(2 * 7 * 9.0).view(2, 7, 9), View(shift, flip), (3, 4)
    shown = shown_places(view, largest, (7, 9), image.device)
    torch.testing.assert_close(take_back(show(image, view, largest), view, largest), image * shown, rtol=0, atol=0)
    rows, columns = (abs(size) for size in view.pixels(largest))
    assert int(shown.sum()) == (7 - rows) * (9 - columns)


def test_volumes_are_mirrored_along_their_last_axis_alone() -> None:
    volume = torch.arange(24).view(2, 3, 4)
    assert show(volume, View((0.0, 0.0, 0.0), flip=True), (1, 1, 1)).tolist() == volume.flip(-1).tolist()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("largest", [(2, 2), (1, 3), (0, 2), (1, 1, 1)])
def test_the_views_differ_and_are_all_that_there_are(largest, flip) -> None:
    possible = (1 + flip) * int(torch.tensor([2 * size + 1 for size in largest]).prod())
    views = choose_views(possible + 5, largest, flip)
    found = {(view.pixels(largest), view.flip) for view in views}
    assert len(found) == len(views) == possible
    assert (views[0].pixels(largest), views[0].flip) == ((0,) * len(largest), False)


def test_views_are_spread_evenly() -> None:
    views = choose_views(64, (100, 100), flip=True)
    assert sum(view.flip for view in views) == 32
    shifts = torch.tensor([view.shift for view in views])
    assert shifts.abs().max() <= 1
    assert shifts.mean(dim=0).abs().max() < 0.05
    # Each of sixteen squares holds a share of the 64 views.
    squares = (shifts.add(1).mul(2).long().clamp(max=3) * torch.tensor([4, 1])).sum(dim=1)
    assert torch.bincount(squares, minlength=16).min() >= 2


def test_more_views_begin_with_fewer() -> None:
    assert choose_views(9, (4, 4), flip=True)[:5] == choose_views(5, (4, 4), flip=True)

"""Arrays from bytes: what NumPy wrote comes back, and a header that claims more or less than there is, is an error."""

import io
import re
from typing import Any

import numpy as np
import pytest

from captum_superpixel._arrays import parse_array


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(7),
        np.zeros((0, 3)),
        np.array(["abc", "d"]),
        np.arange(3, dtype=">i4"),
    ],
)
def test_what_numpy_wrote_comes_back(array: Any) -> None:
    parsed = parse_array(saved(array))
    assert np.array_equal(parsed, array)
    assert parsed.dtype == array.dtype
    assert not parsed.flags.writeable


@pytest.mark.parametrize(
    ("claimed", "takes"), [("(9999999999999,)", "9999999999999"), ("(3,)", "3"), ("(2, 4)", "8"), ("(-4,)", "-4")]
)
def test_a_header_that_lies(claimed: str, takes: str) -> None:
    honest = saved(np.arange(4, dtype=np.uint8))
    claim = f"'shape': {claimed}, }}".encode()
    lying = honest.replace(b"'shape': (4,), }".ljust(len(claim)), claim)
    assert len(lying) == len(honest)
    with pytest.raises(ValueError, match=re.escape(f"takes {takes} bytes, but 4 follow its header")):
        parse_array(lying)


@pytest.mark.parametrize("change", [-1, 1])
def test_what_follows_is_all_of_it(change: int) -> None:
    content = saved(np.arange(4, dtype=np.uint8))
    content = content[:-1] if change < 0 else content + b"\0"
    with pytest.raises(ValueError, match=f"takes 4 bytes, but {4 + change} follow"):
        parse_array(content)


def test_what_is_not_read() -> None:
    with pytest.raises(ValueError, match="Python objects"):
        parse_array(saved(np.array([{}], dtype=object)))
    other = bytearray(saved(np.arange(4)))
    other[6] = 2
    with pytest.raises(ValueError, match=r"version \(2, 0\) of the format is not \(1, 0\)"):
        parse_array(bytes(other))
    for content in (b"no array", b"", saved(np.arange(4))[:7]):
        with pytest.raises(ValueError, match=r"no array that np\.save wrote"):
            parse_array(content)
    several = io.BytesIO()
    np.savez(several, first=np.arange(4))
    with pytest.raises(ValueError, match=r"several arrays, written by np\.savez"):
        parse_array(several.getvalue())


@pytest.mark.parametrize("value", [0, 1, 32, 39, 40, 44, 255])
def test_a_header_with_one_other_byte_is_an_error_or_another_array(value: int) -> None:
    whole = saved(np.zeros((1, 1, 8, 8), np.int64))
    for place in range(len(whole) - 512):
        damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
        try:
            assert isinstance(parse_array(damaged), np.ndarray)
        except ValueError as error:
            assert len(str(error)) > 20  # noqa: PT017  # some bytes change nothing

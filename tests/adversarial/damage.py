"""Damage to files: bits flipped, bytes overwritten, removed and repeated, ends cut off."""

from __future__ import annotations

from hypothesis import strategies as st


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[str, float, int, bytes]]:
    """One to four changes: what, where as a share of the file, how many bytes, and which."""
    kinds = st.sampled_from(("flip", "overwrite", "insert", "remove", "repeat", "cut"))
    change = st.tuples(kinds, st.floats(0, 1, exclude_max=True), st.integers(1, 40), st.binary(min_size=1, max_size=8))
    return draw(st.lists(change, min_size=1, max_size=4))


def damaged(content: bytes, made: list[tuple[str, float, int, bytes]]) -> bytes:
    """The content with these changes, one after the other."""
    held = bytearray(content)
    for kind, share, length, new in made:
        place = int(share * len(held))
        if kind == "flip" and held:
            held[place] ^= 1 << length % 8
        elif kind == "overwrite":
            held[place : place + len(new)] = new
        elif kind == "insert":
            held[place:place] = new * length
        elif kind == "repeat":
            held[place:place] = held[place : place + length]
        elif kind == "remove":
            del held[place : place + length]
        elif kind == "cut":
            del held[place:]
    return bytes(held)

"""Seeds that depend on what they are for, and on nothing that was drawn before."""

import hashlib
import json

__all__ = ["derive_seed"]


def derive_seed(seed: int, *purpose: str | int) -> int:
    """A seed of 62 bits for one purpose of many.

    Args:
        seed: The seed of the whole.
        purpose: What the seed is for.

    Examples:
        >>> derive_seed(0, "training", 1) == derive_seed(0, "training", 1)
        True
        >>> derive_seed(0, "training", 1) == derive_seed(0, "training", 2)
        False
    """
    digest = hashlib.sha256(json.dumps([seed, *purpose]).encode()).digest()
    return int.from_bytes(digest[:8]) >> 2

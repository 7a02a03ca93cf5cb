"""The keys of a state dict beside those of a network, which may differ by what stands before every one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn.parameter import is_lazy

from captum_superpixel._checks import listed

__all__ = ["Fit", "fit_keys", "is_averaged"]

_AVERAGED = re.compile(r"ema|averag|swa|teacher", re.IGNORECASE)


@dataclass(frozen=True)
class Fit:
    """Which entry of a state dict belongs to which of a network's.

    Attributes:
        prefix: What stands before the keys in the file.
        own_prefix: What stands in its place in the network.
        names: From the network's keys to those of the file, for all that were found and have the right shape.
        missing: The network's keys that are not in the file and must be.
        unexpected: The file's keys that the network does not have.
        misshapen: What has another shape, in words.
        left_out: The file's keys without the prefix, where the others have one.
        kept: The network's buffers without its prefix, which stay as they were made.
    """

    prefix: str
    own_prefix: str
    names: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, left over or of another shape."""
        return not (self.missing or self.unexpected or self.misshapen)

    def faults(self, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
        """Say what does not fit."""
        if not self.names and not self.misshapen and state and own:
            return [
                f"no key of the file is one of the network: the file has {listed(list(state), 3)}, and the network "
                f"{listed(list(own), 3)}"
            ]
        faults = [
            _fault("parameters of the network are not in the file", self.missing, len(own)),
            _fault("entries of the file are not in the network", self.unexpected, len(state)),
            _fault("have another shape", self.misshapen, len(own)),
        ]
        return [fault for fault in faults if fault]

    def remarks(self) -> str:
        """Say what was not used, or nothing."""
        number = len(self.left_out)
        what = (
            f"1 entry outside of {self.prefix!r} is"
            if number == 1
            else f"{number} entries outside of {self.prefix!r} are"
        )
        left = f"{what} not used ({listed(self.left_out, 3)})"
        kept = f"the network's {listed(self.kept, 3)} are not in the file and stay as they were made"
        return "; ".join(text for text, keys in ((left, self.left_out), (kept, self.kept)) if keys)


def fit_keys(state: Mapping[str, Tensor], own: Mapping[str, Tensor], buffers: set[str]) -> Fit:
    """Find which prefix is to be taken off the keys of a state dict, and which put on, so that a network takes it.

    Args:
        state: The state dict.
        own: The network's.
        buffers: The names of its buffers: those that a wrapper brings along, such as a mean, may be missing.

    Returns:
        A complete fit if there is one; else the one that finds most of the network's keys.

    Raises:
        ValueError: If several parts of the state dict fit, none of which is known for the network itself.

    Examples:
        >>> from torch import ones
        >>> fit_keys({"module.weight": ones(2)}, {"net.weight": ones(2)}, set()).names
        {'net.weight': 'module.weight'}
    """
    plain = _fit(state, own, buffers, "", "")
    if plain.complete:
        return plain
    fits = [_fit(state, own, buffers, *prefixes) for prefixes in _prefixes(state, own, buffers)]
    found: list[Fit] = []
    for fit in fits:
        if fit.complete and all(fit.names != other.names for other in found):
            found.append(fit)
    # The copy of a network that was averaged over its training lies beside the network in some checkpoints.
    found = [fit for fit in found if not is_averaged(fit.prefix)] or found
    if len(found) > 1:
        raise ValueError(
            f"the keys with {listed([repr(fit.prefix) for fit in found])} each do; save one of these alone"
        )
    return found[0] if found else max([plain, *fits], key=lambda fit: len(fit.names))


def is_averaged(name: str) -> bool:
    """Whether a key or a prefix is that of weights which were averaged over the training.

    Examples:
        >>> is_averaged("model_ema"), is_averaged("model")
        (True, False)
    """
    return _AVERAGED.search(name) is not None


def _prefixes(state: Mapping[str, Tensor], own: Mapping[str, Tensor], buffers: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of prefixes, of the file and the network, that make one key of the network one of the file."""
    name = next((key for key in own if key not in buffers), None)
    if name is None:
        return
    parts = name.split(".")
    for start in range(len(parts)):
        own_prefix, rest = "".join(f"{part}." for part in parts[:start]), ".".join(parts[start:])
        for key in state:
            # Where both prefixes end alike, such as "module.conv." and "conv.", shorter ones say it of more keys.
            longer = bool(start) and f".{key}".endswith(f".{parts[start - 1]}.{rest}")
            if f".{key}".endswith(f".{rest}") and not longer:
                yield key.removesuffix(rest), own_prefix


def _fit(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], buffers: set[str], prefix: str, own_prefix: str
) -> Fit:
    pairs = {name: prefix + name.removeprefix(own_prefix) for name in own if name.startswith(own_prefix)}
    # A wrapper's own parameters have no counterpart.
    outside = [name for name in own if name not in pairs]
    kept = tuple(name for name in outside if name in buffers)
    # How many batches a normalization has seen matters to training alone, and older files do not say.
    missing = [name for name, key in pairs.items() if key not in state and not name.endswith("num_batches_tracked")]
    misshapen = {
        name: f"{name} is {tuple(state[key].shape)} in the file and {tuple(own[name].shape)} in the network"
        for name, key in pairs.items()
        if key in state and _differs(state[key], own[name])
    }
    names = {name: key for name, key in pairs.items() if key in state and name not in misshapen}
    expected = set(pairs.values())
    return Fit(
        prefix,
        own_prefix,
        names,
        missing=(*missing, *(name for name in outside if name not in buffers)),
        unexpected=tuple(key for key in state if key.startswith(prefix) and key not in expected),
        misshapen=tuple(misshapen.values()),
        left_out=tuple(key for key in state if not key.startswith(prefix)),
        kept=kept,
    )


def _differs(value: Tensor, own: object) -> bool:
    return isinstance(own, Tensor) and not is_lazy(own) and value.shape != own.shape


def _fault(what: str, names: tuple[str, ...], total: int) -> str:
    return f"{len(names)} of {total} {what} ({listed(names, 3)})" if names else ""

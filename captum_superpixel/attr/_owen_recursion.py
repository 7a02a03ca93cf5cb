"""The recursion of Owen values over a binary tree: which coalitions to evaluate next, and what the leaves are worth."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from captum_superpixel.masks import SegmentTree

__all__ = ["Coalition", "OwenRecursion", "count_evaluations"]

Coalition = NDArray[np.bool_]
"""Which leaves are present, ``(K,)``."""

_AT_ONCE = 8
"""How many nodes are split at most before it is looked again which are worth most: 16 evaluations fill a batch."""

_WORTH = 0.25
"""What part of the most that is at stake has to be at stake in the others, lest a batch is filled with what is not."""


class _Context(NamedTuple):
    """A node beside some of the others, and what the network says without it and with it.

    Args:
        node: Its number in the tree.
        others: The leaves that are present beside it.
        without: The output with these alone.
        complete: The output with the node's leaves too.
    """

    node: int
    others: Coalition
    without: float
    complete: float


class OwenRecursion:
    """Owen values of one image, with a budget of evaluations.

    What is evaluated is asked for by ``ask``, and answered by ``tell``, in turns, until nothing more is asked.

    Args:
        tree: The coalition structure.
        n_evaluations: How many coalitions may be evaluated, at least 2.
        masses: In proportion to what parts that were not divided are shared, of each leaf ``(K,)``, at least 0; among
            parts without any, in proportion to their numbers of pixels.
    """

    def __init__(self, tree: SegmentTree, n_evaluations: int, masses: NDArray[np.float64]) -> None:
        self._leaves, self._merges = tree.n_leaves, tree.merges
        self._members: NDArray[np.bool_] = tree.members.numpy()
        self._masses = self._members @ masses
        self._sizes: list[int] = tree.sizes.tolist()
        self._weights = [0.5**depth for depth in _depths(tree)]
        self._parts = np.zeros(2 * tree.n_leaves - 1)
        self._found = np.zeros(2 * tree.n_leaves - 1)
        self._waiting: list[tuple[float, int, _Context]] = []
        self._asked: list[_Context] = []
        self._pushed = 0
        self._left = n_evaluations
        self._change: float | None = None

    def ask(self) -> list[Coalition]:
        """List the coalitions to evaluate next: first that of no leaf and that of all, then pairs; none at the end."""
        if self._change is None:
            self._left -= 2
            return [np.zeros(self._leaves, dtype=bool), np.ones(self._leaves, dtype=bool)]
        self._asked = []
        least = _WORTH * self._waiting[0][0] if self._waiting else 0.0
        while self._waiting and self._waiting[0][0] <= least and len(self._asked) < min(_AT_ONCE, self._left // 2):
            self._asked.append(heapq.heappop(self._waiting)[-1])
        self._left -= 2 * len(self._asked)
        return [
            context.others | self._members[child] for context in self._asked for child in self._children(context.node)
        ]

    def tell(self, outputs: list[float]) -> None:
        """Take in the output for each coalition that was asked for."""
        if self._change is None:
            nothing, everything = outputs
            self._change = everything - nothing
            root = 2 * self._leaves - 2
            self._push(_Context(root, np.zeros(self._leaves, dtype=bool), nothing, everything))
            return
        for context, of_first, of_second in zip(self._asked, outputs[::2], outputs[1::2], strict=True):
            node, others, without, complete = context
            of_children = tuple(
                ((of_child - without) + (complete - of_sibling)) / 2
                for of_child, of_sibling in ((of_first, of_second), (of_second, of_first))
            )
            children = self._children(node)
            self._parts[list(children)] += np.abs(of_children)
            for child, sibling, of_child, of_sibling in zip(
                children, children[::-1], (of_first, of_second), (of_second, of_first), strict=True
            ):
                self._push(_Context(child, others, without, of_child))
                self._push(_Context(child, others | self._members[sibling], of_sibling, complete))

    def values(self) -> NDArray[np.float64]:
        """Give the value of each leaf, ``(K,)``; they add up to the change of the output."""
        values = self._found.copy()
        for _, _, context in self._waiting:
            values[context.node] += self._stake(context)
        for node in range(2 * self._leaves - 2, self._leaves - 1, -1):
            first, second = self._children(node)
            of_first = values[node] * self._share_of_first(first, second)
            values[first] += of_first
            values[second] += values[node] - of_first
        return values[: self._leaves]

    def _share_of_first(self, first: int, second: int) -> float:
        """Say what part the first of two children has of what is at stake where they were not told apart.

        It is that of its parts where they were, whatever their signs; of its mass where they nowhere were.
        """
        for amounts in (self._parts, self._masses):
            if total := float(amounts[first] + amounts[second]):
                return float(amounts[first]) / total
        return self._sizes[first] / (self._sizes[first] + self._sizes[second])

    def _children(self, node: int) -> tuple[int, int]:
        return self._merges[node - self._leaves]

    def _stake(self, context: _Context) -> float:
        """Say how much of the node's value a context holds."""
        return self._weights[context.node] * (context.complete - context.without)

    def _push(self, context: _Context) -> None:
        """Let a context wait for its turn, by how much is at stake in it; of a leaf nothing is left to be divided."""
        if context.node < self._leaves:
            self._found[context.node] += self._stake(context)
            return
        self._pushed += 1
        heapq.heappush(self._waiting, (-abs(self._stake(context)), self._pushed, context))


def count_evaluations(tree: SegmentTree) -> int:
    """Count the coalitions whose outputs give exact Owen values.

    These are none and all leaves and, for each node that has children, two in each of its contexts, of which there are
    2 to the power of its depth: all combinations of its siblings and those of its ancestors.

    Examples:
        >>> import torch
        >>> count_evaluations(SegmentTree(torch.arange(4), ((0, 1), (2, 3), (4, 5))))
        12
    """
    return 2 + sum(2 << depth for depth in _depths(tree)[tree.n_leaves :])


def _depths(tree: SegmentTree) -> list[int]:
    """Count the nodes above each node, ``(2K - 1,)``."""
    depths = [0] * (2 * tree.n_leaves - 1)
    for index in range(len(tree.merges) - 1, -1, -1):
        for child in tree.merges[index]:
            depths[child] = depths[tree.n_leaves + index] + 1
    return depths

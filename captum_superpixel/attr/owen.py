"""OwenValues: what each superpixel is worth, with a tree of superpixels as the coalition structure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, get_args

import torch
from captum.attr import PerturbationAttribution
from torch import Tensor

from captum_superpixel._checks import check_finite, checked_choice, checked_integer, is_finite
from captum_superpixel._untyped import progress_bar
from captum_superpixel.attr._captum import log_usage
from captum_superpixel.attr._owen_game import Game, Shares
from captum_superpixel.attr._owen_recursion import OwenRecursion, count_evaluations
from captum_superpixel.feature_masks import MaskLike
from captum_superpixel.masks import SegmentTree, Slic, segment_trees
from captum_superpixel.masks.hierarchy import MaskGenerator

__all__ = ["OwenValues", "count_evaluations"]

Baselines: TypeAlias = float | Tensor | Callable[[Tensor], Tensor] | None


class OwenValues(PerturbationAttribution):
    """Owen values of superpixels: Shapley values for players who come and go in groups, and groups of groups.

    A tree merges the superpixels of an image two at a time (:func:`~captum_superpixel.masks.segment_trees`). Of all
    orders in which the superpixels can be added to the baseline, those count in which the members of every node of the
    tree stand together; the Owen value of a superpixel is the mean of what it adds over these. So a node is valued as
    one player first, and what it is worth is then divided among its two children: one coalition with each of them, in
    each of the node's contexts, which are the combinations of present and absent siblings on the way to the root.

    A node of depth d has 2**d contexts, each of which holds the same part of its value. Where the budget does not cover
    all, those are evaluated first in which the node changes the output most, times this part.

    What is at stake in a context that was not evaluated is shared by the children in proportion to the magnitudes of
    their parts in the contexts that were, so that a child without any has no share of it. What a node is worth that was
    split in none is shared by how far the pixels of its children are from the baseline.

    Args:
        forward_func: The network, or any function that returns one number for each image (or several, with a target).
        mask_generator: Makes the superpixels, and says by its ``denormalize`` and ``channel_order``, or by those of the
            generator in it, as of ``PatchAligned``, what the colors are by which they are merged; None for ``Slic()``.

    Raises:
        TypeError: If the mask generator cannot be called, or is a class.

    Notes:
        The values add up to f(x) - f(baseline) at every budget. They are exact, which means those that the tree
        defines, from ``count_evaluations(tree)`` on: two thirds of K² for a balanced tree of K leaves, and more for
        those of photographs, about 80 for 8 leaves, 500 for 16 and 14,000 for 32. Of a function to which each
        superpixel adds a part of its own, none of them negative, the values are exact once each node has been split in
        one context.

        SHAP's PartitionExplainer and ShapBPT spend the budget in the same order. What is at stake in a context that
        they did not evaluate they share by the number of pixels, also where the node was split in other contexts.

    References:
        Owen, "Values of Games with a Priori Unions", Mathematical Economics and Game Theory, 1977,
        https://doi.org/10.1007/978-3-642-45494-3_7.
        Winter, "A Value for Cooperative Games with Levels Structure of Cooperation", International Journal of Game
        Theory 18, 1989, https://doi.org/10.1007/BF01268161.
        Lundberg, Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017, arXiv:1705.07874 (SHAP).
        Rashid, Amparore, Ferrari, Verda, "ShapBPT: Image Feature Attributions Using Data-Aware Binary Partition Trees",
        AAAI 2026, arXiv:2602.07047.

    Examples:
        >>> def model(images):
        ...     return images[:, 0, 0, 0] * images[:, 0, 0, 1] + images[:, 0, 0, 2]
        >>> images = torch.tensor([[[[3.0, 2.0, 1.0, 5.0]]]])
        >>> mask = torch.arange(4).view(1, 1, 1, 4)
        >>> OwenValues(model).attribute(images, feature_mask=mask)
        tensor([[[[3., 3., 1., 0.]]]])
    """

    def __init__(self, forward_func: Callable[..., Any], mask_generator: MaskGenerator | None = None) -> None:
        if isinstance(mask_generator, type) or not (mask_generator is None or callable(mask_generator)):
            raise TypeError(
                f"mask_generator must be one of captum_superpixel.masks, such as Slic(), but {mask_generator!r} was "
                "passed; masks that exist already go to attribute(…, feature_mask=…)"
            )
        super().__init__(forward_func)
        self.mask_generator = Slic() if mask_generator is None else mask_generator

    @log_usage
    @torch.no_grad()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor],
        baselines: Baselines = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: MaskLike | tuple[MaskLike] | None = None,
        n_evaluations: int = 400,
        trees: SegmentTree | Sequence[SegmentTree] | None = None,
        per_pixel: bool = False,
        shares: Shares = "change",
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        """Compute the Owen value of every superpixel.

        Args:
            inputs: Images ``(N, C, *spatial)``, floating-point; or a tuple of one such tensor.
            baselines: What absent superpixels are replaced by: a number, a tensor that broadcasts to the images, or a
                function of the images that returns one, such as a blur; None for 0.
            target: Which output is explained, as for ``captum.attr.FeatureAblation``.
            additional_forward_args: Further arguments of the network, likewise; tensors of N rows go with their images.
            feature_mask: Superpixels in place of the generator's, ids ``(1 or N, 1, *spatial)``, which are merged by
                the colors of the images.
            n_evaluations: How often the network may be evaluated for each image, at least 2, the image and the baseline
                among them. With fewer than superpixels, what is worth little stays undivided.
            trees: The tree of each image, or one for all, also by itself, in place of those that are made of the
                superpixels.
            per_pixel: Whether to share each value among the pixels and channels of its superpixel, so that the map adds
                up to f(x) - f(baseline).
            shares: How what no evaluation divides is shared, between branches of the tree and, with ``per_pixel``,
                within superpixels: by ``"change"``, how far each element is from its baseline, for what equals it
                changes nothing; or by ``"size"``, all elements alike.
            perturbations_per_eval: How many evaluations of each image the network is given at once; the values do not
                depend on it.
            show_progress: Whether to show a bar.

        Returns:
            Maps of the shape of the images, of the dtype of the network's outputs. Each element of a superpixel holds
            its whole value, as Captum's perturbation methods have it (but for ``per_pixel``); in a tuple where the
            inputs came in one.

        Raises:
            TypeError: If an argument is of the wrong type.
            ValueError: If there are several inputs, targets are not as many as images, a mask, tree or baseline does
                not fit them, images or baselines are not finite, the network does not return one number for each image,
                or a number is out of its range.
        """
        images = _one_tensor(inputs, "inputs")
        if not images.is_floating_point():
            raise TypeError(f"inputs have dtype {images.dtype}: pass inputs.float()")
        n_evaluations = checked_integer("n_evaluations", n_evaluations, minimum=2)
        at_once = len(images) * checked_integer("perturbations_per_eval", perturbations_per_eval)
        checked_choice("shares", shares, get_args(Shares))
        _check_target(target, len(images))
        trees, replacement = self._trees(images, feature_mask, trees), _replacement(baselines, images)
        game = Game(self.forward_func, images, replacement, target, additional_forward_args, trees, shares)
        recursions = [OwenRecursion(tree, n_evaluations, game.masses(index)) for index, tree in enumerate(trees)]
        expected = sum(min(n_evaluations, count_evaluations(tree)) for tree in trees)
        with progress_bar(total=expected, desc=self.get_name(), disable=not show_progress) as bar:
            while any(asked := [recursion.ask() for recursion in recursions]):
                rows = [(index, row) for index, coalitions in enumerate(asked) for row in coalitions]
                outputs: list[float] = []
                for first in range(0, len(rows), at_once):
                    outputs += game.play(rows[first : first + at_once])
                    bar.update(len(rows[first : first + at_once]))
                for recursion, coalitions in zip(recursions, asked, strict=True):
                    if coalitions:
                        recursion.tell(outputs[: len(coalitions)])
                        outputs = outputs[len(coalitions) :]
        maps = game.lay_out([torch.from_numpy(recursion.values()) for recursion in recursions], per_pixel)
        return (maps,) if isinstance(inputs, tuple) else maps

    @classmethod
    def get_name(cls) -> str:
        """Readable name of the class, as Captum's progress bars show it."""
        return "Owen Values"

    def _trees(
        self, images: Tensor, feature_mask: object, trees: SegmentTree | Sequence[SegmentTree] | None
    ) -> list[SegmentTree]:
        """The tree of each image."""
        mask: Any = None if feature_mask is None else _one(feature_mask, "feature_mask")
        if trees is None:
            return segment_trees(images, mask_generator=self.mask_generator, feature_mask=mask)
        if mask is not None:
            raise ValueError("feature_mask and trees were passed, but a tree brings its own superpixels: pass one")
        given = [trees] if isinstance(trees, SegmentTree) else list(trees)
        if wrong := [tree for tree in given if not isinstance(tree, SegmentTree)]:
            raise TypeError(f"trees must hold SegmentTrees, but {type(wrong[0]).__name__} is among them")
        if len(given) not in (1, len(images)) or not given:
            raise ValueError(f"{len(given)} trees for {len(images)} images: pass one for each, or one for all")
        for tree in given:
            if tree.segments.shape != images.shape[2:]:
                raise ValueError(
                    f"a tree over segments of shape {tuple(tree.segments.shape)} does not fit images of shape "
                    f"{tuple(images.shape)}"
                )
        check_finite(images, "images", "pixels", "replace them first, for example by torch.nan_to_num(inputs, 0, 0, 0)")
        return given * (len(images) // len(given))


def _one(given: object, name: str) -> object:
    """The one member of a tuple, or what is none as it is."""
    if not isinstance(given, tuple):
        return given
    if len(given) != 1:
        raise ValueError(
            f"OwenValues explains one tensor of images, but {name} is a tuple of {len(given)}: pass further inputs of "
            "the network as additional_forward_args"
        )
    return given[0]


def _one_tensor(given: object, name: str) -> Tensor:
    tensor = _one(given, name)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a tensor of shape (N, C, *spatial), but a {type(tensor).__name__} was passed")
    return tensor


def _check_target(target: object, count: int) -> None:
    """Raise ValueError if there are several targets, but not one for each image: a batch might happen to fit them."""
    if isinstance(target, Tensor):
        several = None if target.numel() == 1 else target.numel() // max(1, target[:1].numel())
    else:
        several = len(target) if isinstance(target, list) else None
    if several is not None and several != count:
        raise ValueError(f"{several} targets for {count} images: pass one, or one for each image")


def _replacement(baselines: Any, images: Tensor) -> Tensor:
    """What absent leaves are replaced by, of the shape of the images."""
    given = _one(baselines, "baselines")
    if callable(given):
        given = given(images)
    if not isinstance(given, (Tensor, float, int, type(None))):
        raise TypeError(
            f"baselines must be a number, a tensor, a function that returns one, or None, but a {type(given).__name__} "
            "was passed"
        )
    values = torch.as_tensor(0 if given is None else given, dtype=images.dtype, device=images.device)
    if not is_finite(values):
        raise ValueError(
            f"baselines hold NaN, or what is infinite in {images.dtype}, the dtype of the images: pass finite ones"
        )
    try:
        return values.expand_as(images)
    except RuntimeError:
        raise ValueError(
            f"baselines of shape {tuple(values.shape)} do not fit images of shape {tuple(images.shape)}: pass a "
            f"number, or a tensor that broadcasts to them"
        ) from None

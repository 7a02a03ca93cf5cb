"""The only door to Captum's private parts, and calls of a method bound to its signature."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

import torch
from captum._utils.common import (
    _expand_additional_forward_args,
    _expand_target,
    _run_forward,
    _select_targets,
)
from captum._utils.gradient import compute_layer_gradients_and_eval
from captum._utils.models.linear_model import SkLearnLasso as SkLearnLasso
from captum.attr import (
    Attribution,
    DataLoaderAttribution,
    FeaturePermutation,
    KernelShap,
    LayerAttribution,
    LayerGradCam,
    Lime,
    LimeBase,
    LLMAttribution,
    LLMGradientAttribution,
    NoiseTunnel,
    PerturbationAttribution,
)
from captum.attr._core.lime import default_from_interp_rep_transform as default_from_interp_rep_transform
from captum.attr._utils.batching import _batch_example_iterator
from captum.log import log_usage as _log_usage
from torch import Tensor
from torch.nn import Module

from captum_superpixel._checks import one_line
from captum_superpixel._networks import first_logits, program_cause
from captum_superpixel._seeds import remember_generators
from captum_superpixel.attr._failures import gradient_cause, inference_cause, integer_cause, output_cause, probe
from captum_superpixel.attr._first_logits import is_plain, logits_of, remember, returns_objects, with_first_logits
from captum_superpixel.attr.layouts import LayoutError
from captum_superpixel.attr.rules import MissingRuleError, rules_kept

Function = TypeVar("Function", bound=Callable[..., object])


def log_usage(function: Function) -> Function:
    """Decorate an ``attribute`` method as Captum does: NoiseTunnel calls ``attribute.__wrapped__``."""
    return cast(Function, _log_usage()(function))


def innermost(method: Attribution) -> Attribution:
    """Unwrap NoiseTunnel, and every wrapper that only passes calls on, which it says by a ``call_signature``."""
    while isinstance(method, NoiseTunnel) or hasattr(method, "call_signature"):
        method = cast(NoiseTunnel, method).attribution_method
    return method


def has_layer_output(method: Attribution) -> bool:
    """Whether the innermost method attributes to a layer's activations, not to the inputs."""
    return isinstance(innermost(method), LayerAttribution)


def multiplies_by_inputs(method: Attribution) -> bool:
    """Whether a method's maps say what the inputs contribute: they have them as a factor, or hold measured effects.

    Captum says of Lime and KernelShap, unlike of other perturbation methods, that they do not multiply by the inputs.
    """
    return bool(method.multiplies_by_inputs) or isinstance(innermost(method), PerturbationAttribution)


def permutes_across_images(method: Attribution) -> bool:
    """Whether the innermost method exchanges features between the images of a batch."""
    return isinstance(innermost(method), FeaturePermutation)


def fits_one_model_an_image(method: Attribution) -> bool:
    """Whether the innermost method fits an interpretable model to each image (Lime, KernelShap)."""
    return isinstance(innermost(method), Lime)


def check_method(method: object) -> None:
    """Raise TypeError or ValueError unless this is an instance of an attribution class that returns maps."""
    if isinstance(method, type):
        raise TypeError(
            f"attribution_method is the class {method.__name__}: pass an instance, {method.__name__}(model)"
        )
    if isinstance(method, Module):
        raise TypeError(
            f"attribution_method is the model {type(method).__name__}: pass an attribution of it, for example "
            "captum.attr.Saliency(model)"
        )
    if not isinstance(method, Attribution):
        name = getattr(method, "__name__", type(method).__name__)
        raise TypeError(f"attribution_method must be a captum.attr.Attribution, but {name!r} is not one")
    if not callable(getattr(method, "attribute", None)):
        raise TypeError(f"attribution_method is a bare {type(method).__name__}, which has no attribute()")
    reason = _reason_against(innermost(method))
    if reason is not None:
        raise ValueError(f"{type(innermost(method)).__name__} cannot be grouped: {reason}")


def describe(method: Attribution) -> str:
    """``NoiseTunnel(Saliency(ResNet))``: Captum's methods have no repr of their own."""
    if type(method).__repr__ is not object.__repr__:
        return repr(method)
    inner = getattr(method, "attribution_method", None)
    if isinstance(inner, Attribution):
        return f"{type(method).__name__}({describe(inner)})"
    function = method.forward_func
    name = getattr(function, "original_name", None) if isinstance(function, torch.jit.ScriptModule) else None
    return f"{type(method).__name__}({name or getattr(function, '__name__', type(function).__name__)})"


def is_kernel_shap(method: Attribution) -> bool:
    """Whether the method is KernelShap itself, which cannot weigh a single feature."""
    return isinstance(method, KernelShap)


def run_forward(
    forward_func: Callable[..., Any], inputs: tuple[Tensor, ...], target: Any, additional: object, times: int
) -> Tensor:
    """Run a network on inputs ``(times * N, *)`` with the targets and further arguments of N examples.

    Raises:
        ValueError: If it returns neither a tensor nor a number, nor an object with logits.
    """

    def logits(*arguments: Any) -> object:
        return logits_of(forward_func(*arguments))

    further = additional if additional is None or isinstance(additional, tuple) else (additional,)
    return cast(
        Tensor,
        _run_forward(logits, inputs, _expand_target(target, times), _expand_additional_forward_args(further, times)),
    )


def examples(batch_size: int, *arguments: object) -> Iterator[tuple[object, ...]]:
    """Yield the arguments of one example of a batch after the other, split as Captum's Lime splits them."""
    return cast(Iterator[tuple[object, ...]], _batch_example_iterator(batch_size, *arguments))


def signature_of(method: Attribution) -> inspect.Signature:
    """Signature of ``method.attribute``; a wrapper that only passes arguments on states it as ``call_signature``."""
    stated = getattr(method, "call_signature", None)
    return stated if isinstance(stated, inspect.Signature) else inspect.signature(method.attribute)


def gradients_and_values(
    method: LayerGradCam,
    inputs: Tensor | tuple[Tensor, ...],
    target: Any,
    additional: object,
    at_input: bool,
    grad_kwargs: dict[str, Any] | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Compute the gradient and the value of each tensor that a method's layer returns, or is given."""
    gradients, values = compute_layer_gradients_and_eval(
        method.forward_func,
        cast(Module, method.layer),
        inputs if isinstance(inputs, tuple) else (inputs,),
        target,
        additional if additional is None or isinstance(additional, tuple) else (additional,),
        device_ids=method.device_ids,
        attribute_to_layer_input=at_input,
        grad_kwargs=grad_kwargs,
    )
    return zip(gradients, values, strict=True)


class AttributeCall:
    """A call ``method.attribute(inputs, *args, **kwargs)`` that has not been made yet.

    Args:
        method: Attribution method.
        inputs: Its first argument.
        args: Further positional arguments.
        kwargs: Keyword arguments.

    Raises:
        TypeError: If the arguments do not fit the method's signature.
    """

    def __init__(self, method: Attribution, inputs: object, args: tuple[object, ...], kwargs: Mapping[str, object]):
        self._method = method
        self._signature = signature_of(method)
        try:
            arguments = self._signature.bind(inputs, *args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{type(method).__name__}.attribute{self._signature}: {error}") from None
        parameters = self._signature.parameters.values()
        self._first = next(iter(parameters)).name
        self._extra_name = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), "")
        self._extra: dict[str, Any] = arguments.pop(self._extra_name, {})
        self._arguments: dict[str, Any] = arguments
        self.change: Callable[[Attribution], Attribution] = lambda method: method
        """From the method to the one that is called."""

    def get(self, name: str) -> Any:
        """Value of an argument, or None if it was not passed."""
        return self._arguments.get(name, self._extra.get(name))

    def take(self, name: str) -> Any:
        """Remove an argument and return its value, or None if it was not passed."""
        return self._arguments.pop(name, None) if name in self._arguments else self._extra.pop(name, None)

    @property
    def further_arguments(self) -> tuple[Any, ...]:
        """Arguments of the network after its inputs."""
        return _as_tuple(self.get("additional_forward_args"))

    def with_method(self, method: Attribution) -> AttributeCall:
        """The same call of another method of the same signature."""
        other = copy.copy(self)
        other._method = method
        return other

    def __call__(self, inputs: object, **replaced: object) -> Any:
        """Make the call with these inputs, and with some arguments replaced.

        If it fails because the network returns objects, a copy of the method explains the logits in them; so it does
        at once from then on.

        Raises:
            ValueError: For the failures of Captum whose cause is known.
        """
        arguments, extra = self._arguments | {self._first: inputs}, dict(self._extra)
        for name, value in replaced.items():
            (arguments if name in self._signature.parameters else extra)[name] = value
        if extra:
            arguments[self._extra_name] = extra
        bound = inspect.BoundArguments(self._signature, arguments)
        tensors = inputs if isinstance(inputs, tuple) else (inputs,)
        demands = [isinstance(tensor, Tensor) and tensor.requires_grad for tensor in tensors]
        bring_back = remember_generators()
        adapts = returns_objects(self._method)
        method = self.change(with_first_logits(self._method) if adapts else self._method)
        try:
            with rules_kept(innermost(self._method)):
                return method.attribute(*bound.args, **bound.kwargs)
        except (torch.OutOfMemoryError, LayoutError):
            raise
        except Exception as error:  # explained where the cause is known, tried again for objects, else raised as it is
            for tensor, demand in zip(tensors, demands, strict=True):
                if isinstance(tensor, Tensor) and tensor.requires_grad and not demand:
                    tensor.requires_grad_(False)
            cause = self._cause(error, tensors, bound.arguments)
            if cause is not None:
                raise ValueError(f"{describe(self._method)}: {cause}") from error
            if adapts or not returns_objects(self._method):
                raise
        bring_back()
        return self(inputs, **replaced)

    def _cause(self, error: Exception, tensors: tuple[Any, ...], arguments: Mapping[str, Any]) -> str | None:
        """Why the call failed, where that is known; None too where the method's network turns out to return objects."""
        options = dict(arguments) | dict(arguments.get(self._extra_name, {}))
        further = _as_tuple(options.get("additional_forward_args"))
        if isinstance(error, MissingRuleError):
            return None if hasattr(self._method, "call_signature") else str(error)
        cause = inference_cause(error, (*tensors, *further)) or integer_cause(error, tensors)
        if cause is not None or hasattr(self._method, "call_signature"):
            return cause
        method = innermost(self._method)
        cause = program_cause(error)
        if cause is not None:
            return cause
        seen = probe(method, (*tensors, *further))
        if seen.ran and not is_plain(seen.output):
            try:
                first_logits(seen.output)
            except ValueError as unknown:
                return str(unknown)
            if not returns_objects(self._method):
                remember(self._method)
                return None
        cause = gradient_cause(error, method, seen) or _target_cause(error, seen.output, options.get("target"))
        return cause or output_cause(method, seen, options.get("feature_mask"), len(tensors[0]))


def _target_cause(error: Exception, output: object, target: Any) -> str | None:
    """Say that a target is none of the network's outputs, if Captum's assertion or index failed for that."""
    if not isinstance(output, Tensor):
        return None
    try:
        chosen = _select_targets(output, target)
    except Exception:  # Captum asserts some, and leaves others to Python and torch
        chosen = None
    if chosen is not None and chosen.numel() and (chosen.dim() < 2 or not isinstance(error, AssertionError)):
        return None
    return (
        f"target={one_line(repr(target), 60)} does not choose one number for each image from outputs of shape "
        f"{tuple(output.shape)}: pass the index of a class, or a list or tensor with one for each image, and tuples "
        "for outputs of several dimensions"
    )


def _as_tuple(further: object) -> tuple[Any, ...]:
    return further if isinstance(further, tuple) else () if further is None else (further,)


def _reason_against(method: Attribution) -> str | None:
    if isinstance(method, LLMGradientAttribution):
        return "it explains text by its tokens, which are no pixels to group"
    if isinstance(method, LLMAttribution):
        return (
            "it explains text by features that it is given: for superpixels of an image, hand "
            "to_image_mask_input(image, masks) to its own attribute()"
        )
    if isinstance(method, DataLoaderAttribution):
        return "it explains a whole data loader; wrap the method that explains one batch instead"
    if isinstance(method, LimeBase) and not isinstance(method, Lime):
        return "it returns the coefficients of a user-defined interpretable space, not a map; wrap Lime instead"
    if isinstance(getattr(method, "layer", None), list):
        return "it was given a list of layers; make one for each layer"
    return None

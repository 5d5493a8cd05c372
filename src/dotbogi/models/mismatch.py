"""Why a layer refuses what came, in words, with the value that would fit."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from dotbogi.errors import ShapeError
from dotbogi.language import _

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Arrival:
    """What came to a layer that raised.

    Args:
        name: of the layer inside the model, such as ``layer1.0.conv1``.
        layer: itself.
        shape: of its first input.
        before: of the last tensor that a layer before it returned, or of the images.
    """

    name: str
    layer: nn.Module
    shape: Shape
    before: Shape


def mismatch(arrival: Arrival) -> ShapeError | None:
    """Returns what does not fit, or None where the shapes are not to blame."""
    for kind, explain in _EXPLANATIONS.items():
        if isinstance(arrival.layer, kind):
            return explain(arrival, arrival.layer)
    return None


def _linear(arrival: Arrival, layer: Any) -> ShapeError | None:
    expected, came = layer.in_features, arrival.shape[-1] if arrival.shape else 0
    if came == expected:
        return None
    if len(arrival.shape) == 4:
        return _unflattened_linear(arrival, layer)
    source = ""
    if len(arrival.before) > 2 and prod(arrival.before[1:]) == came:
        source = " " + _("(from {shape} flattened)").format(shape=arrival.before)
    return ShapeError(
        _("{name} expects {expected} features but {came} came{source}.").format(
            name=arrival.name, expected=expected, came=came, source=source
        ),
        fix=_("Fix: {layer}").format(layer=f"nn.Linear({came}, {layer.out_features})"),
    )


def _unflattened_linear(arrival: Arrival, layer: Any) -> ShapeError:
    features = prod(arrival.shape[1:])
    fitting = "" if features == layer.in_features else f", nn.Linear({features}, {layer.out_features})"
    return ShapeError(
        _("{name} expects (B, {expected}) but {shape} came, which is not flattened.").format(
            name=arrival.name, expected=layer.in_features, shape=arrival.shape
        ),
        fix=_("Fix: {layer}").format(layer=f"torch.flatten(x, 1){fitting}"),
    )


def _convolution(arrival: Arrival, layer: Any) -> ShapeError | None:
    spatial = len(layer.kernel_size)
    expected = f"(B, {', '.join([str(layer.in_channels), *'DHW'[-spatial:]])})"
    if len(arrival.shape) not in (spatial + 1, spatial + 2):
        return ShapeError(
            _("{name} expects {expected} but {shape} came.").format(
                name=arrival.name, expected=expected, shape=arrival.shape
            ),
            fix=_("Fix: leave the images unflattened before this layer."),
        )
    came = arrival.shape[-spatial - 1]
    if came == layer.in_channels:
        return _too_small(arrival, layer)
    if spatial == 2 and arrival.shape[-1] == layer.in_channels:
        return _channels_last_axis(arrival, expected)
    return ShapeError(
        _("{name} expects {expected} but {shape} came: {came} channels.").format(
            name=arrival.name, expected=expected, shape=arrival.shape, came=came
        ),
        fix=_("Fix: {layer}").format(layer=_fitting_convolution(layer, came)),
    )


def _fitting_convolution(layer: Any, channels: int) -> str:
    kernel = layer.kernel_size[0] if len(set(layer.kernel_size)) == 1 else layer.kernel_size
    return f"{type(layer).__name__}({channels}, {layer.out_channels}, {kernel}, …)"


def _channels_last_axis(arrival: Arrival, expected: str) -> ShapeError:
    return ShapeError(
        _("{name} expects {expected} but the images are {shape}.\nThe last axis looks like the channels.").format(
            name=arrival.name, expected=expected, shape=arrival.shape
        ),
        fix=_("Fix: images.permute(0, 3, 1, 2), or add ToImage() to the transforms."),
    )


def _normalisation(arrival: Arrival, layer: Any) -> ShapeError | None:
    came = arrival.shape[1] if len(arrival.shape) > 1 else 0
    if came == layer.num_features:
        return None
    return ShapeError(
        _("{name} expects {expected} channels but {came} came, in {shape}.").format(
            name=arrival.name, expected=layer.num_features, came=came, shape=arrival.shape
        ),
        fix=_("Fix: {layer}").format(layer=f"{type(layer).__name__}({came})"),
    )


def _too_small(arrival: Arrival, layer: Any) -> ShapeError | None:
    kernels = _per_side(layer.kernel_size)
    # "same" padding makes room for any kernel; a transposed convolution needs none.
    if isinstance(layer.padding, str) or getattr(layer, "transposed", False) or len(arrival.shape) < len(kernels):
        return None
    sides = arrival.shape[-len(kernels) :]
    room = [side + 2 * padding for side, padding in zip(sides, _per_side(layer.padding), strict=False)]
    if all(side >= size for side, size in zip(room, kernels, strict=False)):
        return None
    return ShapeError(
        _("{name} has a kernel of {kernel}, but the feature map that came is only {sides} pixels.").format(
            name=arrival.name,
            kernel="×".join(str(size) for size in kernels),
            sides="×".join(str(side) for side in sides),
        ),
        fix=_("Fix: larger images (data.image_size), or fewer pooling layers."),
    )


def _per_side(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value, value)


_EXPLANATIONS: dict[Any, Callable[[Arrival, Any], ShapeError | None]] = {
    nn.Linear: _linear,
    _ConvNd: _convolution,
    _NormBase: _normalisation,
    (nn.MaxPool2d, nn.AvgPool2d): _too_small,
}

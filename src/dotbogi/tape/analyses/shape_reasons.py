"""Why an operation's output has its shape, one family of operations per function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import torch

from dotbogi.language import _
from dotbogi.tape.analyses.flatten_map import flattened_shape
from dotbogi.tape.analyses.structures_of_layers import per_axis
from dotbogi.tape.operation import Operation
from dotbogi.tape.value import Value

Reason = Callable[[Operation, Value, Value], str]


def reason(operation: Operation, source: Value, result: Value) -> str:
    """Returns in words and arithmetic why a result has its shape.

    Args:
        operation: of the tape.
        source: its operand that depends on the model's input.
        result: its first result.
    """
    found = _REASONS.get(operation.packet) or _REASONS.get(operation.packet.removesuffix("_"))
    if found is not None:
        return found(operation, source, result)
    if source.shape == result.shape:
        return _kept(operation, source, result)
    if torch.Tag.pointwise in operation.overload.tags:
        return _("both operands are stretched to the same shape")
    return _("{before} becomes {after} in {operation}").format(
        before=_times(source.shape), after=_times(result.shape), operation=operation.packet
    )


def _kept(operation: Operation, source: Value, result: Value) -> str:
    if operation.packet.endswith("batch_norm"):
        return _("each channel is normalised by itself: the shape stays")
    if torch.Tag.pointwise in operation.overload.tags:
        return _("works number by number: the shape stays")
    return _("the shape stays")


def _times(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes)) or _("a single number")


def window_size(size: int, kernel: int, stride: int, padding: int, dilation: int, out: int) -> str:
    """Returns the arithmetic of a window's places along one axis, which gives ``out``."""
    reach = str(kernel) if dilation == 1 else f"({dilation}·({kernel} − 1) + 1)"
    rounded_down = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    left, right = ("⌊", "⌋") if out == rounded_down else ("⌈", "⌉")  # ceil_mode
    return f"{out} = {left}({size} + 2·{padding} − {reach})/{stride}{right} + 1"


def _windowed(sizes: Sequence[int], outs: Sequence[int], *geometry: list[int]) -> str:
    """Returns the arithmetic of every axis, or of one where all are alike."""
    kernel, stride, padding, dilation = geometry
    told = [
        window_size(size, k, s, p, d, out)
        for size, k, s, p, d, out in zip(sizes, kernel, stride, padding, dilation, outs, strict=True)
    ]
    if len(set(told)) == 1:
        return f"{_times(outs)} = {told[0].partition(' = ')[2]}"
    return f"{_times(outs)}: {', '.join(told)}"


def _convolution(operation: Operation, source: Value, result: Value) -> str:
    weight = operation.argument("weight").shape
    axes = len(weight) - 2
    names = ("stride", "padding", "dilation")
    stride, padding, dilation = (per_axis(operation.argument(name), axes) for name in names)
    groups = operation.argument("groups")
    transposed = operation.argument("transposed")
    kernels = weight[1] * groups if transposed else weight[0]
    channels = _("{count} kernels give {count} channels; each looks at {seen} of {all} channels").format(
        count=kernels, seen=source.shape[1] // groups, all=source.shape[1]
    )
    kernel = list(weight[2:])
    if not transposed:
        return f"{channels}; {_windowed(source.shape[2:], result.shape[2:], kernel, stride, padding, dilation)}"
    extra = per_axis(operation.argument("output_padding"), axes)
    told = [
        f"{out} = ({size} − 1)·{s} − 2·{p} + {d}·({k} − 1) + {e} + 1"
        for size, out, k, s, p, d, e in zip(
            source.shape[2:], result.shape[2:], kernel, stride, padding, dilation, extra, strict=True
        )
    ]
    return f"{channels}; {', '.join(dict.fromkeys(told))}"


def _pool(operation: Operation, source: Value, result: Value) -> str:
    axes = 3 if "3d" in operation.packet else 2
    kernel, stride, padding = (
        per_axis(operation.argument(name), axes) for name in ("kernel_size", "stride", "padding")
    )
    dilation = per_axis(operation.argument("dilation"), axes) if operation.packet.startswith("max") else [1] * axes
    told = _windowed(source.shape[-axes:], result.shape[-axes:], kernel, stride or kernel, padding, dilation)
    return _("each channel by itself; {arithmetic}").format(arithmetic=told)


def _adaptive(operation: Operation, source: Value, result: Value) -> str:
    return _("{size} was asked for, whatever comes in").format(size=_times(result.shape[2:]))


def _mean(operation: Operation, source: Value, result: Value) -> str:
    return _("averaged over {axes} axes: {before} becomes {after}").format(
        axes=len(_averaged(operation) or source.shape), before=_times(source.shape), after=_times(result.shape)
    )


def _averaged(operation: Operation) -> list[int]:
    """The axes of a mean; empty for one over all of them, which has no such argument."""
    names = operation.argument_names
    return operation.argument("dim") or [] if "dim" in names else []


def _linear(operation: Operation, source: Value, result: Value) -> str:
    wanted = operation.inputs[-1].shape[0]  # the weight, transposed: (inputs, outputs)
    told = _("{inputs} numbers in, for the weight is ({outputs}, {inputs}); {outputs} numbers out").format(
        inputs=wanted, outputs=result.shape[-1]
    )
    flattened = flattened_shape(source)
    return told if flattened is None else f"{told}; {wanted} = {'·'.join(map(str, flattened))}"


def _view(operation: Operation, source: Value, result: Value) -> str:
    before, after = source.shape, result.shape
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    if len(after) == same + 1 and len(before) > len(after) and prod(before[same:]) == after[same]:
        return _("flattened: {size} = {product}").format(size=after[same], product="·".join(map(str, before[same:])))
    return _("the same numbers, arranged anew: {before} = {after}").format(
        before="·".join(map(str, before)), after="·".join(map(str, after))
    )


def _joined(operation: Operation, source: Value, result: Value) -> str:
    names = operation.argument_names
    axis = operation.argument("dim") % len(result.shape) if "dim" in names else 0
    parts = [part.shape[axis] for part in operation.argument("tensors") if len(part.shape) == len(result.shape)]
    return _("joined along axis {axis}: {size} = {sum}").format(
        axis=axis, size=result.shape[axis], sum=" + ".join(map(str, parts))
    )


def _reordered(operation: Operation, source: Value, result: Value) -> str:
    return _("the axes in another order: {before} becomes {after}").format(
        before=_times(source.shape), after=_times(result.shape)
    )


def _padded(operation: Operation, source: Value, result: Value) -> str:
    pairs = zip(source.shape, result.shape, strict=True)
    changed = [f"{after} = {before} + {after - before}" for before, after in pairs if before != after]
    return _("padded: {arithmetic}").format(arithmetic=", ".join(changed) or _("by nothing"))


_REASONS: dict[str, Reason] = {
    "convolution": _convolution,
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d"), _pool),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d"), _adaptive),
    "mean": _mean,
    **dict.fromkeys(("addmm", "mm"), _linear),
    **dict.fromkeys(("view", "_unsafe_view", "reshape"), _view),
    "cat": _joined,
    **dict.fromkeys(("permute", "transpose", "t"), _reordered),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _padded),
}

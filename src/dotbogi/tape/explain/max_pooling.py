"""Max pooling: the largest of a window, where it lay, and the gradient that flows back to it alone."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import SELECTION, Arithmetic, Elements, Group, Indices, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.accumulation import summed
from dotbogi.tape.explain.indices import columns, combinations
from dotbogi.tape.explain.rearrangements import geometry
from dotbogi.tape.value import Value

WINDOW = "y[b,c,i,j] = max_{u,v} x[b,c,i·s+u·d−p,j·s+v·d−p]"
FRACTIONAL = "y[b,c,i,j] = max_{u,v} x[b,c,h_i + u,w_j + v], h_i = ⌊(i + r)·α⌋ − ⌊r·α⌋, α = (H − k)/(H' − 1), r drawn"
ADAPTIVE = "y[b,c,i,j] = max x[b,c,h,w], ⌊i·H/H'⌋ ≤ h < ⌈(i+1)·H/H'⌉, ⌊j·W/W'⌋ ≤ w < ⌈(j+1)·W/W'⌉"
PLACE = "k = h·W + w, "
GRADIENT = "∂L/∂x[b,c,h,w] = Σ_{i,j} [k[b,c,i,j] = h·W + w] · ∂L/∂y[b,c,i,j]"
FORWARD = (
    *(f"max_pool{axes}d" for axes in (1, 2, 3)),
    *(f"max_pool{axes}d_with_indices" for axes in (1, 2, 3)),
    *(f"adaptive_max_pool{axes}d" for axes in (1, 2, 3)),
    *("mkldnn_max_pool2d", "mkldnn_max_pool3d", "fractional_max_pool2d", "fractional_max_pool3d"),
)
BACKWARD = (
    *("max_pool2d_with_indices_backward", "max_pool3d_with_indices_backward"),
    *("adaptive_max_pool2d_backward", "adaptive_max_pool3d_backward"),
    *("fractional_max_pool2d_backward", "fractional_max_pool3d_backward"),
)


@explains(*FORWARD)
def max_pool(question: Question) -> Arithmetic:
    """The largest element of a window, or with the second result its place in the plane (torch.nn.MaxPool2d).

    What the padding would add is left out, as it is −∞.
    """
    x = question.argument("self")
    axes = _pooled_axes(question)
    places = combinations(*(_window(question, axis, axes) for axis in range(axes)))
    index = columns(*question.index[:-axes], *places)
    in_plane = np.ravel_multi_index(places, x.shape[-axes:])
    elements = Elements(x, index)
    formula = ADAPTIVE if _is(question, "adaptive") else FRACTIONAL if _is(question, "fractional") else WINDOW
    is_place = question.output == 1

    def result(numbers: Numbers) -> float:
        return float(in_plane[_winner(numbers)] if is_place else np.max(numbers))

    return Arithmetic(
        SELECTION,
        PLACE + formula.replace("= max", "= x[b,c,h,w] = max", 1) if is_place else formula,
        (Group("x", elements),),
        result,
        chosen=_winner(elements.numbers()),
        constants=geometry(question.operation),
    )


@explains(*BACKWARD)
def max_pool_backward(question: Question) -> Arithmetic:
    """The gradients of the windows that this element won, and nothing of the others (torch.nn.MaxPool2d)."""
    gradient, indices = question.argument("grad_output"), question.argument("indices")
    axes = _pooled_axes(question)
    windows = combinations(*(_windows_with(question, axis, axes) for axis in range(axes)))
    index = columns(*question.index[:-axes], *windows, count=len(windows[0]))
    own = int(np.ravel_multi_index(question.index[-axes:], question.value.shape[-axes:]))
    winners = Elements(indices, index).numbers()
    if _is(question, "fractional"):
        index, winners = index[winners == own], winners[winners == own]
    told = _told_winners(index, winners, question.value, axes)
    if not len(index):
        return summed(question, GRADIENT)
    group = Group("g", Elements(gradient, index), (winners == own).astype(np.float64))
    return summed(question, GRADIENT, group, winners=told)


def _winner(numbers: Numbers) -> int:
    """Returns which element torch takes: the first of the largest, and the last NaN before any number."""
    missing = np.flatnonzero(np.isnan(numbers))
    return int(missing[-1]) if len(missing) else int(np.argmax(numbers))


def _told_winners(index: Indices, winners: Numbers, value: Value, axes: int) -> str:
    """Says which element won each window, by (row, column) of the plane."""
    places = np.stack(np.unravel_index(winners.astype(np.int64), value.shape[-axes:]), 1)
    pairs = zip(index[:, -axes:].tolist(), places.tolist(), strict=True)
    return ", ".join(f"{window} ← {place}" for window, place in pairs)


def _pooled_axes(question: Question) -> int:
    found = re.search(r"(\d)d", question.operation.packet)
    assert found is not None
    return int(found[1])


def _is(question: Question, kind: str) -> bool:
    return question.operation.packet.startswith(kind)


def _sizes(question: Question, axis: int, axes: int) -> tuple[int, int]:
    """Returns the sizes of the input and of the output along one of the pooled axes."""
    pooled: Value = question.argument("grad_output") if "backward" in question.operation.packet else question.value
    return question.argument("self").shape[axis - axes], pooled.shape[axis - axes]


def _geometry(question: Question, axis: int) -> tuple[int, int, int, int]:
    """Returns kernel, stride, padding and dilation along one axis."""
    kernel, stride, padding, dilation = (
        _along(question.argument(name), axis) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    return kernel, stride or kernel, padding, dilation


def _along(numbers: Any, axis: int) -> int:
    if isinstance(numbers, int):
        return numbers
    return (numbers[axis] if len(numbers) > 1 else numbers[0]) if len(numbers) else 0


def _window(question: Question, axis: int, axes: int) -> Indices:
    """Returns which places of the input a window takes in along one axis."""
    size, pooled = _sizes(question, axis, axes)
    at = question.index[axis - axes]
    if _is(question, "fractional"):
        return _drawn_start(question, axis, axes) + np.arange(_along(question.argument("kernel_size"), axis))
    if _is(question, "adaptive"):
        return np.arange(at * size // pooled, -(-(at + 1) * size // pooled))
    kernel, stride, padding, dilation = _geometry(question, axis)
    taken = at * stride - padding + np.arange(kernel) * dilation
    return taken[(taken >= 0) & (taken < size)]


def _drawn_start(question: Question, axis: int, axes: int) -> int:
    """Returns where a window of fractional max pooling begins (Graham 2014, arXiv:1412.6071), rounded as torch does."""
    size, pooled = _sizes(question, axis, axes)
    at, kernel = question.index[axis - axes], _along(question.argument("kernel_size"), axis)
    if at == pooled - 1:
        return size - kernel
    samples: Value = question.argument("random_samples")  # (N, C, axes), of two axes the column's first
    sample, *_others = question.index[:-axes] if len(question.index) == axes + 2 else (0,)
    drawn = samples.view()[sample, question.index[-axes - 1], 1 - axis if axes == 2 else axis].cpu()
    step = torch.tensor(size - kernel, dtype=drawn.dtype) / torch.tensor(pooled - 1, dtype=drawn.dtype)
    return int((at + drawn) * step) - int(drawn * step)


def _windows_with(question: Question, axis: int, axes: int) -> Indices:
    """Returns which windows take in an element, along one axis."""
    size, pooled = _sizes(question, axis, axes)
    at, windows = question.index[axis - axes], np.arange(pooled)
    if _is(question, "fractional"):
        return windows  # where they begin was drawn: only who won them tells
    if _is(question, "adaptive"):
        return windows[(windows * size // pooled <= at) & (at < -(-(windows + 1) * size // pooled))]
    kernel, stride, padding, dilation = _geometry(question, axis)
    steps, rest = np.divmod(at + padding - windows * stride, dilation)
    return windows[(rest == 0) & (steps >= 0) & (steps < kernel)]

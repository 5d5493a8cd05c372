"""Convolution: every output is the sum over a window of products of input and kernel, and the bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Indices, product_group, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.value import Value

FORMULA = "y[b,o,i,j] = Σ x[b,c,i·s+u·d−p,j·s+v·d−p] · w[o,c,u,v] + bias[o]"
LATEX = r"y_{b,o,i,j} = \sum_{c,u,v} x_{b,\,c,\,is+ud-p,\,js+vd-p}\; w_{o,c,u,v} + \mathrm{bias}_o"


@dataclass(frozen=True)
class Geometry:
    """How a kernel moves over its input, one number per spatial axis.

    Args:
        stride, padding, dilation: in pixels.
        groups: of channels that do not mix.
        transposed: whether it is the transposed convolution.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool

    @classmethod
    def of(cls, question: Question) -> Geometry:
        """Reads it from a convolution's arguments, of which each may be one number for all axes."""
        axes = len(question.argument("weight").shape) - 2
        return cls(
            *(_per_axis(question.argument(name), axes) for name in ("stride", "padding", "dilation")),
            groups=question.argument("groups"),
            transposed=question.argument("transposed"),
        )


def _per_axis(numbers: Any, axes: int) -> tuple[int, ...]:
    return tuple(numbers) if len(numbers) == axes else tuple(numbers) * axes


@explains("convolution")
def convolution(question: Question) -> Arithmetic:
    """Σ over the input channels of the group and the kernel's pixels (Dumoulin & Visin 2016, arXiv:1603.07285)."""
    x, w, bias = (question.argument(name) for name in ("input", "weight", "bias"))
    geometry = Geometry.of(question)
    taps = transposed_taps if geometry.transposed else forward_taps
    x_index, w_index = taps(question.index, x, w, geometry)
    groups = [product_group("x", Elements(x, x_index), "w", Elements(w, w_index))]
    if bias is not None:
        groups.append(Group("bias", Elements.one(bias, (question.index[1],)), 1.0))
    constants = {"stride": geometry.stride, "padding": geometry.padding, "dilation": geometry.dilation}
    return sum_of_products(FORMULA, *groups, latex=LATEX, **constants)


def forward_taps(index: tuple[int, ...], x: Value, w: Value, geometry: Geometry) -> tuple[Indices, Indices]:
    """Returns which elements of the input meet which of the kernel for one output.

    Args:
        index: (sample, output channel, *place).
        x: (B, C, *size).
        w: (O, C / groups, *kernel).
        geometry: of the convolution.

    Returns:
        Indices of x and w, (K, number of axes) each; what would lie in the padding is left out.
    """
    sample, output_channel, *place = index
    per_group = w.shape[1]
    first = output_channel // (w.shape[0] // geometry.groups) * per_group
    c, *kernel = _grid((per_group, *w.shape[2:]))
    pixels = [
        at * s - p + u * d
        for at, s, p, u, d in zip(place, geometry.stride, geometry.padding, kernel, geometry.dilation, strict=True)
    ]
    inside = _inside(pixels, x.shape[2:])
    x_index = _indices(sample, first + c, *pixels)[inside]
    return x_index, _indices(output_channel, c, *kernel)[inside]


def transposed_taps(index: tuple[int, ...], x: Value, w: Value, geometry: Geometry) -> tuple[Indices, Indices]:
    """As :func:`forward_taps` for the transposed convolution, whose kernel is (C, O / groups, *kernel)."""
    sample, output_channel, *place = index
    group, within = divmod(output_channel, w.shape[1])
    per_group = x.shape[1] // geometry.groups
    c, *kernel = _grid((per_group, *w.shape[2:]))
    reached = [at + p - u * d for at, p, u, d in zip(place, geometry.padding, kernel, geometry.dilation, strict=True)]
    pixels = [numerator // s for numerator, s in zip(reached, geometry.stride, strict=True)]
    inside = _inside(pixels, x.shape[2:])
    for numerator, s in zip(reached, geometry.stride, strict=True):
        inside &= numerator % s == 0
    channel = group * per_group + c
    return _indices(sample, channel, *pixels)[inside], _indices(channel, within, *kernel)[inside]


def _grid(shape: tuple[int, ...]) -> list[Indices]:
    """Returns the coordinates of every element of a shape, each (K,), the last axis fastest."""
    return [axis.reshape(-1) for axis in np.indices(shape, np.int64)]


def _inside(pixels: list[Indices], sizes: tuple[int, ...]) -> Any:
    inside = np.ones(len(pixels[0]) if pixels else 1, bool)
    for pixel, size in zip(pixels, sizes, strict=True):
        inside &= (pixel >= 0) & (pixel < size)
    return inside


def _indices(*columns: Indices | int) -> Indices:
    """Returns coordinates side by side, (K, number of columns); a single number is the same for all."""
    count = max(len(column) for column in columns if not isinstance(column, int))
    return np.stack([np.broadcast_to(column, (count,)) for column in columns], 1).astype(np.int64)

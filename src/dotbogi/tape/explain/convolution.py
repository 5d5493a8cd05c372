"""Convolution: every output is the sum over a window of products of input and kernel, and the bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Indices, product_group, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.convolution_formulas import convolution_formula, convolution_latex
from dotbogi.tape.explain.convolution_rounding import added_by_pixels, is_channels_last, rounds_in_between
from dotbogi.tape.explain.indices import columns, combinations, per_axis
from dotbogi.tape.explain.reducing import argument_of


@dataclass(frozen=True)
class Geometry:
    """How a kernel moves over its input, one number per spatial axis.

    Args:
        stride, padding, dilation: in pixels; of a padding that is not the same on both sides, what lies before.
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
        kernel = question.argument("weight").shape[2:]
        dilation = per_axis(argument_of(question, "dilation", default=1), len(kernel))
        return cls(
            stride=per_axis(question.argument("stride"), len(kernel)),
            padding=_padding(question.argument("padding"), kernel, dilation),
            dilation=dilation,
            groups=argument_of(question, "groups", default=1),
            transposed=argument_of(question, "transposed", default="transpose" in question.operation.packet),
        )

    @property
    def constants(self) -> dict[str, Any]:
        """What an explanation names: groups only where there are several."""
        several = {"groups": self.groups} if self.groups > 1 else {}
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, **several}


def _padding(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the pixels of padding before the first one; 'same' puts an odd pixel behind (torch.nn.Conv2d)."""
    if isinstance(padding, str):
        return tuple(d * (k - 1) // 2 if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True))
    return per_axis(padding, len(kernel))


@explains(
    *("convolution", "_convolution", "convolution_overrideable", "conv1d", "conv2d", "conv3d"),
    *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "slow_conv_transpose2d", "slow_conv_transpose3d"),
    *("thnn_conv2d", "_slow_conv2d_forward", "slow_conv3d", "slow_conv3d_forward"),
    *("slow_conv_dilated2d", "slow_conv_dilated3d"),
    *("cudnn_convolution", "cudnn_convolution_transpose", "mkldnn_convolution", "miopen_convolution"),
    *("_mps_convolution", "_mps_convolution_transpose"),
)
def convolution(question: Question) -> Arithmetic:
    """Σ over the input channels of the group and the kernel's pixels (Dumoulin & Visin 2016, arXiv:1603.07285)."""
    x = question.operation.inputs[0]
    w = question.argument("weight")
    bias = argument_of(question, "bias", default=None)
    geometry = Geometry.of(question)
    taps = transposed_taps if geometry.transposed else forward_taps
    # A single image without its batch axis arrives so where gradients are off for good (inference mode).
    is_batched = len(x.shape) == len(w.shape)
    index = question.index if is_batched else (0, *question.index)
    x_index, w_index = taps(index, x.shape if is_batched else (1, *x.shape), w.shape, geometry)
    x_terms = Elements(x, x_index if is_batched else x_index[:, 1:])
    axes = len(w.shape) - 2
    formula = convolution_formula(axes, bias is not None, geometry.transposed, is_batched)
    w_terms, bias_term = Elements(w, w_index), None if bias is None else Elements.one(bias, (index[1],))
    if geometry.transposed and rounds_in_between(question.value):
        channels, from_the_last = w.shape[0] // geometry.groups, is_channels_last(x, w)
        return added_by_pixels(
            formula, ("x", x_terms), ("w", w_terms), bias_term, channels, from_the_last, **geometry.constants
        )
    groups = [product_group("x", x_terms, "w", w_terms)]
    if bias_term is not None:
        groups.append(Group("bias", bias_term, 1.0))
    latex = convolution_latex(axes, bias is not None, geometry.transposed, is_batched)
    return sum_of_products(formula, *groups, latex=latex, **geometry.constants)


Shape = tuple[int, ...]


def forward_taps(index: Shape, x: Shape, w: Shape, geometry: Geometry) -> tuple[Indices, Indices]:
    """Returns which elements of the input meet which of the kernel for one output.

    Args:
        index: (sample, output channel, *place).
        x: the input's shape (B, C, *size).
        w: the kernel's shape (O, C / groups, *kernel).
        geometry: of the convolution.

    Returns:
        Indices of x and w, (K, number of axes) each; what would lie in the padding is left out.
    """
    sample, output_channel, *place = index
    first = output_channel // (w[0] // geometry.groups) * w[1]
    taps = [
        _inside(np.arange(k) * d + at * s - p, size)
        for at, s, p, k, d, size in zip(
            place, geometry.stride, geometry.padding, w[2:], geometry.dilation, x[2:], strict=True
        )
    ]
    c, *meeting = combinations(np.arange(w[1]), *(np.arange(len(kernel)) for _pixels, kernel in taps))
    pixels, kernel = _coordinates(taps, meeting)
    return columns(sample, first + c, *pixels), columns(output_channel, c, *kernel)


def transposed_taps(index: Shape, x: Shape, w: Shape, geometry: Geometry) -> tuple[Indices, Indices]:
    """As :func:`forward_taps` for the transposed convolution, whose kernel is (C, O / groups, *kernel)."""
    sample, output_channel, *place = index
    group, within = divmod(output_channel, w[1])
    first = group * (x[1] // geometry.groups)
    taps = [
        _reached(at + p - np.arange(k) * d, s, size)
        for at, s, p, k, d, size in zip(
            place, geometry.stride, geometry.padding, w[2:], geometry.dilation, x[2:], strict=True
        )
    ]
    channels = np.arange(x[1] // geometry.groups)
    c, *meeting = combinations(channels, *(np.arange(len(kernel)) for _pixels, kernel in taps))
    pixels, kernel = _coordinates(taps, meeting)
    return columns(sample, first + c, *pixels), columns(first + c, within, *kernel)


Tap = tuple[Indices, Indices]  # along one axis: places in the input, and in the kernel


def _inside(pixels: Indices, size: int) -> Tap:
    kernel = np.flatnonzero((pixels >= 0) & (pixels < size))
    return pixels[kernel], kernel


def _reached(numerators: Indices, stride: int, size: int) -> Tap:
    is_inside = (numerators >= 0) & (numerators < size * stride) & (numerators % stride == 0)
    kernel = np.flatnonzero(is_inside)
    return numerators[kernel] // stride, kernel


def _coordinates(taps: list[Tap], meeting: list[Indices]) -> tuple[list[Indices], list[Indices]]:
    pixels = [tap[0][which] for tap, which in zip(taps, meeting, strict=True)]
    return pixels, [tap[1][which] for tap, which in zip(taps, meeting, strict=True)]

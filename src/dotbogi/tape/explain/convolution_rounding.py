"""Convolution in float16 on a CPU, which rounds on the way: what several steps add up is rounded after each.

A transposed convolution (and so the gradient of a convolution's input) makes a matrix of the sums over the channels
first and then adds its elements up, kernel pixel by kernel pixel; a kernel's gradient is added up sample by sample.
Source: aten/src/ATen/native/NaiveConvolutionTranspose2d.cpp, ConvolutionMM2d.cpp, NaiveDilatedConvolution.cpp.
Where oneDNN convolves, as in bfloat16, every result is rounded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Numbers
from dotbogi.tape.explain.low_precision import added_up
from dotbogi.tape.explain.reducing import reduction_of, rounded, told_rounding
from dotbogi.tape.value import Value

Factors = tuple[str, Elements]


def rounds_in_between(value: Value) -> bool:
    """Whether a convolution's result was added up in float16."""
    return (
        value.dtype == torch.float16 and value.device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_fp16_supported()
    )


def is_channels_last(*values: Value) -> bool:
    """Whether one of several images or kernels lies channels-last, so that all are laid so."""
    views = [value.view() for value in values if len(value.shape) == 4]
    return any(view.is_contiguous(memory_format=torch.channels_last) and not view.is_contiguous() for view in views)


def added_by_pixels(
    formula: str,
    one: Factors,
    other: Factors,
    bias: Elements | None,
    channels: int,
    from_the_last: bool,
    **constants: Any,
) -> Arithmetic:
    """Returns the sum over channels, rounded for each pixel of the kernel, and of these, rounded after each.

    Args:
        formula: in symbols.
        one: symbol and elements of the products' first factors, channel by channel.
        other: of their second factors.
        bias: what is added at the end.
        channels: how many.
        from_the_last: whether the kernel's last pixel is added first, as in channels-last.
        constants: of the formula.
    """

    def function(x: Numbers, w: Numbers, bias: Numbers | None) -> Any:
        pixels = rounded((x * w).reshape(channels, -1).sum(0), torch.float16)
        pixels = pixels[::-1] if from_the_last else pixels
        return added_up([*pixels, *(() if bias is None else bias)], torch.float16)

    told = told_rounding("the sum over c, then after each pixel", torch.float16)
    return reduction_of(formula + told, [one, other, ("bias", bias)], function, scale=_magnitude, **constants)


def added_by_samples(
    formula: str, one: Factors, other: Factors | None, doubly: bool = False, **constants: Any
) -> Arithmetic:
    """Returns a sum that is rounded after each sample; ``doubly`` where a sample's own sum is rounded too."""
    _samples, which = np.unique(one[1].index[:, 0], return_inverse=True)

    def function(delta: Numbers, x: Numbers | None) -> Any:
        products = delta if x is None else delta * x
        sums = np.bincount(which, products, minlength=1)
        return added_up(rounded(sums, torch.float16) if doubly else sums, torch.float16)

    operands = [one, other or ("x", None)]
    return reduction_of(
        formula + told_rounding("after each sample", torch.float16), operands, function, scale=_magnitude, **constants
    )


def _magnitude(one: Numbers, other: Numbers | None, bias: Numbers | None = None) -> Any:
    products = one if other is None else one * other
    return np.sum(np.abs(products)) + (0.0 if bias is None else np.sum(np.abs(bias)))

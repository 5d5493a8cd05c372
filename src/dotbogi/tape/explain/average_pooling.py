"""Average pooling: every output is the mean of a window, every gradient a sum over the windows that cover a place."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Numbers, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.indices import columns, combinations
from dotbogi.tape.explain.low_precision import added_up, rounds_on_the_way
from dotbogi.tape.explain.reducing import argument_of, reduction_of, rounded, told_rounding
from dotbogi.tape.explain.windows import windows_of
from dotbogi.tape.value import Value

MEAN = "y = 1/n · Σ x   (the window)"
GRADIENT = "∂L/∂x = Σ δ / n   (the windows that cover x)"


@explains("avg_pool1d", "avg_pool2d", "avg_pool3d")
@explains("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
@explains("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "mkldnn_adaptive_avg_pool2d")
def average_pool(question: Question) -> Arithmetic:
    """Σ over the window / n; what lies in the padding is 0 and, with ``count_include_pad``, counts in n."""
    x: Value = question.argument("self")
    windows = windows_of(question, x.shape, question.value.shape)
    before, place = question.index[: -len(windows)], question.index[-len(windows) :]
    terms = Elements(
        x, columns(*before, *combinations(*(axis.inside(at) for axis, at in zip(windows, place, strict=True))))
    )
    lengths = [axis.lengths[[at]] for axis, at in zip(windows, place, strict=True)]
    n = float(_divisors(question, lengths)[0])
    if question.operation.packet.endswith("adaptive_avg_pool3d") and rounds_on_the_way(question.value):
        return _mean_in_low_precision(terms, lengths, n, question.value.dtype)
    return sum_of_products(MEAN, Group("x", terms, 1 / n), latex=r"y = \frac{1}{n} \sum_{\mathrm{window}} x", n=n)


def _divisors(question: Question, lengths: list[Any]) -> Numbers:
    """Returns what the sums over windows are divided by, of their lengths along each axis (K,)."""
    counts = np.prod(np.array(lengths, np.float64), axis=0)
    override = argument_of(question, "divisor_override")
    return counts if override is None else np.full_like(counts, override)


def _shared_out(numbers: Any, lengths: list[Any], dtype: torch.dtype) -> Any:
    """Returns numbers divided by one length after the other, rounded each time."""
    for length in lengths:
        numbers = rounded(numbers / rounded(length, dtype), dtype)
    return numbers


def _mean_in_low_precision(terms: Elements, lengths: list[Any], n: float, dtype: torch.dtype) -> Arithmetic:
    """As aten/src/ATen/native/AdaptiveAveragePooling3d.cpp adds and divides."""

    def function(x: Any) -> float:
        return float(_shared_out(np.array([added_up(x, dtype)]), lengths, dtype)[0])

    told = told_rounding("after every x and each axis of n", dtype)
    return reduction_of(MEAN + told, [("x", terms)], function, scale=lambda x: np.sum(np.abs(x)) / n, n=n)


@explains(
    "avg_pool2d_backward", "avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward"
)
@explains("mkldnn_adaptive_avg_pool2d_backward")
def average_pool_backward(question: Question) -> Arithmetic:
    """Σ δ / n over the windows that cover a place of the input; δ is ∂L/∂y."""
    delta: Value = question.argument("grad_output")
    windows = windows_of(question, question.value.shape, delta.shape)
    before, place = question.index[: -len(windows)], question.index[-len(windows) :]
    covering = combinations(*(axis.covering(at) for axis, at in zip(windows, place, strict=True)))
    terms = Elements(delta, columns(*before, *covering))
    lengths = [axis.lengths[outputs] for axis, outputs in zip(windows, covering, strict=True)]
    n = _divisors(question, lengths)
    if not rounds_on_the_way(question.value):
        return sum_of_products(
            GRADIENT, Group("δ", terms, 1 / n), latex=r"\frac{\partial L}{\partial x} = \sum \frac{\delta}{n}"
        )
    steps = lengths if "adaptive" in question.operation.packet else [n]
    return _gradient_in_low_precision(terms, steps, n, question.value.dtype)


def _gradient_in_low_precision(terms: Elements, lengths: list[Any], n: Numbers, dtype: torch.dtype) -> Arithmetic:
    """As aten/src/ATen/native/cpu/AvgPoolKernel.cpp and AdaptiveAvgPoolKernel.cpp divide and add, window by window."""
    return reduction_of(
        GRADIENT + told_rounding("δ / n and after every δ", dtype),
        [("δ", terms)],
        lambda delta: added_up(_shared_out(delta, lengths, dtype), dtype),
        scale=lambda delta: np.sum(np.abs(delta / n)),
        n=n.tolist(),
    )

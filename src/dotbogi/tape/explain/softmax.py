"""Softmax, its logarithm, the logarithm of a sum of exponentials, and their gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.reducing import (
    LOW_PRECISION,
    along,
    argument_of,
    broadcast_index,
    place_in,
    reduced_axes,
    reduction_of,
    rounded,
    smallest_scale,
    told_rounding,
    undecided,
    with_axes,
)
from dotbogi.tape.value import Value


def _line(question: Question, value: Value) -> tuple[Elements, int]:
    """Returns the elements along the softmax's axis through the asked one, and where it is among them."""
    axis = question.argument("dim")
    axes = reduced_axes(-1 if axis is None else axis, len(value.shape))
    elements = along(value, question.index, axes)
    return elements, place_in(elements, question.index)


@explains("_softmax", "_safe_softmax")
def softmax(question: Question) -> Arithmetic:
    """e^x over the sum of all (Bridle 1990); the largest is subtracted first, which changes nothing but the range.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.Softmax.html
    """
    value = question.argument("self")
    elements, place = _line(question, value)
    is_safe = question.operation.packet == "_safe_softmax"
    dtype = value.dtype if not is_safe and _is_left_over(question, value) else torch.float32
    smallest = smallest_scale(question)

    def probability(x: Numbers) -> Any:
        if is_safe and np.all(np.isneginf(x)):
            return 0.0
        powers = np.exp(x - np.max(x))
        return rounded(powers[place], dtype) / np.sum(powers)

    def scale(x: Numbers) -> Any:
        distance = abs(x[place] - np.max(x))
        spread = 1 + (distance if np.isfinite(distance) else 0)
        power = np.exp(x - np.max(x))
        lost = undecided(power[place], power[place] * spread, dtype) / np.sum(power)
        return np.nan_to_num(probability(x) * spread + lost) + smallest

    return reduction_of(
        "p = e^(x − max x) / Σ e^(x_k − max x)" + told_rounding("e^x above", dtype),
        [("x", elements)],
        probability,
        latex=r"p_i = \frac{e^{x_i}}{\sum_k e^{x_k}}",
        scale=scale,
    )


def _is_left_over(question: Question, value: Value) -> bool:
    """Whether a processor takes the asked element by itself, being left over from those that it takes side by side.

    Only along an axis that is not the last, and only in low precision; such an element's power is rounded.
    Source: PyTorch, aten/src/ATen/native/cpu/SoftMaxKernel.cpp.
    """
    axis = question.argument("dim") % max(len(value.shape), 1)
    if value.device.type != "cpu" or value.dtype not in LOW_PRECISION or axis >= len(value.shape) - 1:
        return False
    outer, inner = math.prod(value.shape[:axis]), math.prod(value.shape[axis + 1 :])
    lanes = 32 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 16
    kept = (*question.index[:axis], *question.index[axis + 1 :])
    asked = int(np.ravel_multi_index(kept, (*value.shape[:axis], *value.shape[axis + 1 :])))
    share = -(-outer * inner // min(torch.get_num_threads(), outer * inner))
    at, end = asked // share * share, min(asked // share * share + share, outer * inner)
    rest = 0
    while at <= asked:
        rest = min(inner - at % inner, end - at)
        at += min(rest, lanes)
    return rest < lanes


@explains("_masked_softmax")
def masked_softmax(question: Question) -> Arithmetic:
    """Softmax over what a mask leaves; a row without any is NaN, as 0/0 is."""
    x, place = _line(question, question.argument("self"))
    mask = question.argument("mask")
    masked = _mask_line(question, mask, x)
    return reduction_of(
        "p = (1 − mask)·e^x / Σ (1 − mask_k)·e^(x_k)",
        [("x", x), ("mask", masked)],
        lambda x, mask: _softmax_of(np.where(mask != 0, -np.inf, x))[place],
    )


def _mask_line(question: Question, mask: Value, x: Elements) -> Elements:
    """Returns the mask's elements that belong to a line of (B, heads, L, S)."""
    kind = question.argument("mask_type")
    columns = {0: [2, 3], 1: [0, 3]}.get(kind, list(range(x.index.shape[1]))) if len(mask.shape) == 2 else None
    index = x.index if columns is None else x.index[:, columns]
    return Elements(mask, np.array([broadcast_index(mask, row) for row in index.tolist()], np.int64))


def _softmax_of(x: Numbers) -> Numbers:
    powers = np.exp(x - np.max(x))
    return powers / np.sum(powers)


@explains("_log_softmax")
def log_softmax(question: Question) -> Arithmetic:
    """x less the logarithm of the sum of all e^x.

    Source: https://pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html
    """
    value = question.argument("self")
    elements, place = _line(question, value)
    # On a processor and along the last axis, torch keeps Σ and its logarithm in the input's type.
    is_last = value.device.type == "cpu" and question.argument("dim") % max(len(value.shape), 1) == len(value.shape) - 1
    dtype = value.dtype if is_last else torch.float32

    def log_sum(x: Numbers) -> Any:
        return rounded(np.log(rounded(np.sum(np.exp(x - np.max(x))), dtype)), dtype)

    def scale(x: Numbers) -> float:
        distance = abs(x[place] - np.max(x))
        return 1 + (distance if np.isfinite(distance) else 0) + np.nan_to_num(log_sum(x))

    return reduction_of(
        "log p = x − max x − log Σ e^(x_k − max x)" + told_rounding("Σ, log", dtype),
        [("x", elements)],
        lambda x: x[place] - np.max(x) - log_sum(x),
        latex=r"\log p_i = x_i - \log \sum_k e^{x_k}",
        scale=scale,
    )


@explains("_softmax_backward_data")
def softmax_backward(question: Question) -> Arithmetic:
    """∂L/∂x_i = p_i·(g_i − Σ g_k·p_k), from ∂p_k/∂x_i = p_k·(δ_ik − p_i)."""
    g, place = _line(question, question.argument("grad_output"))
    p, _same = _line(question, question.argument("output"))
    return reduction_of(
        "∂x = p·(g − Σ g_k·p_k)",
        [("g", g), ("p", p)],
        lambda g, p: p[place] * (g[place] - np.sum(g * p)),
        latex=r"\frac{\partial L}{\partial x_i} = p_i \Bigl(g_i - \sum_k g_k p_k\Bigr)",
        scale=lambda g, p: abs(p[place]) * (abs(g[place]) + np.sum(np.abs(g * p))) + smallest_scale(question),
    )


@explains("_log_softmax_backward_data")
def log_softmax_backward(question: Question) -> Arithmetic:
    """∂L/∂x_i = g_i − p_i·Σ g_k with p = e^(log p); after a negative log-likelihood it is p − 1 at the label."""
    g, place = _line(question, question.argument("grad_output"))
    log_p = Elements.one(question.argument("output"), question.index)
    return reduction_of(
        "∂x = g − e^(log p)·Σ g_k",
        [("g", g), ("log p", log_p)],
        lambda g, log_p: g[place] - np.exp(log_p[0]) * np.sum(g),
        latex=r"\frac{\partial L}{\partial x_i} = g_i - p_i \sum_k g_k",
        scale=lambda g, log_p: (
            abs(g[place]) + np.exp(log_p[0]) * (1 + abs(log_p[0])) * np.sum(np.abs(g)) + smallest_scale(question)
        ),
    )


@explains("logsumexp")
def logsumexp(question: Question) -> Arithmetic:
    """The logarithm of a sum of exponentials.

    Source: https://pytorch.org/docs/stable/generated/torch.logsumexp.html
    """
    value = question.argument("self")
    axes = reduced_axes(argument_of(question, "dim"), len(value.shape))
    index = with_axes(question.index, axes, len(value.shape), question.argument("keepdim"))
    dtype = question.value.dtype

    def log_sum(x: Numbers) -> Any:
        largest = np.max(x) if np.isfinite(np.max(x)) else 0.0
        powers = rounded(np.exp(rounded(x - largest, dtype)), dtype)
        return rounded(np.log(rounded(np.sum(powers), dtype)), dtype) + largest

    return reduction_of(
        "y = max x + log Σ e^(x_k − max x)" + told_rounding("−, e, Σ, log", dtype),
        [("x", along(value, index, axes))],
        log_sum,
        latex=r"y = \log \sum_k e^{x_k}",
    )

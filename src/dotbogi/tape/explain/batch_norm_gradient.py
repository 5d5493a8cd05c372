"""The gradients of batch norm with respect to its input, its scale and its shift.

Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Numbers, function_of
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.batch_norm import Channel
from dotbogi.tape.explain.batch_norm_rounding import Rounding
from dotbogi.tape.explain.normalisation import (
    BIAS_GRADIENT,
    WEIGHT_GRADIENT,
    InputGradient,
    bias_gradient,
    one,
    weight_gradient,
)
from dotbogi.tape.explain.reducing import argument_of, place_in, reduction_of, told_rounding
from dotbogi.tape.value import Value


@explains(
    *("native_batch_norm_backward", "cudnn_batch_norm_backward", "miopen_batch_norm_backward", "batch_norm_backward"),
)
def batch_norm_backward(question: Question) -> Arithmetic:
    """Results: the gradients of the input, of γ and of β."""
    channel = Channel.of(question, question.index[1 if question.output == 0 else 0])
    gradient = argument_of(question, "grad_out", "grad_output")
    rounding = Rounding.of(channel.x, _parameter_type(question, channel), gradient)
    if rounding is not None and rounding.is_fast:
        rounding = None  # everything in float32, and rounded once at the end
    if question.output == 2:
        return _bias_gradient(channel.elements(gradient), rounding)
    if not channel.training:
        return _evaluated_gradient(question, channel, gradient, rounding)
    g, x = channel.elements(gradient), channel.elements(channel.x)
    mean, deviation = channel.one(argument_of(question, "save_mean")), _saved_deviation(question, channel)
    assert mean is not None and deviation is not None
    if question.output == 1:
        return _weight_gradient(g, x, mean, deviation, rounding)
    gamma = channel.one(channel.weight)
    exact = InputGradient(g, x, place_in(x, question.index), mean, deviation, gamma).arithmetic()
    return (
        exact
        if rounding is None
        else _rounded_input_gradient(exact, place_in(x, question.index), rounding, g, x, mean, deviation, gamma)
    )


def _saved_deviation(question: Question, channel: Channel) -> Elements | None:
    return channel.one(argument_of(question, "save_invstd", "save_var"))


def _parameter_type(question: Question, channel: Channel) -> torch.dtype:
    kept = argument_of(question, "save_mean") if channel.training else channel.running_mean
    return channel.x.dtype if kept is None else kept.dtype


def _bias_gradient(g: Elements, rounding: Rounding | None) -> Arithmetic:
    if rounding is None or rounding.number != torch.bfloat16:
        return bias_gradient(g)
    return reduction_of(
        BIAS_GRADIENT + told_rounding("Σ", rounding.number),
        [("g", g)],
        rounding.total,
        scale=lambda g: np.sum(np.abs(g)),
    )


def _weight_gradient(
    g: Elements, x: Elements, mean: Elements, deviation: Elements, rounding: Rounding | None
) -> Arithmetic:
    exact = weight_gradient(g, x, mean, deviation, np.zeros(len(x), np.int64))
    if rounding is None:
        return exact
    return replace(
        reduction_of(
            exact.formula + told_rounding("each step", rounding.number),
            [("g", g), ("x", x), ("μ", mean), ("r", deviation)],
            rounding.weight_gradient,
        ),
        scale=exact.scale,
    )


def _rounded_input_gradient(
    exact: Arithmetic,
    place: int,
    rounding: Rounding,
    *operands: Elements | None,
) -> Arithmetic:
    def gradient(g: Numbers, x: Numbers, mean: Numbers, deviation: Numbers, gamma: Numbers | None) -> Any:
        return rounding.input_gradient(place, g, x, mean[0], deviation[0], one(gamma, 1.0))

    symbols = ("g", "x", "μ", "r", "γ")
    return replace(
        reduction_of(
            exact.formula + told_rounding("each step", rounding.number),
            list(zip(symbols, operands, strict=True)),
            gradient,
        ),
        scale=exact.scale,
        constants=exact.constants,
    )


def _evaluated_gradient(question: Question, channel: Channel, gradient: Value, rounding: Rounding | None) -> Arithmetic:
    """With the running statistics each number has its own gradient: ∂x = g·γ/√(σ² + ε)."""
    mean, variance = channel.running_mean, channel.running_variance
    assert mean is not None and variance is not None
    place = (channel.channel,)
    eps = channel.eps
    if question.output == 0:
        return _evaluated_input_gradient(channel, gradient, question.index, variance, rounding)

    def gradient_of(g: Numbers, x: Numbers, mean: Numbers, variance: Numbers) -> Any:
        deviation = 1 / np.sqrt(variance + eps)
        if rounding is not None:
            return rounding.weight_gradient(g, x, mean, rounding.kept(deviation))
        return np.sum(g * (x - mean[0])) * deviation[0]

    return reduction_of(
        WEIGHT_GRADIENT
        + ",  r = 1/√(σ² + ε)"
        + ("" if rounding is None else told_rounding("each step", rounding.number)),
        [
            *(("g", channel.elements(gradient)), ("x", channel.elements(channel.x))),
            *(("μ", Elements.one(mean, place)), ("σ²", Elements.one(variance, place))),
        ],
        gradient_of,
        scale=lambda g, x, mean, v: np.sum(np.abs(g) * (np.abs(x) + abs(mean[0]))) / np.sqrt(v[0] + eps),
        ε=eps,
    )


def _evaluated_input_gradient(
    channel: Channel, gradient: Value, index: tuple[int, ...], variance: Value, rounding: Rounding | None
) -> Arithmetic:
    operands = [("g", gradient, index), ("σ²", variance, (channel.channel,))]
    if channel.weight is not None:
        operands.append(("γ", channel.weight, (channel.channel,)))
    formula = "∂x = g·γ/√(σ² + ε)" if channel.weight is not None else "∂x = g/√(σ² + ε)"
    eps = channel.eps

    def result(g: float, variance: float, gamma: float = 1.0) -> float:
        if rounding is not None:
            return float(rounding.evaluated_gradient(g, variance, gamma, eps))
        return g * gamma / math.sqrt(variance + eps)

    told = "" if rounding is None else told_rounding("each step", rounding.number)
    return function_of(formula + told, operands, result, ε=eps)

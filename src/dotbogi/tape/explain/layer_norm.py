"""Layer norm: each sample less its own mean over its own standard deviation, scaled and shifted element by element.

Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450.
"""

from __future__ import annotations

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.normalisation import (
    BIAS_GRADIENT,
    WEIGHT_GRADIENT,
    InputGradient,
    Normalised,
    bias_gradient,
    inverse_deviation_of,
    mean_of,
    weight_gradient,
)
from dotbogi.tape.explain.reducing import (
    LOW_PRECISION,
    along,
    one_of,
    place_in,
    reduction_of,
    rounded_once,
    told_rounding,
)
from dotbogi.tape.value import Value


def _normalised_axes(question: Question, x: Value) -> range:
    return range(len(x.shape) - len(question.argument("normalized_shape")), len(x.shape))


def _sample(question: Question, x: Value) -> Elements:
    """Returns the numbers that are normalised with the asked one."""
    axes = _normalised_axes(question, x)
    index = (*question.index[: axes.start], *(0 for _axis in axes))
    return along(x, index, axes)


def _statistic_index(x: Value, axes: range, statistic: Value, index: tuple[int, ...]) -> tuple[int, ...]:
    """Returns where a sample's statistic lies: it has the samples' axes, then axes of size 1 or none."""
    kept = index[: axes.start]
    return (*kept, *(0 for _axis in statistic.shape[len(kept) :]))


@explains("native_layer_norm")
def layer_norm(question: Question) -> Arithmetic:
    """Results: the normalised input, each sample's mean, each sample's 1/√(σ² + ε)."""
    x, eps = question.argument("input"), question.argument("eps")
    sample = _sample(question, x)
    if question.output == 1:
        return mean_of(sample)
    if question.output == 2:
        return inverse_deviation_of(sample, eps)
    inner = question.index[_normalised_axes(question, x).start :]
    gamma, beta = (one_of(question.argument(name), inner) for name in ("weight", "bias"))
    return Normalised(sample, place_in(sample, question.index), gamma, beta, eps).arithmetic()


@explains("native_layer_norm_backward")
def layer_norm_backward(question: Question) -> Arithmetic:
    """Results: the gradients of the input, of γ and of β."""
    x, gradient = question.argument("input"), question.argument("grad_out")
    if question.output == 0:
        return _input_gradient(question, x, gradient)
    samples = range(len(x.shape) - len(question.argument("normalized_shape")))
    index = (*(0 for _axis in samples), *question.index)
    g = along(gradient, index, samples)
    rounds = x.device.type == "cpu" and x.dtype in LOW_PRECISION
    if question.output == 2:
        return _rounded_bias_gradient(g, x.dtype) if rounds else bias_gradient(g)
    mean, deviation = (Elements.every(question.argument(name)) for name in ("mean", "rstd"))
    inputs = along(x, index, samples)
    if rounds:
        return _rounded_weight_gradient(g, inputs, mean, deviation, x.dtype)
    return weight_gradient(g, inputs, mean, deviation, np.arange(len(g)))


def _rounded_bias_gradient(g: Elements, dtype: torch.dtype) -> Arithmetic:
    """Σ g as a processor adds it up in low precision: the sum so far is rounded after every sample."""
    formula = BIAS_GRADIENT + told_rounding("Σ", dtype)
    return reduction_of(formula, [("g", g)], lambda g: rounded_sum(g, dtype))


def _rounded_weight_gradient(
    g: Elements, x: Elements, mean: Elements, deviation: Elements, dtype: torch.dtype
) -> Arithmetic:
    """Σ g·(x·r − μ·r) as a processor adds it up in low precision: rounded after every sample."""

    def gradient(g: Numbers, x: Numbers, mean: Numbers, deviation: Numbers) -> float:
        shift = (deviation * mean).astype(np.float32)
        return rounded_sum(g * (deviation * x - shift).astype(np.float32), dtype)

    operands = [("g", g), ("x", x), ("μ", mean), ("r", deviation)]
    return reduction_of(WEIGHT_GRADIENT + told_rounding("Σ", dtype), operands, gradient)


def rounded_sum(numbers: Numbers, dtype: torch.dtype) -> float:
    """Returns a sum that is rounded after every number, as each of torch's threads adds its share of them up.

    Source: PyTorch, aten/src/ATen/native/cpu/layer_norm_kernel.cpp, whose buffer has the input's type.
    """
    share = -(-len(numbers) // max(torch.get_num_threads(), 1))
    total = 0.0
    for first in range(0, len(numbers), max(share, 1)):
        part = 0.0
        for number in numbers[first : first + share].tolist():
            part = rounded_once(part + number, dtype)
        total += part
    return total


def _input_gradient(question: Question, x: Value, gradient: Value) -> Arithmetic:
    axes = _normalised_axes(question, x)
    sample = _sample(question, x)
    statistics = [
        Elements.one(statistic, _statistic_index(x, axes, statistic, question.index))
        for statistic in (question.argument("mean"), question.argument("rstd"))
    ]
    weight = question.argument("weight")
    return InputGradient(
        Elements(gradient, sample.index),
        sample,
        place_in(sample, question.index),
        *statistics,
        gamma=None if weight is None else Elements.every(weight),
        gamma_of=np.arange(len(sample)),
    ).arithmetic()

"""Batch norm: a channel's numbers less their mean over their standard deviation, scaled and shifted.

At evaluation mean and variance are the running ones, and a number is a sum of three products; in training they are
those of the batch, and every number of the channel counts (Ioffe & Szegedy 2015, arXiv:1502.03167).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import FUNCTION, Arithmetic, Elements, Group, Numbers, copy_of, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.batch_norm_rounding import Rounding
from dotbogi.tape.explain.normalisation import (
    Normalised,
    inverse_deviation_of,
    mean_of,
    one,
)
from dotbogi.tape.explain.reducing import (
    LOW_PRECISION,
    along,
    argument_of,
    one_of,
    place_in,
    reduction_of,
    told_rounding,
)
from dotbogi.tape.value import Value

MEAN, DEVIATION, RUNNING_MEAN, RUNNING_VARIANCE = "mean", "deviation", "running mean", "running variance"
# What the packets return besides the statistics: a reserve that only cuDNN reads.
RESERVES = frozenset({"cudnn_batch_norm", "_batch_norm_with_update", "_batch_norm_no_update"})


@dataclass(frozen=True)
class Channel:
    """A channel that is normalised: what the schemas of the several batch norms call differently."""

    x: Value
    channel: int
    weight: Value | None
    bias: Value | None
    running_mean: Value | None
    running_variance: Value | None
    eps: float
    momentum: float
    training: bool

    @classmethod
    def of(cls, question: Question, channel: int) -> Channel:
        """Reads it from the arguments of a batch norm, forward or backward."""
        is_update = question.operation.packet in ("_batch_norm_with_update", "cudnn_batch_norm_backward")
        return cls(
            question.argument("input"),
            channel,
            *(argument_of(question, name) for name in ("weight", "bias", "running_mean", "running_var")),
            eps=argument_of(question, "eps", "epsilon"),
            momentum=argument_of(question, "momentum", "exponential_average_factor", default=0.0),
            training=argument_of(
                question, "training", "train", "update", default=is_update or "miopen" in question.operation.packet
            ),
        )

    def elements(self, value: Value) -> Elements:
        """Returns all numbers of the channel in an input, an output or a gradient."""
        axes = [axis for axis in range(len(value.shape)) if axis != 1]
        return along(value, (0, self.channel, *(0 for _axis in value.shape[2:])), axes)

    def one(self, value: Value | None) -> Elements | None:
        """Returns the channel's number of a parameter or a statistic."""
        return one_of(value, (self.channel,))


@explains(
    *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional"),
    *("_native_batch_norm_legit_no_training", "cudnn_batch_norm", "miopen_batch_norm"),
    *("_batch_norm_with_update", "_batch_norm_no_update"),
)
def batch_norm(question: Question) -> Arithmetic:
    """Results: the normalised input, the batch's mean, 1/√(σ² + ε), and what is written into the running statistics."""
    statistic = _statistic(question)
    if statistic is None:
        channel = Channel.of(question, question.index[1])
        return _normalised(question, channel) if channel.training else _evaluated(question, channel)
    channel = Channel.of(question, question.index[0])
    elements = channel.elements(channel.x)
    rounding = Rounding.of(channel.x, question.value.dtype)
    if statistic == MEAN:
        return mean_of(elements)
    if statistic == DEVIATION:
        return _deviation(elements, channel.eps, rounding)
    running = channel.running_mean if statistic == RUNNING_MEAN else channel.running_variance
    assert running is not None
    if not channel.training:
        return copy_of(running, question.index, formula=f"{statistic} as before")
    before = Elements.one(running, question.index)
    if rounding is not None and rounding.parameter in LOW_PRECISION:
        return _rounded_running(statistic, before, elements, channel.momentum, rounding)
    return _running(statistic, before, elements, channel.momentum)


def _statistic(question: Question) -> str | None:
    """Returns which statistic a result is, or ``None`` for the normalised input."""
    if question.output < 3:
        return (None, MEAN, DEVIATION)[question.output]
    first = 4 if question.operation.packet in RESERVES else 3
    return (RUNNING_MEAN, RUNNING_VARIANCE)[question.output - first]


def _normalised(question: Question, channel: Channel) -> Arithmetic:
    x, eps = channel.elements(channel.x), channel.eps
    kept = question.operation.output(2)
    rounding = None if kept is None else Rounding.of(channel.x, kept.dtype)
    return Normalised(
        x,
        place_in(x, question.index),
        channel.one(channel.weight),
        channel.one(channel.bias),
        eps,
        rounding=_told(rounding),
        statistics=None if rounding is None else lambda x: rounding.statistics(x, eps),
        combine=None if rounding is None else rounding.combine,
    ).arithmetic()


def _told(rounding: Rounding | None) -> str:
    """Returns what to add to a formula whose steps are rounded."""
    if rounding is None or rounding.parameter not in LOW_PRECISION:
        return ""
    return told_rounding("μ, σ²" if rounding.is_fast else "each step", rounding.parameter)


def _deviation(x: Elements, eps: float, rounding: Rounding | None) -> Arithmetic:
    if rounding is None or rounding.parameter not in LOW_PRECISION:
        return inverse_deviation_of(x, eps)
    formula = "r = 1/√(Σ(x_k − μ)²/N + ε)" + _told(rounding)
    return reduction_of(formula, [("x", x)], lambda x: rounding.statistics(x, eps)[1], ε=eps, N=len(x))


def _evaluated(question: Question, channel: Channel) -> Arithmetic:
    """x·γ/√(σ² + ε) − μ·γ/√(σ² + ε) + β with the running μ and σ²."""
    mean, variance = channel.running_mean, channel.running_variance
    assert mean is not None and variance is not None
    place = (channel.channel,)
    rounding = Rounding.of(channel.x, mean.dtype)
    if rounding is not None and not rounding.is_fast and mean.dtype in LOW_PRECISION:
        return _rounded_evaluation(question, channel, mean, variance, rounding)
    factor = 1 / math.sqrt(variance.item(place) + channel.eps)
    gamma = channel.one(channel.weight)
    symbol = "γ" if gamma is not None else ""
    groups = [
        Group("x", Elements.one(channel.x, question.index), factor, gamma, symbol),
        Group("μ", Elements.one(mean, place), -factor, gamma, symbol),
    ]
    beta = channel.one(channel.bias)
    if beta is not None:
        groups.append(Group("β", beta, 1.0))
    formula = "y = x·γ/√(σ² + ε) − μ·γ/√(σ² + ε)" + (" + β" if beta is not None else "")
    latex = (
        r"y = \frac{\gamma}{\sqrt{\sigma^2+\varepsilon}}\,x - \frac{\gamma}{\sqrt{\sigma^2+\varepsilon}}\,\mu + \beta"
    )
    constants: dict[str, Any] = {_named(question, variance, place): variance.item(place), "ε": channel.eps}
    return sum_of_products(
        formula if gamma is not None else formula.replace("γ", "1"), *groups, latex=latex, **constants
    )


def _rounded_evaluation(
    question: Question, channel: Channel, mean: Value, variance: Value, rounding: Rounding
) -> Arithmetic:
    place = (channel.channel,)
    operands = [
        *(("x", Elements.one(channel.x, question.index)), ("μ", Elements.one(mean, place))),
        *(("σ²", Elements.one(variance, place)), ("γ", channel.one(channel.weight)), ("β", channel.one(channel.bias))),
    ]

    def result(x: Numbers, mean: Numbers, variance: Numbers, gamma: Numbers | None, beta: Numbers | None) -> Any:
        return rounding.evaluated(x[0], mean[0], variance[0], one(gamma, 1.0), one(beta, 0.0), channel.eps)

    formula = "y = γ·(x − μ)/√(σ² + ε) + β" + told_rounding("each step", rounding.parameter)
    return reduction_of(formula, operands, result, kind=FUNCTION, ε=channel.eps)


def _named(question: Question, variance: Value, place: tuple[int, ...]) -> str:
    """Returns σ² with the address by which it can be asked for: it is in the coefficients, not among the terms."""
    return f"σ² = {question.tape.address(*question.tape.source(variance, place))}"


def _running(statistic: str, before: Elements, x: Elements, momentum: float) -> Arithmetic:
    """(1 − momentum)·before + momentum·statistic of the batch; the variance is the unbiased one, over N − 1."""
    if statistic == RUNNING_MEAN:
        return sum_of_products(
            "running mean = (1 − momentum)·before + momentum·Σ x/N",
            Group("before", before, 1 - momentum),
            Group("x", x, momentum / len(x)),
            momentum=momentum,
            N=len(x),
        )
    return reduction_of(
        "running variance = (1 − momentum)·before + momentum·Σ(x_k − μ)²/(N − 1)",
        [("before", before), ("x", x)],
        lambda before, x: (1 - momentum) * before[0] + momentum * np.var(x, ddof=1),
        scale=lambda before, x: (
            abs((1 - momentum) * before[0])
            + momentum * np.sqrt(np.var(x, ddof=1) * (np.var(x, ddof=1) + np.mean(x) ** 2))
        ),
        momentum=momentum,
        N=len(x),
    )


def _rounded_running(statistic: str, before: Elements, x: Elements, momentum: float, rounding: Rounding) -> Arithmetic:
    """As :func:`_running`, with the running statistics in low precision."""
    is_mean = statistic == RUNNING_MEAN
    of = rounding.running_mean if is_mean else rounding.running_variance
    new = "Σ x/N" if is_mean else "Σ(x_k − μ)²/(N − 1)"
    return reduction_of(
        f"{statistic} = (1 − momentum)·before + momentum·{new}" + told_rounding("each step", rounding.parameter),
        [("before", before), ("x", x)],
        lambda before, x: of(before[0], x, momentum),
        momentum=momentum,
        N=len(x),
    )

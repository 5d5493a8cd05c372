"""Group norm: some channels of a sample less their mean over their standard deviation, scaled and shifted by channel.

Source: Wu & He 2018, arXiv:1803.08494.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.normalisation import (
    InputGradient,
    Normalised,
    bias_gradient,
    inverse_deviation_of,
    mean_of,
    weight_gradient,
)
from dotbogi.tape.explain.reducing import along, one_of, place_in
from dotbogi.tape.value import Value


@dataclass(frozen=True)
class Channels:
    """The channels that are normalised together."""

    x: Value
    per_group: int

    @classmethod
    def of(cls, question: Question) -> Channels:
        """Reads them from the arguments of a group norm, forward or backward."""
        return cls(question.argument("input"), question.argument("C") // question.argument("group"))

    def elements(self, sample: int, group: int) -> Elements:
        """Returns the numbers of a sample's group of channels, channel by channel."""
        every = along(self.x, (sample, *(0 for _axis in self.x.shape[1:])), range(1, len(self.x.shape)))
        first = group * self.per_group
        channel = every.index[:, 1]
        return Elements(self.x, every.index[(channel >= first) & (channel < first + self.per_group)])


@explains("native_group_norm")
def group_norm(question: Question) -> Arithmetic:
    """Results: the normalised input, each group's mean, each group's 1/√(σ² + ε)."""
    channels, eps = Channels.of(question), question.argument("eps")
    # On a processor, the kernel for channels-last tensors takes the variance as Σx²/N − μ².
    by_subtraction = not channels.x.view().is_contiguous()
    if question.output:
        elements = channels.elements(*question.index)
        return mean_of(elements) if question.output == 1 else inverse_deviation_of(elements, eps, by_subtraction)
    channel = question.index[1]
    elements = channels.elements(question.index[0], channel // channels.per_group)
    gamma, beta = (one_of(question.argument(name), (channel,)) for name in ("weight", "bias"))
    place = place_in(elements, question.index)
    return Normalised(elements, place, gamma, beta, eps, by_subtraction=by_subtraction).arithmetic()


@explains("native_group_norm_backward")
def group_norm_backward(question: Question) -> Arithmetic:
    """Results: the gradients of the input, of γ and of β."""
    channels, gradient = Channels.of(question), question.argument("grad_out")
    mean, deviation = question.argument("mean"), question.argument("rstd")
    if question.output == 0:
        return _input_gradient(question, channels, gradient)
    channel = question.index[0]
    axes = [axis for axis in range(len(gradient.shape)) if axis != 1]
    g = along(gradient, (0, channel, *(0 for _axis in gradient.shape[2:])), axes)
    if question.output == 2:
        return bias_gradient(g)
    group = (0, channel // channels.per_group)
    of_group = (along(statistic, group, (0,)) for statistic in (mean, deviation))
    return weight_gradient(g, Elements(channels.x, g.index), *of_group, group_of=g.index[:, 0])


def _input_gradient(question: Question, channels: Channels, gradient: Value) -> Arithmetic:
    sample, channel = question.index[:2]
    group = channel // channels.per_group
    elements = channels.elements(sample, group)
    first = group * channels.per_group
    weight = question.argument("weight")
    gamma = None if weight is None else Elements(weight, np.arange(first, first + channels.per_group).reshape(-1, 1))
    return InputGradient(
        Elements(gradient, elements.index),
        elements,
        place_in(elements, question.index),
        Elements.one(question.argument("mean"), (sample, group)),
        Elements.one(question.argument("rstd"), (sample, group)),
        gamma=gamma,
        gamma_of=elements.index[:, 1] - first,
    ).arithmetic()

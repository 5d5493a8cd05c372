"""Gradients of a scaled loss: each is divided by the scale again, and infinities among them are counted."""

from __future__ import annotations

import numpy as np

from dotbogi.tape.arithmetic import REDUCTION, Arithmetic, Elements, Group, Numbers, function_of
from dotbogi.tape.explain import Question, explains


@explains("_amp_foreach_non_finite_check_and_unscale")
def unscaled(question: Question) -> Arithmetic:
    """y = x·s, s = 1 / scale; after the gradients, 1 where any of them is not finite (``torch.amp.GradScaler``)."""
    gradients = question.argument("self")
    position = question.output - 1  # it returns nothing, and writes one after the other
    if position == len(gradients):
        return _found(question)
    scale = question.argument("inv_scale")
    operands = [("x", gradients[position], question.index), ("s", scale, (0,) * len(scale.shape))]
    return function_of("y = x·s", operands, lambda x, s: x * s, latex=r"y = x s")


def _found(question: Question) -> Arithmetic:
    before = Elements.one(question.argument("found_inf"), question.index)
    gradients = tuple(Group("x", Elements.every(value)) for value in question.argument("self"))
    return Arithmetic(REDUCTION, "y = max(y₀, ∃ x ∉ ℝ)", (Group("y₀", before), *gradients), _any)


def _any(numbers: Numbers) -> float:
    return float(numbers[0]) if np.isfinite(numbers[1:]).all() else 1.0

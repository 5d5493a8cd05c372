"""The gated linear unit: half an axis times the sigmoid of the other half (Dauphin et al. 2017, arXiv:1612.08083)."""

from __future__ import annotations

import torch

from dotbogi.tape.arithmetic import Arithmetic
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.activations import logistic
from dotbogi.tape.explain.elementwise import Formula, elementwise
from dotbogi.tape.explain.number_types import low_precision_rounding

HALVES = {"a": "a", "b": "b"}


@explains("glu")
def gated(question: Question) -> Arithmetic:
    """a·σ(b): the first half of an axis, gated by the second."""
    value = question.argument("self")
    axis = question.argument("dim") % len(value.shape)
    place = list(question.index)
    place[axis] += value.shape[axis] // 2
    formula = Formula("y = a / (1 + exp(−b))", r"y = \frac{a}{1 + e^{-b}}", lambda a, b: a * logistic(b), HALVES)
    halves = {"a": (value, question.index), "b": (value, tuple(place))}
    return elementwise(question, formula, halves)


@explains("glu_backward")
def gated_gradient(question: Question) -> Arithmetic:
    """g·σ(b) for the half that is gated, g·a·σ(b)·(1 − σ(b)) for the gate; the CPU rounds σ(b)."""
    value = question.argument("self")
    axis = question.argument("dim") % len(value.shape)
    half = value.shape[axis] // 2
    within = tuple(i % half if at == axis else i for at, i in enumerate(question.index))
    gate = tuple(i + half if at == axis else i for at, i in enumerate(within))
    write = low_precision_rounding(question, torch.bfloat16, torch.float16)
    elements = {"a": (value, within), "b": (value, gate), "g": (question.argument("grad_output"), within)}
    if question.index[axis] < half:
        formula = Formula(
            "∂L/∂a = g·σ(b)",
            r"\frac{\partial L}{\partial a} = g\,\sigma(b)",
            lambda g, b: g * write(logistic(b)),
            {"g": "g", "b": "b"},
            relative=True,
        )
        return elementwise(question, formula, elements)
    formula = Formula(
        "∂L/∂b = g·a·σ(b)·(1 − σ(b))",
        r"\frac{\partial L}{\partial b} = g\,a\,\sigma(b)\,(1 - \sigma(b))",
        lambda g, a, b: g * a * write(logistic(b)) * (1 - write(logistic(b))),
        {"g": "g", **HALVES},
        scale=lambda g, a, b: abs(g * a),
    )
    return elementwise(question, formula, elements)

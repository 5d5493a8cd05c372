"""The randomised leaky ReLU: negative numbers times a drawn factor (Xu et al. 2015, arXiv:1505.00853)."""

from __future__ import annotations

import torch

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, copy_of, given, unexplained
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.activation_gradients import GX, slope_cases
from dotbogi.tape.explain.activations import cases, leaky
from dotbogi.tape.explain.elementwise import Formula, argument, elementwise


@explains("rrelu_with_noise")
def randomised_relu(question: Question) -> Arithmetic:
    """x for positive x, else a drawn multiple of it, at evaluation the middle one."""
    low, high = (argument(question, name) for name in ("lower", "upper"))
    is_noise = question.output == 1
    if not question.argument("training") and is_noise:
        return copy_of(question.argument("noise"), question.index, note=_("left as it was"))
    if not question.argument("training"):
        middle = Formula(
            "y = x if x > 0 else x·(l + u) / 2",
            cases("x", "x > 0", r"x\,\frac{l + u}{2}"),
            lambda x, low, high: leaky(x, (low + high) / 2),
            {"self": "x", "lower": "l", "upper": "u"},
        )
        return elementwise(question, middle)
    if not is_noise and question.value.dtype in (torch.bfloat16, torch.float16):
        return unexplained(_("the factor was drawn with more digits than were kept of it"))
    if not is_noise:
        noise = question.operation.outputs[-1]
        drawn = Formula("y = r·x", "y = r x", lambda x, r: r * x, {"self": "x", "noise": "r"}, relative=True)
        return elementwise(question, drawn, {"noise": (noise, question.index)})
    return given(_("a random draw, even between {low:g} and {high:g}; 1 where x > 0").format(low=low, high=high))


@explains("rrelu_with_noise_backward")
def randomised_relu_gradient(question: Question) -> Arithmetic:
    """g times what x was multiplied with."""
    low, high = question.argument("lower"), question.argument("upper")
    if question.argument("training") and high - low > 1e-6:
        formula = Formula("∂L/∂x = g·r", "g r", lambda g, r: g * r, {"grad_output": "g", "noise": "r"}, relative=True)
        return elementwise(question, formula)
    formula = Formula(
        "∂L/∂x = g if x > 0 else g·(l + u) / 2",
        slope_cases("g", "x > 0", r"g\,\frac{l + u}{2}"),
        lambda g, x, low, high: g if x > 0 else g * (low + high) / 2,
        {**GX, "lower": "l", "upper": "u"},
        relative=True,
    )
    return elementwise(question, formula)

"""Selections, elementwise: the larger one, the one that a condition chooses, the one within bounds.

Source of the formulas: the functions of these names at https://pytorch.org/docs/stable/torch.html.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.elementwise import Formula, argument, elementwise, explains_formulas

TWO = {"self": "a", "other": "b"}
LARGER, SMALLER = (r"y = \max(a, b)", r"y = \min(a, b)")


def clamped(x: Any, low: Any, high: Any) -> Any:
    """Returns x, but not below ``low`` and not above ``high``, of which each may be ``None``; NaN stays NaN."""
    above = x if low is None else np.maximum(x, low)
    return above if high is None else np.minimum(above, high)


def _first_if(first_wins: Callable[[Any, Any], bool], nan_wins: bool) -> Callable[[Any, Any], int]:
    """Returns which of two numbers is chosen, 0 or 1, where a NaN always wins or always loses."""

    def chosen(a: Any, b: Any) -> int:
        if math.isnan(a) or math.isnan(b):
            return 0 if math.isnan(a) == nan_wins else 1
        return 0 if first_wins(a, b) else 1

    return chosen


def _larger(a: Any, b: Any) -> bool:
    return a >= b


def _smaller(a: Any, b: Any) -> bool:
    return a <= b


LOW = Formula("y = max(x, low)", r"y = \max(x, \mathrm{low})", np.maximum, {"self": "x", "min": "low"})
HIGH = Formula("y = min(x, high)", r"y = \min(x, \mathrm{high})", np.minimum, {"self": "x", "max": "high"})
BETWEEN = Formula(
    "y = min(max(x, low), high)",
    r"y = \min(\max(x, \mathrm{low}), \mathrm{high})",
    clamped,
    {"self": "x", "min": "low", "max": "high"},
)

explains_formulas(
    {
        "clamp_min": LOW,
        "clamp_max": HIGH,
        "maximum": Formula("y = max(a, b)", LARGER, np.maximum, TWO, chosen=_first_if(_larger, True)),
        "minimum": Formula("y = min(a, b)", SMALLER, np.minimum, TWO, chosen=_first_if(_smaller, True)),
        "fmax": Formula("y = max(a, b)", LARGER, np.fmax, TWO, chosen=_first_if(_larger, False)),
        "fmin": Formula("y = min(a, b)", SMALLER, np.fmin, TWO, chosen=_first_if(_smaller, False)),
        "masked_fill": Formula(
            "y = v if mask else x",
            r"y = \begin{cases} v & \mathrm{mask} \\ x & \text{else} \end{cases}",
            lambda x, mask, v: v if mask else x,
            {"self": "x", "mask": "mask", "value": "v"},
            chosen=lambda _x, mask, _v: 2 if mask else 0,
        ),
        "where": Formula(
            "y = a if c else b",
            r"y = \begin{cases} a & c \\ b & \text{else} \end{cases}",
            lambda c, a, b: a if c else b,
            {"condition": "c", "self": "a", "other": "b"},
            chosen=lambda c, _a, _b: 1 if c else 2,
        ),
    }
)


@explains("clamp", "clip")
def clamp(question: Question) -> Arithmetic:
    """x, but not below one bound and not above another; either may be missing."""
    if argument(question, "max") is None:
        return elementwise(question, LOW)
    return elementwise(question, HIGH if argument(question, "min") is None else BETWEEN)

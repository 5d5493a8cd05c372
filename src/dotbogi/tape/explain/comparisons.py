"""Comparisons and logic, elementwise: 1 where something holds, else 0.

Source of the formulas: the functions of these names at https://pytorch.org/docs/stable/torch.html.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.elementwise import Formula, elementwise, explains_formulas

TWO = {"self": "a", "other": "b"}


def _comparison(sign: str, latex: str, function: Callable[..., Any]) -> Formula:
    """Returns 1 where a comparison holds; both are rounded to their common type first."""
    return Formula(f"y = 1 if a {sign} b else 0", rf"y = [a {latex} b]", function, TWO, rounds=frozenset(TWO))


def _bits(sign: str, latex: str, function: Callable[..., Any]) -> Formula:
    return Formula(f"y = a {sign} b", rf"y = a {latex} b", function, TWO)


def _one(text: str, latex: str, function: Callable[..., Any]) -> Formula:
    return Formula(f"y = 1 if {text} else 0", rf"y = [{latex}]", function)


AND, OR = _bits("&", r"\mathbin{\&}", operator.and_), _bits("|", r"\mid", operator.or_)
XOR = _bits("^", r"\oplus", operator.xor)
LEFT, RIGHT = _bits("<<", r"\ll", operator.lshift), _bits(">>", r"\gg", operator.rshift)

explains_formulas(
    {
        "eq": _comparison("=", "=", operator.eq),
        "ne": _comparison("≠", r"\neq", operator.ne),
        "lt": _comparison("<", "<", operator.lt),
        "le": _comparison("≤", r"\leq", operator.le),
        "gt": _comparison(">", ">", operator.gt),
        "ge": _comparison("≥", r"\geq", operator.ge),
        "logical_and": _bits("and", r"\wedge", lambda a, b: bool(a) and bool(b)),
        "logical_or": _bits("or", r"\vee", lambda a, b: bool(a) or bool(b)),
        "logical_xor": _bits("xor", r"\oplus", lambda a, b: bool(a) != bool(b)),
        "logical_not": Formula("y = not x", r"y = \neg x", operator.not_),
        "bitwise_and": AND,
        "__and__": AND,
        "__iand__": AND,
        "bitwise_or": OR,
        "__or__": OR,
        "__ior__": OR,
        "bitwise_xor": XOR,
        "__xor__": XOR,
        "__ixor__": XOR,
        "bitwise_left_shift": LEFT,
        "__lshift__": LEFT,
        "__ilshift__": LEFT,
        "bitwise_right_shift": RIGHT,
        "__rshift__": RIGHT,
        "__irshift__": RIGHT,
        "isnan": _one("x is NaN", r"x \text{ is NaN}", np.isnan),
        "isinf": _one("|x| = ∞", r"|x| = \infty", np.isinf),
        "isfinite": _one("|x| < ∞", r"|x| < \infty", np.isfinite),
        "isposinf": _one("x = ∞", r"x = \infty", np.isposinf),
        "isneginf": _one("x = −∞", r"x = -\infty", np.isneginf),
        "signbit": _one("the sign of x is −", r"\operatorname{signbit}(x)", np.signbit),
    }
)


@explains("bitwise_not")
def inverted(question: Question) -> Arithmetic:
    """Every bit the other way round; of a truth value its opposite."""
    is_truth = question.value.dtype == torch.bool
    return elementwise(question, Formula("y = ~x", r"y = \sim x", operator.not_ if is_truth else operator.invert))

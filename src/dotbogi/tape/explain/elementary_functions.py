"""Functions of one number or two, elementwise: powers, exponentials, logarithms, trigonometry, rounding.

Source of the formulas: the functions of these names at https://pytorch.org/docs/stable/torch.html.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.elementwise import (
    Formula,
    argument,
    elementwise,
    explains_formulas,
    operands_of,
    with_multi_tensor_form,
)
from dotbogi.tape.explain.number_types import low_precision_rounding
from dotbogi.tape.explain.vector_loops import computed_in_vectors

TWO = {"self": "a", "other": "b"}
POWER = {"self": "x", "exponent": "n"}


def sign(x: Any) -> int:
    """Returns 1, 0 or −1; 0 for NaN, as torch does."""
    return int(x > 0) - int(x < 0)


def lgamma(x: Any) -> float:
    """Returns log |Γ(x)|, which is infinite at 0, −1, −2, …"""
    return math.inf if x <= 0 and x == np.floor(x) else math.lgamma(x)


def _named(name: str, function: Callable[..., Any], relative: bool = False) -> Formula:
    return Formula(f"y = {name}(x)", rf"y = \operatorname{{{name}}}(x)", function, relative=relative)


explains_formulas(
    {
        "abs": Formula("y = |x|", "y = |x|", abs),
        "sign": _named("sign", sign),
        "sgn": _named("sign", sign),
        "square": Formula("y = x²", "y = x^2", lambda x: x * x, relative=True),
        "sqrt": Formula("y = √x", r"y = \sqrt{x}", np.sqrt, relative=True),
        "exp": Formula("y = exp(x)", "y = e^{x}", np.exp, relative=True),
        "exp2": Formula("y = 2^x", "y = 2^{x}", np.exp2, relative=True),
        "expm1": Formula("y = exp(x) − 1", "y = e^{x} - 1", np.expm1, relative=True),
        "log": Formula("y = log(x)", r"y = \ln x", np.log),
        "log1p": Formula("y = log(1 + x)", r"y = \ln(1 + x)", np.log1p, relative=True),
        "log2": Formula("y = log₂(x)", r"y = \log_2 x", np.log2),
        "log10": Formula("y = log₁₀(x)", r"y = \log_{10} x", np.log10),
        **{name: _named(name, getattr(np, name)) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
        **{name: _named(name, getattr(np, f"arc{name[1:]}")) for name in ("asin", "acos", "atan")},
        **{name: _named(name, getattr(np, f"arc{name[1:]}")) for name in ("asinh", "acosh", "atanh")},
        "atan2": Formula("y = atan2(a, b)", r"y = \operatorname{atan2}(a, b)", np.arctan2, TWO),
        "copysign": Formula("y = |a|·sign(b)", r"y = |a| \operatorname{sign}(b)", np.copysign, TWO),
        "logaddexp": Formula("y = log(exp(a) + exp(b))", r"y = \ln(e^{a} + e^{b})", np.logaddexp, TWO),
        "erf": _named("erf", math.erf),
        "erfc": _named("erfc", math.erfc),
        "lgamma": _named("lgamma", lgamma),
        "floor": Formula("y = ⌊x⌋", r"y = \lfloor x \rfloor", np.floor),
        "ceil": Formula("y = ⌈x⌉", r"y = \lceil x \rceil", np.ceil),
        "trunc": _named("trunc", np.trunc),
        "frac": Formula("y = x − trunc(x)", r"y = x - \operatorname{trunc}(x)", lambda x: x - np.trunc(x)),
        "sigmoid": Formula(
            "y = 1 / (1 + exp(−x))", r"y = \frac{1}{1 + e^{-x}}", lambda x: 1 / (1 + np.exp(-x)), relative=True
        ),
    }
)


def power(x: Any, n: Any) -> Any:
    """Returns xⁿ; of integers with a negative n what is left without decimals."""
    if isinstance(x, int) and isinstance(n, int):
        return x**n if n >= 0 else 0 if abs(x) > 1 else x ** (n & 1)
    return np.power(np.float64(x), np.float64(n))


@explains(*with_multi_tensor_form("pow"))
def power_of(question: Question) -> Arithmetic:
    """xⁿ, of numbers and tensors in either place."""
    formula = Formula("y = x^n", "y = x^{n}", power, POWER, relative=True, rounds=frozenset(POWER))
    _x, n = operands_of(question, formula)
    return elementwise(question, formula if n.on_tape else _with_steps(question, formula, n.content))


def _with_steps(question: Question, formula: Formula, n: Any) -> Formula:
    """Returns the formula of a power in the steps that the CPU takes in bfloat16, each rounded."""
    write = low_precision_rounding(question, torch.bfloat16)
    if question.value.dtype != torch.bfloat16 or n not in (3, -2, -0.5):
        return formula
    if n == 3:
        return replace(formula, text="y = round(x·x)·x", function=lambda x, _n: write(x * x) * x)
    if n == -2:
        return replace(formula, text="y = 1 / round(x·x)", function=lambda x, _n: 1 / write(x * x))
    return replace(_inverse_root(question), symbols=POWER, function=lambda x, _n: _inverse_root(question).function(x))


@explains(*with_multi_tensor_form("rsqrt"))
def inverse_root(question: Question) -> Arithmetic:
    """1 / √x; in bfloat16 and float16 the CPU rounds the root, outside its vectors."""
    return elementwise(question, _inverse_root(question))


def _inverse_root(question: Question) -> Formula:
    write = low_precision_rounding(question, torch.bfloat16, torch.float16)
    formula = Formula("y = 1 / √x", r"y = \frac{1}{\sqrt{x}}", lambda x: 1 / np.sqrt(x), relative=True)
    if question.value.device.type != "cpu" or computed_in_vectors(question, [argument(question, "self")]):
        return formula
    return replace(formula, function=lambda x: 1 / write(np.sqrt(x)))


@explains("round", "_foreach_round")
def rounded_to_integer(question: Question) -> Arithmetic:
    """The nearest integer, of two equally near ones the even one; or the nearest multiple of 10⁻ᵈ."""
    decimals = question.argument("decimals") if question.operation.overload._overloadname == "decimals" else 0
    if decimals == 0:
        return elementwise(question, _named("round", np.round))
    working = np.float64 if question.value.dtype == torch.float64 else np.float32
    ten = working(10 ** abs(decimals))

    def nearest(x: Any, _d: Any) -> Any:
        # The product is rounded before it is compared with a half.
        one = working(x)
        return np.round(one * ten) / ten if decimals > 0 else np.round(one / ten) * ten

    formula = Formula("y = round(x·10^d) / 10^d", r"y = \operatorname{round}(x \cdot 10^{d}) \cdot 10^{-d}", nearest)
    return elementwise(question, replace(formula, symbols={"self": "x", "decimals": "d"}))


@explains("logit")
def logit_of(question: Question) -> Arithmetic:
    """log(x / (1 − x)), the inverse of the sigmoid; the CPU rounds every step to bfloat16 and float16."""
    write = low_precision_rounding(question, torch.bfloat16, torch.float16)

    def function(x: Any, eps: Any) -> Any:
        one = x if eps is None else np.minimum(np.maximum(x, write(eps)), write(1 - write(eps)))
        return np.log(write(one / write(1 - one)))

    formula = Formula("y = log(x / (1 − x))", r"y = \ln\frac{x}{1 - x}", function, {"self": "x", "eps": "ε"})
    return elementwise(question, formula)


@explains("xlogy")
def product_with_logarithm(question: Question) -> Arithmetic:
    """a·log(b), 0 where a is 0; the CPU rounds the logarithm to bfloat16 and float16."""
    write = low_precision_rounding(question, torch.bfloat16, torch.float16)

    def function(a: Any, b: Any) -> Any:
        if math.isnan(b):
            return b
        return 0.0 if a == 0 else a * write(np.log(b))

    formula = Formula("y = a·log(b)", r"y = a \ln b", function, TWO, rounds=frozenset(TWO))
    return elementwise(question, formula)

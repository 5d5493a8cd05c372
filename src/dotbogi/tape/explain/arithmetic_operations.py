"""The four operations of arithmetic and what is made of them, elementwise: sums, products, quotients, remainders.

Source of the formulas: the functions of these names at https://pytorch.org/docs/stable/torch.html.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.elementwise import (
    Formula,
    Operand,
    argument,
    common_dtype,
    elementwise,
    explains_formulas,
    operands_of,
    with_multi_tensor_form,
)
from dotbogi.tape.explain.number_types import rounded
from dotbogi.tape.explain.vector_loops import computed_in_vectors
from dotbogi.tape.value import Value

TWO = {"self": "a", "other": "b"}
SCALED = {**TWO, "alpha": "α"}
ONE = {"alpha": 1}
BOTH = frozenset({"self", "other", "alpha"})

ADD = Formula("y = a + α·b", r"y = a + \alpha b", lambda a, b, alpha: a + alpha * b, SCALED, ONE, rounds=BOTH)
SUB = Formula("y = a − α·b", r"y = a - \alpha b", lambda a, b, alpha: a - alpha * b, SCALED, ONE, rounds=BOTH)
RSUB = Formula("y = b − α·a", r"y = b - \alpha a", lambda a, b, alpha: b - alpha * a, SCALED, ONE, rounds=BOTH)
LERP = {"self": "a", "end": "b", "weight": "w"}


def _is_sum(question: Question, operands: list[Operand], tensors: int) -> bool:
    """Whether a result is the plain sum of its terms.

    It is none where integers wrap around, where an operand is rounded first, and where the result is infinite or too
    small to be held with full precision.
    """
    dtype, on_tape = question.value.dtype, [operand for operand in operands if operand.on_tape]
    if not dtype.is_floating_point or len(on_tape) < tensors:
        return False
    if any(operand.as_held != operand.content.item(operand.index) for operand in on_tape):
        return False
    magnitude = abs(question.value.item(question.index))
    is_zero = magnitude == 0 and (tensors > 1 or on_tape[0].as_held == 0)
    return is_zero or torch.finfo(dtype).tiny <= magnitude < math.inf


def _number(operand: Operand) -> float:
    """Returns a constant as a coefficient: rounded only where torch rounds it further than to float32."""
    is_low = operand.held_as in (torch.bfloat16, torch.float16)
    return float(rounded(operand.content, operand.held_as) if is_low else operand.content)


def _group(operand: Operand, coefficient: float) -> Group:
    return Group(operand.symbol, Elements.one(operand.content, operand.index), coefficient)


def _signed_sum(question: Question, formula: Formula, sign_a: float, sign_b: float, scaled: str) -> Arithmetic:
    """Explains a sum of two operands with signs, of which one is scaled with α."""
    a, b, alpha = operands_of(question, formula)
    factor = _number(alpha)
    if factor != 1 and _rounds_products(question, a, b):
        return elementwise(question, rounded_product(formula, question.value.dtype, scaled))
    plain = (
        formula
        if factor != 1
        else replace(formula, text=formula.text.replace("α·", ""), latex=formula.latex.replace(r"\alpha ", ""))
    )
    if not _is_sum(question, [a, b], 2):
        return elementwise(question, plain)
    groups = (
        _group(a, sign_a * (factor if scaled == "a" else 1.0)),
        _group(b, sign_b * (factor if scaled == "b" else 1.0)),
    )
    return sum_of_products(plain.text, *groups, latex=plain.latex, **({} if factor == 1 else {"α": alpha.content}))


def _rounds_products(question: Question, *operands: Operand) -> bool:
    """Whether α·b is rounded before it is added: so does the CPU in low precision, outside its vectors."""
    low = question.value.dtype in (torch.bfloat16, torch.float16) and question.value.device.type == "cpu"
    values = [operand.content for operand in operands if operand.on_tape]
    return low and not computed_in_vectors(question, values)


def rounded_product(formula: Formula, dtype: torch.dtype, scaled: str) -> Formula:
    """Returns the formula of a sum whose product is rounded to a type before it is added."""
    product = f"α·{scaled}"

    def function(a: Any, b: Any, alpha: Any) -> Any:
        inner = np.float64(rounded(float(alpha * (a if scaled == "a" else b)), dtype))
        return formula.function(inner, b, 1) if scaled == "a" else formula.function(a, inner, 1)

    return replace(formula, text=formula.text.replace(product, f"round({product})"), function=function)


@explains(*with_multi_tensor_form("add"))
def add(question: Question) -> Arithmetic:
    """a + α·b, α = 1 where none is given."""
    return _signed_sum(question, ADD, 1.0, 1.0, "b")


@explains(*with_multi_tensor_form("sub"), "subtract")
def sub(question: Question) -> Arithmetic:
    """a − α·b, α = 1 where none is given."""
    return _signed_sum(question, SUB, 1.0, -1.0, "b")


@explains("rsub")
def rsub(question: Question) -> Arithmetic:
    """b − α·a: Python's ``number - tensor``."""
    return _signed_sum(question, RSUB, -1.0, 1.0, "a")


MUL = Formula("y = a·b", "y = a b", lambda a, b: a * b, TWO, relative=True, rounds=frozenset({"self"}))
DIV = Formula("y = a / b", r"y = \frac{a}{b}", lambda a, b: a / b, TWO, relative=True, rounds=frozenset({"self"}))


@explains(*with_multi_tensor_form("mul"), "multiply")
def mul(question: Question) -> Arithmetic:
    """a·b; with a constant b a sum of one product."""
    return _multiple(question, MUL)


@explains(*with_multi_tensor_form("div"), "true_divide", "divide")
def div(question: Question) -> Arithmetic:
    """a / b, or that rounded down or towards zero (``rounding_mode``)."""
    mode = argument(question, "rounding_mode")
    if mode == "floor":
        return floor_divide(question)
    return elementwise(question, _truncated(question)) if mode == "trunc" else _multiple(question, DIV)


def _multiple(question: Question, formula: Formula) -> Arithmetic:
    """Explains a product or quotient; by a constant number it is a multiple of the one operand on the tape."""
    a, b = operands_of(question, formula)
    if b.on_tape or not a.on_tape or not b.content or not _is_sum(question, [a], 1):
        return elementwise(question, formula)
    coefficient = _number(b) if formula is MUL else 1 / _number(b)
    return sum_of_products(formula.text, _group(a, coefficient), latex=formula.latex, b=b.content)


def _step_dtype(question: Question) -> torch.dtype | None:
    """Returns the type that every step of a quotient is rounded to before its decimals are cut off.

    On the CPU the operands' own type, but where all elements are divided by the same one.
    Source: ``div_floor_kernel`` and ``div_trunc_kernel`` in aten/src/ATen/native/cpu/BinaryOpsKernel.cpp; measured
    over layouts of both operands.
    """
    a, b = operands_of(question, DIV)
    if question.value.device.type != "cpu" or not b.on_tape or _is_one_element(b.content):
        return b.held_as
    return common_dtype([a, b])


def _is_one_element(value: Value) -> bool:
    return all(size == 1 or stride == 0 for size, stride in zip(value.shape, value.stride, strict=True))


def floor_quotient(a: Any, b: Any, step: torch.dtype | None = None) -> Any:
    """Returns ⌊a / b⌋ as torch computes it: by the remainder, so that rounding does not lift it over an integer.

    Args:
        a, b: to be divided.
        step: the type that every step is rounded to.

    Source: ``div_floor_floating`` in c10/util/generic_math.h.
    """
    if isinstance(a, int):
        return a // b
    if b == 0:
        return a / b
    rest = np.fmod(a, b)
    quotient = rounded(float(rounded(float(a - rest), step) / b), step)
    if rest != 0 and (b < 0) != (rest < 0):
        quotient = rounded(quotient - 1, step)
    if quotient == 0:
        return np.copysign(0.0, a / b)
    below = np.floor(quotient)
    return below + 1 if quotient - below > 0.5 else below


@explains("floor_divide")
def floor_divide(question: Question) -> Arithmetic:
    """⌊a / b⌋."""
    step = _step_dtype(question)
    formula = Formula(
        "y = ⌊a / b⌋", r"y = \lfloor a / b \rfloor", lambda a, b: floor_quotient(a, b, step), TWO, relative=True
    )
    return elementwise(question, formula)


def _truncated(question: Question) -> Formula:
    """Returns the formula of a / b without its decimals."""
    step = _step_dtype(question)

    def truncated(a: Any, b: Any) -> Any:
        if isinstance(a, int):
            return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return np.trunc(rounded(float(a / b), step))

    return Formula("y = trunc(a / b)", r"y = \operatorname{trunc}(a / b)", truncated, TWO, relative=True)


def remainder(a: Any, b: Any) -> Any:
    """Returns a − b·⌊a / b⌋, which has b's sign."""
    if isinstance(a, int):
        return a % b
    rest = np.fmod(a, b)
    return rest + b if rest != 0 and (rest < 0) != (b < 0) else rest


def truncated_remainder(a: Any, b: Any) -> Any:
    """Returns a − b·trunc(a / b), which has a's sign."""
    return int(math.fmod(a, b)) if isinstance(a, int) else np.fmod(a, b)


def interpolated(a: Any, b: Any, w: Any) -> Any:
    """Returns a point between a and b, from the end that is nearer (``lerp`` in ATen/native/Lerp.h)."""
    return a + w * (b - a) if abs(w) < 0.5 else b - (b - a) * (1 - w)


_LERP = Formula(
    "y = a + w·(b − a)",
    r"y = a + w\,(b - a)",
    interpolated,
    LERP,
    scale=lambda a, b, w: abs((1 - w) * a) + abs(w * b) + abs(a - b),
)


@explains(*with_multi_tensor_form("lerp"))
def lerp(question: Question) -> Arithmetic:
    """(1 − w)·a + w·b; torch starts at a where |w| < ½, else at b, which differs by rounding alone."""
    a, b, w = operands_of(question, _LERP)
    if w.on_tape or not _is_sum(question, [a, b], 2):
        return elementwise(question, _LERP)
    weight = _number(w)
    text, latex = "y = (1 − w)·a + w·b", r"y = (1 - w)\,a + w\,b"
    return sum_of_products(text, _group(a, 1 - weight), _group(b, weight), latex=latex, w=w.content)


THREE = {"self": "x", "value": "v", "tensor1": "a", "tensor2": "b"}

explains_formulas(
    {
        "addcmul": Formula(
            "y = x + v·a·b",
            "y = x + v\\,a\\,b",
            lambda x, v, a, b: x + v * a * b,
            THREE,
            {"value": 1},
            scale=lambda x, v, a, b: abs(x) + abs(v * a * b),
        ),
        "addcdiv": Formula(
            "y = x + v·a / b",
            r"y = x + v\,\frac{a}{b}",
            lambda x, v, a, b: x + v * a / b,
            THREE,
            {"value": 1},
            scale=lambda x, v, a, b: abs(x) + abs(v * a / b),
        ),
        "remainder": Formula(
            "y = a − b·⌊a / b⌋", r"y = a - b\,\lfloor a / b \rfloor", remainder, TWO, rounds=frozenset(TWO)
        ),
        "fmod": Formula(
            "y = a − b·trunc(a / b)",
            r"y = a - b\,\operatorname{trunc}(a / b)",
            truncated_remainder,
            TWO,
            rounds=frozenset(TWO),
        ),
        "reciprocal": Formula("y = 1 / x", r"y = \frac{1}{x}", lambda x: 1 / x, relative=True),
        "hypot": Formula("y = √(a² + b²)", r"y = \sqrt{a^2 + b^2}", np.hypot, TWO, relative=True),
    }
)


@explains(*with_multi_tensor_form("neg"), "negative")
def neg(question: Question) -> Arithmetic:
    """−x."""
    formula = Formula("y = −x", "y = -x", lambda x: -x)
    (x,) = operands_of(question, formula)
    if not _is_sum(question, [x], 1):
        return elementwise(question, formula)
    return sum_of_products(formula.text, _group(x, -1.0), latex=formula.latex)

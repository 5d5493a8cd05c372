"""Formulas as text that is computed: what a reader is shown is what is evaluated.

A formula is a Python expression of numbers, the operators ``+ - * / **`` and a few functions. It is
evaluated in float64, and printed with mathematical signs, in symbols or with numbers in their place.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Marks = Mapping[str, Callable[[float], float]]

MARKS = ("rounded", "factor", "product")
NO_MARKS: Mapping[str, str] = {}
SYMBOLS = {
    "norm_w": "‖w‖",
    "norm_r": "‖r‖",
    "norm_u": "‖u‖",
    "v_max": "v_max",
    "rho_inf": "ρ∞",
    "mu_next": "μₜ₊₁",
}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUM, _PRODUCT, _QUOTIENT, _SIGN, _POWER, _ATOM = range(6)
_SIGNS: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: (" + ", _SUM),
    ast.Sub: (" − ", _SUM),
    ast.Mult: ("·", _PRODUCT),
    ast.Div: ("/", _QUOTIENT),
}

# How strongly the two sides must hold together to stand without brackets.
_NEEDED: dict[type[ast.operator], tuple[int, int]] = {
    ast.Add: (_SUM, _PRODUCT),
    ast.Sub: (_SUM, _PRODUCT),
    ast.Mult: (_PRODUCT, _PRODUCT),
    ast.Div: (_PRODUCT, _SIGN),
}


class Reading(NamedTuple):
    """A number while it is computed.

    Args:
        value: in float64; of several elements an array (K,).
        size: Σ of the magnitudes of what was added up to it: what rounding is judged against. 0 where it is exact,
            being computed of constants alone.
    """

    value: float | NDArray[np.float64]
    size: float = 0.0

    @classmethod
    def recorded(cls, value: float | NDArray[np.float64]) -> Reading:
        """Returns the reading of a number of the tape."""
        return cls(value, float(np.max(np.abs(value))))

    @property
    def magnitude(self) -> float:
        """Its own size at least."""
        return max(self.size, float(np.max(np.abs(self.value))))


@cache
def parsed(expression: str) -> ast.expr:
    """Returns the syntax tree of an expression."""
    return ast.parse(expression, mode="eval").body


@cache
def names_in(expression: str) -> frozenset[str]:
    """Returns the names of the numbers in an expression."""
    called = {node.func for node in ast.walk(parsed(expression)) if isinstance(node, ast.Call)}
    return frozenset(
        node.id for node in ast.walk(parsed(expression)) if isinstance(node, ast.Name) and node not in called
    )


def evaluate(expression: str, numbers: Mapping[str, Reading], marks: Marks) -> Reading:
    """Computes an expression in float64.

    Args:
        expression: its functions are ``sqrt``, ``sign``, ``max``, ``min``, ``mean`` (of several elements), and the
            marks ``rounded``, ``factor`` and ``product``, where torch rounds a result, a factor, or a product that is
            added, to the tensors' type.
        numbers: by name.
        marks: what rounds to a type of low precision; a mark without one leaves the number as it is.
    """
    with np.errstate(all="ignore"):
        return _evaluated(parsed(expression), numbers, marks)


def _evaluated(node: ast.expr, numbers: Mapping[str, Reading], marks: Marks) -> Reading:
    match node:
        case ast.Name(id=name):
            return numbers[name]
        case ast.Constant(value=int() | float() as number):
            return Reading(np.float64(number))
        case ast.UnaryOp(operand=operand):
            inner = _evaluated(operand, numbers, marks)
            return Reading(-inner.value, inner.size)
        case ast.BinOp(left=left, op=operator, right=right):
            return _combined(operator, _evaluated(left, numbers, marks), _evaluated(right, numbers, marks))
        case ast.Call(func=ast.Name(id=("rounded" | "factor" | "product") as mark), args=[argument]):
            inner = _evaluated(argument, numbers, marks)
            return Reading(marks[mark](float(inner.value)), inner.size) if mark in marks else inner
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name](*(_evaluated(argument, numbers, marks) for argument in arguments))
        case _:
            raise TypeError(ast.dump(node))


def _combined(operator: ast.operator, left: Reading, right: Reading) -> Reading:
    a, b = left.value, right.value
    is_exact = not (left.size or right.size)
    match operator:
        case ast.Add():
            value, size = a + b, left.magnitude + right.magnitude
        case ast.Sub():
            value, size = a - b, left.magnitude + right.magnitude
        case ast.Mult():
            value = a * b
            size = np.max(np.maximum(np.abs(a) * right.size, left.size * np.abs(b)))
        case ast.Div():
            value = np.float64(a) / b
            size = np.max(np.maximum(left.size / np.abs(b), np.abs(value) * right.size / np.abs(b)))
        case _:
            value = np.float64(a) ** b
            size = np.max(np.abs(value)) * max(1.0, left.size / max(np.max(np.abs(a)), 1e-300))
    return Reading(value, 0.0 if is_exact else float(size))


def _root(inner: Reading) -> Reading:
    value = np.sqrt(np.float64(inner.value))
    size = max(float(value), inner.size / (2 * value)) if value > 0 else np.sqrt(inner.size)
    return Reading(value, float(size) if inner.size else 0.0)


def _mean(inner: Reading) -> Reading:
    return Reading(float(np.mean(inner.value)), inner.size)


def _sign(inner: Reading) -> Reading:
    return Reading(np.sign(inner.value), 1.0)


def _largest(*inner: Reading) -> Reading:
    return max(inner, key=lambda reading: reading.value)


def _smallest(*inner: Reading) -> Reading:
    return min(inner, key=lambda reading: reading.value)


_FUNCTIONS: dict[str, Callable[..., Reading]] = {
    "sqrt": _root,
    "mean": _mean,
    "sign": _sign,
    "max": _largest,
    "min": _smallest,
}


def symbol(name: str) -> str:
    """Returns a name as it is printed: ``β1`` as β₁."""
    if name in SYMBOLS:
        return SYMBOLS[name]
    letters = name.rstrip("0123456789")
    return letters + name[len(letters) :].translate(_SUBSCRIPTS)


def written(expression: str, shown: Callable[[str], str] = symbol, marks: Mapping[str, str] = NO_MARKS) -> str:
    """Returns an expression with mathematical signs.

    Args:
        expression: see :func:`evaluate`.
        shown: what stands for a name; its symbol, or its number.
        marks: the type that a mark rounds to, such as ``bfloat16``; one without is not shown.
    """
    return _text(parsed(expression), shown, marks)[0]


def _text(node: ast.expr, shown: Callable[[str], str], marks: Mapping[str, str]) -> tuple[str, int]:
    """Returns the text, and how strongly its parts hold together."""
    match node:
        case ast.Name(id=name):
            return shown(name), _strength_of_number(shown(name))
        case ast.Constant(value=number):
            return f"{number}", _ATOM
        case ast.UnaryOp(operand=operand):
            return f"−{_held(operand, _SIGN, shown, marks)}", _SIGN
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            return _held(left, _POWER + 1, shown, marks) + _exponent(right, shown, marks), _POWER
        case ast.BinOp(left=left, op=operator, right=right):
            sign, strength = _SIGNS[type(operator)]
            first, second = _NEEDED[type(operator)]
            return f"{_held(left, first, shown, marks)}{sign}{_held(right, second, shown, marks)}", strength
        case ast.Call(func=ast.Name(id=name), args=arguments):
            if name in MARKS and name not in marks:
                return _text(arguments[0], shown, marks)
            return _called(name, arguments, shown, marks), _ATOM
        case _:
            raise TypeError(ast.dump(node))


def _strength_of_number(text: str) -> int:
    if text.startswith("-"):
        return _SUM
    return _SIGN if text[0].isdigit() and "e" in text else _ATOM


def _held(node: ast.expr, least: int, shown: Callable[[str], str], marks: Mapping[str, str]) -> str:
    text, strength = _text(node, shown, marks)
    return f"({text})" if strength < least else text


def _exponent(node: ast.expr, shown: Callable[[str], str], marks: Mapping[str, str]) -> str:
    text, strength = _text(node, shown, marks)
    if text in ("2", "t"):
        return {"2": "²", "t": "ᵗ"}[text]
    return f"^{text}" if strength == _ATOM else f"^({text})"


def _called(name: str, arguments: list[ast.expr], shown: Callable[[str], str], marks: Mapping[str, str]) -> str:
    texts = [_text(argument, shown, marks) for argument in arguments]
    if name == "sqrt":
        text, strength = texts[0]
        return f"√{text}" if strength == _ATOM else f"√({text})"
    return f"{marks.get(name, name)}({', '.join(text for text, _strength in texts)})"


def lines_for(target: str, lines: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Returns the assignments, of several that follow each other, that the last one to a name depends on.

    Args:
        target: the name.
        lines: names and the expressions that are assigned to them, in order.
    """
    return tuple(reversed(list(_needed_backwards(target, lines))))


def _needed_backwards(target: str, lines: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    needed = {target}
    for name, expression in reversed(lines):
        if name in needed:
            needed.discard(name)
            needed |= names_in(expression)
            yield name, expression

"""The formula of an explanation with the numbers in place of the symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotbogi.tape.arithmetic import SUM_OF_PRODUCTS

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation

SHOWN = 6
DIGITS = 9


def shown(number: float) -> str:
    """Returns a number with enough digits to tell float32 values apart."""
    return f"{number:.{DIGITS}g}"


def formula_with_numbers(explanation: Explanation) -> str:
    """Returns the products of a sum written out, the largest ones where there are many; of a function its own text."""
    arithmetic, terms = explanation.arithmetic, explanation.terms
    if arithmetic.numbers is not None:
        return arithmetic.numbers(terms.values)
    if explanation.kind != SUM_OF_PRODUCTS:
        return " · ".join(f"{term.label} = {shown(term.value)}" for term in terms[:SHOWN])
    order = sorted(terms.order()[:SHOWN])
    parts = [f"{shown(terms.coefficients[i])}·{shown(terms.values[i])}" for i in order]
    rest = len(terms) - len(order)
    return " + ".join([*parts, *([f"… ({rest})"] if rest else [])])

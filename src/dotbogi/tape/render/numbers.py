"""How numbers of an explanation are written: enough digits that what is shown adds up to the shown total."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from dotbogi.tape.arithmetic import FUNCTION, SUM_OF_PRODUCTS

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation

SHOWN = 6
DIGITS = 9  # tell all float32 apart
SIGNIFICANT = 5  # of the largest number of a sum, to begin with
MANY_DIGITS = Context(prec=800)  # of float64, whose largest number has 309 before the point
MOST_PLACES = 8  # tried beyond that before a sum is said to hold only about


@dataclass(frozen=True)
class Notation:
    """How the numbers of one sum are written, all with the same decimal places.

    Args:
        places: after the point.
        exponent: of ten, that all of them are written with: ``12.3e-05`` and ``0.1e-05``.
        exact: whether the written terms add up to the written total.
    """

    places: int
    exponent: int = 0
    exact: bool = True

    def decimal(self, number: float) -> Decimal:
        """Returns a finite number rounded to the places, in units of the power of ten."""
        unit = Decimal(1).scaleb(-self.places)
        return Decimal(number).scaleb(-self.exponent).quantize(unit, ROUND_HALF_EVEN, MANY_DIGITS)

    def __call__(self, number: float) -> str:
        """Returns the number as it is written."""
        if not math.isfinite(number):
            return str(number)
        written = f"{abs(self.decimal(number)) if self.decimal(number) == 0 else self.decimal(number):f}"
        return f"{written}e{self.exponent:+03d}" if self.exponent else written

    @property
    def sign(self) -> str:
        """``=`` where the written terms add up to the written total, else ``≈``."""
        return "=" if self.exact else "≈"


def notation_of_sum(terms: Iterable[float], total: float, most: int = MOST_PLACES) -> Notation:
    """Chooses how a sum is written: as few digits as add up, and no fewer than five of the largest number.

    Args:
        terms: that are shown, the rest as one of them.
        total: their sum.
        most: decimal places that are tried beyond the first ones.

    Returns:
        A notation; it is exact where Σ of the written terms is the written total.
    """
    numbers = [float(term) for term in terms]
    start = plain_notation([*numbers, total])
    if not all(map(math.isfinite, [*numbers, total])):
        return Notation(start.places, start.exponent, exact=False)
    for places in range(start.places, start.places + most + 1):
        tried = Notation(places, start.exponent)
        if sum(map(tried.decimal, numbers), Decimal(0)) == tried.decimal(total):
            return tried
    return Notation(start.places, start.exponent, exact=False)


def plain_notation(numbers: Iterable[float], significant: int = SIGNIFICANT) -> Notation:
    """Returns how numbers that stand side by side are written.

    Args:
        numbers: any.
        significant: digits of the largest of them; whole numbers are written without a point.
    """
    finite = [abs(number) for number in numbers if math.isfinite(number)]
    largest = max(finite, default=0.0)
    if largest == 0:
        return Notation(0)
    if largest < 1e15 and all(number == int(number) for number in finite):
        return Notation(0)
    leading = math.floor(math.log10(largest))
    exponent = 0 if -3 <= leading < 6 else leading
    return Notation(max(0, significant - 1 - leading + exponent), exponent)


def column_notation(numbers: Iterable[float]) -> Notation:
    """Returns how a column of numbers is written: five digits of the largest, four of the smallest."""
    listed = [float(number) for number in numbers]
    plain = plain_notation(listed)
    smallest = min((abs(number) for number in listed if number and math.isfinite(number)), default=1.0)
    if plain.places == 0 or plain.exponent:
        return plain
    return Notation(min(MOST_PLACES, max(plain.places, 3 - math.floor(math.log10(smallest)))))


def shown(number: float, digits: int = DIGITS) -> str:
    """Returns a number with enough digits to tell float32 values apart."""
    return f"{number:.{digits}g}"


def in_brackets(number: float, digits: int = DIGITS) -> str:
    """Returns a number as it stands inside a formula: a negative one in brackets."""
    text = shown(number, digits)
    return f"({text})" if text.startswith("-") else text


def formula_with_numbers(explanation: Explanation, digits: int = DIGITS) -> str:
    """Returns the formula with the numbers in place of the symbols, the largest products where there are many."""
    arithmetic, terms = explanation.arithmetic, explanation.terms
    if arithmetic.numbers is not None:
        return arithmetic.numbers(terms.values)
    if explanation.kind == SUM_OF_PRODUCTS:
        return _products(explanation, digits)
    if explanation.kind == FUNCTION and all(len(group.elements) == 1 for group in arithmetic.groups):
        symbols = {group.symbol: value for group, value in zip(arithmetic.groups, terms.values.tolist(), strict=True)}
        return substituted(arithmetic.formula, {**_plain_constants(arithmetic.constants), **symbols}, digits)
    listed = [f"{term.label} = {shown(term.value, digits)}" for term in terms[:SHOWN]]
    return " · ".join([*listed, *(["…"] if len(terms) > SHOWN else [])])


def _products(explanation: Explanation, digits: int) -> str:
    terms = explanation.terms
    order = sorted(terms.order()[:SHOWN])
    coefficients, values = terms.coefficients, terms.values
    parts = [
        shown(values[i], digits)
        if coefficients[i] == 1
        else f"{in_brackets(coefficients[i], digits)}·{in_brackets(values[i], digits)}"
        for i in order
    ]
    rest = len(terms) - len(order)
    return " + ".join([*parts, *([f"… ({rest})"] if rest else [])])


def _plain_constants(constants: dict[str, object]) -> dict[str, float]:
    return {
        symbol: value
        for symbol, value in constants.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def substituted(formula: str, numbers: dict[str, float], digits: int = DIGITS) -> str:
    """Returns the right side of a formula with numbers in place of its symbols.

    Args:
        formula: plain text such as ``w' = w − lr · g``.
        numbers: by symbol; an index behind a symbol, as in ``x[i]``, goes with it.
        digits: significant ones.
    """
    right = formula.partition(" = ")[2] or formula
    symbols = sorted((symbol for symbol in numbers if symbol), key=len, reverse=True)
    if not symbols:
        return right
    # A symbol may end in a combining mark, as m̂ does: neither letters nor such marks may follow it.
    pattern = rf"(?<![\w'])({'|'.join(map(re.escape, symbols))})(?:\[[^\]]*\])?(?![\w(\u0300-\u036f'])"
    return re.sub(pattern, lambda match: in_brackets(numbers[match[1]], digits), right)

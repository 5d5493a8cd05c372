"""What was recorded beside what the explanation gives: the difference, its tolerance, and whether they agree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dotbogi.language import _
from dotbogi.tape.render.numbers import DIGITS, Notation, shown
from dotbogi.tape.render.page import Cell, Line, Part, Rows, line

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation

MOST_DIGITS = 17  # of float64


def verdict_parts(explanation: Explanation) -> list[Part]:
    """Returns recorded number, result, difference and tolerance, and in words whether they agree."""
    notation = _showing_the_difference(explanation)
    dtype = str(explanation.value.dtype).removeprefix("torch.")
    rows = [
        [Cell(_("recorded")), Cell(notation(explanation.recorded)), Cell(dtype, "muted")],
        [Cell(_("result")), Cell(notation(explanation.result)), Cell(_("of the terms, in float64"), "muted")],
        [Cell(_("difference")), Cell(_difference(explanation, notation)), Cell(_tolerance(explanation), "muted")],
    ]
    return [Rows([], rows, "lrl", frozenset({2})), agreement(explanation), *_replay(explanation)]


def agreement(explanation: Explanation) -> Line:
    """Says whether result and recorded number agree."""
    if explanation.agrees and explanation.overflows:
        text = _("✓ agrees: {dtype} cannot hold so large a number, so that it is infinite there")
        dtype = str(explanation.value.dtype).removeprefix("torch.")
        return line(Cell(text.format(dtype=dtype), "good"))
    if explanation.agrees and not explanation.is_finite:
        return line(Cell(_("✓ agrees: both are {number}").format(number=explanation.recorded), "good"))
    if explanation.agrees:
        return line(Cell(_("✓ agrees: what is left is rounding"), "good"))
    return line(Cell(_("✗ DOES NOT AGREE: the difference is larger than rounding can be"), "bad"))


def _showing_the_difference(explanation: Explanation) -> Notation:
    """Returns a notation in which recorded number and result visibly differ by what is told."""
    largest, difference = max(abs(explanation.result), abs(explanation.recorded)), abs(explanation.difference)
    if not math.isfinite(largest) or largest == 0:
        return Notation(0)
    leading = math.floor(math.log10(largest))
    exponent = 0 if -5 <= leading < 9 else leading
    smallest = math.floor(math.log10(difference)) - 1 if difference and math.isfinite(difference) else leading - DIGITS
    least = DIGITS - 1 - leading
    return Notation(max(0, min(max(-smallest, least), MOST_DIGITS - 1 - leading) + exponent), exponent)


def _difference(explanation: Explanation, notation: Notation) -> str:
    difference = explanation.difference
    if difference == 0 or not math.isfinite(difference):
        return "0" if difference == 0 else str(difference)
    return notation(difference) if not notation.exponent and abs(difference) >= 1e-4 else f"{difference:.2g}"


def _tolerance(explanation: Explanation) -> str:
    return _("tolerance {tolerance}").format(tolerance=shown(explanation.tolerance, 2))


def _replay(explanation: Explanation) -> list[Part]:
    difference = explanation.replay_difference
    if difference is None:
        return []
    if difference == 0:
        return [line(Cell(_("✓ replayed: the weights after the step are exactly the stored ones"), "good"))]
    text = _("replayed: weights after the step differ from the stored ones by up to {difference}")
    return [line(text.format(difference=shown(difference, 3)))]

"""A softmax on paper: the row of logits, e to each, their sum, and the share of the one that is asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dotbogi.language import _
from dotbogi.tape.render.numbers import notation_of_sum, plain_notation, shown
from dotbogi.tape.render.page import Cell, Part, Rows, line, signed
from dotbogi.tape.render.sums import rest_words

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation

PACKETS = ("_softmax", "_log_softmax")


def is_softmax(explanation: Explanation) -> bool:
    """Whether a number is the softmax, or its logarithm, of a row that is listed whole."""
    operation, terms = explanation.operation, explanation.terms
    if operation is None or operation.packet not in PACKETS or not len(terms):
        return False
    row = operation.argument("self")
    return len(terms) == row.shape[operation.argument("dim")] if row.shape else False


def softmax_parts(explanation: Explanation, top: int) -> list[Part]:
    """Returns the row, e to each of its differences from the largest, their sum, and what follows.

    Args:
        explanation: see :func:`is_softmax`.
        top: how many logits, the largest; the one that is asked for is always among them.
    """
    terms = explanation.terms
    values = terms.values
    powers = np.exp(values - values.max())
    asked = _asked(explanation)
    strongest = np.argsort(-powers, kind="stable")[:top].tolist()
    shown_positions = sorted({*strongest, asked})
    rest = [float(np.sum(np.delete(powers, shown_positions)))] if len(shown_positions) < len(terms) else []
    total = float(powers.sum())
    notation = notation_of_sum([*powers[shown_positions].tolist(), *rest], total)
    numbers = plain_notation(values.tolist(), 6)
    rows = [
        [
            signed(numbers(float(values[i]))),
            Cell(notation(float(powers[i])), "chosen" if i == asked else ""),
            Cell(f"{'▸ ' if i == asked else '  '}{terms[i].address}", "chosen" if i == asked else ""),
        ]
        for i in shown_positions
    ]
    if rest:
        rows.append([Cell("…"), Cell(notation(rest[0])), Cell("  " + rest_words(len(terms) - len(shown_positions)))])
    rows.append([Cell(""), Cell(f"{notation.sign} {notation(total)}", "strong"), Cell("  " + _("total"), "strong")])
    headings = ["x", "e^(x − max)", "  " + _("address")]
    table = Rows(headings, rows, "rrl", frozenset({len(rows) - 1}))
    return [line(Cell(f"  max = {shown(float(values.max()))}", "muted")), table, _share(explanation, asked, powers)]


def _asked(explanation: Explanation) -> int:
    operation = explanation.operation
    assert operation is not None
    return explanation.index[operation.argument("dim")]


def _share(explanation: Explanation, asked: int, powers: np.ndarray) -> Part:
    operation = explanation.operation
    assert operation is not None
    power, total, result = shown(powers[asked], 6), shown(powers.sum(), 6), shown(explanation.result, 6)
    if operation.packet == "_softmax":
        return line("  ", Cell(f"{power} / {total}", "formula"), " ≈ ", Cell(result, "strong"))
    difference = math.log(powers[asked]) if powers[asked] > 0 else -math.inf
    return line("  ", Cell(f"{shown(difference, 6)} − ln {total}", "formula"), " ≈ ", Cell(result, "strong"))

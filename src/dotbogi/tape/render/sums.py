"""A sum of products on paper: the terms, the rest as one line, the total."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dotbogi.language import _, plural
from dotbogi.tape.render.numbers import Notation, column_notation, notation_of_sum
from dotbogi.tape.render.page import Cell, Part, Rows, signed

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation, Term


def sum_parts(explanation: Explanation, top: int) -> list[Part]:
    """Returns the largest terms, the rest, and the total.

    Args:
        explanation: a sum of products.
        top: how many terms.
    """
    terms = explanation.terms
    shown = [terms[position] for position in sorted(terms.order()[: min(top, max(1, _not_zero(explanation)))])]
    products = [product_of(term) for term in shown]
    rest = _rest(explanation, len(shown))
    notation = notation_of_sum([*products, *rest], explanation.result)
    has_factors = any(map(_has_factor, shown))
    rows = _term_rows(shown, products, notation) if has_factors else _value_rows(shown, products, notation)
    columns = 4 if has_factors else 2
    if rest:
        words = rest_words(len(terms) - len(shown), len(shown) >= _not_zero(explanation))
        rows.append(row(notation(rest[0]), words, columns))
    rows.append(total_row(notation, explanation.result, columns))
    return [Rows(_headings(has_factors), rows, "r" * (columns - 1) + "l", frozenset({len(rows) - 1}))]


def product_of(term: Term) -> float:
    """Returns what a term adds to a sum."""
    return term.value if term.product is None else term.product


def _has_factor(term: Term) -> bool:
    return bool(term.coefficient_address) or term.coefficient not in (1.0, None)


def _not_zero(explanation: Explanation) -> int:
    terms = explanation.terms
    return int(np.count_nonzero(terms.values * terms.coefficients))


def _rest(explanation: Explanation, shown: int) -> list[float]:
    terms = explanation.terms
    left_out = terms.order()[shown:]
    return [float(np.sum(terms.values[left_out] * terms.coefficients[left_out]))] if left_out else []


def _headings(has_factors: bool) -> list[str]:
    if not has_factors:
        return [_("value"), _("address")]
    return [_("product"), _("value"), _("coefficient"), _("addresses of value · coefficient")]


def _term_rows(shown: Sequence[Term], products: Sequence[float], notation: Notation) -> list[list[Cell]]:
    values = column_notation(term.value for term in shown)
    factors = column_notation(term.coefficient or 0.0 for term in shown if _has_factor(term))
    return [
        [
            signed(notation(product)),
            signed(values(term.value)),
            signed(factors(term.coefficient or 0.0)) if _has_factor(term) else Cell(""),
            Cell(" · ".join(address for address in (term.address, term.coefficient_address) if address)),
        ]
        for term, product in zip(shown, products, strict=True)
    ]


def _value_rows(shown: Sequence[Term], products: Sequence[float], notation: Notation) -> list[list[Cell]]:
    return [[signed(notation(product)), Cell(term.address)] for term, product in zip(shown, products, strict=True)]


def row(number: str, words: str, columns: int, style: str = "") -> list[Cell]:
    """Returns a row of a number and words, with nothing in the columns between."""
    return [Cell(number, style) if style else signed(number), *[Cell("")] * (columns - 2), Cell(words, style)]


def rest_words(count: int, all_zero: bool = False) -> str:
    """Says how many terms a line stands for."""
    text = plural("{count} more term", "{count} more terms together", count)
    if all_zero:
        text = plural("{count} more term, which is 0", "{count} more terms, all 0", count)
    return text.format(count=f"{count:,}")


def total_row(notation: Notation, total: float, columns: int) -> list[Cell]:
    """Returns the row of a sum's total, with ``=`` where the rows above add up to it as they are written."""
    return row(f"{notation.sign} {notation(total)}", _("total"), columns, "strong")

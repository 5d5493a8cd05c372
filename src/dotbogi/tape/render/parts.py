"""From an explanation to what is shown of it: the formula, the numbers, the verdict, and the terms' explanations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dotbogi.language import _
from dotbogi.tape.arithmetic import (
    COPY,
    FUNCTION,
    GIVEN,
    REDUCTION,
    SELECTION,
    SUM_OF_PRODUCTS,
    UNEXPLAINED,
)
from dotbogi.tape.render.numbers import DIGITS, formula_with_numbers, plain_notation, shown
from dotbogi.tape.render.page import Cell, Gap, Line, Nested, Part, Rows, line, signed
from dotbogi.tape.render.softmax import is_softmax, softmax_parts
from dotbogi.tape.render.sums import rest_words, row, sum_parts
from dotbogi.tape.render.verdict import agreement, verdict_parts
from dotbogi.tape.render.windows import has_windows, is_pooling_window, pooling_parts, window_parts

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Expanded, Explanation

SYMBOLS = {"stride": "s", "padding": "p", "dilation": "d"}  # in the formulas of windows
NESTED_TOP = 6  # terms of a number inside another's explanation
SHORT = 6  # digits inside a formula; the rows below it have all


def explanation_parts(explanation: Explanation, top: int, expanded: Sequence[Expanded] = ()) -> list[Part]:
    """Returns everything that is shown of an explanation.

    Args:
        explanation: of a number.
        top: how many terms of a long sum.
        expanded: terms with explanations of their own.
    """
    parts: list[Part] = [title(explanation), origin(explanation), Gap(), *formula_parts(explanation)]
    if explanation.kind not in (GIVEN, UNEXPLAINED):
        parts += [*body_parts(explanation, top), Gap(), *verdict_parts(explanation)]
    return [*parts, *nested_parts(expanded, top)]


def nested_parts(expanded: Sequence[Expanded], top: int) -> list[Part]:
    """Returns the explanations of terms, each inside the one that it is a term of."""
    return [part for one in expanded for part in (Gap(), _nested(one, top))]


def _nested(one: Expanded, top: int) -> Nested:
    explanation = one.explanation
    parts: list[Part] = [*formula_parts(explanation)]
    if explanation.kind not in (GIVEN, UNEXPLAINED):
        parts += [*body_parts(explanation, min(top, NESTED_TOP)), agreement(explanation)]
    return Nested(title(explanation), (*parts, *nested_parts(one.inner, top)))


def title(explanation: Explanation) -> Line:
    """Returns the address and the recorded number."""
    return line(Cell(explanation.address, "strong"), "   ", Cell(shown(explanation.recorded), "strong"))


def origin(explanation: Explanation) -> Line:
    """Returns what kind of arithmetic it is, by which operation of which module, in which line of the code."""
    operation = explanation.operation
    words = [kind_title(explanation.kind)]
    if operation is not None:
        words.append(f"op {operation.index} {operation.name}")
        words += [operation.module] if operation.module else []
        words += [_short_line(str(operation.line))] if operation.line else []
    return line(Cell(" · ".join(words), "muted"))


def _short_line(place: str) -> str:
    return place.replace("\\", "/").rpartition("/")[2]


def kind_title(kind: str) -> str:
    """Returns a kind's name for people."""
    return {
        SUM_OF_PRODUCTS: _("sum of products"),
        FUNCTION: _("function"),
        SELECTION: _("selection"),
        REDUCTION: _("reduction"),
        COPY: _("copy"),
        GIVEN: _("given"),
        UNEXPLAINED: _("not explained"),
    }[kind]


def formula_parts(explanation: Explanation) -> list[Part]:
    """Returns the formula with its constants; of a given number where it comes from, of an unexplained one why."""
    arithmetic = explanation.arithmetic
    if explanation.kind == GIVEN:
        return [line(_("given: {note}").format(note=arithmetic.note))]
    if explanation.kind == UNEXPLAINED:
        return [line(Cell(_("no explanation: {note}").format(note=arithmetic.note), "bad"))]
    if explanation.kind == COPY:
        return [line(arithmetic.note or _("the same number, at another place:"))]
    parts: list[Part] = [line(Cell(one, "formula"), hanging=4) for one in explanation.formula.split("\n")]
    constants = [
        f"{name} {symbol} = {constant_text(value)}"
        if (symbol := SYMBOLS.get(name))
        else f"{name} = {constant_text(value)}"
        for name, value in arithmetic.constants.items()
    ]
    if constants:
        parts.append(line(Cell("  " + " · ".join(constants), "muted"), hanging=2))
    recomputed = [f"{name} = {shown(value)}" for name, value in arithmetic.recomputed.items()]
    if recomputed:
        text = _("  recomputed, not recorded: {values}").format(values=" · ".join(recomputed))
        parts.append(line(Cell(text, "muted"), hanging=4))
    if arithmetic.note:
        parts.append(line(Cell(f"  {arithmetic.note}", "muted"), hanging=2))
    return [*parts, Gap()]


def constant_text(value: Any) -> str:
    """Returns a constant as a student writes it: one number where all axes have the same."""
    if isinstance(value, (tuple, list)):
        same = len(set(value)) == 1
        return constant_text(value[0]) if same else "×".join(map(constant_text, value))
    return shown(value) if isinstance(value, float) else str(value)


def body_parts(explanation: Explanation, top: int) -> list[Part]:
    """Returns the numbers: windows, rows of terms, or the formula with its numbers."""
    if has_windows(explanation):
        return window_parts(explanation, top)
    if explanation.kind == SUM_OF_PRODUCTS:
        return sum_parts(explanation, top)
    if is_softmax(explanation):
        return softmax_parts(explanation, top)
    if explanation.kind == SELECTION and is_pooling_window(explanation):
        return [*pooling_parts(explanation), *_winner(explanation)]
    if explanation.kind == SELECTION:
        return [*_operands(explanation, top), *_winner(explanation)]
    if explanation.kind == COPY:
        return _operands(explanation, top)
    return [*_with_numbers(explanation), *_operands(explanation, top)]


def _with_numbers(explanation: Explanation) -> list[Part]:
    """Returns the formula with its numbers; ``=`` only where the same digits stand on both sides."""
    numbers = formula_with_numbers(explanation, SHORT)
    arithmetic = explanation.arithmetic
    is_written = arithmetic.numbers is not None or explanation.kind == FUNCTION
    if not numbers or not is_written:
        return []
    result = shown(explanation.result, SHORT)
    operands = {shown(value, SHORT) for value in explanation.terms.values[:SHORT].tolist()}
    is_exact = (result in operands and float(result) == explanation.result) or explanation.result == 0
    *first, last = numbers.split("\n")
    return [
        *(line("  ", Cell(one, "formula"), hanging=4) for one in first),
        line("  ", Cell(last, "formula"), f" {'=' if is_exact else '≈'} ", Cell(result, "strong"), hanging=4),
        Gap(),
    ]


def _operands(explanation: Explanation, top: int) -> list[Part]:
    """Returns a row per value: its symbol, its number, its address."""
    if not len(explanation.terms):
        return []
    terms, groups = explanation.terms, explanation.arithmetic.groups
    order = sorted(terms.order()[:top])
    symbols = [group.symbol for group in groups for _unused in range(len(group.elements))]
    notation = plain_notation(terms.values.tolist(), DIGITS) if len(terms) > len(groups) else shown
    rows: list[list[Cell]] = []
    for position in order:
        term, chosen = terms[position], position == explanation.arithmetic.chosen
        style = "chosen" if chosen else ""
        mark = f"▸ {symbols[position]}" if chosen else f"  {symbols[position]}"
        number = Cell(notation(term.value), style) if chosen else signed(notation(term.value))
        rows.append([Cell(mark, style), number, Cell(term.address, style)])
    if len(order) < len(terms):
        rows.append([Cell("  …"), *row("", rest_words(len(terms) - len(order)), 2)])
    return [Rows([], rows, "lrl")]


def _winner(explanation: Explanation) -> list[Part]:
    chosen = explanation.arithmetic.chosen
    if chosen is None or not 0 <= chosen < len(explanation.terms):
        return []
    term = explanation.terms[chosen]
    return [line(_("  chosen: "), Cell(shown(term.value), "chosen"), "   ", term.address, hanging=4)]

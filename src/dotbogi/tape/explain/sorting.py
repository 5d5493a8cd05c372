"""Order: sorting, the largest few, the median, the most frequent number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import SELECTION, Arithmetic, Elements, Group, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.reducing import along, argument_of, reduced_axes, with_axes
from dotbogi.tape.value import Value

Finding = Callable[[Numbers], int]


def ascending(numbers: Numbers) -> Any:
    """Returns the positions from the smallest number to the largest, NaN after all others."""
    return np.argsort(numbers, kind="stable")


def descending(numbers: Numbers) -> Any:
    """Returns the positions from the largest number to the smallest, NaN before all others."""
    return len(numbers) - 1 - np.argsort(numbers[::-1], kind="stable")[::-1]


def _ordered(question: Question, formula: str, line: Elements, find: Finding, place: int | None) -> Arithmetic:
    """Returns which element of a line was taken.

    Args:
        question: about the element's value, or its place.
        formula: in symbols.
        line: all elements along an axis.
        find: which one of the line's numbers is taken.
        place: that was recorded; of equal numbers the one that torch took.
    """

    is_place = _is_place(question)

    def winner(numbers: Numbers) -> int:
        found = find(numbers)
        if place is not None and np.array_equal(numbers[found], numbers[place], equal_nan=True):
            return place
        return found

    def result(numbers: Numbers) -> float:
        taken = winner(numbers)
        return float(taken) if is_place else float(numbers[taken])

    told = f"i : {formula}" if is_place else formula
    return Arithmetic(SELECTION, told, (Group("x", line),), result, chosen=winner(line.numbers()))


def _line(question: Question, dim: Any, *, keeps_size: bool, keepdim: bool = False) -> tuple[Elements, int]:
    """Returns the elements along the axis that is put in order, and the axis."""
    x: Value = question.argument("self")
    if not x.shape:
        return Elements.one(x, ()), 0
    (axis,) = reduced_axes(dim, len(x.shape))
    index = question.index if keeps_size else with_axes(question.index, {axis}, len(x.shape), keepdim)
    return along(x, index, {axis}), axis


def _is_place(question: Question) -> bool:
    return question.output == 1 or question.operation.packet == "argsort"


def _recorded_place(question: Question) -> int | None:
    """Returns which element was taken, as the places among the results say, or ``None`` where there are none."""
    places = question.value if _is_place(question) else question.operation.output(1)
    return None if places is None else int(places.item(question.index))


@explains("sort", "argsort", "msort")
def sort(question: Question) -> Arithmetic:
    """The n-th element in order, and where it was (torch.sort)."""
    line, axis = _line(question, argument_of(question, "dim", default=0), keeps_size=True)
    order = descending if argument_of(question, "descending", default=False) else ascending
    rank = question.index[axis] if question.index else 0
    sign = "≥" if order is descending else "≤"
    return _ordered(
        question,
        f"y[n] = x_(n), x_(0) {sign} x_(1) {sign} …",
        line,
        lambda x: int(order(x)[rank]),
        _recorded_place(question),
    )


@explains("topk")
def topk(question: Question) -> Arithmetic:
    """The n-th largest (or smallest) element, and where it was (torch.topk)."""
    line, axis = _line(question, question.argument("dim"), keeps_size=True)
    order = descending if question.argument("largest") else ascending
    place = _recorded_place(question)
    rank = question.index[axis] if question.index else 0
    if not question.argument("sorted"):
        rank = int(np.flatnonzero(order(line.numbers()) == place)[0])  # torch leaves their order open
    sign = "≥" if order is descending else "≤"
    return _ordered(question, f"y[n] = x_(n), x_(0) {sign} x_(1) {sign} …", line, lambda x: int(order(x)[rank]), place)


@explains("kthvalue")
def kthvalue(question: Question) -> Arithmetic:
    """The k-th smallest element, counted from 1, and where it was (torch.kthvalue)."""
    line, _axis = _line(question, question.argument("dim"), keeps_size=False, keepdim=question.argument("keepdim"))
    rank = question.argument("k") - 1
    formula = "y = x_(k), x_(1) ≤ x_(2) ≤ …"
    return _ordered(question, formula, line, lambda x: int(ascending(x)[rank]), _recorded_place(question))


def _middle(numbers: Numbers) -> int:
    if np.isnan(numbers).any():
        return int(np.argmax(np.isnan(numbers)))
    return int(ascending(numbers)[(len(numbers) - 1) // 2])


def _middle_without_nan(numbers: Numbers) -> int:
    known = int((~np.isnan(numbers)).sum())
    return int(ascending(numbers)[max(known - 1, 0) // 2])


def _most_frequent(numbers: Numbers) -> int:
    found, counts = np.unique(numbers, return_counts=True)
    return int(np.flatnonzero(numbers == found[np.argmax(counts)])[-1])


def _single(question: Question, formula: str, find: Finding) -> Arithmetic:
    dim = argument_of(question, "dim")
    if dim is None:
        return _ordered(question, formula, Elements.every(question.argument("self")), find, None)
    line, _axis = _line(question, dim, keeps_size=False, keepdim=question.argument("keepdim"))
    return _ordered(question, formula, line, find, _recorded_place(question))


@explains("median")
def median(question: Question) -> Arithmetic:
    """The element in the middle, of an even count the lower one; NaN where there is any (torch.median)."""
    return _single(question, "y = x_(m), m = ⌊(n−1)/2⌋, x_(0) ≤ x_(1) ≤ …", _middle)


@explains("nanmedian")
def nanmedian(question: Question) -> Arithmetic:
    """The element in the middle of those that are not NaN (torch.nanmedian)."""
    return _single(question, "y = x_(m), m = ⌊(n−1)/2⌋, x_(0) ≤ x_(1) ≤ … (x ≠ NaN)", _middle_without_nan)


@explains("mode")
def mode(question: Question) -> Arithmetic:
    """The most frequent number, the smallest of equally frequent ones (torch.mode)."""
    return _single(question, "y = argmax_v #{i : x[i] = v}", _most_frequent)

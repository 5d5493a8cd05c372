"""The largest and the smallest of many numbers, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import SELECTION, Arithmetic, Elements, Group, Numbers, function_of
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.reducing import along, argument_of, broadcast_index, reduced_axes, with_axes

Finding = Callable[[Numbers], int]


def largest(numbers: Numbers) -> int:
    """Returns which number is the largest: the first of equal ones; NaN is larger than any."""
    return int(np.argmax(numbers))


def smallest(numbers: Numbers) -> int:
    """Returns which number is the smallest: the first of equal ones; NaN is smaller than any."""
    return int(np.argmin(numbers))


def last_of_largest(numbers: Numbers) -> int:
    """Returns which number is the largest, the last of equal ones."""
    return len(numbers) - 1 - largest(numbers[::-1])


def last_of_smallest(numbers: Numbers) -> int:
    """Returns which number is the smallest, the last of equal ones."""
    return len(numbers) - 1 - smallest(numbers[::-1])


def selected(
    formula: str, elements: Elements, find: Finding, place: Callable[[int], float] | None = None
) -> Arithmetic:
    """Returns which of several elements was taken.

    Args:
        formula: in symbols.
        elements: winner and losers.
        find: which of their numbers wins.
        place: where the result is the winner's place: that, by its position among the elements.
    """

    def result(numbers: Numbers) -> float:
        winner = find(numbers)
        return float(numbers[winner]) if place is None else float(place(winner))

    return Arithmetic(SELECTION, formula, (Group("x", elements),), result, chosen=find(elements.numbers()))


def _reduced(question: Question, name: str, find: Finding, *, is_place: bool = False) -> Arithmetic:
    x = question.argument("self")
    count = len(x.shape)
    axes = reduced_axes(argument_of(question, "dim"), count)
    keepdim = bool(argument_of(question, "keepdim", default=False))
    elements = along(x, with_axes(question.index, axes, count, keepdim), axes)
    return selected(f"y = {name}_i x[i]", elements, find, float if is_place else None)


def _extreme(question: Question, name: str, find: Finding) -> Arithmetic:
    other: Any = argument_of(question, "other")
    if other is None:
        is_place = question.output == 1
        return _reduced(question, f"arg{name}" if is_place else name, find, is_place=is_place)
    values = [question.argument("self"), other]
    operands = [
        (symbol, value, broadcast_index(value, question.index)) for symbol, value in zip("ab", values, strict=True)
    ]
    extreme = np.maximum if name == "max" else np.minimum
    return function_of(f"{name}(a, b)", operands, lambda a, b: float(extreme(a, b)))


@explains("max")
def maximum_of(question: Question) -> Arithmetic:
    """The largest element, along an axis with its place, or the larger of two (torch.max)."""
    return _extreme(question, "max", largest)


@explains("min")
def minimum_of(question: Question) -> Arithmetic:
    """The smallest element, along an axis with its place, or the smaller of two (torch.min)."""
    return _extreme(question, "min", smallest)


@explains("amax")
def amax(question: Question) -> Arithmetic:
    """The largest element along axes (torch.amax)."""
    return _reduced(question, "max", largest)


@explains("amin")
def amin(question: Question) -> Arithmetic:
    """The smallest element along axes (torch.amin)."""
    return _reduced(question, "min", smallest)


@explains("aminmax")
def aminmax(question: Question) -> Arithmetic:
    """The smallest and the largest element, in this order (torch.aminmax)."""
    return _reduced(question, *(("min", smallest) if question.output == 0 else ("max", largest)))


@explains("argmax")
def argmax(question: Question) -> Arithmetic:
    """The place of the largest element, along an axis or in row-major order (torch.argmax)."""
    return _reduced(question, "argmax", largest, is_place=True)


@explains("argmin")
def argmin(question: Question) -> Arithmetic:
    """The place of the smallest element, along an axis or in row-major order (torch.argmin)."""
    return _reduced(question, "argmin", smallest, is_place=True)


def _running(question: Question, name: str, find: Finding) -> Arithmetic:
    x = question.argument("self")
    if not x.shape:
        return selected(f"y = {name} x", Elements.one(x, ()), find, float if question.output else None)
    axis = question.argument("dim") % len(x.shape)
    line = along(x, question.index, {axis})
    seen = Elements(x, line.index[: question.index[axis] + 1])
    is_place = question.output == 1
    return selected(f"y[n] = {'arg' * is_place}{name}_{{i≤n}} x[i]", seen, find, float if is_place else None)


@explains("cummax")
def cummax(question: Question) -> Arithmetic:
    """The largest element so far along an axis, the last one of equal ones (torch.cummax)."""
    return _running(question, "max", last_of_largest)


@explains("cummin")
def cummin(question: Question) -> Arithmetic:
    """The smallest element so far along an axis, the last one of equal ones (torch.cummin)."""
    return _running(question, "min", last_of_smallest)

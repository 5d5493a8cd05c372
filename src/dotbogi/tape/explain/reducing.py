"""What every family that reduces many numbers to one builds on: the elements along axes, and a formula of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dotbogi.tape.arithmetic import REDUCTION, Arithmetic, Elements, Group, Numbers
from dotbogi.tape.explain import Question
from dotbogi.tape.explanation import ROUNDINGS
from dotbogi.tape.value import Value

Operand = tuple[str, Elements | None]
LOW_PRECISION = frozenset({torch.bfloat16, torch.float16})


def reduction_of(
    formula: str,
    operands: Sequence[Operand],
    function: Callable[..., Any],
    *,
    kind: str = REDUCTION,
    latex: str = "",
    scale: Callable[..., Any] | None = None,
    recomputed: dict[str, float] | None = None,
    **constants: Any,
) -> Arithmetic:
    """Returns a formula of several groups of elements.

    Args:
        formula: in the operands' symbols.
        operands: symbol and elements of each group; ``None`` for what the operation was not given.
        function: of one float64 array (K,) for each operand, ``None`` for one that was not given.
        kind: of the explanation.
        latex: the formula in LaTeX.
        scale: of the same arrays, the magnitude that rounding is judged against.
        recomputed: intermediate results by symbol, computed again from the operands.
        constants: numbers of the formula that are on no tape.
    """
    present = [(symbol, elements) for symbol, elements in operands if elements is not None]
    ends = np.cumsum([len(elements) for _symbol, elements in present])

    def with_parts(called: Callable[..., Any]) -> Callable[[Numbers], float]:
        def of(numbers: Numbers) -> float:
            parts = iter(np.split(numbers, ends[:-1]))
            with np.errstate(all="ignore"):
                return float(called(*(None if elements is None else next(parts) for _symbol, elements in operands)))

        return of

    return Arithmetic(
        kind,
        formula,
        tuple(Group(symbol, elements) for symbol, elements in present),
        result=with_parts(function),
        latex=latex,
        scale=None if scale is None else with_parts(scale),
        constants=constants,
        recomputed=recomputed or {},
    )


def along(value: Value, index: Sequence[int], axes: Collection[int]) -> Elements:
    """Returns the elements that agree with an index everywhere but on some axes, the last axis fastest.

    Args:
        value: of the tape.
        index: one number for each axis of the value; what it says of the running axes does not matter.
        axes: that run, counted from 0.
    """
    if not value.shape:
        return Elements.one(value, ())
    running = [size if axis in axes else 1 for axis, size in enumerate(value.shape)]
    columns = np.indices(running, np.int64).reshape(len(running), -1).T
    return Elements(value, columns + np.array([0 if axis in axes else i for axis, i in enumerate(index)], np.int64))


def place_in(elements: Elements, index: Sequence[int]) -> int:
    """Returns which of the elements is the one at an index."""
    return int(np.flatnonzero((elements.index == np.array(index, np.int64)).all(1))[0])


def one_of(value: Value | None, index: Sequence[int]) -> Elements | None:
    """Returns a single element, or ``None`` where there is no such value."""
    return None if value is None else Elements.one(value, index)


def reduced_axes(axes: Any, count: int) -> frozenset[int]:
    """Returns which axes an argument ``dim`` means: one, several, or all where it is ``None`` or empty."""
    if axes is None or (not isinstance(axes, int) and not len(axes)):
        return frozenset(range(count))
    named = [axes] if isinstance(axes, int) else axes
    return frozenset(axis % max(count, 1) for axis in named)


def with_axes(index: Sequence[int], axes: Collection[int], count: int, keepdim: bool) -> tuple[int, ...]:
    """Returns a result's index as one of what was reduced, with 0 on the reduced axes."""
    if keepdim:
        return tuple(0 if axis in axes else i for axis, i in enumerate(index))
    rest = iter(index)
    return tuple(0 if axis in axes else next(rest) for axis in range(count))


def broadcast_index(value: Value, index: Sequence[int]) -> tuple[int, ...]:
    """Returns which element of a value is used at an index of the result that it was broadcast to."""
    last = tuple(index)[len(index) - len(value.shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(last, value.shape, strict=True))


def rounded(numbers: Any, dtype: torch.dtype) -> NDArray[Any]:
    """Returns numbers as a type of low precision holds them; those of other types as they are."""
    if dtype not in LOW_PRECISION:
        return np.asarray(numbers)
    return (
        torch.from_numpy(np.atleast_1d(np.asarray(numbers, np.float32)))
        .to(dtype)
        .double()
        .numpy()
        .reshape(np.shape(numbers))
    )


def undecided(numbers: Any, magnitudes: Any, dtype: torch.dtype) -> NDArray[Any]:
    """Returns a scale for numbers that may be rounded either way: as far as float32 can tell, they lie on a tie.

    Args:
        numbers: before they are rounded.
        magnitudes: of what was rounded in float32 on the way to them.
        dtype: to which they are rounded.
    """
    if dtype not in LOW_PRECISION:
        return np.zeros(np.shape(numbers))
    epsilon = torch.finfo(torch.float32).eps
    doubt = 8 * epsilon * np.asarray(magnitudes)
    return np.abs(rounded(numbers + doubt, dtype) - rounded(numbers - doubt, dtype)) / (ROUNDINGS * epsilon)


def rounded_once(number: float, dtype: torch.dtype) -> float:
    """Returns a number as a type of low precision holds it: as :func:`rounded`, faster for a single one."""
    if not math.isfinite(number) or number == 0.0:
        return number
    smallest, digits = (2.0**-24, 11) if dtype == torch.float16 else (2.0**-133, 8)
    step = max(2.0 ** (math.frexp(number)[1] - digits), smallest)
    nearest = round(number / step) * step
    return nearest if abs(nearest) <= torch.finfo(dtype).max else math.copysign(math.inf, number)


def told_rounding(steps: str, dtype: torch.dtype) -> str:
    """Returns what to add to a formula some of whose steps a type of low precision rounds."""
    return f"   ({steps} → {str(dtype).removeprefix('torch.')})" if dtype in LOW_PRECISION else ""


def argument_of(question: Question, *names: str, default: Any = None) -> Any:
    """Returns the argument that has one of several names: schemas of the same operation differ in them."""
    known = question.operation.argument_names
    found = next((name for name in names if name in known), None)
    return default if found is None else question.argument(found)


def smallest_scale(question: Question) -> float:
    """Returns a scale below which a result is lost in the type's smallest numbers."""
    info = torch.finfo(question.value.dtype if question.value.dtype.is_floating_point else torch.float32)
    return 0.5 * info.eps * info.smallest_normal / torch.finfo(torch.float32).eps

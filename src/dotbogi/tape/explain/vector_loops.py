"""Which elements the CPU computes in vectors, and which one by one.

In bfloat16 and float16 the two differ: a vector is computed in float32 and rounded once, a single element is rounded
after every step. Which one an element gets follows from the order in which torch walks over the operands.
Source: ``TensorIterator.cpp`` (order, merging of axes, ranges of threads) and ``cpu/Loops.h`` (vectors and the rest).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cmp_to_key
from typing import NamedTuple

import torch

from dotbogi.tape.explain import Question
from dotbogi.tape.value import Value

GRAIN_SIZE = 32768  # at::internal::GRAIN_SIZE: fewer elements are left to one thread


class Axis(NamedTuple):
    """An axis of the loop: its size, the element's place on it, and the step of every operand, in elements."""

    size: int
    place: int
    strides: tuple[int, ...]


def computed_in_vectors(question: Question, operands: Sequence[Value]) -> bool:
    """Whether an element of an elementwise result was computed in a vector.

    Args:
        question: which element.
        operands: that were read.
    """
    step = vector_step()
    axes = _merged(_axes(question, operands))
    if step == 0 or not axes:
        return False
    output, *read = axes[0].strides
    if axes[0].size > 1 and (output != 1 or sorted(read)[1:] != [1] * (len(read) - 1) or min(read) not in (0, 1)):
        return False
    first, last = _run(axes)
    count = last - first
    return axes[0].place - first < count - count % step


def _axes(question: Question, operands: Sequence[Value]) -> list[Axis]:
    """Returns the axes of the loop, the fastest first."""
    rank = len(question.value.shape)
    read = [_broadcast_strides(value, question.value.shape) for value in operands]
    found = [
        Axis(size, question.index[axis], tuple(strides[axis] for strides in (question.value.stride, *read)))
        for axis, size in enumerate(question.value.shape)
    ]
    return sorted((found[axis] for axis in range(rank - 1, -1, -1)), key=cmp_to_key(_slower))


def _broadcast_strides(value: Value, shape: tuple[int, ...]) -> tuple[int, ...]:
    missing = len(shape) - len(value.shape)
    own = (0 if size == 1 else stride for size, stride in zip(value.shape, value.stride, strict=True))
    return (*(0 for _axis in range(missing)), *own)


def _slower(one: Axis, other: Axis) -> int:
    """Returns 1 where the first axis is the slower one, −1 where the second one is (``should_swap``)."""
    for a, b in zip(one.strides, other.strides, strict=True):
        if a and b and a != b:
            return 1 if a > b else -1
    return 0


def _merged(axes: Sequence[Axis]) -> list[Axis]:
    """Returns the axes, those made one that follow each other without a gap in every operand."""
    merged: list[Axis] = []
    for axis in axes:
        before = merged[-1] if merged else None
        if axis.size == 1:
            continue
        if before and all(before.size * a == b for a, b in zip(before.strides, axis.strides, strict=True)):
            merged[-1] = Axis(before.size * axis.size, before.place + before.size * axis.place, before.strides)
        else:
            merged.append(axis)
    return merged or list(axes[:1])


def _run(axes: Sequence[Axis]) -> tuple[int, int]:
    """Returns from where to where on the fastest axis a thread goes without a break, around the element."""
    total, linear = 1, 0
    for axis in axes:
        linear += axis.place * total
        total *= axis.size
    threads = min(torch.get_num_threads(), -(-total // GRAIN_SIZE))
    if total < GRAIN_SIZE or threads == 1:
        return 0, axes[0].size
    share = -(-total // threads)
    row = linear - axes[0].place
    begin = linear // share * share
    return max(0, begin - row), min(axes[0].size, begin + share - row)


@cache
def vector_step() -> int:
    """Returns how many elements this CPU computes at once (two vectors); 0 where it computes one by one.

    Asked of a sum a + α·b whose product needs rounding: what is left over at the end was rounded twice.
    """
    a, b = torch.full((127,), -0.59375, dtype=torch.bfloat16), torch.full((127,), 0.71484375, dtype=torch.bfloat16)
    twice = torch.add(a, b, alpha=0.76953125) == -0.04296875
    single = int(twice.sum())
    return 0 if single == len(twice) else single + 1

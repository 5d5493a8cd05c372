"""Conversions: the same number in another type, or written at another place."""

from __future__ import annotations

import torch

from dotbogi.tape.arithmetic import COPY, Arithmetic, Elements, Group, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.elementwise import argument, broadcast_index
from dotbogi.tape.value import Value


@explains("_to_copy", "to", "type_as", "_autocast_to_reduced_precision", "_autocast_to_full_precision")
def converted(question: Question) -> Arithmetic:
    """x, rounded to the type of the result (https://pytorch.org/docs/stable/generated/torch.Tensor.to.html)."""
    return conversion(question, question.argument("self"), question.index)


@explains("copy", "copy_", "_foreach_copy", "_foreach_copy_")
def copied(question: Question) -> Arithmetic:
    """x, broadcast and rounded to the type of what is written over."""
    source = argument(question, "src")
    return conversion(question, source, broadcast_index(question.index, source.shape))


def conversion(question: Question, source: Value, index: tuple[int, ...]) -> Arithmetic:
    """Explains an element as another one, in the type of the result."""
    before, after = source.dtype, question.value.dtype
    name = str(after).removeprefix("torch.")
    same = before == after
    return Arithmetic(
        COPY,
        "y = x" if same else f"y = {name}(x)",
        (Group("x", Elements.one(source, index), 1.0),),
        result=lambda numbers: float(numbers[0]) if same else in_type(numbers, before, after),
        latex="y = x" if same else rf"y = \mathrm{{{name}}}(x)",
    )


def in_type(numbers: Numbers, before: torch.dtype, after: torch.dtype) -> float:
    """Returns a number as it is in another type.

    Args:
        numbers: (1,).
        before: the type that it is held in.
        after: the type that it is rounded to; of an integer type without its decimals.
    """
    # From the type that it had: a conversion straight from float64 might round only once where there are two roundings.
    return float(torch.from_numpy(numbers).to(before).to(after)[0])

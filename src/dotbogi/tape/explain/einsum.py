"""Einstein's summation, as it arrives in inference mode: the sum of products over the letters that the result lacks.

Source: pytorch.org/docs/stable/generated/torch.einsum.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Indices, product_group, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.indices import columns, counting
from dotbogi.tape.explain.reducing import reduction_of
from dotbogi.tape.value import Value

DOTS = "0123456789"  # stand for the axes of an ellipsis, which no letter can be


@explains("einsum")
def einsum(question: Question) -> Arithmetic:
    """One or two tensors are a sum of products; of more, every product has as many factors."""
    tensors: list[Value] = list(question.argument("tensors"))
    equation = str(question.argument("equation"))
    operands, result = letters(equation, [len(tensor.shape) for tensor in tensors])
    terms = [
        Elements(tensor, index)
        for tensor, index in zip(tensors, _places(operands, result, tensors, question.index), strict=True)
    ]
    formula = f"y = Σ {' · '.join(f'{name}[{text}]' for name, text in zip('abcdefgh', operands, strict=False))}"
    if len(terms) == 1:
        return sum_of_products(formula, Group("a", terms[0], 1.0), equation=equation)
    if len(terms) == 2:
        return sum_of_products(formula, product_group("a", terms[0], "b", terms[1]), equation=equation)
    return reduction_of(
        formula,
        list(zip("abcdefgh", terms, strict=False)),
        lambda *factors: np.sum(prod(factors)),
        scale=lambda *factors: np.sum(np.abs(prod(factors))),
        equation=equation,
    )


def letters(equation: str, axes: Sequence[int]) -> tuple[list[str], str]:
    """Returns each operand's letters and the result's, an ellipsis written out in digits.

    Args:
        equation: such as ``"bij,bjk->bik"``; without an arrow the result has the letters that occur once, sorted.
        axes: how many each operand has.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    operands = [
        text.replace("...", _dots(count - len(text.replace("...", ""))))
        for text, count in zip(left.split(","), axes, strict=True)
    ]
    longest = max((_dots(sum(one in DOTS for one in text)) for text in operands), key=len)
    if arrow:
        return operands, right.replace("...", longest)
    every = "".join(operands)
    return operands, longest + "".join(sorted(one for one in set(every) - set(DOTS) if every.count(one) == 1))


def _dots(count: int) -> str:
    return DOTS[:count][::-1]  # the last axis is always 0, since ellipses are aligned at their ends


def _places(operands: list[str], result: str, tensors: list[Value], index: tuple[int, ...]) -> list[Indices]:
    """Returns which elements of each tensor meet, (K, number of its axes) each."""
    sizes: dict[str, int] = {}
    for text, tensor in zip(operands, tensors, strict=True):
        for letter, size in zip(text, tensor.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    summed = [letter for letter in sizes if letter not in result]
    place: dict[str, Any] = dict(zip(result, index, strict=True))
    place |= zip(summed, counting(tuple(sizes[letter] for letter in summed)), strict=True)
    count = prod(sizes[letter] for letter in summed)
    return [
        columns(*(place[one] if size > 1 else 0 for one, size in zip(text, tensor.shape, strict=True)), count=count)
        for text, tensor in zip(operands, tensors, strict=True)
    ]

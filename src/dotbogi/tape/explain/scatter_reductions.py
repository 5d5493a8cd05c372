"""What several elements that are scattered to the same place are reduced to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from dotbogi.tape.arithmetic import REDUCTION, SELECTION, Arithmetic, Elements, Group, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.accumulation import arriving, read_tensors
from dotbogi.tape.explain.reducing import rounded

FORMULAS = {
    "sum": "y[j] = Σ v",
    "prod": "y[j] = Π v",
    "mean": "y[j] = Σ v / n",
    "amax": "y[j] = max v",
    "amin": "y[j] = min v",
}
WHICH = ", v ∈ {src[i] : index[i] = j}"
EXTREMES: dict[str, Callable[[Numbers], int]] = {
    "amax": lambda v: int(np.argmax(v)),
    "amin": lambda v: int(np.argmin(v)),
}


@explains("scatter_reduce")
def scatter_reduce(question: Question) -> Arithmetic:
    """Sum, product, mean or extreme of what arrives, and of what was there (torch.Tensor.scatter_reduce_)."""
    x, source, dim, how = (question.argument(name) for name in ("self", "src", "dim", "reduce"))
    index = read_tensors(question.argument("index"))
    arrived = arriving(question, source, lambda numbers: torch.gather(numbers, dim, index))
    stays = question.argument("include_self") or not len(arrived)
    groups = (
        *([Group("x", Elements.one(x, question.index))] if stays else []),
        *([Group("v", arrived)] if len(arrived) else []),
    )
    formula = FORMULAS[how] + WHICH + (" ∪ {x[j]}" if stays else "")
    if how in EXTREMES:
        chosen = EXTREMES[how](np.concatenate([group.elements.numbers() for group in groups]))
        return Arithmetic(SELECTION, formula, groups, lambda v: float(v[EXTREMES[how](v)]), chosen=chosen)
    return Arithmetic(REDUCTION, formula, groups, _reducing(question, how), scale=lambda v: float(np.sum(np.abs(v))))


def _reducing(question: Question, how: str) -> Callable[[Numbers], float]:
    dtype = question.value.dtype

    def result(numbers: Numbers) -> float:
        if how == "prod":
            return float(np.prod(numbers))
        total = rounded(np.sum(numbers), dtype)  # which torch keeps before it divides
        mean = total / len(numbers)
        return float(total if how == "sum" else mean if dtype.is_floating_point else np.floor(mean))

    return result

"""Norms, variances, products and counts: many numbers reduced to one.

Sources: https://pytorch.org/docs/stable/generated/torch.linalg.vector_norm.html and those of the other functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Indices, Numbers, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.normalisation import condition
from dotbogi.tape.explain.reducing import (
    LOW_PRECISION,
    along,
    argument_of,
    reduced_axes,
    reduction_of,
    rounded_once,
    told_rounding,
    with_axes,
)
from dotbogi.tape.explanation import ROUNDINGS
from dotbogi.tape.value import Value

LONG = 2**16  # squares; the rounding of shorter sums is within the tolerance


def _reduced(question: Question) -> Elements:
    """Returns the elements that the asked number was reduced from."""
    value = question.argument("self")
    axes = reduced_axes(argument_of(question, "dim"), len(value.shape))
    keepdim = argument_of(question, "keepdim", default=False)
    return along(value, with_axes(question.index, axes, len(value.shape), keepdim), axes)


@explains("linalg_vector_norm", "norm")
def vector_norm(question: Question) -> Arithmetic:
    """(Σ|x|^p)^(1/p); of p = ∞ the largest magnitude, of −∞ the smallest, of 0 how many are not 0."""
    order = argument_of(question, "ord", "p", default=2)
    return norm_of(_reduced(question), 2.0 if order is None else float(order))


@explains("_foreach_norm")
def norms(question: Question) -> Arithmetic:
    """The norm of each tensor of a list, as gradient clipping asks for them."""
    value = question.argument("self")[question.output]
    return norm_of(Elements.every(value), float(question.argument("ord")))


def norm_of(elements: Elements, order: float) -> Arithmetic:
    """Returns how a norm came about."""
    symbol, latex, function = _norm(order)
    if order == 2 and len(elements) >= LONG and elements.value.device.type == "cpu":
        running = RunningSum.of(elements)
        if running is not None:
            symbol, function = f"{symbol}   (Σ → {running.told})", lambda x: np.sqrt(running.of_squares(x))
    return reduction_of(symbol, [("x", elements)], function, latex=latex, p=order)


@dataclass(frozen=True)
class RunningSum:
    """How torch adds up the squares of a long row: in lanes, which rounding makes drift from the exact sum.

    Args:
        order: in which the elements lie in memory (K,).
        lanes: how many sums run side by side.
        parts: how many shares the row is cut into first.
        dtype: of the sums.

    Source: PyTorch, aten/src/ATen/native/cpu/ReduceOpsKernel.cpp, which is compiled for AVX2 at most.
    """

    order: Indices
    lanes: int
    parts: int
    dtype: type[np.float32] | type[np.float64]

    @classmethod
    def of(cls, elements: Elements) -> RunningSum | None:
        """Returns how it adds up some elements, or ``None`` where they do not lie side by side or it is not known."""
        offsets = elements.index @ np.array(elements.value.stride, np.int64)
        order = np.argsort(offsets, kind="stable")
        if offsets[order[-1]] - offsets[order[0]] + 1 != len(offsets):
            return None
        if elements.value.dtype == torch.float16:
            return cls(order, 1, torch.get_num_threads(), np.float32)
        if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
            return None
        if elements.value.dtype == torch.float64:
            return cls(order, 4, 1, np.float64)
        return cls(order, 8, 1, np.float32)

    @property
    def told(self) -> str:
        """Its type, as the formula says it."""
        return self.dtype.__name__

    def of_squares(self, x: Numbers) -> float:
        """Returns Σ x², rounded after every square."""
        squares = np.square(x[self.order].astype(self.dtype))
        total = 0.0
        for part in np.array_split(squares, self.parts):
            whole = len(part) // self.lanes * self.lanes
            sums = np.add.accumulate(part[:whole].reshape(-1, self.lanes), axis=0, dtype=self.dtype)[-1]
            rest = np.concatenate([sums, part[whole:]])
            total += float(np.add.accumulate(rest, dtype=self.dtype)[-1])
        return total


def _norm(order: float) -> tuple[str, str, Callable[[Numbers], Any]]:
    if order == math.inf:
        return "‖x‖ = max |x|", r"\lVert x\rVert_\infty = \max_k |x_k|", lambda x: np.max(np.abs(x), initial=0.0)
    if order == -math.inf:
        return "‖x‖ = min |x|", r"\min_k |x_k|", lambda x: np.min(np.abs(x), initial=math.inf)
    if order == 0:
        return "‖x‖ = how many x ≠ 0", r"\#\{k : x_k \ne 0\}", np.count_nonzero
    if order == 2:
        return "‖x‖ = √Σ x²", r"\lVert x\rVert_2 = \sqrt{\sum_k x_k^2}", lambda x: np.sqrt(np.sum(x * x))
    if order == 1:
        return "‖x‖ = Σ |x|", r"\lVert x\rVert_1 = \sum_k |x_k|", lambda x: np.sum(np.abs(x))
    latex = r"\lVert x\rVert_p = \Bigl(\sum_k |x_k|^p\Bigr)^{1/p}"
    return "‖x‖ = (Σ |x|^p)^(1/p)", latex, lambda x: np.sum(np.abs(x) ** order) ** (1 / order)


@explains("var", "std", "var_mean", "std_mean")
def variance(question: Question) -> Arithmetic:
    """Σ(x − μ)² over N less the correction, and its root; the second result is the mean."""
    elements = _reduced(question)
    if question.output == 1:
        return sum_of_products("μ = Σ x/N", Group("x", elements, 1 / max(len(elements), 1)), N=len(elements))
    given = argument_of(question, "correction")
    correction = _correction(question) if given is None else float(given)
    is_root = question.operation.packet.startswith("std")
    count = max(len(elements) - correction, 0.0)

    def result(x: Numbers) -> Any:
        squares = np.sum((x - np.mean(x)) ** 2) / np.float64(count)
        return np.sqrt(squares) if is_root else squares

    return reduction_of(
        ("σ = √(Σ(x_k − μ)²/(N − c))" if is_root else "σ² = Σ(x_k − μ)²/(N − c)") + ",  μ = Σx_k/N",
        [("x", elements)],
        result,
        latex=r"\sigma^2 = \frac{1}{N-c}\sum_k (x_k-\mu)^2",
        scale=lambda x: result(x) * condition(x),
        N=len(elements),
        c=correction,
    )


def _correction(question: Question) -> float:
    return 1.0 if argument_of(question, "unbiased", default=True) else 0.0


@explains("prod")
def product(question: Question) -> Arithmetic:
    """The product of all."""
    return _product("y = Π x", _reduced(question), question.value)


@explains("cumprod")
def cumulative_product(question: Question) -> Arithmetic:
    """The product of all up to its own place."""
    value = question.argument("self")
    axes = reduced_axes(question.argument("dim"), len(value.shape))
    line = along(value, question.index, axes)
    place = question.index[next(iter(axes))] if value.shape else 0
    formula = "y = Π x up to its own place"
    return reduction_of(formula, [("x", Elements(value, line.index[: place + 1]))], np.prod, scale=_magnitude)


def _magnitude(x: Numbers) -> Any:
    """Each factor is rounded once: of many the error grows with their number."""
    return np.abs(np.prod(x)) * max(1.0, len(x) / ROUNDINGS)


def _product(formula: str, elements: Elements, result: Value) -> Arithmetic:
    dtype = result.dtype if result.device.type == "cpu" else torch.float32

    def rounded_product(x: Numbers) -> Any:
        if dtype not in LOW_PRECISION:
            return np.prod(x)
        total = 1.0
        for number in x.tolist():
            total = rounded_once(total * number, dtype)
        return total

    told = told_rounding("Π", dtype)
    return reduction_of(formula + told, [("x", elements)], rounded_product, latex=r"y = \prod_k x_k", scale=_magnitude)


@explains("any")
def any_of(question: Question) -> Arithmetic:
    """Whether one of them is not 0."""
    return reduction_of("y = 1 where any x ≠ 0", [("x", _reduced(question))], lambda x: np.any(x != 0))


@explains("all")
def all_of(question: Question) -> Arithmetic:
    """Whether none of them is 0."""
    return reduction_of("y = 1 where every x ≠ 0", [("x", _reduced(question))], lambda x: np.all(x != 0))


@explains("count_nonzero")
def count_nonzero(question: Question) -> Arithmetic:
    """How many of them are not 0."""
    return reduction_of("y = how many x ≠ 0", [("x", _reduced(question))], np.count_nonzero)


@explains("dist")
def distance(question: Question) -> Arithmetic:
    """The norm of a difference."""
    order = float(question.argument("p"))
    symbol, _latex, function = _norm(order)
    x, t = (Elements.every(question.argument(name)) for name in ("self", "other"))
    return reduction_of(symbol.replace("x", "x − t"), [("x", x), ("t", t)], lambda x, t: function(x - t), p=order)

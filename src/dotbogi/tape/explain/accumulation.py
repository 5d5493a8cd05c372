"""Operations that add up what arrives at the same place: the gradients of every operation that reads an element twice.

Which elements arrive where is found by letting the operation's reading counterpart read the results' numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dotbogi.tape.arithmetic import REDUCTION, Arithmetic, Elements, Group, Indices, Numbers, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.rearrangements import as_places, constant, geometry, numbered
from dotbogi.tape.explain.reducing import LOW_PRECISION, rounded, told_rounding
from dotbogi.tape.operation import Operation, with_tensors
from dotbogi.tape.value import Value

aten = torch.ops.aten
Reading = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Arrivals:
    """Which elements arrive at which results.

    Args:
        targets: the results' numbers from 1, in row-major order, ascending (K,).
        elements: the places of what arrives there, in row-major order, ascending for each target (K,).
    """

    targets: NDArray[Any]
    elements: NDArray[Any]

    @classmethod
    def of(cls, read: Reading, shape: tuple[int, ...], source: Value) -> Arrivals:
        """Lets an operation read the numbers of the results.

        Args:
            read: gives what was read, in the shape of the source, to which the source may be broadcast or cut.
            shape: of the results.
            source: whose elements arrive.
        """
        with torch.no_grad():
            read_numbers = read(numbered(shape))
        taken = torch.arange(source.numel()).reshape(source.shape)
        if taken.dim() == read_numbers.dim():  # of a source that is larger than its index, the first elements
            taken = taken[tuple(slice(max(size, 1)) for size in read_numbers.shape)]
        targets = as_places(read_numbers.flatten(), prod(shape))
        order = np.argsort(targets, kind="stable")
        return cls(targets[order], as_places(taken.expand(read_numbers.shape).flatten(), source.numel())[order])

    def at(self, number: int) -> Indices:
        """Returns the places of what arrives at a result, ascending."""
        first, end = np.searchsorted(self.targets, [number, number + 1])
        return self.elements[first:end].astype(np.int64)


_ARRIVALS: WeakKeyDictionary[Operation, Arrivals] = WeakKeyDictionary()


def accumulated(
    question: Question,
    formula: str,
    source: Value,
    read: Reading,
    *,
    symbol: str = "g",
    onto: Value | None = None,
    coefficient: float = 1.0,
    at_once: bool = False,
) -> Arithmetic:
    """Returns Σ of the elements that arrive at a result.

    Args:
        question: which result.
        formula: in symbols.
        source: whose elements arrive.
        read: see :meth:`Arrivals.of`.
        symbol: what stands for the source in the formula.
        onto: what the sum is added to.
        coefficient: what each arriving element is multiplied with.
        at_once: whether torch rounds a type of low precision once; by default after every addition.
    """
    arrived = arriving(question, source, read)
    first = [] if onto is None else [Group("x", Elements.one(onto, question.index), 1.0)]
    groups = [*first, *([Group(symbol, arrived, coefficient)] if len(arrived) else [])]
    return summed(question, formula, *groups, at_once=at_once)


def arriving(question: Question, source: Value, read: Reading) -> Elements:
    """Returns which elements of a source arrive at a result; see :meth:`Arrivals.of`."""
    operation, value = question.operation, question.value
    if operation not in _ARRIVALS:
        _ARRIVALS[operation] = Arrivals.of(read, value.shape, source)
    number = int(np.ravel_multi_index(question.index, value.shape)) + 1 if value.shape else 1
    return Elements(source, places(_ARRIVALS[operation].at(number), source.shape))


def summed(question: Question, formula: str, *groups: Group, at_once: bool = False, **constants: Any) -> Arithmetic:
    """Returns Σ coefficient · value, rounded as torch does in a type of low precision.

    Args:
        question: which result.
        formula: in symbols.
        groups: what is added, in the order of the additions; none gives 0.
        at_once: whether torch rounds a type of low precision once; by default after every addition.
        constants: numbers of the formula that are on no tape.
    """
    constants = {**geometry(question.operation), **constants}
    dtype = question.value.dtype
    if not groups:
        return constant(formula, 0.0, **constants)
    if dtype not in LOW_PRECISION or at_once or question.value.device.type != "cpu":  # elsewhere it adds in float32
        return sum_of_products(formula, *groups, **constants)
    coefficients = np.concatenate([np.broadcast_to(np.asarray(one.coefficients), len(one.elements)) for one in groups])
    return Arithmetic(
        REDUCTION,
        formula + told_rounding("Σ", dtype),
        groups,
        result=lambda numbers: _running_sum(numbers * coefficients, dtype),
        constants=constants,
    )


def _running_sum(products: Numbers, dtype: torch.dtype) -> float:
    total = 0.0
    for product in products.tolist():
        total = float(rounded(total + float(rounded(product, dtype)), dtype))
    return total


def places(flat: Indices, shape: tuple[int, ...]) -> Indices:
    """Returns indices (K, number of axes) of places in row-major order."""
    if not shape:
        return np.zeros((len(flat), 0), np.int64)
    return np.stack(np.unravel_index(flat, shape), 1).astype(np.int64)


def read_tensors(argument: Any) -> Any:
    """Returns an argument with tensors, for reading only, in the values' place."""
    return with_tensors(argument, lambda value: value.view().cpu())


@explains("index_add")
def index_add(question: Question) -> Arithmetic:
    """What was there, and α times every row whose index names this one (torch.Tensor.index_add_)."""
    x, v, dim, alpha = (question.argument(name) for name in ("self", "source", "dim", "alpha"))
    index = read_tensors(question.argument("index"))
    axes = len(x.shape)
    return accumulated(
        question,
        "y[…,j,…] = x[…,j,…] + α·Σ_{index[i]=j} v[…,i,…]",
        v,
        lambda numbers: aten.index_select(numbers, dim, index),
        symbol="v",
        onto=x,
        coefficient=float(rounded(float(alpha), x.dtype)),
        at_once=alpha == 1 and axes > 1 and dim % axes in (0, axes - 1),
    )


@explains("scatter_add")
def scatter_add(question: Question) -> Arithmetic:
    """What was there, and every element whose index names this place (torch.Tensor.scatter_add_)."""
    x, v, dim = (question.argument(name) for name in ("self", "src", "dim"))
    index = read_tensors(question.argument("index"))
    return accumulated(
        question,
        "y[…,j,…] = x[…,j,…] + Σ_{index[…,i,…]=j} v[…,i,…]",
        v,
        lambda numbers: aten.gather(numbers, dim, index),
        symbol="v",
        onto=x,
        at_once=True,
    )


def index_put_accumulated(question: Question) -> Arithmetic:
    """What was there, and every element whose indices name this place (torch.Tensor.index_put_)."""
    indices = read_tensors(question.argument("indices"))
    return accumulated(
        question,
        "y[j] = x[j] + Σ_{index[i]=j} v[i]",
        question.argument("values"),
        lambda numbers: aten.index(numbers, indices),
        symbol="v",
        onto=question.argument("self"),
    )


def put_accumulated(question: Question) -> Arithmetic:
    """What was there, and every element whose index names this place (torch.Tensor.put_)."""
    index = read_tensors(question.argument("index"))
    return accumulated(
        question,
        "y.flatten()[j] = x.flatten()[j] + Σ_{index[i]=j} v[i]",
        question.argument("source"),
        lambda numbers: aten.take(numbers, index),
        symbol="v",
        onto=question.argument("self"),
    )


@explains("embedding_dense_backward")
def embedding_dense_backward(question: Question) -> Arithmetic:
    """The gradients of every place that this row was looked up for (torch.nn.functional.embedding)."""
    indices, padding = read_tensors(question.argument("indices")), question.argument("padding_idx")
    row = question.index[0]
    count = int((indices == row).sum()) if question.argument("scale_grad_by_freq") else 1

    def read(numbers: Tensor) -> Tensor:
        if padding >= 0:
            numbers[padding] = 0
        return aten.embedding(numbers, indices)

    return accumulated(
        question,
        "∂L/∂w[t,d] = Σ_{index[i]=t} ∂L/∂y[i,d]" + (" / n_t" if count > 1 else ""),
        question.argument("grad_output"),
        read,
        coefficient=1 / max(count, 1),
    )


NEAREST = "min(max(i − p, 0), n−1)"
BORDERED = tuple(f"{kind}_pad{axes}d_backward" for kind in ("reflection", "replication") for axes in (1, 2, 3))


@explains(*BORDERED)
def padding_backward(question: Question) -> Arithmetic:
    """The gradients of every place that the padding shows this element at: the middle, and the border."""
    padded = getattr(aten, question.operation.packet.removesuffix("_backward"))
    padding, mirrors = question.argument("padding"), question.operation.packet.startswith("reflection")
    return accumulated(
        question,
        "∂L/∂x[…,j,…] = Σ_{m(i)=j} ∂L/∂y[…,i,…], m(i) = " + ("n−1 − |n−1 − |i − p||" if mirrors else NEAREST),
        question.argument("grad_output"),
        lambda numbers: padded(numbers, padding),
    )


@explains("col2im")
def col2im(question: Question) -> Arithmetic:
    """Every column's element that lies over this pixel (torch.nn.functional.fold)."""
    shape = [question.argument(name) for name in ("kernel_size", "dilation", "padding", "stride")]
    return accumulated(
        question,
        "y[b, c, h, w] = Σ_{i·s+u·d−p=h, j·s+v·d−p=w} x[b, (c·k + u)·k + v, (i,j)]",
        question.argument("self"),
        lambda numbers: aten.im2col(numbers, *shape),
        symbol="x",
    )


@explains("unfold_backward")
def unfold_backward(question: Question) -> Arithmetic:
    """The gradients of this element in every window that it is in (torch.Tensor.unfold)."""
    dim, size, step = (question.argument(name) for name in ("dim", "size", "step"))
    return accumulated(
        question,
        "∂L/∂x[…,j,…] = Σ_{i·step+u=j} ∂L/∂y[…,i,…,u]",
        question.argument("grad_in"),
        lambda numbers: numbers.unfold(dim, size, step),
    )

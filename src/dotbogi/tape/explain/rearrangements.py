"""Operations that copy elements to other places, and what they fill the rest with.

Which element went where is found by letting the operation itself move the elements' numbers in the elements' place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dotbogi.tape.arithmetic import FUNCTION, Arithmetic, copy_of
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.operation import Operation, with_tensors
from dotbogi.tape.value import Value


@dataclass(frozen=True)
class Rearrangement:
    """An operation that moves elements.

    Args:
        formula: in symbols; x is what is moved, v what is put into x.
        operands: the arguments, by name, whose elements are moved; the others only say where to.
    """

    formula: str
    operands: tuple[str, ...] = ("self",)


JOINED = "y[…,i,…] = x_k[…,i − Σ_{m<k} n_m,…]"
MIRRORED = "y[…,i,…] = x[…,n−1 − |n−1 − |i − p||,…]"
NEAREST = "y[…,i,…] = x[…,min(max(i − p, 0), n−1),…]"
WRITTEN = "y = x; y[…,k,…] = v"
REARRANGEMENTS = {
    **dict.fromkeys(("cat", "concat"), Rearrangement(JOINED, ("tensors",))),
    "stack": Rearrangement("y[…,k,…] = x_k[…]", ("tensors",)),
    "block_diag": Rearrangement("y[r_k + i, c_k + j] = x_k[i,j], else 0", ("tensors",)),
    **dict.fromkeys(("vstack", "hstack", "dstack", "column_stack", "row_stack"), Rearrangement(JOINED, ("tensors",))),
    "meshgrid": Rearrangement("y_k[i₀,i₁,…] = x_k[i_k]", ("tensors",)),
    "fliplr": Rearrangement("y[i,j,…] = x[i,n−1 − j,…]"),
    "flipud": Rearrangement("y[i,…] = x[n−1 − i,…]"),
    "flip": Rearrangement("y[…,i,…] = x[…,n−1 − i,…]"),
    "roll": Rearrangement("y[…,i,…] = x[…,(i − shift) mod n,…]"),
    "rot90": Rearrangement("y[i,j] = x[j, n−1 − i] (k = 1)"),
    "repeat": Rearrangement("y[…,i,…] = x[…,i mod n,…]"),
    "tile": Rearrangement("y[…,i,…] = x[…,i mod n,…]"),
    "constant_pad_nd": Rearrangement("y[…,i,…] = x[…,i − p,…] (0 ≤ i − p < n), else value"),
    "pad": Rearrangement("y[…,i,…] = x[…,m(i),…]"),
    **dict.fromkeys([f"reflection_pad{n}d" for n in (1, 2, 3)], Rearrangement(MIRRORED)),
    **dict.fromkeys([f"replication_pad{n}d" for n in (1, 2, 3)], Rearrangement(NEAREST)),
    "pixel_shuffle": Rearrangement("y[b, c, h·r + u, w·r + v] = x[b, c·r² + u·r + v, h, w]"),
    "pixel_unshuffle": Rearrangement("y[b, c·r² + u·r + v, h, w] = x[b, c, h·r + u, w·r + v]"),
    **dict.fromkeys(
        ("channel_shuffle", "native_channel_shuffle"), Rearrangement("y[b, i·g + j,…] = x[b, j·(C/g) + i,…]")
    ),
    "im2col": Rearrangement("y[b, (c·k + u)·k + v, l] = x[b, c, i·s + u·d − p, j·s + v·d − p]"),
    "tril": Rearrangement("y[…,i,j] = x[…,i,j] (j ≤ i + k), else 0"),
    "triu": Rearrangement("y[…,i,j] = x[…,i,j] (j ≥ i + k), else 0"),
    "diag_embed": Rearrangement("y[…,i,i + offset] = x[…,i], else 0"),
    "index": Rearrangement("y[i] = x[index[i]]"),
    "_unsafe_index": Rearrangement("y[i] = x[index[i]]"),
    "index_select": Rearrangement("y[…,i,…] = x[…,index[i],…]"),
    "gather": Rearrangement("y[…,i,…] = x[…,index[…,i,…],…]"),
    "take_along_dim": Rearrangement("y[…,i,…] = x[…,index[…,i,…],…]"),
    "take": Rearrangement("y[i] = x.flatten()[index[i]]"),
    "masked_select": Rearrangement("y = x[mask]"),
    "embedding": Rearrangement("y[i,d] = w[index[i],d]", ("weight",)),
    "masked_scatter": Rearrangement("y = x; y[mask] = v", ("self", "source")),
    "masked_scatter_backward": Rearrangement("∂L/∂v = (∂L/∂y)[mask], else 0", ("grad_output",)),
    "index_copy": Rearrangement("y = x; y[…,index[i],…] = v[…,i,…]", ("self", "source")),
    "index_fill": Rearrangement("y = x; y[…,index[i],…] = value", ("self", "value")),
    "select_scatter": Rearrangement(WRITTEN, ("self", "src")),
    "slice_scatter": Rearrangement("y = x; y[…,start + i·step,…] = v[…,i,…]", ("self", "src")),
    "diagonal_scatter": Rearrangement("y = x; y[…,i,…,i + offset,…] = v[…,i]", ("self", "src")),
    "as_strided_scatter": Rearrangement("y = x; y.memory[offset + i₀·s₀ + …] = v[i₀,…]", ("self", "src")),
    "select_backward": Rearrangement("∂L/∂x[…,k,…] = ∂L/∂y[…], else 0", ("grad_output",)),
    "slice_backward": Rearrangement("∂L/∂x[…,start + i·step,…] = ∂L/∂y[…,i,…], else 0", ("grad_output",)),
    "diagonal_backward": Rearrangement("∂L/∂x[…,i,…,i + offset,…] = ∂L/∂y[…,i], else 0", ("grad_output",)),
    **dict.fromkeys(("max_unpool2d", "max_unpool3d"), Rearrangement("y[index[i]] = x[i], else 0")),
}
ANY = Rearrangement("y[i] = x[j]")
COPIES = ("permute", "expand", "select", "slice", "split", "unbind", "transpose", "t", "view", "unfold", "diagonal")


@explains("clone", "contiguous", "lift_fresh_copy", "alias_copy", "detach_copy")
def clone(question: Question) -> Arithmetic:
    """The same element in memory of its own."""
    return copy_of(question.argument("self"), question.index, "y = x")


@explains(*REARRANGEMENTS, *(f"{name}_copy" for name in COPIES), "split_with_sizes_copy", "as_strided_copy")
def rearranged(question: Question) -> Arithmetic:
    """The element that was copied here, or the number that the rest is filled with (torch's documentation of each)."""
    return moved(question, REARRANGEMENTS.get(question.operation.packet.removesuffix("_"), ANY))


def moved(question: Question, rearrangement: Rearrangement) -> Arithmetic:
    """Returns which element of an operation's operands was moved to an element of its results."""
    operation = question.operation
    number = int(_numbers(operation, rearrangement.operands)[question.output][question.index])
    constants = geometry(operation)
    if number == 0:
        return constant(rearrangement.formula, _filling(operation), **constants)
    values = _moved(operation, rearrangement.operands)
    ends = np.cumsum([value.numel() for value in values])
    value, end = next((value, end) for value, end in zip(values, ends.tolist(), strict=True) if number <= end)
    index = unravelled(number - 1 - end + value.numel(), value.shape)
    return replace(copy_of(value, index, rearrangement.formula), constants=constants)


def constant(formula: str, number: float, **constants: Any) -> Arithmetic:
    """Returns that a number depends on no element at all, such as the border of a padding."""
    return Arithmetic(
        FUNCTION,
        formula,
        result=lambda _numbers: number,
        numbers=lambda _numbers: f"{number:g}",
        constants=constants,
    )


def unravelled(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Returns the index of an element from its place in row-major order."""
    return tuple(int(i) for i in np.unravel_index(position, tuple(shape))) if shape else ()


def geometry(operation: Operation) -> dict[str, Any]:
    """Returns an operation's plain numbers by name: which axis, how far, what size."""
    named = {parameter.name: operation.argument(parameter.name) for parameter in operation.overload._schema.arguments}
    return {name: argument for name, argument in named.items() if _is_plain(argument)}


def _is_plain(argument: Any) -> bool:
    if isinstance(argument, (list, tuple)):
        return len(argument) > 0 and all(isinstance(item, (int, float)) for item in argument)
    return isinstance(argument, (int, float)) and not isinstance(argument, bool)


def _filling(operation: Operation) -> float:
    """Returns what an operation puts where nothing is moved to."""
    names = operation.argument_names
    return float(operation.argument("value") or 0) if "value" in names else 0.0


def _moved(operation: Operation, names: Sequence[str]) -> list[Value]:
    """Returns the values whose elements an operation moves, in the order of the operands."""
    known = operation.argument_names
    arguments = [operation.argument(name) for name in names if name in known]
    listed = [item for one in arguments for item in (one if isinstance(one, (list, tuple)) else [one])]
    return [item for item in listed if isinstance(item, Value)]


# By the operation, and without the values in it, which would keep the operation alive.
_NUMBERS: WeakKeyDictionary[Operation, list[NDArray[Any]]] = WeakKeyDictionary()


def _numbers(operation: Operation, names: Sequence[str]) -> list[NDArray[Any]]:
    """Returns, for every element of every result, the number of the element that was moved there, 0 for none.

    The operands' elements are counted through from 1, in row-major order.
    """
    if operation not in _NUMBERS:
        values = _moved(operation, names)
        starts = np.cumsum([0, *(value.numel() for value in values)]).tolist()
        result = _run_on_numbers(
            operation, names, {value.id: start for value, start in zip(values, starts, strict=False)}
        )
        results: list[Tensor] = list(result) if isinstance(result, (list, tuple)) else [result]
        _NUMBERS[operation] = [as_places(one, starts[-1]) for one in results]
    return _NUMBERS[operation]


def as_places(numbers: Tensor, largest: int) -> NDArray[Any]:
    """Returns whole numbers in the smallest type that holds them, since they are kept."""
    return numbers.numpy().astype(np.min_scalar_type(largest))


def _run_on_numbers(operation: Operation, names: Sequence[str], starts: dict[int, int]) -> Any:
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    for parameter in operation.overload._schema.arguments:
        argument = operation.argument(parameter.name)
        if parameter.name in names:
            argument = with_tensors(argument, lambda value: _operand(operation, value, starts[value.id]))
        else:
            argument = with_tensors(argument, lambda value: value.view().cpu())
        if parameter.name == "value" and isinstance(argument, (int, float)):
            argument = 0
        if parameter.kwarg_only:
            keywords[parameter.name] = argument
        else:
            positional.append(argument)
    with torch.no_grad():
        return operation.overload(*positional, **keywords)


def _operand(operation: Operation, value: Value, start: int) -> Tensor:
    numbers = numbered(value.shape, start)
    if not operation.packet.startswith("as_strided") or 0 in value.stride:
        return numbers
    # What is addressed by memory must lie in it as it did.
    size = value.offset + sum((size - 1) * step for size, step in zip(value.shape, value.stride, strict=True)) + 1
    memory = torch.zeros(size, dtype=torch.float64)
    memory.as_strided(value.shape, value.stride, value.offset).copy_(numbers)
    return memory.as_strided(value.shape, value.stride, value.offset)


def numbered(shape: Sequence[int], start: int = 0) -> Tensor:
    """Returns a tensor of the numbers start + 1, start + 2, … in float64, which every operation takes."""
    count = int(np.prod(shape, dtype=np.int64))
    return torch.arange(start + 1, start + count + 1, dtype=torch.float64).reshape(tuple(shape))

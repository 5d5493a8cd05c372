"""Everything that a number depends on, back to pixels and weights: arrays of distinct values, not a tree."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dotbogi.language import _
from dotbogi.tape.analyses.marks import Marks, Written
from dotbogi.tape.analyses.reach import one_marked, sweep_backward
from dotbogi.tape.operation import Operation
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value


@dataclass(frozen=True, eq=False)
class Share:
    """The elements of one value that a number depends on.

    Args:
        name: address of the value, without index.
        value: of the tape.
        operation: what computed it, or ``None`` where it came from outside: pixels, weights, constants.
        index: (K, number of axes), which of its elements.
    """

    name: str
    value: Value
    operation: Operation | None
    index: Tensor

    @property
    def numbers(self) -> Tensor:
        """What they held, in float64 (K,)."""
        return self.value.view()[tuple(self.index.T)].reshape(-1).double().cpu()


@dataclass(frozen=True, eq=False)
class Expansion:
    """Everything that a number depends on.

    Args:
        address: of the number, which is itself among them.
        shares: by value, in the order of execution; what came from outside first.
    """

    address: str
    shares: tuple[Share, ...]

    @property
    def total(self) -> int:
        """How many distinct values there are."""
        return sum(len(share.index) for share in self.shares)

    def __str__(self) -> str:
        lines = [
            _("{address} depends on {count} distinct values:").format(address=self.address, count=f"{self.total:,}")
        ]
        for share in self.shares:
            made = _("given") if share.operation is None else share.operation.name
            lines.append(f"  {len(share.index):>9,}  {share.name}  ({made})")
        return "\n".join(lines)


def expand_to_pixels(tape: Tape, address: str) -> Expansion:
    """Returns all distinct values that a number depends on, back to the pixels and the weights.

    A view of a value is not another value; what an operation wrote in place is.

    Args:
        tape: recorded.
        address: of the number.

    Raises:
        AddressError: no such number.
        TapeError: it passes through an operation that is not explained.
    """
    value, index = tape.locate(address)
    marks = one_marked(tape, value, index)
    sweep_backward(tape, marks)
    computed = [
        _share(tape, made, operation, marks)
        for operation in tape.operations
        for made in Written(operation).made
        if marks.has(made)
    ]
    shares = [*_given(tape, marks), *computed]
    return Expansion(address, tuple(share for share in shares if len(share.index)))


def _share(tape: Tape, value: Value, operation: Operation | None, marks: Marks) -> Share:
    return Share(tape.address(value, ()), value, operation, marks.of(value).nonzero())


def _given(tape: Tape, marks: Marks) -> list[Share]:
    """Returns what came from outside: of each memory the named value, or else the one with most elements."""
    named = {value.id for _name, value in tape.names.named_values()}
    widest: dict[int, Value] = {}
    for value in tape.values.values():
        memory = value.memory
        if memory is not None and memory.outside and value.version == 0 and marks.has(value) and value.id >= 0:
            known = widest.get(memory.number)
            rank = (value.id in named, value.numel())
            if known is None or rank > (known.id in named, known.numel()):
                widest[memory.number] = value
    return [_share(tape, value, None, marks) for value in widest.values() if torch.any(marks.of(value))]

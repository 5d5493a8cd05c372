"""What if a number had been another: what follows from it is computed again, everything else is as recorded."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.derived import derived_tape
from dotbogi.tape.execution import Execution, Place, as_recorded, is_same, place_of
from dotbogi.tape.operation import Operation
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value, window


@dataclass(frozen=True)
class Change:
    """One number that is to be another.

    Args:
        value: that it is an element of.
        index: its place there.
        number: what it is to be.
    """

    value: Value
    index: tuple[int, ...]
    number: float


def what_if(tape: Tape, changes: Mapping[str, float]) -> Tape:
    """Returns a tape on which some numbers are others, with what follows from them.

    An element of a tensor that repeats it (an expanded one) changes wherever it is repeated.

    Args:
        tape: recorded.
        changes: new numbers by address.

    Raises:
        AddressError: an address names no single number of this tape.
        TapeError: a number that its tensor cannot hold, or an operation that cannot be run again.
    """
    return _executed(tape, [_change(tape, address, number) for address, number in changes.items()], everything=False)


def run_again(tape: Tape) -> Tape:
    """Returns a tape on which *every* operation was run again from what had come from outside.

    Its numbers are those of the tape bit for bit, or something that the operations depend on was not recorded.
    """
    return _executed(tape, [], everything=True)


def _change(tape: Tape, address: str, number: float) -> Change:
    value, index = tape.locate(address)
    if value.memory is None:
        raise TapeError(
            _("{address} is an element of a sparse or quantised tensor; those cannot be changed.").format(
                address=address
            ),
            fix=_("Change a number that it follows from."),
        )
    if not _fits(number, value.dtype):
        raise TapeError(
            _("{address} is of the type {dtype}, which cannot hold {number}.").format(
                address=address, dtype=str(value.dtype).removeprefix("torch."), number=number
            ),
            fix=_("Give a number of that type, within its range."),
        )
    return Change(value, index, number)


def _fits(number: float, dtype: torch.dtype) -> bool:
    if dtype.is_floating_point or dtype.is_complex:
        return not math.isfinite(number) or abs(number) <= torch.finfo(dtype).max
    if not math.isfinite(number) or number != int(number):
        return False
    if dtype == torch.bool:
        return number in (0, 1)
    return torch.iinfo(dtype).min <= number <= torch.iinfo(dtype).max


def _executed(tape: Tape, changes: list[Change], *, everything: bool) -> Tape:
    by_place: dict[Place, list[Change]] = defaultdict(list)
    for change in changes:
        by_place[place_of(change.value)].append(change)
    execution = Execution()
    recorded = {place_of(value): value for operation in tape.operations for value in _plain(operation)}
    with as_recorded(tape.facts.get("threads")):
        for place, wanted in by_place.items():
            execution.contents[place] = wanted[0].value.view().untyped_storage().clone()
            _settle(execution, place, wanted, wanted[0].value)
        for operation in tape.operations:
            if everything or execution.is_affected(operation):
                for place in execution.run(operation):
                    _settle(execution, place, by_place[place], None if everything else recorded[place])
    changed = {
        (place_of(change.value)[0], change.value.offset_of(change.index)): change.value.version for change in changes
    }
    return derived_tape(tape, execution, changed)


def _plain(operation: Operation) -> list[Value]:
    return [value for value in operation.outputs if value.memory is not None]


def _settle(execution: Execution, place: Place, changes: list[Change], recorded: Value | None) -> None:
    """Writes changes into new content, and forgets it where it is what was recorded: nothing follows from it."""
    storage = execution.contents[place]
    for change in changes:
        window(storage, change.value)[change.index] = change.number
    memory = recorded.memory if recorded is not None else None
    if memory is not None and is_same(storage, memory.content(place[1])):
        del execution.contents[place]

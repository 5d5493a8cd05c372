"""Which numbers differ between two tapes of the same operations."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value


@dataclass(frozen=True)
class Difference:
    """A number that is another on a second tape.

    Args:
        address: on both tapes.
        before: on the first.
        after: on the second.
        change: after − before.
    """

    address: str
    before: float
    after: float
    change: float


@dataclass(frozen=True)
class _Candidate:
    value: Value
    index: tuple[int, ...]
    before: float
    after: float

    @property
    def size(self) -> float:
        change = abs(self.after - self.before)
        return float("inf") if change != change else change  # NaN on one side is as different as can be


def difference(tape: Tape, other: Tape, top: int = 20) -> list[Difference]:
    """Returns the named numbers that differ: of modules' outputs, logits, loss, gradients, updates.

    A number with several names is listed once.

    Args:
        tape: the first.
        other: made from it by a what-if, or recorded from the same model with inputs of the same shape.
        top: how many, those of the largest change first.

    Raises:
        TapeError: the tapes do not have the same names or shapes.
    """
    candidates: list[_Candidate] = []
    for value, theirs in _pairs(tape, other):
        candidates += _largest(value, theirs, top)
    candidates.sort(key=lambda one: -one.size)
    found: dict[object, Difference] = {}
    for one in candidates:
        place = (one.value.id, one.index)
        if one.value.memory is not None:
            place = (one.value.memory.number, one.value.version, one.value.offset_of(one.index))
        address = tape.address(one.value, one.index)
        found.setdefault(place, Difference(address, one.before, one.after, one.after - one.before))
    return list(found.values())[:top]


def _pairs(tape: Tape, other: Tape) -> list[tuple[Value, Value]]:
    theirs: dict[str, Value] = {}
    for name, value in other.names.named_values():
        theirs.setdefault(name, value)
    pairs: dict[int, tuple[Value, Value]] = {}
    for name, value in tape.names.named_values():
        if name not in theirs or theirs[name].shape != value.shape:
            raise TapeError(
                _("The tapes cannot be compared: {name} is not on both, or has another shape.").format(name=name),
                fix=_("Compare a tape with one that tape.what_if(…) made from it."),
            )
        pairs.setdefault(value.id, (value, theirs[name]))
    return list(pairs.values())


def _is_shared(value: Value, other: Value) -> bool:
    """Whether both tapes hold the very same content."""
    if value.memory is None or other.memory is None:
        return False
    ours, theirs = value.memory.content(value.version), other.memory.content(other.version)
    if theirs is None:
        return ours is None  # what an execution found to be different was kept
    return ours is not None and ours.data_ptr() == theirs.data_ptr()


def _largest(value: Value, other: Value, top: int) -> list[_Candidate]:
    if _is_shared(value, other) or not value.numel():
        return []
    before, after = (one.view().to_dense().reshape(-1).double() for one in (value, other))
    change = (after - before).abs()
    change = torch.where((before == after) | (before.isnan() & after.isnan()), 0.0, change.nan_to_num(torch.inf))
    size, positions = change.topk(min(top, len(change)))
    positions = positions[size > 0]
    indices = torch.unravel_index(positions, value.shape) if value.shape else ()
    places = torch.stack(indices, 1).tolist() if indices else [()] * len(positions)
    return [
        _Candidate(value, tuple(place), first, second)
        for place, first, second in zip(places, before[positions].tolist(), after[positions].tolist(), strict=True)
    ]

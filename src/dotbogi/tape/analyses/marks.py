"""Numbers attached to the elements of a tape: which ones are reached, or a gradient with respect to each.

They lie as the recorded numbers do, by memory and version, so that a view sees the marks of what it is a view of.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dotbogi.tape.execution import Place, place_of
from dotbogi.tape.operation import Operation
from dotbogi.tape.recorder import written_arguments
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value

# In place by their schema, and yet only the shape and the strides are others afterwards.
RESHAPED_IN_PLACE = frozenset({"as_strided_", "squeeze_", "unsqueeze_", "t_", "transpose_", "detach_", "resize_"})


class Marks:
    """Marks on the elements of a tape.

    Args:
        tape: whose elements are marked.
        dtype: bool, where marks are joined; float64, where they are added up.

    Attributes:
        places: the marks of each memory's version that has any, flat, as its elements lie.
    """

    def __init__(self, tape: Tape, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._spans: dict[int, int] = {}
        for value in tape.values.values():
            if value.memory is not None:
                number = value.memory.number
                self._spans[number] = max(self._spans.get(number, 0), _last(value) + 1)
        self.places: dict[Place, Tensor] = {}

    def of(self, value: Value) -> Tensor:
        """Returns the marks of a value's elements, for reading, in its shape."""
        marks = None if value.memory is None else self.places.get(place_of(value))
        if marks is None:
            return torch.zeros((), dtype=self._dtype).expand(value.shape)
        return marks.as_strided(value.shape, value.stride, value.offset)

    def has(self, value: Value) -> bool:
        """Whether anything is marked in a value's memory at its version."""
        return value.memory is not None and place_of(value) in self.places

    def put(self, value: Value, marks: Tensor) -> None:
        """Joins marks to those of a value's elements, or adds them.

        Args:
            value: of the tape.
            marks: in its shape.
        """
        if value.memory is None:
            return
        found = marks.nonzero()  # (K, number of axes)
        if not len(found):
            return
        positions = (found * torch.tensor(value.stride, dtype=torch.int64)).sum(1) + value.offset
        flat = self._begun(place_of(value))
        if self._dtype is torch.bool:
            flat[positions] = True
        else:
            flat.index_add_(0, positions, marks[tuple(found.T)].to(self._dtype).reshape(len(found)))

    def carry(self, source: Place, target: Place, overwritten: Sequence[Value]) -> None:
        """Takes what is marked in one version of a memory over to another, but for what was overwritten between."""
        marks = self.places.get(source)
        if marks is None:
            return
        marks = marks.clone()
        for value in overwritten:
            marks.as_strided(value.shape, value.stride, value.offset).zero_()
        if marks.any():
            flat = self._begun(target)
            self.places[target] = flat | marks if self._dtype is torch.bool else flat + marks

    def _begun(self, place: Place) -> Tensor:
        if place not in self.places:
            self.places[place] = torch.zeros(self._spans[place[0]], dtype=self._dtype)
        return self.places[place]


def _last(value: Value) -> int:
    if not value.numel():
        return -1
    return value.offset + sum((size - 1) * step for size, step in zip(value.shape, value.stride, strict=True))


class Written:
    """Which elements an operation writes.

    Args:
        operation: of the tape.

    Attributes:
        steps: of every memory that it writes into, the place before and after.
        made: the results that it writes or that lie in memory of their own; the others are views.
    """

    def __init__(self, operation: Operation) -> None:
        arguments = written_arguments(operation.overload, operation.arguments, operation.keywords)
        places = [place_of(value) for value in arguments if value.memory is not None]
        self.steps: list[tuple[Place, Place]] = [(place, (place[0], place[1] + 1)) for place in dict.fromkeys(places)]
        into = {number for number, _version in places}
        known = {value.memory.number for value in operation.inputs if value.memory is not None}
        self.made = [
            value
            for value in operation.outputs
            if value.memory is not None and (value.memory.number in into or value.memory.number not in known)
        ]
        if operation.packet in RESHAPED_IN_PLACE:
            self.made = []

    def overwritten(self, number: int) -> list[Value]:
        """Returns the results that were written into a memory."""
        return [value for value in self.made if value.memory is not None and value.memory.number == number]

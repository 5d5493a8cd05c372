"""Values that were not kept, computed again when they are asked for, from those that were."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from torch import UntypedStorage

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.execution import Execution, Place, as_recorded, is_unwritten, place_of
from dotbogi.tape.operation import Operation
from dotbogi.tape.value import Memory, Value

RECENT = 8  # an explanation asks for the same few values again and again


class Recomputation:
    """Runs the operations again that a value follows from, as far back as nothing was kept.

    Args:
        operations: of a tape, in order.
        threads: that they were recorded with, or ``None``.
    """

    def __init__(self, operations: Sequence[Operation], threads: int | None) -> None:
        # Weak, or values and operations would hold each other, and a tape that is dropped stay until it is collected.
        self._references = [weakref.ref(operation) for operation in operations]
        self._threads = threads
        self._recent: OrderedDict[Place, UntypedStorage] = OrderedDict()

    @classmethod
    def serve(cls, operations: Sequence[Operation], threads: int | None) -> None:
        """Lets every value of operations that was not kept be computed again."""
        recomputation = cls(operations, threads)
        for operation in operations:
            for value in operation.outputs:
                if value.memory is not None and not value.is_kept:
                    value.memory.recompute = recomputation

    def __call__(self, memory: Memory, version: int) -> UntypedStorage:
        """Returns a memory's content at a version.

        Raises:
            TapeError: nothing had been written to it.
        """
        place = (memory.number, version)
        if place not in self._recent:
            self._recent[place] = self._run_again(place)
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        self._recent.move_to_end(place)
        return self._recent[place]

    def _run_again(self, place: Place) -> UntypedStorage:
        needed = self._needed(place)
        last_reader = _last_readers(needed)
        execution = Execution()
        with as_recorded(self._threads):
            for operation in needed:
                execution.run(operation)
                for read in {place_of(value) for value in operation.inputs if value.memory is not None}:
                    if last_reader[read] is operation and read != place:
                        execution.contents.pop(read, None)
        return execution.contents[place]

    @cached_property
    def _writers(self) -> Mapping[Place, weakref.ref[Operation]]:
        # The first that shows a version of a memory is the one that wrote it: views come later.
        found: dict[Place, weakref.ref[Operation]] = {}
        for reference in self._references:
            for value in _there(reference).outputs:
                if value.memory is not None:
                    found.setdefault(place_of(value), reference)
        return found

    def _needed(self, place: Place) -> list[Operation]:
        found: dict[int, Operation] = {}
        waiting = [place]
        while waiting:
            writer = _there(self._writers[waiting.pop()])
            if writer.index not in found:
                found[writer.index] = writer
                waiting += [place_of(value) for value in writer.inputs if _is_missing(value)]
        operations = [found[index] for index in sorted(found)]
        if all(operation.plumbing for operation in operations):
            raise TapeError(
                _("{operation} is memory that nothing had been written to yet.").format(operation=operations[-1]),
                fix=_("Ask for a number that was written there later."),
            )
        return operations


def _there(reference: weakref.ref[Operation]) -> Operation:
    operation = reference()
    if operation is None:
        raise TapeError(
            _("The tape that this value was recorded on is gone."), fix=_("Keep the tape while you use its values.")
        )
    return operation


def _is_missing(value: Value) -> bool:
    return value.memory is not None and not value.is_kept and not is_unwritten(value)


def _last_readers(operations: Iterable[Operation]) -> dict[Place, Operation]:
    return {
        place_of(value): operation for operation in operations for value in operation.inputs if value.memory is not None
    }

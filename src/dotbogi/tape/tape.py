"""The tape: every operation of a forward pass or a training step, with every number as it was then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dotbogi.errors import AddressError
from dotbogi.language import _
from dotbogi.stages import UPDATE
from dotbogi.tape.address import parse_address, shown_index
from dotbogi.tape.explanation import Explanation
from dotbogi.tape.names import Names
from dotbogi.tape.opening import opened
from dotbogi.tape.operation import Operation
from dotbogi.tape.recomputed import Recomputation
from dotbogi.tape.updates import updated_values
from dotbogi.tape.value import Value

if TYPE_CHECKING:
    from dotbogi.tape.analyses.difference import Difference
    from dotbogi.tape.render.tables import TapeTable


class Tape:
    """What a recording holds.

    Args:
        operations: in the order of their execution.
        names: what the values are called.
        facts: what else was recorded: the optimizer's class and groups, the loss, the rules of the step.

    Attributes:
        replay_difference: of a replayed run, how far the next weights are from the stored ones, else ``None``.
        origins: by id, where the elements of a value from outside come from, for those that have more to tell.
        step: of a training, from 0, or ``None`` (see :mod:`dotbogi.tape.past`).
        tape_of: returns the tape of another step of the training, or ``None``.
        left_by_step_before: by id, the same number as the step before left it.
        changed: which numbers a what-if gave: by the memory's number and the element's offset in it, at which version.
        tells_step: whether addresses name the step, since the tape was reached from that of another one.
    """

    def __init__(self, operations: Sequence[Operation], names: Names, facts: Mapping[str, Any]) -> None:
        self.operations = operations
        self.names = names
        self.facts = facts
        self.replay_difference: float | None = None
        self.origins: dict[int, Callable[[tuple[int, ...]], str]] = {}
        self.step: int | None = None
        self.tape_of: Callable[[int], Tape] | None = None
        self.left_by_step_before: dict[int, Value] = {}
        self.tells_step = False
        self.changed: dict[tuple[int, int], int] = {}
        Recomputation.serve(operations, facts.get("threads"))

    def explain(self, address: str | Value, index: tuple[int, ...] | None = None) -> Explanation:
        """Explains a number.

        Args:
            address: such as ``conv1[0,3,10,12]``; or any output of an operation, with ``index``.
            index: of the element of that output, counted from 0.

        Raises:
            AddressError: no such name, or an index outside its tensor, whose shape is told.
        """
        if isinstance(address, Value):
            return opened(
                self, self.address(address, index or ()), address, self._checked(address, index, str(address))
            )
        parsed = parse_address(address)
        if parsed.step is not None:
            explanation = self.at(parsed.step).explain(parsed.within)
            explanation.address = address
            return explanation
        value, place = self.locate(address)
        return opened(self, address, value, place, of_operation=parsed.kind in ("op", "value"))

    def locate(self, address: str) -> tuple[Value, tuple[int, ...]]:
        """Returns the value that an address of this step means, and the element's place in it.

        Raises:
            AddressError: no such name, or an index outside its tensor, whose shape is told.
        """
        parsed = parse_address(address)
        found = self.names.find(parsed, list(self.operations))
        if isinstance(found, (int, float)):
            raise AddressError(
                _("{address} is a plain number, {number:g}, not a tensor.").format(address=address, number=found),
                fix=_("Ask for an element of a tensor."),
            )
        return found, self._checked(found, parsed.index, address)

    def explain_at(self, value_id: int, index: tuple[int, ...]) -> Explanation:
        """Explains an element of the value with an id, as a term names it."""
        value = self.values[value_id]
        return opened(self, self.address(value, index), value, index)

    def value(self, address: str) -> float:
        """Returns the recorded number at an address."""
        return self.explain(address).recorded

    def at(self, step: int) -> Tape:
        """Returns the tape of another step of the training, recorded when it is asked for.

        Args:
            step: number of the update, from 0.

        Raises:
            AddressError: this tape is none of a training.
        """
        if step == self.step:
            return self
        if self.tape_of is None:
            raise AddressError(
                _("This tape is not one of a training's steps, so there is no step {step}.").format(step=step),
                fix=_("Leave @{step} out, or replay a run.").format(step=step),
            )
        return self.tape_of(step)

    def what_if(self, changes: Mapping[str, float]) -> Tape:
        """Returns a tape on which some numbers are others, and what follows from them is computed again.

        Everything else is as recorded: control flow, random draws, Python's own numbers.

        Args:
            changes: new numbers by address.
        """
        from dotbogi.tape.analyses.what_if import what_if

        return what_if(self, changes)

    def difference(self, other: Tape, top: int = 20) -> list[Difference]:
        """Returns which numbers differ between this tape and one that was made from it, the largest change first."""
        from dotbogi.tape.analyses.difference import difference

        return difference(self, other, top)

    def table(self) -> TapeTable:
        """Returns a table of its operations: shapes, type, stage, source line, parameters, MACs, bytes."""
        from dotbogi.tape.render.table import table_of

        return table_of(self)

    def summary(self) -> TapeTable:
        """Returns a table of the model's modules: class, output, parameters, MACs, and their totals."""
        from dotbogi.tape.render.summary import summary_of

        return summary_of(self)

    @cached_property
    def values(self) -> dict[int, Value]:
        """Every value by its id."""
        named = (value for _name, value in self.names.named_values())
        used = (value for operation in self.operations for value in (*operation.inputs, *operation.outputs))
        return {value.id: value for value in (*named, *used)}

    @cached_property
    def readers(self) -> dict[int, list[Operation]]:
        """By the ids of values, the operations of the update that read them, in their order."""
        found: dict[int, list[Operation]] = {}
        for operation in self.operations:
            for value in operation.inputs if operation.stage is UPDATE else ():
                found.setdefault(value.id, []).append(operation)
        return found

    @cached_property
    def updated(self) -> dict[int, tuple[str, str]]:
        """By the ids of what an optimizer wrote: the parameter, and the key of its state or an empty text."""
        return updated_values(self)

    def address(self, value: Value, index: tuple[int, ...]) -> str:
        """Returns an address by which an element of a value can be asked for."""
        name = self.name_of.get(value.id)
        if name is None and value.operation is not None:
            name = f"op {value.operation.index}" + (f":{value.output}" if value.output else "")
        name = name or f"value {value.id}"
        if name.startswith("pixel") and len(index) == 4:
            index = (index[0], index[2], index[3], index[1])
        name, at, step = name.partition(" @")
        if self.tells_step and not at:
            at, step = " @", str(self.step)
        return name + shown_index(index) + at + step

    def source(self, value: Value, index: tuple[int, ...]) -> tuple[Value, tuple[int, ...]]:
        """Returns the best known value that holds the same element: a view leads to what it is a view of.

        Args:
            value: of the tape.
            index: of one of its elements.

        Returns:
            A named value, or the one whose writing put the element there; and the index in it.
        """
        memory = value.memory
        if memory is None or value.id in self.name_of:
            return value, index
        offset = value.offset_of(index)
        owner = memory.owner(value.version, offset)
        # What was written before, and never since, is the same at every version in between.
        for version in range(value.version, (owner.version if owner else 0) - 1, -1):
            for named in self.named_in.get((memory.number, version), ()):
                # Not what was made of it later, such as a view: that is explained by this one.
                is_alike = named.id < value.id and named.dtype == value.dtype
                place = named.index_at(offset) if is_alike else None
                if place is not None:
                    return named, place
        if owner is None or owner.dtype != value.dtype:
            return value, index
        place = owner.index_at(offset)
        assert place is not None
        return owner, place

    @cached_property
    def name_of(self) -> dict[int, str]:
        """The best address without index of every value that has a name, by its id."""
        names: dict[int, str] = {}
        for name, value in self.names.named_values():
            names.setdefault(value.id, name)
        return names

    @cached_property
    def named_in(self) -> dict[tuple[int, int], list[Value]]:
        """The values that have a name, by the number and version of their memory."""
        found: dict[tuple[int, int], list[Value]] = {}
        for _name, value in self.names.named_values():
            if value.memory is not None:
                places = found.setdefault((value.memory.number, value.version), [])
                if value not in places:
                    places.append(value)
        return found

    def _checked(self, value: Value, index: tuple[int, ...] | None, told: str) -> tuple[int, ...]:
        shape = value.shape
        if index is None and not shape:
            return ()
        if index is not None and told.lstrip().startswith("pixel") and len(index) == 4:
            index = (index[0], index[3], index[1], index[2])  # (sample, row, column, channel) → (B, C, H, W)
        if (
            index is None
            or len(index) != len(shape)
            or any(i < 0 or i >= size for i, size in zip(index, shape, strict=True))
        ):
            example = ",".join(str(size - 1) for size in shape)
            if 0 in shape:
                raise AddressError(
                    _("{address} is empty: its shape is {shape}.").format(address=told, shape=shape),
                    fix=_("Ask for a tensor that has numbers."),
                )
            if not shape:
                raise AddressError(
                    _("{address}: this is one number, without an index.").format(address=told),
                    fix=_("Leave the index out."),
                )
            raise AddressError(
                _("{address} is outside: the tensor has the shape {shape}.").format(address=told, shape=shape)
                if index is not None and len(index) == len(shape)
                else _("{address} has {count} indices, the tensor {axes} axes: its shape is {shape}.").format(
                    address=told, count=len(index), axes=len(shape), shape=shape
                )
                if index
                else _("{address} is a tensor of the shape {shape}: say which of its numbers.").format(
                    address=told, shape=shape
                ),
                fix=_("Indices count from 0; the last one is [{example}].").format(example=example),
            )
        return tuple(index)

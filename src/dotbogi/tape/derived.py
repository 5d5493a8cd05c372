"""A tape made from another one: the same operations and names, with what an execution found to be different."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from torch import UntypedStorage

from dotbogi.tape.execution import Execution
from dotbogi.tape.modules import ModuleCall
from dotbogi.tape.names import Names
from dotbogi.tape.operation import Operation, with_tensors
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Memory, Value


def derived_tape(tape: Tape, execution: Execution, changed: Mapping[tuple[int, int], int]) -> Tape:
    """Returns a tape of the same operations, names and ids; what is not different is shared with the first.

    Args:
        tape: that was recorded.
        execution: holds what is different.
        changed: see :class:`Tape`.
    """
    values = _values(tape, execution)
    operations = [_operation(operation, values) for operation in tape.operations]
    for old, new in zip(tape.operations, operations, strict=True):
        new.forward = None if old.forward is None else operations[old.forward.index]
    for old in tape.values.values():
        if old.operation is not None:
            values[old.id].operation = operations[old.operation.index]
    derived = Tape(operations, _names(tape.names, values), tape.facts)
    derived.origins, derived.left_by_step_before = tape.origins, tape.left_by_step_before
    derived.step, derived.tape_of, derived.tells_step = tape.step, tape.tape_of, tape.tells_step
    derived.changed = {**tape.changed, **changed}
    return derived


def _values(tape: Tape, execution: Execution) -> dict[int, Value]:
    contents: dict[int, dict[int, UntypedStorage]] = defaultdict(dict)
    for (number, version), storage in execution.contents.items():
        contents[number][version] = storage
    olds: dict[int, Memory] = {one.memory.number: one.memory for one in tape.values.values() if one.memory is not None}
    memories = {number: memory.with_contents(contents[number]) for number, memory in olds.items()}
    values = {
        number: old.moved_to(None if old.memory is None else memories[old.memory.number])
        for number, old in tape.values.items()
    }
    for number, tensor in execution.wholes.items():
        values[number].whole = tensor
    for number, memory in memories.items():
        memory.writes = [values[value.id] for value in olds[number].writes if value.id in values]
    return values


def _operation(old: Operation, values: Mapping[int, Value]) -> Operation:
    return Operation(
        old.index,
        old.overload,
        with_tensors(old.arguments, lambda value: values[value.id]),
        with_tensors(old.keywords, lambda value: values[value.id]),
        old.stage,
        old.module,
        old.call,
        old.line,
        rerun=old.rerun,
        inputs=tuple(values[value.id] for value in old.inputs),
        outputs=tuple(values[value.id] for value in old.outputs),
        scalar=old.scalar,
    )


def _names(old: Names, values: Mapping[int, Value]) -> Names:
    def new(named: Mapping[str, Value]) -> dict[str, Value]:
        return {name: values.get(value.id, value) for name, value in named.items()}

    # What the step before left stays as it was.
    return replace(old, calls=[_call(call, values) for call in old.calls], given=new(old.given), before=new(old.before))


def _call(old: ModuleCall, values: Mapping[int, Value]) -> ModuleCall:
    return ModuleCall(
        old.name,
        old.call,
        [values.get(value.id, value) for value in old.inputs],
        [values.get(value.id, value) for value in old.outputs],
        {position: values.get(value.id, value) for position, value in old.gradients.items()},
    )

"""How a number of a tape is opened: by the formula of what made it, or by where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, copy_of, given, unexplained
from dotbogi.tape.explanation import Explanation
from dotbogi.tape.operation import Operation
from dotbogi.tape.updates import update_arithmetic
from dotbogi.tape.value import Value

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape


def opened(
    tape: Tape, address: str, value: Value, index: tuple[int, ...], *, of_operation: bool = False
) -> Explanation:
    """Explains an element by the optimizer's formula where it wrote it; or by the operation that did.

    Args:
        tape: that it is on.
        address: as it was asked for.
        value, index: the element.
        of_operation: whether the operation is asked for, not the optimizer's formula.
    """
    is_changed = _is_changed(tape, value, index)
    if not is_changed and any(value.id == one.id for one in tape.names.earlier.values()):
        return tape.explain(tape.address(value, index))
    update = None if is_changed or of_operation else update_arithmetic(tape, value, index)
    if update is not None:
        return Explanation(tape, address, value, index, update, value.operation)
    operation, arithmetic, value, index = _arithmetic(tape, value, index)
    return Explanation(tape, address, value, index, arithmetic, operation)


def _arithmetic(
    tape: Tape, value: Value, index: tuple[int, ...]
) -> tuple[Operation | None, Arithmetic, Value, tuple[int, ...]]:
    from dotbogi.tape.explain import arithmetic_of

    if value.memory is None:
        return None, unexplained(_("a sparse or quantised tensor: its value is shown, not explained")), value, index
    if _is_changed(tape, value, index):
        return None, given(_("changed in the what-if")), value, index
    if value.operation is None:
        owner = value.memory.owner(value.version, value.offset_of(index))
        if owner is None:
            return None, _from_outside(tape, *_first(tape, value, index)), value, index
        if owner.dtype != value.dtype:
            return None, unexplained(_("the same bytes, read as numbers of another type")), value, index
        place = owner.index_at(value.offset_of(index))
        assert place is not None
        value, index = owner, place
    operation = value.operation
    assert operation is not None
    return operation, arithmetic_of(tape, operation, value, index), value, index


def _first(tape: Tape, value: Value, index: tuple[int, ...]) -> tuple[Value, tuple[int, ...]]:
    """Returns what an element that nothing was written over was called at first, and its place in that."""
    if value.memory is not None and value.version > 0:
        for named in tape.named_in.get((value.memory.number, 0), ()):
            place = named.index_at(value.offset_of(index)) if named.dtype == value.dtype else None
            if place is not None:
                return named, place
    return tape.source(value, index)


def _is_changed(tape: Tape, value: Value, index: tuple[int, ...]) -> bool:
    """Whether a what-if gave an element, and nothing has overwritten it since."""
    if value.memory is None or not tape.changed:
        return False
    offset = value.offset_of(index)
    version = tape.changed.get((value.memory.number, offset), value.version + 1)
    owner = value.memory.owner(value.version, offset)
    return version <= value.version and (owner is None or owner.version <= version)


def _from_outside(tape: Tape, value: Value, index: tuple[int, ...]) -> Arithmetic:
    earlier = tape.left_by_step_before.get(value.id)
    if earlier is None:
        return given(_origin(tape, value, index))
    return copy_of(earlier, index, note=_("what the step before left"))


def _origin(tape: Tape, value: Value, index: tuple[int, ...]) -> str:
    if value.id in tape.origins:
        return tape.origins[value.id](index)
    name = tape.name_of.get(value.id, "")
    if name.startswith("pixel"):
        return _("a pixel of the stored images, 0…255")
    if name.startswith("input"):
        return _("the model's input")
    if name in tape.names.parameters:
        return _("a parameter, as it was before the step")
    if name in tape.names.buffers:
        return _("a buffer, as it was before the step")
    if value.id in {before.id for before in tape.names.before.values()}:
        return _("the optimizer's state, as it was before the step")
    if name.startswith(("state", "update", "gradient")):
        return _("was there before the step, and was not changed by it")
    return _("a constant from outside the recording")

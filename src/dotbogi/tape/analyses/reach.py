"""What a number depends on, and what depends on it: the structure of every operation, swept backward or forward."""

from __future__ import annotations

import torch
from torch import Tensor

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.analyses.marks import Marks, Written
from dotbogi.tape.analyses.structure import structure_of
from dotbogi.tape.arithmetic import UNEXPLAINED
from dotbogi.tape.operation import Operation
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value

Masks = dict[int, Tensor]
"""By a result's position, which of its elements are meant."""


def one_marked(tape: Tape, value: Value, index: tuple[int, ...]) -> Marks:
    """Returns marks of which a single one is set."""
    marks = Marks(tape, torch.bool)
    mask = torch.zeros(value.shape, dtype=torch.bool)
    mask[index] = True
    marks.put(value, mask)
    return marks


def sweep_backward(tape: Tape, marks: Marks) -> None:
    """Marks everything that marked elements depend on.

    Args:
        tape: recorded.
        marks: of the elements to begin with.

    Raises:
        TapeError: an operation whose structure is not known and that has no explanation.
    """
    for operation in reversed(tape.operations):
        written = Written(operation)
        wanted = {value.output: marks.of(value) for value in written.made if marks.has(value)}
        wanted = {position: mask for position, mask in wanted.items() if mask.any()}
        for before, after in written.steps:
            marks.carry(after, before, written.overwritten(before[0]))
        if wanted:
            for value, mask in _needed(tape, operation, wanted):
                marks.put(value, mask)


def sweep_forward(tape: Tape, marks: Marks) -> None:
    """Marks everything that depends on marked elements.

    Args:
        tape: recorded.
        marks: of the elements to begin with.

    Raises:
        TapeError: an operation whose structure is not known and that has no explanation.
    """
    for operation in tape.operations:
        if not any(marks.has(value) for value in operation.inputs):
            continue
        written = Written(operation)
        masks = {value.id: marks.of(value).clone() for value in operation.inputs}
        for before, after in written.steps:
            marks.carry(before, after, written.overwritten(before[0]))
        if written.made and any(bool(mask.any()) for mask in masks.values()):
            for value, mask in _reached(tape, operation, masks, written.made):
                marks.put(value, mask)


def _needed(tape: Tape, operation: Operation, wanted: Masks) -> list[tuple[Value, Tensor]]:
    """Returns which elements of an operation's operands some elements of its results depend on."""
    structure = structure_of(operation)
    if structure is None:
        return _explained(tape, operation, wanted)
    leaves: dict[int, Tensor] = {}

    def leaf(value: Value) -> Tensor:
        if value.id not in leaves:
            leaves[value.id] = torch.zeros(value.shape, requires_grad=True)
        return leaves[value.id]

    with torch.enable_grad():
        results = structure(operation, leaf)
        pairs = [(results[position], mask) for position, mask in wanted.items() if results[position].requires_grad]
        if not pairs:
            return []
        # A scalar, for torch imports sympy (seconds) where it is given the gradients of its outputs.
        total = torch.stack([(result * mask).sum() for result, mask in pairs]).sum()
        gradients: list[Tensor | None] = list(torch.autograd.grad(total, list(leaves.values()), allow_unused=True))
    values = {value.id: value for value in operation.inputs}
    found = zip(leaves, gradients, strict=True)
    return [(values[number], gradient > 0) for number, gradient in found if gradient is not None]


def _reached(
    tape: Tape, operation: Operation, masks: dict[int, Tensor], made: list[Value]
) -> list[tuple[Value, Tensor]]:
    """Returns which elements of an operation's results depend on some elements of its operands."""
    structure = structure_of(operation)
    if structure is not None:
        with torch.no_grad():
            results = structure(operation, lambda value: masks[value.id].to(torch.float32))
        return [(value, results[value.output].expand(value.shape) > 0) for value in made]
    found: list[tuple[Value, Tensor]] = []
    for value in made:
        mask = torch.zeros(value.shape, dtype=torch.bool)
        for place in torch.ones(value.shape).nonzero().tolist():
            terms = _terms(tape, operation, value, tuple(place))
            mask[tuple(place)] = any(bool(masks[one.id][index].any()) for one, index in terms if one.id in masks)
        found.append((value, mask))
    return found


def _explained(tape: Tape, operation: Operation, wanted: Masks) -> list[tuple[Value, Tensor]]:
    masks = {value.id: (value, torch.zeros(value.shape, dtype=torch.bool)) for value in operation.inputs}
    for value in operation.outputs:
        for place in wanted[value.output].nonzero().tolist() if value.output in wanted else []:
            for one, index in _terms(tape, operation, value, tuple(place)):
                masks.setdefault(one.id, (one, torch.zeros(one.shape, dtype=torch.bool)))[1][index] = True
    return list(masks.values())


def _terms(
    tape: Tape, operation: Operation, value: Value, index: tuple[int, ...]
) -> list[tuple[Value, tuple[Tensor, ...]]]:
    """Returns the elements that an explanation names, by value, as index tensors."""
    from dotbogi.tape.explain import arithmetic_of

    arithmetic = arithmetic_of(tape, operation, value, index)
    if arithmetic.kind == UNEXPLAINED:
        raise TapeError(
            _("{operation} is not explained, so what its results depend on is not known.").format(operation=operation),
            fix=_("Ask for a number that does not pass through it."),
        )
    parts = [part for group in arithmetic.groups for part in (group.elements, group.factors) if part is not None]
    return [(part.value, tuple(torch.from_numpy(part.index).T)) for part in parts]

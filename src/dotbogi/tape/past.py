"""A tape among those of a training: what was there before its step is what the step before left.

A parameter before a step is a copy of ``update conv1.weight[…] @135``, and the optimizer's state before the
step is ``state conv1.weight.exp_avg[…] @135`` itself. Those are explained on the tape of that step, which is made
when it is asked for, so that every number of a training has a past back to the initial weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

from dotbogi.tape.value import Value

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape


def place_in_training(tape: Tape, step: int, tape_of: Callable[[int], Tape], *, follows: bool) -> None:
    """Tells a new tape which step of a training it is.

    Args:
        tape: of which nothing was asked yet.
        step: number of the update, from 0; of a forward pass the number of updates before it.
        tape_of: returns the tape of another step.
        follows: whether the step before, made again, leaves exactly what this tape begins with.
    """
    tape.step, tape.tape_of = step, tape_of
    if not follows or step == 0:
        return
    names = tape.names
    known = {value.id for _name, value in names.named_values()}
    left = [(f"update {name}", names.given[name]) for name in (*names.parameters, *names.buffers)]
    for name, value in [*left, *names.before.items()]:
        if value.id in known and value.id not in tape.left_by_step_before:
            tape.left_by_step_before[value.id] = value = _twin(value)
        names.earlier.setdefault(f"{name} @{step - 1}", value)


def _twin(value: Value) -> Value:
    """Returns the same number under an id of its own, for it has two names: one in each of the two steps."""
    twin = copy.copy(value)
    twin.id = -1 - value.id
    return twin

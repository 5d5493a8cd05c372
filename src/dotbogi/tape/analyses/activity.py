"""Which tensors depend on the input at all, whole memories at a time."""

from __future__ import annotations

from dotbogi.tape.analyses.marks import Written
from dotbogi.tape.execution import Place, place_of
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value

CONSTANTS = frozenset(
    {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "empty_like", "rand_like"}
)
"""Operations that take no more than the shape from their operand."""


def active_places(tape: Tape, source: Value) -> set[Place]:
    """Returns the memories and versions into which something entered that was computed from a value.

    Args:
        tape: recorded.
        source: such as the model's input.
    """
    found = {place_of(source)}
    for operation in tape.operations:
        if operation.packet in CONSTANTS:
            continue
        if any(one.memory is not None and place_of(one) in found for one in operation.inputs):
            written = Written(operation)
            found |= {after for _before, after in written.steps} | {place_of(value) for value in written.made}
    return found

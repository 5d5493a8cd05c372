"""A handful of addresses that are worth trying on a tape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from dotbogi.tape.address import shown_index
from dotbogi.tape.arithmetic import GIVEN, UNEXPLAINED
from dotbogi.tape.operation import Operation
from dotbogi.tape.value import Value

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape

# One of each, in the order in which a number meets them.
PACKETS = (
    ("convolution", "native_batch_norm", "native_layer_norm", "relu", "gelu", "silu", "hardswish"),
    ("max_pool2d_with_indices", "avg_pool2d", "mean", "_adaptive_avg_pool2d", "_softmax"),
)
MOST = 11


def worth_trying(tape: Tape) -> list[str]:
    """Returns addresses that are on a tape and explained, the earliest operations first."""
    found: dict[str, None] = {}
    for name, value in _candidates(tape):
        if value.numel() and value.memory is not None:
            index = _interesting(value)
            address = name + shown_index(index) if name else tape.address(value, index)
            if tape.explain(address).kind not in (GIVEN, UNEXPLAINED):
                found.setdefault(address)
        if len(found) == MOST:
            break
    return list(found)


def _candidates(tape: Tape) -> Iterator[tuple[str, Value]]:
    """Yields values with the names that they are to be asked for by, where that is not the best one they have."""
    given = tape.names.given
    yield from ((name, given[name]) for name in ("input",) if name in given)
    for packets in PACKETS:
        first = (_first(tape, packet) for packet in packets)
        yield from (("", operation.outputs[0]) for operation in first if operation is not None and operation.outputs)
    yield from ((name, given[name]) for name in ("logits", "loss") if name in given)
    parameter = next((name for name in tape.names.parameters if f"gradient {name}" in given), None)
    if parameter is not None:
        state = [name for name in given if name.startswith(f"state {parameter}.") and given[name].shape]
        names = [f"gradient {parameter}", *state[:1], f"update {parameter}"]
        yield from ((name, given[name]) for name in names if name in given)


def _first(tape: Tape, packet: str) -> Operation | None:
    return next((one for one in tape.operations if one.packet.removesuffix("_") == packet), None)


def _interesting(value: Value) -> tuple[int, ...]:
    """Returns where a value's largest number is: dead units and borders are seldom what a person wants to see."""
    numbers = value.view().to_dense().double().nan_to_num(0.0)
    place = int(numbers.reshape(-1).argmax())
    return tuple(int(one) for one in torch.unravel_index(torch.tensor(place), value.shape)) if value.shape else ()

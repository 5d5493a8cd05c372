"""Flatten: which (channel, row, column) becomes which index, and back."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.address import parse_address
from dotbogi.tape.operation import Operation
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value


@dataclass(frozen=True)
class FlattenMap:
    """The two ways through a flatten: ((c·H + h)·W + w) and back.

    Args:
        name: of the module or operation that was asked for.
        shape: what is flattened, such as (C, H, W).
    """

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers each sample has."""
        return prod(self.shape)

    def index(self, *place: int) -> int:
        """Returns the index in the flat vector.

        Args:
            place: such as (c, h, w), counted from 0.

        Raises:
            TapeError: it is outside the shape.
        """
        inside = len(place) == len(self.shape) and all(0 <= i < size for i, size in zip(place, self.shape, strict=True))
        if not inside:
            raise self._outside(place)
        flat = 0
        for i, size in zip(place, self.shape, strict=True):
            flat = flat * size + i
        return flat

    def place(self, index: int) -> tuple[int, ...]:
        """Returns the place, such as (c, h, w), that an index of the flat vector comes from.

        Raises:
            TapeError: there is no such index.
        """
        if not 0 <= index < self.size:
            raise self._outside((index,))
        found: list[int] = []
        for size in reversed(self.shape):
            index, within = divmod(index, size)
            found.insert(0, within)
        return tuple(found)

    def _outside(self, place: tuple[int, ...]) -> TapeError:
        return TapeError(
            _("{place} is outside: {shape} is flattened into {size} numbers.").format(
                place=place, shape=self.shape, size=self.size
            ),
            fix=_("Indices count from 0; the last one is {last}.").format(last=tuple(size - 1 for size in self.shape)),
        )

    def __str__(self) -> str:
        product = "·".join(map(str, self.shape))
        return _("{name}: {product} = {size}; the last axis runs fastest").format(
            name=self.name, product=product, size=self.size
        )


def flatten_map(tape: Tape, name: str) -> FlattenMap:
    """Returns how a flatten numbers what it flattens.

    Args:
        tape: recorded.
        name: of the flattening module, of the linear layer behind it, or of the operation, such as ``op 7``.

    Raises:
        AddressError: nothing is called so.
        TapeError: nothing is flattened there.
    """
    value = tape.names.find(parse_address(name), list(tape.operations))
    if isinstance(value, Value):
        layer = value.operation
        is_linear = layer is not None and layer.packet in ("addmm", "mm")
        shape = flattened_shape(layer.inputs[-2] if layer is not None and is_linear else value)
        if shape is not None:
            return FlattenMap(name, shape)
    raise TapeError(
        _("Nothing is flattened in {name}.").format(name=name),
        fix=_("Give the flatten module, the linear layer behind it, or the operation: op 7."),
    )


def flattened_shape(value: Value) -> tuple[int, ...] | None:
    """Returns the axes of each sample that a flatten made one of, on the way to a value, or ``None``.

    The way leads back through what works number by number, such as dropout.
    """
    operation = value.operation
    while operation is not None and operation.inputs:
        shape = _flattened(operation)
        if shape is not None:
            return shape
        if torch.Tag.pointwise not in operation.overload.tags and operation.packet not in ("native_dropout", "clone"):
            return None
        operation = operation.inputs[0].operation
    return None


def _flattened(operation: Operation) -> tuple[int, ...] | None:
    if operation.packet not in ("view", "_unsafe_view", "reshape", "_reshape_alias"):
        return None
    before, after = operation.inputs[0].shape, operation.outputs[0].shape
    kept = len(after) - 1
    if not 0 < kept < len(before) - 1 or before[:kept] != after[:kept] or prod(before[kept:]) != after[kept]:
        return None
    return before[kept:]

"""The receptive field: which of the input's elements an activation depends on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.analyses.field_arithmetic import theoretical_extent
from dotbogi.tape.analyses.reach import one_marked, sweep_backward
from dotbogi.tape.tape import Tape


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """What an activation sees of the input.

    Args:
        address: of the activation.
        input: the name of the input, ``input`` or ``pixel``.
        mask: bool, in the input's shape (B, C, H, W): the elements that it depends on, exactly.
        rows, columns: first and last that are in the mask; ``None`` for an input that is no image, or where it
            depends on none.
        theoretical: (rows, columns) that the kernels and strides reach where no border is in the way; ``None`` where
            the chain has something else than convolutions, pools and what works pixel by pixel.
    """

    address: str
    input: str
    mask: Tensor
    rows: tuple[int, int] | None
    columns: tuple[int, int] | None
    theoretical: tuple[int, int] | None

    @property
    def count(self) -> int:
        """How many elements of the input it depends on."""
        return int(self.mask.sum())

    def __str__(self) -> str:
        text = _("{address} depends on {count} of {total} elements of {input}").format(
            address=self.address, count=self.count, total=self.mask.numel(), input=self.input
        )
        if self.rows is None or self.columns is None:
            return text
        text += _(": rows {top}…{bottom}, columns {left}…{right}").format(
            top=self.rows[0], bottom=self.rows[1], left=self.columns[0], right=self.columns[1]
        )
        if self.theoretical is None:
            return text
        return text + _(" (by its kernels and strides {rows}×{columns})").format(
            rows=self.theoretical[0], columns=self.theoretical[1]
        )


def receptive_field(tape: Tape, address: str, of: str = "input") -> ReceptiveField:
    """Returns which elements of the input a number depends on through the recorded operations.

    Args:
        tape: recorded.
        address: of an activation, or of any number.
        of: the input meant, ``input``, ``input:1``, … or ``pixel``.

    Raises:
        AddressError: no such number.
        TapeError: no such input, or an operation on the way that is not explained.
    """
    images = tape.names.given.get(of)
    if images is None:
        raise TapeError(
            _("This tape has no {name}.").format(name=of),
            fix=_("Ask for {names}.").format(names=", ".join(_inputs(tape))),
        )
    value, index = tape.locate(address)
    marks = one_marked(tape, value, index)
    sweep_backward(tape, marks)
    mask = marks.of(images).clone()
    rows, columns = _extents(mask)
    return ReceptiveField(address, of, mask, rows, columns, theoretical_extent(tape, value, images))


def _inputs(tape: Tape) -> list[str]:
    return [name for name in tape.names.given if name.split(":")[0] in ("input", "pixel")]


def _extents(mask: Tensor) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    if mask.dim() != 4 or not mask.any():
        return None, None
    return _first_and_last(mask.any(0).any(0).any(1)), _first_and_last(mask.any(0).any(0).any(0))


def _first_and_last(line: Tensor) -> tuple[int, int]:
    places = line.nonzero()
    return int(places[0]), int(places[-1])

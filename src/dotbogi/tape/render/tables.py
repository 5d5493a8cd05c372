"""What the tables of a tape have in common: rows as dicts, a Rich table, plain text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 200  # of plain text, where nobody knows how wide a line may be


class TapeTable:
    """A table that Rich can print, and ``print`` too.

    Args:
        rows: one dict per row, for programs.
        headings: of the columns that people see.
        numbers: positions of the columns of numbers.
        cells: the rows that people see; of as many columns.
        footer: lines below the table.
    """

    def __init__(
        self,
        rows: list[dict[str, Any]],
        headings: Sequence[str],
        numbers: Sequence[int],
        cells: Sequence[Sequence[str]],
        footer: Sequence[str] = (),
    ) -> None:
        self.rows = rows
        self.footer = list(footer)
        self._headings = headings
        self._numbers = numbers
        self._cells = cells

    def __rich__(self) -> Table:
        """Returns Rich's table."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        for position, heading in enumerate(self._headings):
            is_number = position in self._numbers
            table.add_column(heading, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
        for row in self._cells:
            table.add_row(*row)
        if self.footer:
            table.caption = "\n".join(self.footer)
            table.caption_justify = "left"
        return table

    def __str__(self) -> str:
        stream = io.StringIO()
        Console(file=stream, width=WIDTH, color_system=None).print(self, markup=False, highlight=False)
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())

    def __len__(self) -> int:
        return len(self.rows)


def shape_text(shape: Sequence[int]) -> str:
    """Returns a shape as it is read: ``1×16×28×28``; of a single number ``()``."""
    return "×".join(map(str, shape)) if shape else "()"


def count_text(count: int) -> str:
    """Returns a whole number with its thousands apart, nothing for 0."""
    return f"{count:,}" if count else ""

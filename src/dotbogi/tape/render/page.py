"""What an explanation shows, part by part, before it is laid out as text or as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STYLES = ("", "strong", "muted", "formula", "good", "bad", "negative", "chosen")


@dataclass(frozen=True)
class Cell:
    """A few words or a number.

    Args:
        text: as it is read.
        style: one of :data:`STYLES`; what it means is said in words too.
    """

    text: str
    style: str = ""


@dataclass(frozen=True)
class Line:
    """A sentence or a formula.

    Args:
        cells: that follow each other.
        hanging: columns by which its further lines are indented where it is too long.
    """

    cells: tuple[Cell, ...]
    hanging: int = 0


@dataclass(frozen=True)
class Grid:
    """Numbers as they lie in an image or a kernel.

    Args:
        title: what they are.
        rows, columns: the numbers of the rows and columns; empty where none are told.
        cells: by row; ``None`` where nothing lies.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Cell | None]]


@dataclass(frozen=True)
class Grids:
    """Grids side by side where there is room, else one below the other.

    Args:
        choices: the same grids with fewer and fewer digits; the first that fit side by side are taken.
    """

    choices: tuple[tuple[Grid, ...], ...]


@dataclass(frozen=True)
class Rows:
    """A table.

    Args:
        headings: of the columns.
        cells: by row; the last column holds addresses or words, and is the one that may be broken.
        align: ``l`` or ``r`` per column.
        rules: positions of rows that a line is drawn above.
    """

    headings: Sequence[str]
    cells: Sequence[Sequence[Cell]]
    align: str
    rules: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Gap:
    """An empty line."""


@dataclass(frozen=True)
class Nested:
    """The explanation of a term, inside that of another number.

    Args:
        title: the term's address and value.
        parts: of its explanation.
    """

    title: Line
    parts: tuple[Part, ...]


Part = Line | Grids | Rows | Gap | Nested


def line(*cells: Cell | str, hanging: int = 0) -> Line:
    """Returns a line; a plain text has no style."""
    return Line(tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells), hanging)


def signed(text: str) -> Cell:
    """Returns a number, marked where it is negative."""
    return Cell(text, "negative" if text.startswith("-") else "")

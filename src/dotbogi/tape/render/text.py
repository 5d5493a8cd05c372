"""An explanation as text for a terminal: laid out by hand, since a Hangul syllable takes two columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from dotbogi.tape.render.page import Cell, Gap, Grid, Grids, Line, Nested, Part, Rows
from dotbogi.tape.render.parts import explanation_parts

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Expanded, Explanation

WIDTH = 80
TOP = 12
BETWEEN = 3  # columns between grids
# Seen on black and on white: the terminal's own red and green, and no white, black or yellow. Formulas stand upright:
# many fonts lose the hat of m̂ when they are slanted.
TERMINAL_STYLES = {
    "": "",
    "strong": "bold",
    "muted": "dim",
    "formula": "",
    "good": "green",
    "bad": "bold red",
    "negative": "#d0603a",
    "chosen": "bold reverse",
}


def to_text(explanation: Explanation, *, top: int = TOP, width: int = WIDTH, expanded: Sequence[Expanded] = ()) -> str:
    """Returns an explanation as plain text.

    Args:
        explanation: of a number.
        top: how many terms of a long sum.
        width: of a line, in columns.
        expanded: terms with explanations of their own, as ``explanation.expand`` returns them.
    """
    return "\n".join(one.plain.rstrip() for one in to_lines(explanation, top=top, width=width, expanded=expanded))


def to_lines(
    explanation: Explanation, *, top: int = TOP, width: int = WIDTH, expanded: Sequence[Expanded] = ()
) -> list[Text]:
    """Returns an explanation as lines in colour, for Rich; arguments as of :func:`to_text`."""
    return list(laid_out(explanation_parts(explanation, top, expanded), width))


def laid_out(parts: Iterable[Part], width: int) -> Iterator[Text]:
    """Yields the lines of parts, none wider than a width but where a single word is."""
    for part in parts:
        match part:
            case Gap():
                yield Text()
            case Line():
                yield from _wrapped(part, width)
            case Grids():
                yield from _grids(part, width)
            case Rows():
                yield from _rows(part, width)
            case Nested():
                yield from _nested(part, width)


def _styled(cell: Cell) -> Text:
    return Text(cell.text, TERMINAL_STYLES[cell.style])


def _wrapped(one: Line, width: int) -> Iterator[Text]:
    text = Text()
    for cell in one.cells:
        text.append_text(_styled(cell))
    yield from _broken(text, width, one.hanging)


def _broken(text: Text, width: int, hanging: int) -> Iterator[Text]:
    """Breaks a text at spaces; what follows the first line is indented."""
    while cell_len(text.plain) > width:
        cut = _last_space(text.plain, width)
        if cut <= hanging:
            break
        yield text[:cut]
        rest = text[cut:]
        rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
        text = Text(" " * hanging).append_text(rest)
    yield text


def _last_space(plain: str, width: int) -> int:
    """Returns where the last space is that still leaves the text before it within a width, or 0."""
    reached = [position for position, letter in enumerate(plain) if letter == " "]
    return max((position for position in reached if 0 < cell_len(plain[:position]) <= width), default=0)


def _padded(text: Text, width: int, align: str = "l") -> Text:
    missing = " " * max(0, width - cell_len(text.plain))
    return Text(missing).append_text(text) if align == "r" else text + Text(missing)


def _joined(cells: Iterable[Text], between: str) -> Text:
    return Text(between).join(cells)


def _grids(part: Grids, width: int) -> Iterator[Text]:
    blocks = [[_grid(grid) for grid in choice] for choice in part.choices]
    chosen = next((block for block in blocks if _total_width(block) <= width - 2), blocks[0])
    for row in _in_rows(chosen, width - 2):
        height = max(len(block) for block in row)
        headless = not any(block[1].plain.strip() for block in row)
        for at in [0, *range(2 if headless else 1, height)]:
            cells = [_padded(block[at] if at < len(block) else Text(), _block_width(block)) for block in row]
            yield Text("  ") + _joined(cells, " " * BETWEEN)


def _in_rows(blocks: Sequence[list[Text]], width: int) -> list[list[list[Text]]]:
    """Puts blocks side by side as long as there is room."""
    rows: list[list[list[Text]]] = []
    for block in blocks:
        if rows and _total_width([*rows[-1], block]) <= width:
            rows[-1].append(block)
        else:
            rows.append([block])
    return rows


def _block_width(block: Sequence[Text]) -> int:
    return max(cell_len(text.plain) for text in block)


def _total_width(blocks: Sequence[Sequence[Text]]) -> int:
    return sum(map(_block_width, blocks)) + BETWEEN * (len(blocks) - 1)


def _grid(grid: Grid) -> list[Text]:
    cells = [[_styled(cell) if cell else Text("·", "dim") for cell in row] for row in grid.cells]
    width = max(cell_len(cell.plain) for row in cells for cell in row)
    width = max(width, *(len(name) for name in grid.columns)) if grid.columns else width
    labels = max((len(name) for name in grid.rows), default=0)
    before = Text(" " * (labels + 1)) if labels else Text()
    heading = [_padded(Text(name, "dim"), width, "r") for name in grid.columns] or [Text()]
    lines = [Text(grid.title, "dim"), before + _joined(heading, " ")]
    for position, row in enumerate(cells):
        name = _padded(Text(grid.rows[position], "dim"), labels, "r") + Text(" ") if labels else Text()
        lines.append(name + _joined([_padded(cell, width, "r") for cell in row], " "))
    return lines


def _rows(part: Rows, width: int) -> Iterator[Text]:
    cells = [[_styled(cell) for cell in row] for row in part.cells]
    headings = [[Text(heading, "dim") for heading in part.headings]] if part.headings else []
    count = len(part.align)
    widths = [max(cell_len(row[i].plain) for row in [*headings, *cells]) for i in range(count)]
    before_last = sum(widths[:-1]) + 2 * (count - 1) + 2
    for row in headings:
        yield _row(row, widths, part.align)
    for position, row in enumerate(cells):
        if position in part.rules:
            yield Text("  " + "─" * (sum(widths[:-1]) + 2 * (count - 2)), "dim")
        yield from _row_lines(row, widths, part.align, before_last, width)


def _row_lines(row: list[Text], widths: list[int], align: str, before_last: int, width: int) -> Iterator[Text]:
    """Yields a row; two addresses that do not fit side by side stand one below the other."""
    room, last = width - before_last, row[-1]
    pieces = last.split(" · ") if cell_len(last.plain) > room and " · " in last.plain else [last]
    yield _row([*row[:-1], pieces[0]], widths, align)
    for piece in pieces[1:]:
        yield Text(" " * before_last + "· ") + piece


def _row(row: Sequence[Text], widths: Sequence[int], align: str) -> Text:
    cells = [_padded(cell, size, side) for cell, size, side in zip(row[:-1], widths, align, strict=False)]
    return Text("  ") + _joined([*cells, row[-1]], "  ")


def _nested(part: Nested, width: int) -> Iterator[Text]:
    for position, text in enumerate(laid_out([part.title, *part.parts], width - 2)):
        yield Text().append("┌ " if position == 0 else "│ ", "dim").append_text(text)

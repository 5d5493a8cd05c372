"""An explanation as a piece of HTML for notebooks: self-contained, readable on light and dark ground."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING

from dotbogi.tape.arithmetic import GIVEN, UNEXPLAINED
from dotbogi.tape.render.page import Cell, Gap, Grid, Grids, Line, Nested, Part, Rows
from dotbogi.tape.render.parts import body_parts, formula_parts, origin, title
from dotbogi.tape.render.verdict import agreement, verdict_parts

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation

TOP = 12
OPENED = 3  # terms that can be opened in place, and of each of them in turn
LEVELS = 2
# Ink and lines are the notebook's own, thinned; green and red have enough contrast on white and on black.
STYLE = """
.dotbogi{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;max-width:60em}
.dotbogi p{margin:.2em 0;white-space:pre-wrap}
.dotbogi table{border-collapse:collapse;margin:.4em 0;background:none;font:inherit;display:inline-table;
 margin-right:1.6em;vertical-align:top}
.dotbogi td,.dotbogi th{padding:.05em .5em;text-align:right;border:0;background:none;color:inherit;font-weight:normal}
.dotbogi caption{text-align:left;opacity:.7;caption-side:top;color:inherit}
.dotbogi th,.dotbogi .muted{opacity:.7}
.dotbogi td.l,.dotbogi th.l{text-align:left;white-space:pre-wrap}
.dotbogi tr.rule td{border-top:1px solid currentColor}
.dotbogi .strong,.dotbogi .chosen{font-weight:bold}
.dotbogi .good{color:#0f8a4f}.dotbogi .bad{color:#d03030;font-weight:bold}.dotbogi .negative{color:#c8562f}
.dotbogi .chosen{outline:1px solid currentColor}
.dotbogi details{margin:.2em 0 .2em .3em;padding-left:.8em;border-left:2px solid rgba(128,128,128,.5)}
.dotbogi summary{cursor:pointer}
"""


def to_html(explanation: Explanation, top: int = TOP) -> str:
    """Returns an explanation with its largest terms, which can be opened in place.

    Args:
        explanation: of a number.
        top: how many terms of a long sum.
    """
    ending = [] if explanation.kind in (GIVEN, UNEXPLAINED) else verdict_parts(explanation)
    body = "".join(_html([title(explanation), origin(explanation), *_inner(explanation, top), *ending]))
    return f'<div class="dotbogi"><style>{STYLE}</style>{body}{_terms(explanation, LEVELS)}</div>'


def _inner(explanation: Explanation, top: int) -> list[Part]:
    has_terms = explanation.kind not in (GIVEN, UNEXPLAINED)
    return [*formula_parts(explanation), *(body_parts(explanation, top) if has_terms else [])]


def _terms(explanation: Explanation, levels: int) -> str:
    """Returns the largest terms, each closed, with their own terms inside."""
    if not levels:
        return ""
    return "".join(_opened(one.explanation, levels) for one in explanation.expand(1, OPENED))


def _opened(explanation: Explanation, levels: int) -> str:
    ending = [] if explanation.kind in (GIVEN, UNEXPLAINED) else [agreement(explanation)]
    inner = "".join(_html([origin(explanation), *_inner(explanation, TOP), *ending]))
    return f"<details><summary>{_cells(title(explanation))}</summary>{inner}{_terms(explanation, levels - 1)}</details>"


def _html(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        match part:
            case Line():
                yield f"<p>{_cells(part)}</p>"
            case Grids():
                yield f"<div>{''.join(map(_grid, part.choices[0]))}</div>"
            case Rows():
                yield _rows(part)
            case Nested():
                yield f"<details><summary>{_cells(part.title)}</summary>{''.join(_html(part.parts))}</details>"
            case Gap():
                continue


def _cells(one: Line) -> str:
    return "".join(map(_span, one.cells))


def _span(cell: Cell) -> str:
    text = escape(cell.text)
    return f'<span class="{cell.style}">{text}</span>' if cell.style else text


def _grid(grid: Grid) -> str:
    corner = "<th></th>" if grid.rows else ""
    heading = "".join(f"<th>{escape(name)}</th>" for name in grid.columns)
    lines = [f"<tr>{corner}{heading or '<th>&nbsp;</th>'}</tr>"]  # so that the rows of all grids are level
    for position, row in enumerate(grid.cells):
        name = f"<th>{escape(grid.rows[position])}</th>" if grid.rows else ""
        cells = "".join(f"<td>{_span(cell) if cell else '·'}</td>" for cell in row)
        lines.append(f"<tr>{name}{cells}</tr>")
    return f"<table><caption>{escape(grid.title)}</caption>{''.join(lines)}</table>"


def _rows(part: Rows) -> str:
    sides = ["l" if side == "l" else "r" for side in part.align]
    heading = "".join(
        f'<th class="{side}">{escape(name)}</th>' for name, side in zip(part.headings, sides, strict=False)
    )
    lines = [f"<tr>{heading}</tr>"] if part.headings else []
    for position, row in enumerate(part.cells):
        cells = "".join(f'<td class="{side}">{_span(cell)}</td>' for cell, side in zip(row, sides, strict=True))
        lines.append(f'<tr class="rule">{cells}</tr>' if position in part.rules else f"<tr>{cells}</tr>")
    return f"<div><table>{''.join(lines)}</table></div>"

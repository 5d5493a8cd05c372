"""A matrix of numbers as colours: signed values diverge around 0, what is no number is hatched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dotbogi.figures.colours import NOT_A_NUMBER, colour_limits, range_text
from dotbogi.figures.theme import new_figure
from dotbogi.language import _, plural

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objs import Figure


def heat_map(
    values: NDArray[Any],
    title: str,
    *,
    signed: bool,
    limits: tuple[float, float] | None = None,
    fractions: bool = False,
    meaning: str = "",
    x: str = "",
    y: str = "",
) -> Figure:
    """Draws a matrix; the first row is on top.

    Args:
        values: (H, W) numbers; NaN and infinity are hatched and counted.
        title: plain text; the range of the colours is printed below it.
        signed: blue is negative, red positive, and both reach equally far; else pale is low and dark is high.
        limits: what the colours' two ends stand for; by default as the values say.
        fractions: whether values are shown as per cent.
        meaning: what the colours stand for, plain text.
        x, y: titles of the axes, plain texts.
    """
    import numpy as np

    low, high = limits or colour_limits(values, signed=signed)
    hatched = int((~np.isfinite(values)).sum())
    figure = new_figure(
        title, x=x, y=y, subtitle=_subtitle(meaning, range_text((low, high), fractions=fractions), hatched)
    )
    figure.add_heatmap(
        z=np.where(np.isfinite(values), values, np.nan).astype(np.float64),
        zmin=low,
        zmax=high,
        autocolorscale=True,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        colorbar={
            "thickness": 12,
            "outlinewidth": 0,
            "tickvals": [low, (low + high) / 2, high],
            "tickformat": ".0%" if fractions else ".3~g",
        },
    )
    if hatched:
        _hatch(figure, ~np.isfinite(values))
    height, width = values.shape
    figure.update_xaxes(range=[-0.5, width - 0.5], showgrid=False, zeroline=False)
    figure.update_yaxes(range=[height - 0.5, -0.5], showgrid=False, zeroline=False)
    return figure


def _subtitle(meaning: str, limits: str, hatched: int) -> str:
    meaning = meaning or _("colours")
    text = f"{meaning}: {limits}"
    if hatched:
        text += " · " + plural(
            "{count} value is no finite number: hatched", "{count} values are no finite numbers: hatched", hatched
        ).format(count=hatched)
    return text


def _hatch(figure: Figure, where: NDArray[Any]) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    for row, start, end in _runs(where):
        left, right, top, bottom = start - 0.5, end - 0.5, row - 0.5, row + 0.5
        x += [left, right, right, left, left, None]
        y += [top, top, bottom, bottom, top, None]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillpattern={"shape": "/", "fgcolor": NOT_A_NUMBER, "bgcolor": "rgba(0,0,0,0)", "size": 6, "solidity": 0.3},
        hoverinfo="skip",
        showlegend=False,
    )


def _runs(where: NDArray[Any]) -> Iterator[tuple[int, int, int]]:
    """Yields (row, first column, column after the last) of every horizontal run of true cells."""
    import numpy as np

    edges = np.diff(np.pad(where.astype(np.int8), ((0, 0), (1, 1))), axis=1)  # (H, W + 1)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    for (row, start), (_row, end) in zip(starts.tolist(), ends.tolist(), strict=True):
        yield row, start, end

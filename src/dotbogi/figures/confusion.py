"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dotbogi.figures.heat_map import heat_map
from dotbogi.figures.theme import plain, shortened
from dotbogi.language import _

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from plotly.graph_objs import Figure

COUNTS_SHOWN = 20  # classes up to which a count fits into its cell
NAMES_SHOWN = 40
NAME_LENGTH = 16


def confusion_figure(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Draws a confusion matrix, coloured by the share of each row, with the counts in the cells.

    Args:
        counts: (K, K), row the label, column the prediction; a class without images is hatched.
        classes: K names, any text.
    """
    import numpy as np

    matrix = np.asarray(counts, dtype=np.int64)
    figure = heat_map(
        row_shares(matrix),
        _("Confusion matrix"),
        signed=False,
        limits=(0.0, 1.0),
        fractions=True,
        meaning=_("colours: share of the row"),
        x=_("predicted as"),
        y=_("is really"),
    )
    names = np.array([plain(name) for name in classes], dtype=object)
    figure.update_traces(
        selector={"type": "heatmap"},
        text=_cell_texts(matrix),
        texttemplate="%{text}" if len(classes) <= COUNTS_SHOWN else "",
        customdata=np.stack([matrix.astype(object), *np.meshgrid(names, names, indexing="ij")], axis=-1),
        hovertemplate=_hover_text(),
        xgap=1 if len(classes) <= NAMES_SHOWN else 0,
        ygap=1 if len(classes) <= NAMES_SHOWN else 0,
    )
    _name_axes(figure, classes)
    return figure


def row_shares(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns each count as a fraction of its row, 0…1; NaN in a row of nothing.

    Args:
        matrix: (K, K) counts.
    """
    import numpy as np

    totals = matrix.sum(axis=1, keepdims=True)  # (K, 1)
    return np.divide(matrix, totals, out=np.full(matrix.shape, np.nan), where=totals > 0)


def largest_confusions(counts: Sequence[Sequence[int]], most: int = 3) -> list[tuple[int, int, int]]:
    """Returns (label, prediction, count) of the most frequent mistakes, the most frequent first.

    Args:
        counts: (K, K), row the label, column the prediction.
        most: how many at the most.
    """
    mistakes = [
        (count, label, prediction)
        for label, row in enumerate(counts)
        for prediction, count in enumerate(row)
        if label != prediction and count
    ]
    mistakes.sort(key=lambda mistake: (-mistake[0], mistake[1], mistake[2]))
    return [(label, prediction, count) for count, label, prediction in mistakes[:most]]


def _cell_texts(matrix: NDArray[np.int64]) -> list[list[str]]:
    # Zeros are left blank, so that the mistakes stand out.
    return [[f"{count:,}" if count else "" for count in row] for row in matrix.tolist()]


def _hover_text() -> str:
    lines = [
        _("is really: {name}").format(name="%{customdata[1]}"),
        _("predicted as: {name}").format(name="%{customdata[2]}"),
        _("images: {count}").format(count="%{customdata[0]}") + " (%{z:.1%})",
    ]
    return "<br>".join(lines) + "<extra></extra>"


def _name_axes(figure: Figure, classes: Sequence[str]) -> None:
    # Names stand at positions: as categories, two names that look alike would be one, and "1" a number.
    every = -(-len(classes) // NAMES_SHOWN)
    positions = list(range(0, len(classes), every))
    texts = [plain(shortened(classes[position], NAME_LENGTH)) for position in positions]
    figure.update_xaxes(tickvals=positions, ticktext=texts, tickangle=-45, constrain="domain")
    figure.update_yaxes(tickvals=positions, ticktext=texts)

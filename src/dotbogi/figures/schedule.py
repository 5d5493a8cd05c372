"""How schedules change the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dotbogi.figures.theme import new_figure, plain
from dotbogi.language import _

if TYPE_CHECKING:
    from plotly.graph_objs import Figure

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def schedule_figure(factors: Mapping[str, Sequence[float]]) -> Figure:
    """Draws the factor that schedules multiply the learning rate by, over a whole training.

    Args:
        factors: of each schedule by its name, one factor per step; trainings of any length lie over each other.
    """
    figure = new_figure(_("Learning rate, as a factor of lr"), x=_("part of all steps"), y=_("factor"))
    for position, (name, values) in enumerate(factors.items()):
        figure.add_scatter(
            x=[step / len(values) for step in range(len(values))],
            y=list(values),
            name=plain(name),
            mode="lines",
            line={"dash": DASHES[position % len(DASHES)], "width": 2.5},
            hovertemplate="%{y:.3g}",
        )
    figure.update_xaxes(tickformat=".0%", dtick=0.25, range=[0, 1.01])
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=True, hovermode="x unified")
    return figure

"""What a training did, epoch by epoch and step by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dotbogi.figures.colours import NOT_A_NUMBER, STAGE_COLOURS, TRAINING, VALIDATION
from dotbogi.figures.theme import new_figure
from dotbogi.language import _
from dotbogi.stages import LOSS, UPDATE

if TYPE_CHECKING:
    from plotly.graph_objs import Figure

POINTS_SHOWN = 2000  # more steps than these are drawn as the means of as many groups
MARKERS_SHOWN = 40  # more epochs than these are drawn without markers
WINDOWS = 50  # the running mean is over this part of all points


def epoch_curves(
    title: str,
    training: Sequence[float | None],
    validation: Sequence[float | None] = (),
    *,
    fractions: bool = False,
) -> Figure:
    """Draws one quantity per epoch, on the training and on the validation images.

    Args:
        title: plain text.
        training, validation: one value per epoch, ``None`` where there is none; NaN and infinity are marked.
        fractions: whether the values are 0…1 and shown as per cent; else the axis begins at 0.
    """
    figure = new_figure(title, x=_("epoch"))
    curves = (
        (_("training"), training, TRAINING, "solid", "circle"),
        (_("validation"), validation, VALIDATION, "dash", "diamond"),
    )
    for name, values, colour, dash, symbol in curves:
        if any(value is not None for value in values):
            mode = "lines+markers" if len(values) <= MARKERS_SHOWN else "lines"
            style = {"line": {"color": colour, "dash": dash}, "marker": {"symbol": symbol, "size": 8}, "mode": mode}
            _add_curve(figure, name, list(range(1, len(values) + 1)), values, style)
    epochs = max(len(training), len(validation))
    figure.update_xaxes(tickformat="d", dtick=1 if epochs <= 10 else None, range=[0.8, max(epochs, 2) + 0.2])
    figure.update_yaxes(tickformat=".0%" if fractions else None, rangemode="normal" if fractions else "tozero")
    figure.update_layout(hovermode="x unified", showlegend=True)
    return figure


def step_losses(steps: Sequence[int], losses: Sequence[float | None]) -> Figure:
    """Draws the loss of each step's batch, and its running mean.

    Args:
        steps: numbers of the updates, from 1.
        losses: as many; NaN and infinity are marked.
    """
    x, y, group = thinned(steps, losses)
    colour = STAGE_COLOURS[LOSS]
    figure = new_figure(_("Loss of each step"), x=_("step"))
    name = _("each step") if group == 1 else _("mean of {steps} steps").format(steps=group)
    _add_curve(figure, name, x, y, {"line": {"color": colour, "width": 1}, "opacity": 0.55, "mode": "lines"})
    window = len(y) // WINDOWS
    if window > 1:
        name = _("running mean of {steps} steps").format(steps=f"{window * group:,}")
        _add_curve(figure, name, x, running_mean(y, window), {"line": {"color": colour, "width": 3}, "mode": "lines"})
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=True)
    return figure


def learning_rates(steps: Sequence[int], rates: Sequence[float | None]) -> Figure:
    """Draws the learning rate of each step.

    Args:
        steps: numbers of the updates, from 1.
        rates: as many.
    """
    x, y, _group = thinned(steps, rates)
    figure = new_figure(_("Learning rate of each step"), x=_("step"))
    _add_curve(
        figure, _("learning rate"), x, y, {"line": {"color": STAGE_COLOURS[UPDATE], "width": 3}, "mode": "lines"}
    )
    figure.update_yaxes(rangemode="tozero", exponentformat="power")
    return figure


def thinned(
    steps: Sequence[int], values: Sequence[float | None], most: int = POINTS_SHOWN
) -> tuple[list[float], list[float | None], int]:
    """Returns means of neighbouring points, so that there are not more than ``most``.

    Args:
        steps, values: as many; a group with a NaN or an infinity in it keeps that.
        most: points to return at most.

    Returns:
        The steps, the values, and how many points each is the mean of.
    """
    group = max(1, math.ceil(len(steps) / most))
    starts = range(0, len(steps), group)
    return (
        [_mean(steps[start : start + group]) or 0.0 for start in starts],
        [_mean(values[start : start + group]) for start in starts],
        group,
    )


def running_mean(values: Sequence[float | None], window: int) -> list[float | None]:
    """Returns the mean of the finite values around each value, ``window`` in all; fewer at both ends."""
    before, after = window // 2, window - window // 2
    return [_finite_mean(values[max(0, position - before) : position + after]) for position in range(len(values))]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _finite_mean(values: Sequence[float | None]) -> float | None:
    return _mean([value for value in values if value is not None and math.isfinite(value)])


def _add_curve(
    figure: Figure, name: str, x: Sequence[float], values: Sequence[float | None], style: dict[str, Any]
) -> None:
    drawn = [value if value is not None and math.isfinite(value) else None for value in values]
    figure.add_scatter(x=list(x), y=drawn, name=name, hovertemplate="%{y}", **style)
    there = [(at, value) for at, value in zip(x, values, strict=True) if value is not None and not math.isfinite(value)]
    if there:
        # What cannot be drawn at its height is marked at the upper edge.
        figure.add_scatter(
            x=[at for at, _value in there],
            y=[max((value for value in drawn if value is not None), default=1.0)] * len(there),
            text=[str(value) for _at, value in there],
            hovertemplate="%{text}",
            name=_("{curve}: NaN or infinite").format(curve=name),
            mode="markers",
            marker={"symbol": "x", "size": 10, "color": NOT_A_NUMBER},
        )

"""How every figure looks: fonts with Hangul, one template per ground, and texts that are taken as they are."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from dotbogi.figures.colours import LIGHT, TRAINING, VALIDATION, Ground

if TYPE_CHECKING:
    from plotly.graph_objs import Figure

FONTS = (
    'system-ui, -apple-system, "Segoe UI", "Noto Sans KR", "Noto Sans CJK KR", "Malgun Gothic", '
    '"Apple SD Gothic Neo", sans-serif'
)
FONT_SIZE = 13
TOP_MARGIN = 76  # title, and below it a legend or a subtitle


def new_figure(title: str, *, x: str = "", y: str = "", subtitle: str = "") -> Figure:
    """Returns an empty figure on light ground.

    Args:
        title, subtitle: plain texts.
        x, y: titles of the axes, plain texts.
    """
    from plotly.graph_objs import Figure

    figure = Figure()
    figure.update_layout(
        template=template(LIGHT),
        title={"text": plain(title), "subtitle": {"text": plain(subtitle)}},
        xaxis_title=plain(x),
        yaxis_title=plain(y),
    )
    return figure


def plain(text: str) -> str:
    """Returns a text that Plotly shows as it is: no tag, link or entity in it means anything."""
    return html.escape(text, quote=False).replace("\n", "<br>")


def shortened(text: str, length: int) -> str:
    """Returns a text of at most so many characters; one that is cut ends in ``…``."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def template(ground: Ground) -> Any:
    """Returns the Plotly template for a ground."""
    from plotly.graph_objs import Layout
    from plotly.graph_objs.layout import Template

    return Template(layout=Layout(**_layout(ground)))


def _layout(ground: Ground) -> dict[str, Any]:
    axis = {
        "gridcolor": ground.line,
        "linecolor": ground.muted,
        "zerolinecolor": ground.line,
        "tickcolor": ground.muted,
        "ticks": "outside",
        "ticklen": 4,
        "showline": True,
        "automargin": True,
        "title": {"standoff": 8, "font": {"size": FONT_SIZE, "color": ground.muted}},
    }
    return {
        "font": {"family": FONTS, "size": FONT_SIZE, "color": ground.ink},
        "paper_bgcolor": ground.background,
        "plot_bgcolor": ground.background,
        "title": {
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 12, "l": 4},
            "font": {"size": 16, "weight": 600},
            "subtitle": {"font": {"size": 12, "color": ground.muted}},
        },
        "margin": {"l": 56, "r": 16, "t": TOP_MARGIN, "b": 48},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        "hoverlabel": {"font": {"family": FONTS, "size": FONT_SIZE}, "align": "left", "namelength": -1},
        "colorway": [TRAINING, VALIDATION, "#15B268", "#941CEC", "#CA0D0C", ground.muted],
        "colorscale": {
            "sequential": _scale(ground.sequential),
            "sequentialminus": _scale(ground.sequential[::-1]),
            "diverging": _scale(ground.diverging),
        },
        "xaxis": axis,
        "yaxis": axis,
    }


def _scale(colours: tuple[str, ...]) -> list[list[Any]]:
    return [[position / (len(colours) - 1), colour] for position, colour in enumerate(colours)]

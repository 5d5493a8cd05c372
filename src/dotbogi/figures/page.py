"""A page of texts, tables, pictures and figures that is one file, can be read offline, and follows light and dark.

Every text is escaped by the template: whatever comes from a run's folder is only ever shown.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dotbogi.figures.colours import DARK, LIGHT
from dotbogi.figures.theme import FONTS, template
from dotbogi.language import current_language

if TYPE_CHECKING:
    from plotly.graph_objs import Figure

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Args:
        text: what it says.
        warning: whether it tells of something that is missing or wrong.
    """

    text: str
    warning: bool = False
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Code:
    """Lines for a computer, shown as they are."""

    text: str
    kind: str = field(default="code", init=False)


@dataclass(frozen=True)
class Numbers:
    """A few large numbers, each a (title, value); the first is the most important."""

    numbers: Sequence[tuple[str, str]]
    kind: str = field(default="numbers", init=False)


@dataclass(frozen=True)
class Pairs:
    """A list of (title, value)."""

    pairs: Sequence[tuple[str, str]]
    kind: str = field(default="pairs", init=False)


@dataclass(frozen=True)
class Table:
    """Rows below headings; the first column is text, the others are numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Picture:
    """An image and what is said of it.

    Args:
        source: an address that holds the image (:func:`dotbogi.figures.images.data_uri`).
        caption: the line that matters.
        details: further lines.
    """

    source: str
    caption: str
    details: Sequence[str] = ()


@dataclass(frozen=True)
class Pictures:
    """Images side by side."""

    pictures: Sequence[Picture]
    kind: str = field(default="pictures", init=False)


@dataclass(frozen=True)
class Drawings:
    """Figures side by side, as many as the width has room for.

    Args:
        figures: Plotly figures.
        height: of each, in pixels.
    """

    figures: Sequence[Figure]
    height: int = 330
    kind: str = field(default="drawings", init=False)

    @property
    def sources(self) -> list[str]:
        """The figures as JSON in which nothing can end the element that it stands in."""
        return [(figure.to_json() or "").replace("<", "\\u003c") for figure in self.figures]


@dataclass(frozen=True)
class Columns:
    """Parts that stand side by side where the width has room."""

    parts: Sequence[Part]
    kind: str = field(default="columns", init=False)


Part = Text | Code | Numbers | Pairs | Table | Pictures | Drawings | Columns


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it.

    Args:
        title: may be empty.
        parts: from top to bottom.
    """

    title: str
    parts: Sequence[Part]


def page(title: str, subtitle: str, sections: Sequence[Section], *, footer: str = "") -> str:
    """Returns a page as HTML, complete with everything that it needs.

    Args:
        title, subtitle, footer: plain texts.
        sections: what it shows.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        language=current_language(),
        title=title,
        subtitle=subtitle,
        sections=sections,
        footer=footer,
        fonts=FONTS,
        grounds={"light": LIGHT, "dark": DARK},
        templates=_templates(),
        plotly=get_plotlyjs(),
    )


def _templates() -> str:
    return json.dumps({name: template(ground).to_plotly_json() for name, ground in (("light", LIGHT), ("dark", DARK))})

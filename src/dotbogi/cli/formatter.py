"""Help pages that keep to the terminal's width in Korean too."""

import unicodedata
from collections.abc import Iterable
from gettext import gettext

import click

# click counts characters, and a Hangul syllable is two columns wide: each is followed by this
# private character while lines are broken, so that what click counts is what the terminal shows.
_SECOND_COLUMN = "\ue000"


def displayed_width(text: str) -> int:
    """Returns how many columns of a terminal the text takes."""
    return sum(1 + (unicodedata.east_asian_width(character) in "WF") for character in text)


class WideHelpFormatter(click.HelpFormatter):
    """click's formatter, for text in which some characters are two columns wide."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, _counted(prefix or f"{gettext('Usage:')} "))

    def write_text(self, text: str) -> None:
        super().write_text(_counted(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(_counted(term), _counted(text)) for term, text in rows], col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_SECOND_COLUMN, "")


class WideContext(click.Context):
    """A context whose help pages are written by :class:`WideHelpFormatter`."""

    formatter_class = WideHelpFormatter


def _counted(text: str) -> str:
    return "".join(character + _SECOND_COLUMN * (displayed_width(character) - 1) for character in text)

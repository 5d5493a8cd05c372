"""The tables that several commands show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dotbogi.language import _
from dotbogi.language.wording import count, metric_title, metric_value, percent

if TYPE_CHECKING:
    from rich.table import Table

# More classes than these do not fit a screen: the weakest are shown.
CLASSES_SHOWN = 20
METRICS_OF_ALL_CLASSES = ("precision", "recall", "f1")


def table(*columns: str, numbers: Sequence[int] = ()) -> Table:
    """Returns an empty table without lines between its columns.

    Args:
        columns: headings.
        numbers: positions of the columns that hold numbers, aligned to the right.
    """
    from rich import box
    from rich.table import Table

    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for position, heading in enumerate(columns):
        if position in numbers:
            result.add_column(heading, justify="right", no_wrap=True)
        else:
            result.add_column(heading, overflow="fold")
    return result


def metric_lines(metrics: Mapping[str, float], split: str) -> list[str]:
    """Returns a sentence per group of metrics: what matters most first.

    Args:
        metrics: by name; fractions 0…1.
        split: on which images: ``test``, ``validation``, ``training``, or nothing.
    """
    where = {
        "test": _("On the test images:"),
        "validation": _("On the validation images:"),
        "training": _("On the training images:"),
    }
    first = [name for name in ("accuracy", "loss", "top5_accuracy") if name in metrics]
    rest = [name for name in metrics if name not in first]
    heading = [where[split]] if split in where else []
    return heading + [_metric_line(metrics, names) for names in (first, rest) if names]


def _metric_line(metrics: Mapping[str, float], names: Sequence[str]) -> str:
    return "  " + "   ".join(f"{metric_title(name)} {metric_value(name, metrics[name])}" for name in names)


def per_class_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Returns precision, recall and F1 of each class; of many classes those with the lowest F1."""
    result = table(_("class"), _("images"), _("precision"), _("recall"), _("F1"), numbers=(1, 2, 3, 4))
    shown = rows
    if len(rows) > CLASSES_SHOWN:
        shown = sorted(rows, key=lambda row: row["f1"])[:CLASSES_SHOWN]
        result.caption = _("the {shown} weakest of {all} classes").format(shown=len(shown), all=len(rows))
    for row in shown:
        values = [percent(row[name]) for name in METRICS_OF_ALL_CLASSES]
        result.add_row(row["name"], count(row["images"]), *values)
    return result

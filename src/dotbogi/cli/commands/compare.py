"""``dotbogi compare``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dotbogi.cli.command import as_command
from dotbogi.cli.options import RUN, runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.language import _, mark

if TYPE_CHECKING:
    from rich.table import Table


@as_command(
    mark("Compare runs: where their recipes differ, and what they reached."),
    RUN,
)
@click.argument("runs", metavar="RUN RUN...", nargs=-1, required=True)
@runs_dir_option
def command(output: Output, runs: tuple[str, ...], runs_dir: Path | None) -> None:
    """Compares the runs."""
    from dotbogi.runs.compare import compare
    from dotbogi.runs.run import open_run

    rows = compare([open_run(word, runs_dir=runs_dir, listener=output.tell) for word in runs])
    if output.as_json:
        for row in rows:
            output.line(row)
    else:
        output.show(comparison_table(rows))


def comparison_table(rows: Sequence[Mapping[str, Any]]) -> "Table":
    """Returns a column per run: first the keys of the recipe that differ, then the metrics."""
    from dotbogi.cli.tables import table
    from dotbogi.language.wording import metric_title, metric_value

    # Runs side by side: a recipe can differ in many keys, and a screen is longer than it is wide.
    result = table("", *(row["name"] or row["run"] for row in rows), numbers=range(1, len(rows) + 1))
    for column in result.columns[1:]:
        column.no_wrap, column.overflow = False, "fold"
    for key in rows[0]["recipe"]:
        result.add_row(key, *(_recipe_value(row["recipe"][key]) for row in rows))
    result.add_section()
    for name in dict.fromkeys(name for row in rows for name in row["metrics"]):
        values = [metric_value(name, row["metrics"][name]) if name in row["metrics"] else "" for row in rows]
        result.add_row(metric_title(name), *values)
    return result


def _recipe_value(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value is None else str(value)

"""``dotbogi show``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dotbogi.cli.command import Option, as_command
from dotbogi.cli.options import RUN, runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.language import _, mark

if TYPE_CHECKING:
    from dotbogi.runs.run import Run


@as_command(
    mark("Show a run: its recipe, its epochs, its metrics."),
    mark("The recipe trains the same run again."),
    RUN,
    examples=("dotbogi show last --html", "dotbogi show last --toml > recipe.toml", "dotbogi train recipe.toml"),
)
@click.argument("run", default="last")
@click.option("--toml", cls=Option, is_flag=True, help=mark("Print the recipe and nothing else."))
@click.option("--html", cls=Option, is_flag=True, help=mark("Write a page: curves, confusion matrix, worst mistakes."))
@click.option("--png", cls=Option, is_flag=True, help=mark("Write the figures as PNG files (needs a Chromium)."))
@click.option("--open", "browse", cls=Option, is_flag=True, help=mark("Write the page and open it in a browser."))
@click.option(
    "--output",
    "folder",
    cls=Option,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=mark("Where the page and the figures go; else the run's folder."),
)
@runs_dir_option
def command(
    output: Output,
    run: str,
    toml: bool,
    html: bool,
    png: bool,
    browse: bool,
    folder: Path | None,
    runs_dir: Path | None,
) -> None:
    """Shows the run."""
    from dotbogi.cli.showing import run_page, run_record
    from dotbogi.runs.run import open_run

    opened = open_run(run, runs_dir=runs_dir, listener=output.tell)
    files = _write_figures(opened, folder or opened.path, page=html or browse, png=png)
    if output.as_json:
        more = {"history": opened.history(), "per_class": opened.per_class, "files": files}
        output.line(run_record(opened) | more)
    elif toml:
        output.show(opened.recipe.to_toml().rstrip())
    elif files:
        output.show(*(_("Written: {path}").format(path=path) for path in files))
    else:
        output.show(*run_page(opened))
    if browse:
        click.launch(files[0])


def _write_figures(run: "Run", folder: Path, *, page: bool, png: bool) -> list[str]:
    if not page and not png:
        return []
    from dotbogi.runs.report import write_figures, write_report

    pages = [write_report(run, folder)] if page else []
    return [str(path) for path in (*pages, *(write_figures(run, folder) if png else []))]

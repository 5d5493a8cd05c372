"""``dotbogi rm``."""

from pathlib import Path

import click

from dotbogi.cli.command import as_command
from dotbogi.cli.options import RUN, runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.language import _, mark


@as_command(
    mark("Remove runs, with everything in their folders."),
    RUN,
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True)
@runs_dir_option
def command(output: Output, runs: tuple[str, ...], runs_dir: Path | None) -> None:
    """Removes the runs."""
    from dotbogi.runs.run import open_run, remove_run

    # All are found before the first is removed: a mistyped word removes nothing, and `last` means one run.
    found = dict.fromkeys(open_run(word, runs_dir=runs_dir, listener=output.tell).id for word in runs)
    for run in found:
        remove_run(run, runs_dir, output.tell)
        if output.as_json:
            output.line({"event": "removed", "run": run})
        else:
            output.show(_("Removed {run}").format(run=run))

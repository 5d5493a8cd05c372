"""``dotbogi runs``."""

from pathlib import Path

from dotbogi.cli.command import as_command
from dotbogi.cli.options import runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.language import _, mark


@as_command(mark("List the runs, the newest last."))
@runs_dir_option
def command(output: Output, runs_dir: Path | None) -> None:
    """Lists the runs."""
    from dotbogi.cli.showing import run_record, runs_table
    from dotbogi.runs.run import list_runs

    runs = list_runs(runs_dir, output.tell)
    if output.as_json:
        for run in runs:
            output.line(run_record(run))
    elif runs:
        output.show(runs_table(runs))
    else:
        output.say(_("There is no run yet. `dotbogi train` makes one."))

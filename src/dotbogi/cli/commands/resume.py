"""``dotbogi resume``."""

from pathlib import Path

import click

from dotbogi.cli.command import as_command
from dotbogi.cli.options import RUN, model_option, runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.language import mark


@as_command(
    mark("Go on with a training that was stopped."),
    mark("It goes on from its last checkpoint, as if it had never been stopped."),
    RUN,
)
@click.argument("run")
@model_option
@runs_dir_option
def command(output: Output, run: str, model: str | None, runs_dir: Path | None) -> int:
    """Resumes the run."""
    from dotbogi.cli.following import follow
    from dotbogi.runs.resume import resume

    return follow(
        output,
        lambda listener, stop: resume(run, runs_dir=runs_dir, model_file=model or "", listener=listener, stop=stop),
    )

"""``dotbogi evaluate``."""

from pathlib import Path

import click

from dotbogi.cli.command import Option, as_command
from dotbogi.cli.options import RUN, model_option, runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.language import mark


@as_command(
    mark("Measure how good a run's model is on images."),
    mark("The images are the run's own test images, or others of the same classes."),
    RUN,
    examples=("dotbogi evaluate last", "dotbogi evaluate last --data more-photos/"),
)
@click.argument("run", default="last")
@click.option("--data", cls=Option, help=mark("Data set by name, or a folder with one subfolder per class."))
@click.option("--best", cls=Option, is_flag=True, help=mark("The weights that were best on the validation images."))
@model_option
@runs_dir_option
def command(output: Output, run: str, data: str | None, best: bool, model: str | None, runs_dir: Path | None) -> None:
    """Evaluates the run's model."""
    from dotbogi.cli.progress import Progress
    from dotbogi.cli.tables import metric_lines, per_class_table
    from dotbogi.language import _
    from dotbogi.language.wording import count
    from dotbogi.runs.evaluate import evaluate
    from dotbogi.runs.run import open_run

    opened = open_run(run, runs_dir=runs_dir, model_file=model or "", listener=output.tell)
    with Progress(output.messages, bar=output.leaves_room_for_a_bar) as progress:
        result = evaluate(opened, data, which="best" if best else "last", listener=progress)
    if output.as_json:
        output.line(result)
        return
    output.show(_("{run} on {images} images").format(run=opened.id, images=count(result["images"])))
    output.show(*metric_lines(result["metrics"], result.get("evaluated_on", "") if data is None else ""))
    if result["per_class"]:
        output.show("", per_class_table(result["per_class"]))

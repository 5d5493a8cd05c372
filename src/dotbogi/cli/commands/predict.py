"""``dotbogi predict``."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dotbogi.cli.command import Option, as_command
from dotbogi.cli.options import RUN, OutputFile, model_option, runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.errors import BrokenImagesError
from dotbogi.language import _, mark, plural

if TYPE_CHECKING:
    from rich.table import Table

    from dotbogi.runs.predict import Broken, Prediction
    from dotbogi.training.events import Working

BROKEN_NAMED = 10
ROWS_SHOWN = 200  # what a person scrolls through


@as_command(
    mark("Classify images with a run's model."),
    mark("They are prepared as they were in training. PATH is a file, a folder, or a pattern."),
    RUN,
    examples=("dotbogi predict last photo.jpg", "dotbogi predict last 'photos/*.jpg' --csv classes.csv"),
)
@click.argument("run")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--top", cls=Option, type=click.IntRange(min=1), default=3, help=mark("How many classes to name."))
@click.option("--csv", "csv_file", cls=Option, type=OutputFile(), metavar="FILE", help=mark("Write a CSV file."))
@click.option("--skip-broken", cls=Option, is_flag=True, help=mark("Leave out files that are no whole image."))
@model_option
@runs_dir_option
def command(
    output: Output,
    run: str,
    paths: tuple[str, ...],
    top: int,
    csv_file: Path | None,
    skip_broken: bool,
    model: str | None,
    runs_dir: Path | None,
) -> None:
    """Classifies the images; broken files are told at the end, after everything else was done."""
    from dotbogi.cli.progress import Progress
    from dotbogi.runs.run import open_run

    opened = open_run(run, runs_dir=runs_dir, model_file=model or "", listener=output.tell)
    broken: list[Broken] = []
    with Progress(output.messages, bar=output.leaves_room_for_a_bar) as progress:
        predictions = _whole(opened.predict(paths, top=top), broken, progress)
        if output.as_json:
            predictions = _as_lines(output, predictions)
        elif not csv_file and not output.is_terminal:
            predictions = _as_plain_lines(output, predictions)
        kept = list(predictions)
    if csv_file:
        _write_csv(csv_file, kept)
        output.say(_("Written: {path}").format(path=csv_file))
    elif output.is_terminal and not output.as_json and kept:
        _show_table(output, kept)
    if broken:
        _tell_broken(output, broken, skip_broken)


def _whole(
    results: Iterable[Prediction | Broken], broken: list[Broken], listener: Callable[[Working], None]
) -> Iterator[Prediction]:
    from dotbogi.runs.predict import Prediction
    from dotbogi.training.events import Working

    task = _("Classifying")
    for done, result in enumerate(results, 1):
        listener(Working(task, done))
        if isinstance(result, Prediction):
            yield result
        else:
            broken.append(result)


def _as_lines(output: Output, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    for prediction in predictions:
        output.line(
            {
                "path": prediction.path,
                "label": prediction.label,
                "probability": prediction.probability,
                "top": _top(prediction),
            }
        )
        yield prediction


def _as_plain_lines(output: Output, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    from dotbogi.language.wording import percent

    for prediction in predictions:
        output.plain(f"{prediction.path}\t{prediction.label}\t{percent(prediction.probability)}")
        yield prediction


def _show_table(output: Output, predictions: list[Prediction]) -> None:
    output.show(predictions_table(predictions[:ROWS_SHOWN]))
    if len(predictions) > ROWS_SHOWN:
        more = len(predictions) - ROWS_SHOWN
        output.show(_("and {count} more; --csv FILE writes them all").format(count=more))


def _top(prediction: Prediction) -> list[dict[str, Any]]:
    return [{"label": label, "probability": probability} for label, probability in prediction.top]


def _write_csv(path: Path, predictions: list[Prediction]) -> None:
    others = max((len(prediction.top) for prediction in predictions), default=1) - 1
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        further = [f"{column}_{place}" for place in range(2, others + 2) for column in ("label", "probability")]
        writer.writerow(["path", "label", "probability", *further])
        for prediction in predictions:
            pairs = [value for entry in _top(prediction) for value in entry.values()]
            writer.writerow([prediction.path, *pairs])


def predictions_table(predictions: list[Prediction]) -> Table:
    """Returns one row per image: the class, its probability, and the next ones."""
    from dotbogi.cli.tables import table
    from dotbogi.language.wording import percent

    result = table(_("image"), _("class"), _("probability"), _("next"), numbers=(2,))
    for prediction in predictions:
        following = (f"{entry['label']} {percent(entry['probability'])}" for entry in _top(prediction)[1:])
        result.add_row(str(prediction.path), prediction.label, percent(prediction.probability), ", ".join(following))
    return result


def _tell_broken(output: Output, broken: list[Broken], skip: bool) -> None:
    count = len(broken)
    message = plural("{count} file is no whole image.", "{count} files are no whole images.", count).format(count=count)
    named = "\n".join(f"  {file.path}: {file.reason}" for file in broken[:BROKEN_NAMED])
    if count > BROKEN_NAMED:
        named += "\n" + _("  and {count} more").format(count=count - BROKEN_NAMED)
    if not skip:
        raise BrokenImagesError(f"{message}\n{named}", fix=_("--skip-broken leaves them out."))
    output.say(f"{message}\n{named}")

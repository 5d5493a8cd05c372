"""A run as a person and as a program see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotbogi.cli.tables import metric_lines, per_class_table, table
from dotbogi.language import _
from dotbogi.language.wording import count, duration, metric_title, metric_value, status_title

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from dotbogi.runs.run import Run

# More epochs than these do not fit a screen: as many are shown, evenly spread, the last among them.
EPOCHS_SHOWN = 12


def run_record(run: Run) -> dict[str, Any]:
    """Returns what a program wants to know of a run."""
    return {
        "run": run.id,
        "name": run.name,
        "status": run.status,
        "path": str(run.path),
        "recipe": run.recipe.to_dict(),
        "metrics": run.metrics,
        "weights_sha256": run.weights_sha256,
    }


def run_page(run: Run) -> list[RenderableType]:
    """Returns what a person wants to know of a run, part by part."""
    parts: list[RenderableType] = [_heading(run), _origin(run)]
    history = run.history()
    if history:
        parts += ["", _epochs_table(history)]
    if run.metrics:
        parts += ["", *metric_lines(run.metrics, run.facts.get("evaluated_on", ""))]
    if run.per_class:
        parts += ["", per_class_table(run.per_class)]
    parts += ["", _("The recipe (dotbogi show {run} --toml > recipe.toml):").format(run=run.argument), ""]
    return [*parts, run.recipe.to_toml().rstrip(), *_what_next(run)]


def runs_table(runs: list[Run]) -> Table:
    """Returns one row per run."""
    metrics = ("accuracy", "loss")
    result = table(
        _("run"), _("name"), _("status"), _("data"), *(metric_title(name) for name in metrics), numbers=(4, 5)
    )
    for run in runs:
        values = [metric_value(name, run.metrics[name]) if name in run.metrics else "" for name in metrics]
        result.add_row(run.id, run.name, status_title(run.status), run.recipe.data.source, *values)
    return result


def _heading(run: Run) -> str:
    return " · ".join(part for part in (run.id, run.name, status_title(run.status)) if part)


def _origin(run: Run) -> str:
    facts = run.facts
    lines = [
        str(run.path),
        _("{model}, {parameters} parameters, on {data}: {images} images for training").format(
            model=facts.get("model", run.recipe.model.name),
            parameters=count(facts.get("parameters", 0)),
            data=facts.get("data", run.recipe.data.source),
            images=count(facts.get("training_images", 0)),
        ),
    ]
    return "\n".join(lines)


def _epochs_table(history: list[dict[str, Any]]) -> Table:
    columns = {
        "epoch": (_("epoch"), lambda value: str(value + 1)),
        "training_loss": (_("training loss"), lambda value: metric_value("loss", value)),
        "training_accuracy": (_("training accuracy"), lambda value: metric_value("accuracy", value)),
        "validation_loss": (_("validation loss"), lambda value: metric_value("loss", value)),
        "validation_accuracy": (_("validation accuracy"), lambda value: metric_value("accuracy", value)),
        "elapsed_s": (_("time"), duration),
        "images_per_second": (_("images/s"), lambda value: count(round(value))),
    }
    there = [name for name in columns if history[-1].get(name) is not None]
    result = table(*(columns[name][0] for name in there), numbers=range(len(there)))
    for column in result.columns:
        column.no_wrap = False
    for row in _spread(history, EPOCHS_SHOWN):
        result.add_row(*(columns[name][1](row[name]) if row.get(name) is not None else "" for name in there))
    return result


def _spread(rows: list[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    if len(rows) <= limit:
        return rows
    return [rows[round(position * (len(rows) - 1) / (limit - 1))] for position in range(limit)]


def _what_next(run: Run) -> list[RenderableType]:
    if run.status == "interrupted":
        return ["", _("Go on with: dotbogi resume {run}").format(run=run.argument)]
    return []

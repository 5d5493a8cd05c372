"""What ``train`` and ``resume`` share: follow a training, stop it when asked, and say what came of it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dotbogi.cli.output import Output
from dotbogi.cli.progress import Progress
from dotbogi.cli.signals import StopRequest, exit_code
from dotbogi.cli.tables import metric_lines, per_class_table
from dotbogi.language import _, plural
from dotbogi.language.wording import count, duration, rate
from dotbogi.training.events import EpochDone, Event, Listener, Notice, RunStarted, StepDone

if TYPE_CHECKING:
    from dotbogi.runs.run import Run

Work = Callable[[Listener, Callable[[], "str | None"]], "Run"]


def follow(output: Output, work: Work) -> int:
    """Carries out a training with progress, JSON lines and the signals in hand.

    Args:
        output: where it is said.
        work: trains; it takes a listener and what to ask whether to stop.

    Returns:
        The exit code: 0, or 128 + the signal's number where one interrupted the training.
    """
    told = _Told(output)
    with StopRequest() as stop, Progress(output.messages, bar=output.leaves_room_for_a_bar) as progress:

        def listen(event: Event) -> None:
            progress(event)
            if type(event) is not StepDone:
                stop.saves = stop.saves or isinstance(event, RunStarted)
                told(event)

        run = work(listen, stop)
    if run.status == "interrupted":
        return _say_interrupted(output, run, stop.signal or signal.SIGINT)
    told.end(run)
    return 0


class _Told:
    """Writes the events that a program waits for as JSON lines; the first is ``started``, whatever came before it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._started = False
        self._early: list[Notice] = []

    def __call__(self, event: Event) -> None:
        if not self._output.as_json:
            return
        match event:
            case RunStarted():
                self._start({"run": event.run, "path": event.path, **event.facts})
            case EpochDone():
                self._output.line({"event": "epoch", "epochs": event.epochs, **event.row})
            case Notice() if not self._started:
                self._early.append(event)
            case Notice():
                self._output.line({"event": "notice", "text": event.text})
            case _:
                pass

    def _start(self, facts: Mapping[str, Any]) -> None:
        self._started = True
        self._output.line({"event": "started", **facts})
        for notice in self._early:
            self(notice)

    def end(self, run: Run) -> None:
        """Says what came of the training; of one that was finished before, that too has a first line."""
        if not self._output.as_json:
            show_finished(self._output, run)
            return
        here = {"run": run.id, "path": str(run.path)}
        if not self._started:
            self._start(here)
        self._output.line({"event": "finished", **here, **run.summary()})


def show_finished(output: Output, run: Run) -> None:
    """Shows a person what a training reached, where it lies and what to do next."""
    summary: Mapping[str, Any] = run.summary()
    output.show("")
    output.show(
        plural(
            "Finished after {epochs} epoch ({steps} steps) in {elapsed}, {rate}.",
            "Finished after {epochs} epochs ({steps} steps) in {elapsed}, {rate}.",
            summary["epochs"],
        ).format(
            epochs=count(summary["epochs"]),
            steps=count(summary["steps"]),
            elapsed=duration(summary["elapsed_s"]),
            rate=rate(summary["images_per_second"]),
        )
    )
    output.show(*metric_lines(summary["metrics"], str(run.facts.get("evaluated_on", ""))))
    if summary.get("per_class"):
        output.show("", per_class_table(summary["per_class"]))
    output.show("", _("The run lies in {path}").format(path=run.path), "", _next_steps(run, bool(run.per_class)))


def _next_steps(run: Run, classifies: bool) -> Any:
    from rich.table import Table

    from dotbogi.runs.place import runs_dir_words

    table = Table.grid(padding=(0, 3))
    last = "last" + runs_dir_words(run.path.parent)
    steps = [(f"dotbogi show {last} --html", _("curves, confusion matrix, worst mistakes"))]
    if classifies:
        steps.append((f"dotbogi predict {last} PHOTO.jpg", _("classify photos of your own")))
    steps.append(("dotbogi train --help", _("other data, models, optimizers")))
    for command, purpose in steps:
        table.add_row(f"  {command}", purpose)
    return table


def _say_interrupted(output: Output, run: Run, number: int) -> int:
    if output.as_json:
        name = signal.Signals(number).name
        output.line({"event": "interrupted", "run": run.id, "path": str(run.path), "signal": name})
    output.say(_("Stopped; everything so far is saved in {path}").format(path=run.path))
    output.say(_("Go on with: dotbogi resume {run}").format(run=run.argument))
    return exit_code(number)

"""A training's progress for people: a bar on a terminal, plain lines elsewhere, both on standard error.

A small model makes thousands of steps a second, and each is an event: a step only adds two numbers and looks
at the clock; what is drawn is drawn a few times a second.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from dotbogi.cli.output import console_on
from dotbogi.language import _
from dotbogi.language.wording import count, duration, number, percent, rate
from dotbogi.training.events import EpochDone, Event, Notice, RunStarted, StepDone, Working

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

SECONDS_BETWEEN_DRAWINGS = 0.25
SECONDS_BETWEEN_PLAIN_LINES = 5.0
# Of many quick epochs about as many have a line; one that takes seconds always has.
EPOCH_LINES = 20
# The newest rate weighs this much beside those before.
SMOOTHING = 0.3


class Progress:
    """Listens to a training and shows how far it is.

    Args:
        stream: standard error.
        bar: whether a bar is drawn where the stream is a terminal.
        clock: seconds from an arbitrary start.
    """

    def __init__(self, stream: TextIO, *, bar: bool = True, clock: Any = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._pace = Pace(clock)
        self._draws_bar = bar and stream.isatty()
        self._interval = SECONDS_BETWEEN_DRAWINGS if self._draws_bar else SECONDS_BETWEEN_PLAIN_LINES
        self._next_drawing = clock() + self._interval
        self._next_epoch_line = 0.0
        self._epochs = 0
        self._accuracy: float | None = None
        self._bar: RichProgress | None = None
        self._task = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_bar()

    def __call__(self, event: Event) -> None:
        """Takes an event of the training."""
        if type(event) is StepDone:
            self._pace.add(event)
            if self._clock() >= self._next_drawing:
                self._draw(event)
            return
        match event:
            case Working():
                self._working(event)
            case Notice():
                self._say(event.text)
            case RunStarted():
                self._started(event)
            case EpochDone():
                self._epoch_done(event)
            case _:
                pass

    def _started(self, event: RunStarted) -> None:
        self._end_bar()
        self._epochs = int(event.facts.get("epochs", 0))
        for line in start_lines(event) if event.facts else []:
            self._say(line)
        self._pace.begin()
        self._next_drawing = self._clock() + self._interval

    def _draw(self, event: StepDone) -> None:
        self._pace.measure()
        where = _("Epoch {epoch}/{epochs}").format(epoch=event.epoch + 1, epochs=self._epochs)
        numbers = [_("loss {value}").format(value=number(self._pace.loss))]
        if self._accuracy is not None:
            numbers.append(_("accuracy {value}").format(value=percent(self._accuracy)))
        numbers.append(rate(self._pace.images_per_second))
        left = self._pace.seconds_left(event.steps - event.step)
        numbers.append(_("{duration} left").format(duration=duration(left)))
        self._show(where, event.step, event.steps, "  ".join(numbers))
        self._next_drawing = self._clock() + self._interval

    def _epoch_done(self, event: EpochDone) -> None:
        self._epochs = event.epochs
        self._accuracy = event.row.get("validation_accuracy", event.row.get("training_accuracy"))
        last = event.epoch + 1 == event.epochs
        # A toy problem makes thousands of epochs a second: a line for each would take longer than the training.
        among_the_shown = (event.epoch + 1) % max(1, event.epochs // EPOCH_LINES) == 0
        if last or among_the_shown or self._clock() >= self._next_epoch_line:
            self._say(epoch_line(event))
            self._next_epoch_line = self._clock() + SECONDS_BETWEEN_PLAIN_LINES
            if not self._draws_bar:
                self._next_drawing = self._next_epoch_line
        if last:
            self._end_bar()

    def _working(self, event: Working) -> None:
        # On a terminal news are drawn at once; elsewhere only what takes seconds is worth a line.
        news = event.task != self._task or event.done == event.total
        self._task = event.task
        if self._clock() >= self._next_drawing or (news and self._draws_bar):
            share = f"{count(event.done)}/{count(event.total)}" if event.total else count(event.done)
            self._show(event.task, event.done, event.total, share)
            self._next_drawing = self._clock() + self._interval

    def _show(self, what: str, done: int, total: int, numbers: str) -> None:
        if not self._draws_bar:
            share = f"{100 * done // total:3d} %" if total else ""
            self._say("  ".join(part for part in (what, share, numbers) if part))
            return
        bar = self._bar or self._begin_bar()
        task = bar.task_ids[0]
        bar.update(task, description=what, completed=done, total=total or None, numbers=numbers)
        bar.refresh()

    def _say(self, text: str) -> None:
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self._stream, flush=True)

    def _begin_bar(self) -> RichProgress:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        # No thread of its own (auto_refresh): it would take the interpreter from the training.
        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=console_on(self._stream),
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self._bar.add_task("", numbers="")
        self._bar.start()
        return self._bar

    def _end_bar(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


class Pace:
    """Mean loss, images per second and time left, from the steps since the last look."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.loss = float("nan")
        self.images_per_second = 0.0
        self._steps_per_second = 0.0
        self.begin()

    def begin(self) -> None:
        """Starts the stopwatch."""
        self._since = self._clock()
        self._images = self._steps = 0
        self._loss_sum = 0.0

    def add(self, event: StepDone) -> None:
        """Counts a step."""
        self._images += event.images
        self._steps += 1
        self._loss_sum += event.loss

    def measure(self) -> None:
        """Turns what was counted since the last look into rates, smoothed."""
        elapsed = max(self._clock() - self._since, 1e-9)
        self.loss = self._loss_sum / self._steps
        self.images_per_second = _smoothed(self.images_per_second, self._images / elapsed)
        self._steps_per_second = _smoothed(self._steps_per_second, self._steps / elapsed)
        self.begin()

    def seconds_left(self, steps: int) -> float:
        """Returns how long that many steps will take."""
        return steps / self._steps_per_second


def _smoothed(before: float, now: float) -> float:
    return now if before == 0 else (1 - SMOOTHING) * before + SMOOTHING * now


def start_lines(event: RunStarted) -> list[str]:
    """Returns what is being trained, on what, how, in a few lines."""
    facts = event.facts
    lines = [
        _("Run {run}: {model}, {parameters} parameters").format(
            run=event.run, model=facts["model"], parameters=count(facts["parameters"])
        ),
        _("  data {data}: {images} images to train").format(data=facts["data"], images=count(facts["training_images"]))
        + "".join(
            text.format(images=count(facts[key]))
            for key, text in (
                ("validation_images", _(", {images} to validate")),
                ("test_images", _(", {images} to test")),
            )
            if facts.get(key)
        ),
        _("  {optimizer}, learning rate {lr}, batches of {batch_size}").format(
            optimizer=facts["optimizer"], lr=f"{facts['lr']:g}", batch_size=facts["batch_size"]
        ),
        "  " + " · ".join(str(facts[key]) for key in ("device", "precision", "memory_format") if facts.get(key)),
    ]
    if event.step:
        lines.append(_("  goes on after step {step}").format(step=count(event.step)))
    return lines


def epoch_line(event: EpochDone) -> str:
    """Returns what an epoch brought, in one line."""
    row: Mapping[str, Any] = event.row
    texts = [
        ("training_loss", _("loss {value}"), number),
        ("training_accuracy", _("accuracy {value}"), percent),
        ("validation_accuracy", _("validation {value}"), percent),
        ("images_per_second", "{value}", rate),
    ]
    # A screen's width has no room for both.
    if "validation_accuracy" not in row:
        texts.insert(2, ("validation_loss", _("validation loss {value}"), number))
    parts = [text.format(value=shown(row[key])) for key, text, shown in texts if row.get(key) is not None]
    width = len(str(event.epochs))
    head = _("Epoch {epoch}/{epochs}").format(epoch=f"{event.epoch + 1:{width}d}", epochs=event.epochs)
    return "  ".join([head, *parts])

"""How a schedule changes the learning rate, drawn in the terminal or into a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dotbogi.cli.options import recipe_from
from dotbogi.errors import DotbogiError
from dotbogi.language import _

EPOCHS = 30
STEPS_PER_EPOCH = 20
# What plateau is shown: a loss that stops falling after this many epochs.
EPOCHS_OF_PROGRESS = 8
COLUMNS, ROWS = 60, 10
# The dots of a braille cell, two wide and four high, by the bit that sets each.
# https://www.unicode.org/charts/PDF/U2800.pdf
BRAILLE_BLANK = 0x2800
BRAILLE_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def schedule_curve(name: str, settings: tuple[str, ...]) -> list[float]:
    """Returns the factor of the learning rate at each step of a training of 30 epochs.

    Args:
        name: the schedule's id.
        settings: ``schedule.KEY=VALUE``, as typed.
    """
    from dotbogi.optim.schedule import build_schedule

    schedule = recipe_from(None, {"schedule": name}, settings).schedule
    running = build_schedule(schedule, steps=EPOCHS * STEPS_PER_EPOCH, steps_per_epoch=STEPS_PER_EPOCH)
    factors: list[float] = []
    for epoch in range(EPOCHS):
        steps = range(epoch * STEPS_PER_EPOCH, (epoch + 1) * STEPS_PER_EPOCH)
        factors += [running.factor(step) for step in steps]
        running.observe(1 / (1 + min(epoch, EPOCHS_OF_PROGRESS)))
    return factors


def terminal_curve(values: Sequence[float]) -> str:
    """Returns a curve in braille dots, with the range at its side, 70 columns wide."""
    top = max(values)
    cells = [[0] * COLUMNS for _row in range(ROWS)]
    for x, y in _dots(values, top):
        cells[y // 4][x // 2] |= BRAILLE_BITS[y % 4][x % 2]
    labels = [f"{top:6.3g}", *[" " * 6] * (ROWS - 2), f"{0:6.3g}"]
    lines = [
        f"{label} │{''.join(chr(BRAILLE_BLANK | bits) if bits else ' ' for bits in row)}".rstrip()
        for label, row in zip(labels, cells, strict=True)
    ]
    axis = " " * 6 + " └" + "─" * COLUMNS
    start, end = "0 %", _("100 % of the steps")
    return "\n".join([*lines, axis, " " * 8 + start + end.rjust(COLUMNS - len(start))])


def _dots(values: Sequence[float], top: float) -> list[tuple[int, int]]:
    """Returns (x, y) of every dot of the line; a jump is joined by a vertical line."""
    width, height = 2 * COLUMNS, 4 * ROWS - 1
    dots: list[tuple[int, int]] = []
    before: int | None = None
    for x in range(width):
        value = values[round(x * (len(values) - 1) / (width - 1))]
        y = round(height * (1 - value / top)) if top else height
        start = y if before is None else before + (y > before) - (y < before)
        low, high = sorted((start, y))
        dots += [(x, between) for between in range(low, high + 1)]
        before = y
    return dots


def write_curves(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draws schedules into an HTML or PNG file.

    Raises:
        DotbogiError: another suffix.
    """
    if path.suffix not in (".html", ".png"):
        raise DotbogiError(
            _("A figure cannot be written as {path}.").format(path=path), fix=_("End its name in .html or .png")
        )
    from dotbogi.figures.png_files import write_png_files
    from dotbogi.figures.schedule import schedule_figure

    figure = schedule_figure(curves)
    if path.suffix == ".html":
        figure.write_html(path, include_plotlyjs=True)
    else:
        write_png_files({path.stem: figure}, path.parent)

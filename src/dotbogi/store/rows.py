"""Metric rows as columns of the database and as lines of a run's ``steps.jsonl``.

Integers and floats of a known name have columns of their own, everything else goes into one column of JSON.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from dotbogi.store.atomic import replace_file

FILE = "steps.jsonl"

STEP_COLUMNS = ("step", "epoch", "images", "loss", "lr")
EPOCH_COLUMNS = (
    "epoch",
    "step",
    "lr",
    "training_loss",
    "training_accuracy",
    "validation_loss",
    "validation_accuracy",
    "elapsed_s",
    "images_per_second",
)

Row = dict[str, Any]


def to_columns(row: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[Any, ...]:
    """Returns the values of the known columns, then the rest as JSON or ``None``."""
    known = {name: row[name] for name in columns if name in row and _fits_a_column(row[name])}
    rest = {name: value for name, value in row.items() if name not in known}
    # SQLite stores NaN as NULL; no other text stands in these columns.
    values = ("nan" if value != value else value for value in map(known.get, columns))
    return (*values, json.dumps(rest) if rest else None)


def from_columns(values: tuple[Any, ...], columns: tuple[str, ...]) -> Row:
    """Returns the row that :func:`to_columns` took apart.

    Raises:
        ValueError: the column of JSON holds something else.
    """
    *known, rest = values
    row = {
        name: math.nan if value == "nan" else value
        for name, value in zip(columns, known, strict=True)
        if value is not None
    }
    return {**row, **(json.loads(rest) if rest else {})}


def is_row(row: Any, key: str) -> bool:
    """Whether something read from a file can be stored as a row: its key and its step are integers."""
    if not isinstance(row, dict):
        return False
    numbers = [cast(Row, row).get(name) for name in (key, "step")]
    return all(type(number) is int and _fits_a_column(number) for number in numbers)


def append_steps(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Adds lines to a run's file of steps.

    Each line begins with its line break, so that a line cut short by a full disk spoils no later one.

    Raises:
        OSError: the disk is full, or writing is not allowed.
    """
    with (folder / FILE).open("ab") as file:
        file.write(_lines(rows))


def rewrite_steps(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replaces a run's file of steps; raises as :func:`append_steps`."""
    replace_file(folder / FILE, _lines(rows))


def read_steps(folder: Path) -> list[Row]:
    """Returns the whole lines of a run's file of steps; of two rows of one step the later."""
    try:
        lines = (folder / FILE).read_bytes().splitlines()
    except OSError:
        return []
    rows = [row for row in map(_read_line, lines) if is_row(row, "epoch")]
    return list({row["step"]: row for row in rows}.values())


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join("\n" + json.dumps(dict(row)) for row in rows).encode()


def _read_line(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _fits_a_column(value: Any) -> bool:
    return type(value) is float or (type(value) is int and -(2**63) <= value < 2**63)

"""What is known of a run beside its rows, and its file ``run.json``, from which a lost database is rebuilt."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dotbogi.errors import RunError
from dotbogi.language import _
from dotbogi.store.atomic import replace_file

FILE = "run.json"

Status = Literal["running", "finished", "interrupted", "failed"]
Table = dict[str, Any]


class RunRecord(BaseModel):
    """What is known of a run beside its rows.

    Args:
        id: also the name of its folder.
        name: given by a person; empty where none was.
        created: ISO 8601, UTC.
        status: as stored; a run that was killed still says ``running``.
        requested: the recipe's keys that a person gave.
        resolved: the recipe with every value that the training really had.
        facts: what it ran on and with.
        metrics: what it reached, as fractions.
        weights_sha256: of the last weights; empty before there are any.
    """

    model_config = ConfigDict(extra="ignore", strict=True)

    id: str
    name: str = ""
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat())
    status: Status = "running"
    requested: Table
    resolved: Table | None = None
    facts: Table = Field(default_factory=dict[str, Any])
    metrics: Table = Field(default_factory=dict[str, Any])
    weights_sha256: str = ""


class _RunFile(RunRecord):
    epochs: list[Table] = Field(default_factory=list[Table])


def write_run_file(folder: Path, record: RunRecord, epochs: Sequence[Mapping[str, Any]]) -> None:
    """Replaces a run's ``run.json``; NaN and infinity are written as Python's json reads them.

    Raises:
        OSError: the disk is full, or writing is not allowed.
    """
    text = json.dumps({**record.model_dump(), "epochs": list(epochs)}, indent=1)
    replace_file(folder / FILE, text.encode())


def read_run_file(folder: Path) -> tuple[RunRecord, list[Table]]:
    """Reads a run's ``run.json``: the record, and the rows of its epochs. Keys that are not known are left out.

    Raises:
        RunError: it is missing, damaged, or another run's.
    """
    try:
        content = json.loads((folder / FILE).read_bytes())
        file = _RunFile.model_validate(content)
    except OSError as error:
        raise _damaged(folder, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # pydantic's and json's errors are ValueErrors
        raise _damaged(folder, type(error).__name__) from error
    if file.id != folder.name:
        raise _damaged(folder, _("it is of the run {run}").format(run=file.id))
    return RunRecord.model_validate(file.model_dump(exclude={"epochs"})), file.epochs


def _damaged(folder: Path, reason: str) -> RunError:
    return RunError(
        _("{path} is damaged: {reason}.").format(path=folder / FILE, reason=reason),
        fix=_("Its checkpoints may still be whole: they lie beside it."),
    )

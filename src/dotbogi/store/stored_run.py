"""One run as it lies on the disk: its recipes, status, rows and checkpoints."""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from dotbogi.errors import DotbogiError, RunError
from dotbogi.language import _
from dotbogi.recipe import Recipe
from dotbogi.store.atomic import storage_errors
from dotbogi.store.database import (
    RECORD_COLUMNS,
    SELECT_EPOCHS,
    SELECT_RECORDS,
    SELECT_STEPS,
    Database,
    insert_rows,
    record_values,
    to_epoch,
    to_record,
    to_step,
)
from dotbogi.store.record import RunRecord, Status, write_run_file
from dotbogi.store.rows import Row, append_steps, rewrite_steps

if TYPE_CHECKING:
    from dotbogi.store.checkpoints import CheckpointFolder

OF_RUN = "WHERE run = (SELECT number FROM runs WHERE id = ?)"
# Whoever asks for a status takes the lock for a moment: that is not "another process is writing".
LOCK_WAIT_S = 0.3


class StoredRun:
    """A run as it was when it was found; what this object changes, it also shows.

    Args:
        database: of the folder of runs.
        record: what is known of the run.
    """

    def __init__(self, database: Database, record: RunRecord) -> None:
        self._database = database
        self._record = record

    def __repr__(self) -> str:
        return f"StoredRun({self.id!r}, {self._record.status!r})"

    @property
    def id(self) -> str:
        """Its id, which is also its folder's name."""
        return self._record.id

    @property
    def name(self) -> str:
        """The name that a person gave, or an empty text."""
        return self._record.name

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._database.folder / self.id

    @property
    def created(self) -> str:
        """When it was created: ISO 8601, UTC."""
        return self._record.created

    @property
    def status(self) -> Status:
        """``running``, ``finished``, ``interrupted`` or ``failed``; one that was killed is ``interrupted``."""
        if self._record.status == "running" and not self._is_locked():
            return "interrupted"
        return self._record.status

    @property
    def requested(self) -> Recipe:
        """The recipe with only what a person said.

        Raises:
            RunError: it cannot be read any more, such as when the package that brought its optimizer is gone.
        """
        return self._recipe(self._record.requested)

    @property
    def resolved(self) -> Recipe | None:
        """The recipe with every value that the training had; raises as :attr:`requested`."""
        return self._recipe(self._record.resolved) if self._record.resolved is not None else None

    @property
    def facts(self) -> dict[str, Any]:
        """What it ran on and with."""
        return self._record.facts

    @property
    def metrics(self) -> dict[str, Any]:
        """What it reached, as fractions."""
        return self._record.metrics

    @property
    def weights_sha256(self) -> str:
        """Of the last weights; empty before there are any."""
        return self._record.weights_sha256

    @cached_property
    def checkpoints(self) -> "CheckpointFolder":
        """Its checkpoints and snapshots."""
        from dotbogi.store.checkpoints import CheckpointFolder  # imports torch, which listing runs must not

        return CheckpointFolder(self.path)

    @contextmanager
    def lock(self) -> Generator[None]:
        """Holds the run for writing, until the block ends or the process dies.

        Raises:
            RunError: another process is writing it.
        """
        lock = FileLock(self.path / "lock")
        with storage_errors(self.path):
            try:
                lock.acquire(timeout=LOCK_WAIT_S, poll_interval=0.02)
            except Timeout:
                raise RunError(
                    _("The run {run} cannot be changed: another process is writing it.").format(run=self.id),
                    fix=_("Wait until it has ended, or stop it."),
                ) from None
        try:
            yield
        finally:
            lock.release()

    def update(
        self,
        *,
        status: Status | None = None,
        resolved: Recipe | None = None,
        facts: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        weights_sha256: str | None = None,
    ) -> None:
        """Replaces what is given, in the database and in ``run.json``.

        Args:
            status: the new status.
            resolved: the recipe with every value that the training has.
            facts, metrics: whole new tables of what JSON can hold; NaN and infinity are kept.
            weights_sha256: of the last weights.

        Raises:
            RunError: the disk is full, or writing is not allowed; what was saved before is whole.
        """
        given = {
            "status": status,
            "resolved": resolved and resolved.to_dict(),
            "facts": facts and dict(facts),
            "metrics": metrics and dict(metrics),
            "weights_sha256": weights_sha256,
        }
        changed = self._record.model_copy(update={key: value for key, value in given.items() if value is not None})
        assignments = ", ".join(f"{column} = ?" for column in RECORD_COLUMNS)
        self._database.write(
            lambda connection: connection.execute(
                f"UPDATE runs SET {assignments} WHERE id = ?", (*record_values(changed), self.id)
            )
        )
        self._record = changed
        self._write_run_file()

    def reload(self) -> None:
        """Reads again what another process may have changed.

        Raises:
            RunError: the run is gone.
        """
        records = self._database.query(f"{SELECT_RECORDS} WHERE id = ?", (self.id,), to_record)
        if not records:
            raise RunError(
                _("The run {run} is gone.").format(run=self.id), fix=_("dotbogi runs lists those there are.")
            )
        self._record = records[0]

    def add_steps(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds rows of steps (any number at once: one transaction); a row of the same step is replaced.

        Args:
            rows: ``step`` (updates done so far) and ``epoch``, integers; ``images``, ``loss``, ``lr`` and whatever
                else JSON can hold.

        Raises:
            RunError: the disk is full, or writing is not allowed; what was saved before is whole.
        """
        rows = list(rows)
        with storage_errors(self.path):
            append_steps(self.path, rows)
        self._database.write(lambda connection: insert_rows(connection, "steps", self.id, rows))

    def add_epoch(self, row: Mapping[str, Any]) -> None:
        """Adds an epoch's row to the history; a row of the same epoch is replaced.

        Args:
            row: ``epoch`` (from 0) and ``step`` (updates done so far), integers, and whatever else JSON can hold.

        Raises:
            RunError: as :meth:`add_steps`.
        """
        self._database.write(lambda connection: insert_rows(connection, "epochs", self.id, [row]))
        self._write_run_file()

    def truncate_after(self, step: int) -> None:
        """Removes rows, checkpoints and snapshots of later steps, for a run that goes on from this one.

        Raises:
            RunError: as :meth:`add_steps`.
        """

        def truncate(connection: Any) -> None:
            for table in ("steps", "epochs"):
                connection.execute(f"DELETE FROM {table} {OF_RUN} AND step > ?", (self.id, step))

        self._database.write(truncate)
        self.checkpoints.truncate_after(step)
        with storage_errors(self.path):
            rewrite_steps(self.path, self.steps())
        self._write_run_file()

    def history(self) -> list[Row]:
        """Returns the rows of the epochs, in order, as they were added."""
        return self._database.query(f"{SELECT_EPOCHS} {OF_RUN} ORDER BY epoch", (self.id,), to_epoch)

    def steps(self) -> list[Row]:
        """Returns the rows of the steps, in order, as they were added."""
        return self._database.query(f"{SELECT_STEPS} {OF_RUN} ORDER BY step", (self.id,), to_step)

    def _write_run_file(self) -> None:
        epochs = self.history()
        with storage_errors(self.path):
            write_run_file(self.path, self._record, epochs)

    def _recipe(self, values: Mapping[str, Any]) -> Recipe:
        try:
            return Recipe(**values)
        except (DotbogiError, TypeError) as error:
            raise RunError(
                _("The recipe of the run {run} cannot be read: {reason}").format(run=self.id, reason=error),
                fix=_("Its weights and rows can: dotbogi show {run}").format(run=self.id),
            ) from error

    def _is_locked(self) -> bool:
        if not (self.path / "lock").exists():
            return False
        try:
            with FileLock(self.path / "lock", timeout=0):
                return False
        except (Timeout, OSError):  # held, or another person's, who may well be writing it
            return True

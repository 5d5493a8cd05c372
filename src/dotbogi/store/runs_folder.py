"""The folder in which runs lie."""

import difflib
import sqlite3
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from dotbogi.errors import RunError
from dotbogi.language import _
from dotbogi.recipe import Recipe
from dotbogi.store.atomic import discard_folder, discard_remains, storage_errors
from dotbogi.store.database import SELECT_RECORDS, Database, insert_record, to_record
from dotbogi.store.names import LAST, checked_name, new_id
from dotbogi.store.record import RunRecord, write_run_file
from dotbogi.store.stored_run import StoredRun

CALLED = "WHERE name = ? OR id = ?"


class RunsFolder:
    """The folder in which runs lie; created with its first run.

    Args:
        path: such as ``runs/`` of the working directory.

    Attributes:
        notices: what a person should know, already translated: a database that was rebuilt, a run that was left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notices: list[str] = []
        self._database = Database(path, self.notices)

    def create(
        self,
        name: str,
        requested: Recipe,
        facts: Mapping[str, Any],
        *,
        resolved: Recipe | None = None,
    ) -> StoredRun:
        """Creates a run with status ``running``; lock it at once, or it reads ``interrupted``.

        Args:
            name: a name that no run has, or an empty text for none.
            requested: the recipe with only what a person said.
            facts: what it runs on and with.
            resolved: the recipe with every value, where it is known already.

        Raises:
            RunError: the name is taken or not possible, the disk is full, or writing is not allowed.
        """
        name = checked_name(name) if name else ""
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            discard_remains(self.path)
        values = RunRecord(
            id="",
            name=name,
            requested=requested.to_dict(),
            resolved=resolved.to_dict() if resolved else None,
            facts=dict(facts),
        )
        model = (resolved or requested).model.name
        run = StoredRun(
            self._database, self._database.write(lambda connection: self._insert(connection, values, model))
        )
        try:
            with storage_errors(run.path):
                write_run_file(run.path, values.model_copy(update={"id": run.id}), [])
        except BaseException:
            self._forget(run)
            raise
        return run

    def runs(self) -> list[StoredRun]:
        """Returns all runs in the order in which they were created.

        Raises:
            RunError: the folder cannot be read.
        """
        return self._select("ORDER BY created, number")

    def find(self, word: str) -> StoredRun:
        """Returns the run that a word means.

        Args:
            word: an id, a name, a unique beginning of an id, or ``last``.

        Raises:
            RunError: no run is meant, or several; the message names them.
        """
        word = unicodedata.normalize("NFC", word)
        if word == LAST:
            found = self.runs()[-1:]
        else:
            found = self._select("WHERE id = ?", word) or self._select("WHERE name = ? AND name != ''", word)
            found = found or self._select("WHERE substr(id, 1, ?) = ? ORDER BY created, number", len(word), word)
        if len(found) != 1 or not word:
            raise self._not_one(word, found)
        return found[0]

    def check_name(self, name: str) -> None:
        """Checks whether a new run can have this name, before any work is done for it.

        Raises:
            RunError: the name is taken or not possible.
        """
        name = checked_name(name)
        taken = self._select(CALLED, name, name)
        if taken:
            raise _name_taken(name, taken[0].id)

    def remove(self, run: StoredRun) -> None:
        """Removes a run and everything in its folder.

        Raises:
            RunError: another process is writing it, or removing is not allowed.
        """
        with run.lock():
            pass
        self._forget(run)

    def close(self) -> None:
        """Closes the database; the next use opens it again."""
        self._database.close()

    def _select(self, condition: str, *parameters: Any) -> list[StoredRun]:
        with storage_errors(self.path):
            if not self.path.exists():
                return []
        records = self._database.query(f"{SELECT_RECORDS} {condition}", parameters, to_record)
        return [run for run in (StoredRun(self._database, record) for record in records) if run.path.is_dir()]

    def _insert(self, connection: sqlite3.Connection, values: RunRecord, model: str) -> RunRecord:
        taken = connection.execute(f"SELECT id FROM runs {CALLED}", (values.name, values.name)).fetchone()
        if values.name and taken:
            raise _name_taken(values.name, taken[0])
        record = values.model_copy(update={"id": self._make_folder(new_id(datetime.now(), model))})
        try:
            insert_record(connection, record)
        except BaseException:
            (self.path / record.id).rmdir()
            raise
        return record

    def _make_folder(self, wanted: str) -> str:
        # The folder itself decides who has an id: two processes may want one in the same second.
        number = 1
        while True:
            run = wanted if number == 1 else f"{wanted}-{number}"
            try:
                (self.path / run).mkdir()
                return run
            except FileExistsError:
                number += 1

    def _forget(self, run: StoredRun) -> None:
        with storage_errors(run.path):
            discard_folder(run.path)
        self._database.write(lambda connection: connection.execute("DELETE FROM runs WHERE id = ?", (run.id,)))

    def _not_one(self, word: str, found: list[StoredRun]) -> RunError:
        if found and word:
            return RunError(
                _("{word} may mean {runs}.").format(word=word, runs=", ".join(run.id for run in found[-5:])),
                fix=_("Type more of the id."),
            )
        known = [word for run in self.runs() for word in (run.id, run.name) if word]
        if not known:
            return RunError(
                _("There is no run in {path}.").format(path=self.path),
                fix=_("Train one with: dotbogi train, or say where yours are with --runs-dir."),
            )
        nearest = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
        return RunError(
            _("There is no run {word} in {path}.").format(word=repr(word), path=self.path),
            fix=_("Did you mean {names}?").format(names=", ".join(nearest))
            if nearest
            else _("dotbogi runs lists those there are."),
        )


def _name_taken(name: str, run: str) -> RunError:
    return RunError(
        _("There is already a run called {name}: {run}.").format(name=name, run=run),
        fix=_("Choose another --name, or remove it: dotbogi rm {name}").format(name=name),
    )

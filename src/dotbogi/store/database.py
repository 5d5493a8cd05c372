"""The database over the run folders: opened, checked, and rebuilt from the folders where it is damaged or missing."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from dotbogi.errors import RunError
from dotbogi.language import _, plural
from dotbogi.store.atomic import sqlite_code, storage_errors
from dotbogi.store.record import FILE, RunRecord, read_run_file
from dotbogi.store.rows import EPOCH_COLUMNS, STEP_COLUMNS, Row, from_columns, is_row, read_steps, to_columns

SCHEMA_VERSION = 1
NAME = "dotbogi.sqlite"
LOCK = ".opening.lock"  # not dotbogi.sqlite.lock: where there are no file locks, SQLite makes a folder of that name
WAIT_S = 60.0  # for another process: each of its writes takes milliseconds, a rebuild of long runs seconds

# Columns without a type keep integers integers and floats floats.
SCHEMA = f"""
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, name TEXT NOT NULL, created TEXT NOT NULL,
    status TEXT NOT NULL, requested TEXT NOT NULL, resolved TEXT NOT NULL, facts TEXT NOT NULL, metrics TEXT NOT NULL,
    weights_sha256 TEXT NOT NULL
);
CREATE TABLE steps (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE, {", ".join(STEP_COLUMNS)}, more,
    PRIMARY KEY (run, step)
) WITHOUT ROWID;
CREATE TABLE epochs (
    run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE, {", ".join(EPOCH_COLUMNS)}, more,
    PRIMARY KEY (run, epoch)
) WITHOUT ROWID;
"""
TEXTS = ("id", "name", "created", "status", "weights_sha256")
RECORD_COLUMNS = (*TEXTS, "requested", "resolved", "facts", "metrics")
SELECT_RECORDS = f"SELECT {', '.join(RECORD_COLUMNS)} FROM runs"
SELECT_STEPS = f"SELECT {', '.join(STEP_COLUMNS)}, more FROM steps"
SELECT_EPOCHS = f"SELECT {', '.join(EPOCH_COLUMNS)}, more FROM epochs"

T = TypeVar("T")


class _DamagedError(sqlite3.DatabaseError):
    """What SQLite reads without complaint, but we did not write."""


class Database:
    """The database of a folder of runs; usable from several threads, and by several processes at once.

    Args:
        folder: the folder of runs, which exists.
        notices: where to add what a person should know, already translated: a rebuild, a run left out.
    """

    def __init__(self, folder: Path, notices: list[str]) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._notices = notices
        self._open: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._threads = threading.RLock()
        self._processes = FileLock(folder / LOCK, timeout=WAIT_S, thread_local=False)

    def query(self, sql: str, parameters: Sequence[Any], decode: Callable[[tuple[Any, ...]], T]) -> list[T]:
        """Returns the decoded rows of a query.

        Raises:
            RunError: the database cannot be used, or is damaged beyond what the run folders can restore.
        """

        def read(connection: sqlite3.Connection) -> list[T]:
            try:
                return [decode(row) for row in connection.execute(sql, parameters)]
            except (ValueError, TypeError) as error:
                raise _DamagedError(str(error)) from error

        return self._use(read)

    def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Makes a change in one transaction; raises as :meth:`query`. The change may be called twice."""
        return self._use(lambda connection: _in_transaction(connection, change))

    def close(self) -> None:
        """Closes the connection; the next use opens it again."""
        with self._threads:
            if self._open is not None:
                self._open.close()
            self._open = None

    def _use(self, use: Callable[[sqlite3.Connection], T]) -> T:
        with self._threads, storage_errors(self.path):
            try:
                return use(self._connection())
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._rebuild()
            return use(self._connection())

    def _connection(self) -> sqlite3.Connection:
        if self._open is not None and _identity(self.path) != self._identity:
            self.close()  # another process has moved it aside and rebuilt it
        if self._open is None:
            if self.path.is_dir():
                raise IsADirectoryError  # SQLite would only say that it cannot open it
            with self._alone():
                self._open = self._connect()
                self._identity = _identity(self.path)
        return self._open

    def _alone(self) -> Any:
        try:
            return self._processes.acquire()
        except Timeout:
            raise RunError(
                _("{path} is held by another process.").format(path=self.path),
                fix=_("Try again when that process has ended."),
            ) from None

    def _connect(self) -> sqlite3.Connection:
        self._identity = _identity(self.path)
        connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            _configure(connection)
            self._check_schema(connection)
            self._follow_folders(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise RunError(
                _("{path} is of schema {version}; this version of dotbogi reads schema {known}.").format(
                    path=self.path, version=version, known=SCHEMA_VERSION
                ),
                fix=_("Install the newer version of dotbogi."),
            )
        if version == 0:
            # One transaction, so that a kill leaves an empty file and not half a schema.
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        for select in (SELECT_RECORDS, SELECT_STEPS, SELECT_EPOCHS):
            connection.execute(f"{select} LIMIT 0")

    def _follow_folders(self, connection: sqlite3.Connection) -> None:
        """Takes in runs whose folders came from elsewhere, or from before a loss; forgets those whose folders went."""
        folders = {path.parent.name for path in self.folder.glob(f"[!.]*/{FILE}")}
        known = {row[0] for row in connection.execute("SELECT id FROM runs")}
        gone = [run for run in known - folders if not (self.folder / run).is_dir()]
        if gone:
            connection.executemany("DELETE FROM runs WHERE id = ?", [(run,) for run in gone])
        taken = list(self._read_folders(sorted(folders - known)))
        for record, epochs in sorted(taken, key=lambda run: (run[0].created, run[0].id)):
            steps = read_steps(self.folder / record.id)
            _in_transaction(connection, lambda c, r=record, e=epochs, s=steps: _insert_run(c, r, e, s))

    def _read_folders(self, names: Iterable[str]) -> Iterable[tuple[RunRecord, list[Row]]]:
        for name in names:
            try:
                yield read_run_file(self.folder / name)
            except RunError as error:
                self._notices.append(_("The run {run} was left out. {reason}").format(run=name, reason=error.message))

    def _rebuild(self) -> None:
        damaged = self._identity
        self.close()
        with self._alone():
            if _identity(self.path) != damaged:
                return  # another process was faster
            folders = [path.parent for path in self.folder.glob(f"[!.]*/{FILE}")]
            if not any(map(_is_readable, folders)):
                raise RunError(
                    _("The database {path} is damaged, and no run folder is there to rebuild it from.").format(
                        path=self.path
                    ),
                    fix=_("Move it away to begin anew."),
                )
            aside = self._move_aside()
            self._open = self._connect()
            self._identity = _identity(self.path)
        count = self._open.execute("SELECT count(*) FROM runs").fetchone()[0]
        self._notices.append(
            plural(
                "The database was damaged and has been rebuilt from {count} run folder; the old one is now {aside}.",
                "The database was damaged and has been rebuilt from {count} run folders; the old one is now {aside}.",
                count,
            ).format(count=count, aside=aside.name)
        )

    def _move_aside(self) -> Path:
        aside = self.path.with_name(f"{NAME}.damaged-{datetime.now():%Y%m%d-%H%M%S-%f}")
        for suffix in ("-wal", "-shm", ""):
            source = self.path.with_name(NAME + suffix)
            if source.exists():
                source.rename(aside.with_name(aside.name + suffix))
        return aside


def record_values(record: RunRecord) -> tuple[Any, ...]:
    """Returns a record as the values of ``RECORD_COLUMNS``."""
    values = record.model_dump()
    return tuple(values[name] if name in TEXTS else json.dumps(values[name]) for name in RECORD_COLUMNS)


def to_record(values: tuple[Any, ...]) -> RunRecord:
    """Returns the record of a row of ``RECORD_COLUMNS``; raises ValueError where it is damaged."""
    named = zip(RECORD_COLUMNS, values, strict=True)
    return RunRecord.model_validate({name: value if name in TEXTS else json.loads(value) for name, value in named})


def insert_record(connection: sqlite3.Connection, record: RunRecord) -> None:
    """Adds a run."""
    marks = ", ".join("?" * len(RECORD_COLUMNS))
    connection.execute(f"INSERT INTO runs ({', '.join(RECORD_COLUMNS)}) VALUES ({marks})", record_values(record))


def insert_rows(connection: sqlite3.Connection, table: str, run: str, rows: Iterable[Any]) -> None:
    """Adds rows to the table ``steps`` or ``epochs``; rows of the same step or epoch are replaced."""
    columns = STEP_COLUMNS if table == "steps" else EPOCH_COLUMNS
    number = "(SELECT number FROM runs WHERE id = ?)"
    marks = ", ".join("?" * (len(columns) + 1))
    connection.executemany(
        f"INSERT OR REPLACE INTO {table} (run, {', '.join(columns)}, more) VALUES ({number}, {marks})",
        [(run, *to_columns(row, columns)) for row in rows],
    )


def to_step(values: tuple[Any, ...]) -> Row:
    """Returns a row of ``SELECT_STEPS`` as it was given."""
    return from_columns(values, STEP_COLUMNS)


def to_epoch(values: tuple[Any, ...]) -> Row:
    """Returns a row of ``SELECT_EPOCHS`` as it was given."""
    return from_columns(values, EPOCH_COLUMNS)


def _insert_run(connection: sqlite3.Connection, record: RunRecord, epochs: list[Row], steps: list[Row]) -> None:
    if connection.execute("SELECT 1 FROM runs WHERE id = ?", (record.id,)).fetchone():
        return  # its own process has just added it
    insert_record(connection, record)
    insert_rows(connection, "epochs", record.id, [row for row in epochs if is_row(row, "epoch")])
    insert_rows(connection, "steps", record.id, steps)


def _in_transaction(connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = change(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled back by itself where the disk was full
            connection.execute("ROLLBACK")
        raise
    return result


def _configure(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.OperationalError as error:
        if sqlite_code(error) not in (sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_ERROR):
            raise
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()  # a network drive without shared memory
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _is_readable(folder: Path) -> bool:
    try:
        read_run_file(folder)
    except RunError:
        return False
    return True


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    short_read = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ
    missing = sqlite_code(error) == sqlite3.SQLITE_ERROR and str(error).startswith("no such ")
    damaged = sqlite_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(error, _DamagedError) or short_read or missing or damaged

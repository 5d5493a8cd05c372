import errno
import os
import sqlite3

import pytest

from dotbogi.errors import RunError
from dotbogi.store.atomic import discard_folder, discard_remains, replace_file, storage_errors


def failing(number):
    def fail(_):
        raise OSError(number, os.strerror(number))

    return fail


def test_a_file_is_replaced(tmp_path):
    for content in (b"old", b"new"):
        replace_file(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    replace_file(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_are_discarded_with_what_a_killed_process_left(tmp_path):
    for name in ("whole", ".writing-1", ".removing-2", "kept"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"x")
    discard_folder(tmp_path / "whole")
    discard_remains(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(
    ("error", "message", "fix"),
    [
        (OSError(errno.ENOSPC, "no space"), "The disk is full: .*place could not be written", "before is whole"),
        (OSError(errno.EDQUOT, "quota"), "The disk is full", "before is whole"),
        (PermissionError(errno.EACCES, "denied"), "No permission to use .*place", "--runs-dir"),
        (OSError(errno.EROFS, "read-only"), "No permission to use", "--runs-dir"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), "place cannot be used: Not a directory", "--runs-dir"),
        (sqlite3.OperationalError("said by Python, not by SQLite"), "cannot be used: said by Python", "--runs-dir"),
    ],
)
def test_what_the_system_refuses_is_said_shortly(tmp_path, error, message, fix):
    with pytest.raises(RunError, match=message) as caught, storage_errors(tmp_path / "place"):
        raise error
    assert fix in caught.value.fix
    assert caught.value.exit_code == 2


def test_a_full_database_is_a_full_disk(tmp_path):
    connection = sqlite3.connect(tmp_path / "small.sqlite")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(RunError, match="The disk is full"), storage_errors(tmp_path):
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    connection.close()


def test_a_database_that_cannot_be_opened_or_written_has_no_permission(tmp_path):
    sqlite3.connect(tmp_path / "a.sqlite").execute("CREATE TABLE t (x)").connection.close()
    connection = sqlite3.connect(f"{(tmp_path / 'a.sqlite').as_uri()}?mode=ro", uri=True)
    with pytest.raises(RunError, match="No permission to use"), storage_errors(tmp_path):
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()


def test_a_busy_database_is_held_by_another_process(tmp_path):
    first = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    second = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None, timeout=0)
    first.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RunError, match="is held by another process"), storage_errors(tmp_path):
        second.execute("BEGIN IMMEDIATE")
    first.close()
    second.close()

import errno
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from filelock import FileLock

from dotbogi.errors import RunError
from dotbogi.recipe import Recipe
from dotbogi.store import atomic, database, record, runs_folder
from dotbogi.store.runs_folder import RunsFolder

RECIPE = Recipe(model="simple-cnn", optimizer={"name": "adam", "lr": 1e-3})


@pytest.fixture
def runs(tmp_path):
    folder = RunsFolder(tmp_path / "runs")
    yield folder
    folder.close()


def make(folder, name=""):
    run = folder.create(name, RECIPE, {"data_sha256": "abc"})
    run.add_steps([{"step": step, "epoch": 0, "images": 128, "loss": 1 / step, "lr": 0.1} for step in range(1, 5)])
    run.add_epoch({"epoch": 0, "step": 4, "validation_accuracy": 0.5, "per_class": [1, 2]})
    run.update(status="finished", resolved=RECIPE.complete(), metrics={"accuracy": 0.5}, weights_sha256="f00")
    return run


def shown(run):
    recipes = (run.requested, run.resolved)
    return (
        run.id,
        run.name,
        run.status,
        recipes,
        run.facts,
        run.metrics,
        run.weights_sha256,
        run.history(),
        run.steps(),
    )


def test_a_new_run(runs):
    run = runs.create("first", RECIPE, {"data_sha256": "abc"})
    assert re.fullmatch(r"\d{8}-\d{6}-simple-cnn", run.id)
    assert run.path == runs.path / run.id
    assert run.requested == RECIPE
    assert run.requested.to_dict() == RECIPE.to_dict()
    assert (run.name, run.resolved, run.metrics, run.weights_sha256) == ("first", None, {}, "")
    assert (run.facts, run.history(), run.steps()) == ({"data_sha256": "abc"}, [], [])
    assert run.status == "interrupted"  # nobody holds it
    with run.lock():
        assert run.status == "running"
    assert json.loads((run.path / "run.json").read_text(encoding="utf-8"))["name"] == "first"
    assert [path.name for path in run.path.iterdir() if path.name != "lock"] == ["run.json"]


def test_the_resolved_recipe_may_come_with_the_run_and_names_its_model(runs):
    resolved = RECIPE.with_values({"model.name": "small-cnn"})
    run = runs.create("", Recipe(model="auto", optimizer="adam"), {}, resolved=resolved)
    assert run.id.endswith("-small-cnn")
    assert run.resolved == resolved


def test_runs_come_in_the_order_of_their_creation(runs):
    made = [runs.create("", RECIPE, {}).id for _ in range(12)]
    assert [run.id for run in runs.runs()] == made
    assert len(set(made)) == 12
    assert runs.find("last").id == made[-1]


def test_looking_creates_nothing(runs):
    assert runs.runs() == []
    with pytest.raises(RunError, match=r"There is no run in .*runs") as caught:
        runs.find("last")
    assert "dotbogi train" in caught.value.fix
    assert not runs.path.exists()


def test_a_run_is_found_by_id_name_beginning_and_last(runs, monkeypatch):
    monkeypatch.setattr(runs_folder, "new_id", lambda _, model: f"2026{len(runs.runs())}124-{model}")
    first, second = runs.create("첫 번째", RECIPE, {}), runs.create("", RECIPE, {})
    for word in (first.id, "첫 번째", "\u1100\u1165\u11ba".replace("\u1100\u1165\u11ba", "첫") + " 번째", "20260"):
        assert runs.find(word).id == first.id
    assert runs.find("20261").id == runs.find("last").id == second.id


def test_a_name_typed_decomposed_is_the_same_name(runs):
    run = runs.create("\u110e\u1165\u11ba", RECIPE, {})  # as macOS hands it over
    assert run.name == "첫"
    assert runs.find("첫").id == runs.find("\u110e\u1165\u11ba").id == run.id


def test_an_id_wins_over_a_longer_one_and_a_name_over_a_beginning(runs, monkeypatch):
    monkeypatch.setattr(runs_folder, "new_id", lambda *_: "20261124-231502")
    first, second, third = runs.create("", RECIPE, {}), runs.create("", RECIPE, {}), runs.create("2026", RECIPE, {})
    assert [second.id, third.id] == ["20261124-231502-2", "20261124-231502-3"]
    assert runs.find("20261124-231502").id == first.id
    assert runs.find("2026").id == third.id
    with pytest.raises(RunError, match="20261124 may mean 20261124-231502, 20261124-231502-2, 20261124-231502-3"):
        runs.find("20261124")


@pytest.mark.parametrize("word", ["", "%", "nothing", "_" * 15])
def test_a_word_that_means_no_run(runs, word):
    runs.create("", RECIPE, {})
    with pytest.raises(RunError, match=f"There is no run '{word}' in ") as caught:
        runs.find(word)
    assert "dotbogi runs" in caught.value.fix


def test_the_nearest_names_are_offered(runs):
    runs.create("baseline", RECIPE, {})
    with pytest.raises(RunError, match="There is no run 'basline'") as caught:
        runs.find("basline")
    assert caught.value.fix == "Did you mean baseline?"


def test_a_name_is_given_once(runs):
    run = runs.create("one", RECIPE, {})
    for name in ("one", run.id):
        with pytest.raises(RunError, match=f"There is already a run called {name}: {run.id}") as caught:
            runs.create(name, RECIPE, {})
        assert f"dotbogi rm {name}" in caught.value.fix
    assert len(runs.runs()) == 1
    assert len([path for path in runs.path.iterdir() if path.is_dir()]) == 1
    runs.remove(run)
    assert runs.create("one", RECIPE, {}).name == "one"


def test_last_and_unsafe_names_are_refused_before_anything_is_made(runs):
    for name in ("last", "a/b", " "):
        with pytest.raises(RunError, match="A run cannot be called"):
            runs.create(name, RECIPE, {})
    assert not runs.path.exists()


def test_a_removed_run_is_gone(runs):
    run, other = make(runs), make(runs)
    runs.remove(run)
    assert not run.path.exists()
    assert [kept.id for kept in runs.runs()] == [other.id]
    assert run.steps() == []
    with pytest.raises(RunError, match=f"The run {run.id} is gone"):
        run.reload()


def test_a_run_in_use_is_not_removed(runs):
    run = make(runs)
    with FileLock(run.path / "lock"), pytest.raises(RunError, match="another process is writing it"):
        runs.remove(run)
    assert runs.find(run.id).status == "finished"


def test_what_is_stored_is_there_for_another_process(runs):
    run = make(runs, "one")
    other = RunsFolder(runs.path)
    assert shown(other.find("one")) == shown(run)
    other.close()


def test_a_run_folder_that_was_deleted_by_hand_is_forgotten(runs):
    run, other = make(runs, "one"), make(runs)
    shutil.rmtree(run.path)
    assert [kept.id for kept in runs.runs()] == [other.id]
    runs.close()
    assert runs.create("one", RECIPE, {}).name == "one"


def test_a_run_folder_that_was_copied_here_is_taken_in(runs, tmp_path):
    elsewhere = RunsFolder(tmp_path / "elsewhere")
    run = make(elsewhere, "copied")
    runs.create("", Recipe(model="small-cnn"), {})
    newest = runs.find("last").id
    shutil.copytree(run.path, runs.path / run.id)
    runs.close()
    assert shown(runs.find("copied")) == shown(run)
    assert runs.find("last").id == newest
    assert [found.id for found in runs.runs()] == [run.id, newest]
    elsewhere.close()


def test_a_run_that_its_own_process_adds_at_the_same_moment_is_added_once(runs):
    run = make(runs)
    steps = run.steps()
    runs._database.write(lambda connection: database._insert_run(connection, run._record, [], []))
    assert [found.id for found in runs.runs()] == [run.id]
    assert run.steps() == steps


def damage(path, how):
    content = path.read_bytes()
    if how == "garbage":
        path.write_bytes(os.urandom(len(content)))
    elif how == "text":
        path.write_bytes(b"this is not a database" * 50)
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "short":
        path.write_bytes(content[:50])
    elif how == "inside":
        path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "gone":
        path.unlink()
    else:
        connection = sqlite3.connect(path)
        connection.executescript(how)
        connection.close()


DAMAGES = {
    "garbage": "garbage",
    "text": "text",
    "cut": "cut",
    "short": "short",
    "inside": "inside",
    "no table": "DROP TABLE epochs",
    "no column": "ALTER TABLE steps DROP COLUMN lr",
    "no JSON": "UPDATE runs SET facts = '{'",
    "no status": "UPDATE runs SET status = 'flying'",
    "a blob": "UPDATE runs SET metrics = x'ff00'",
    "a null": "CREATE TABLE copy AS SELECT * FROM runs; DROP TABLE runs; ALTER TABLE copy RENAME TO runs;"
    "UPDATE runs SET facts = NULL",
}


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_database_is_rebuilt_from_the_run_folders(runs, how):
    made = [make(runs, name) for name in ("one", "two", "")]
    expected = [shown(run) for run in made]
    runs.close()
    damage(runs.path / "dotbogi.sqlite", how)
    again = RunsFolder(runs.path)
    assert [shown(run) for run in again.runs()] == expected
    assert again.find("last").id == made[-1].id
    assert len(again.notices) == 1
    assert again.notices[0].startswith("The database was damaged and has been rebuilt from 3 run folders")
    aside = min(runs.path.glob("dotbogi.sqlite.damaged-*"), key=lambda path: len(path.name))
    assert f"the old one is now {aside.name}." in again.notices[0]
    again.close()


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_missing_database_is_made_again(runs, how):
    expected = [shown(make(runs)) for _ in range(2)]
    runs.close()
    damage(runs.path / "dotbogi.sqlite", how)
    assert [shown(run) for run in runs.runs()] == expected


@pytest.mark.parametrize("how", ["garbage", "inside", "no table"])
def test_a_database_damaged_while_it_is_open_is_rebuilt(runs, how):
    run = make(runs)
    other = make(runs)
    runs._database.query("PRAGMA wal_checkpoint(TRUNCATE)", (), tuple)
    runs._database.query("PRAGMA shrink_memory", (), tuple)
    damage(runs.path / "dotbogi.sqlite", DAMAGES[how])
    run.add_epoch({"epoch": 1, "step": 8})
    assert [row["epoch"] for row in run.history()] == [0, 1]
    assert len(run.steps()) == 4
    assert [kept.id for kept in runs.runs()] == [run.id, other.id]


def test_a_process_goes_on_in_the_database_that_another_rebuilt(runs):
    run = make(runs)
    training = RunsFolder(runs.path)
    same = training.find(run.id)
    runs._database._rebuild()
    same.add_steps([{"step": 5, "epoch": 1}])
    assert [row["step"] for row in run.steps()] == [1, 2, 3, 4, 5]
    training.close()


def test_only_one_of_two_processes_rebuilds(runs):
    make(runs)
    other = RunsFolder(runs.path)
    other.runs()
    runs._database._rebuild()
    other._database._rebuild()
    assert len(list(runs.path.glob("dotbogi.sqlite.damaged-*[0-9]"))) == len(runs.notices) == 1
    assert other.notices == []
    assert len(other.runs()) == 1
    other.close()


def test_nothing_to_rebuild_from(runs):
    run = make(runs)
    runs.close()
    (run.path / "run.json").write_text("{", encoding="utf-8")
    damage(runs.path / "dotbogi.sqlite", "garbage")
    before = (runs.path / "dotbogi.sqlite").read_bytes()
    with pytest.raises(RunError, match=r"dotbogi\.sqlite is damaged, and no run folder is there") as caught:
        runs.runs()
    assert "Move it away" in caught.value.fix
    assert (runs.path / "dotbogi.sqlite").read_bytes() == before


def test_a_damaged_run_file_leaves_out_that_run_and_says_so(runs):
    damaged, whole = make(runs), make(runs)
    runs.close()
    (damaged.path / "run.json").write_text('{"id": 7}', encoding="utf-8")
    assert len(runs.runs()) == 2, "the database still knows it"
    runs.close()
    damage(runs.path / "dotbogi.sqlite", "garbage")
    assert [run.id for run in runs.runs()] == [whole.id]
    assert runs.notices[0].startswith(f"The run {damaged.id} was left out.")
    assert "run.json is damaged" in runs.notices[0]


def test_rows_of_a_hostile_run_file_that_cannot_be_stored_are_left_out(runs):
    run = make(runs)
    runs.close()
    content = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    content["epochs"] = [{"epoch": 2**80, "step": 1}, {"epoch": "x", "step": 1}, {}, {"epoch": 3, "step": 9, "lr": [1]}]
    (run.path / "run.json").write_text(json.dumps(content), encoding="utf-8")
    damage(runs.path / "dotbogi.sqlite", "gone")
    assert runs.find(run.id).history() == [{"epoch": 3, "step": 9, "lr": [1]}]


def test_a_recipe_that_cannot_be_read_any_more_is_said_when_it_is_asked_for(runs):
    run = make(runs)
    runs.close()
    content = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    content["requested"] = {"optimizer": {"name": "of-a-package-that-is-gone"}}
    (run.path / "run.json").write_text(json.dumps(content), encoding="utf-8")
    damage(runs.path / "dotbogi.sqlite", "gone")
    found = runs.find(run.id)
    assert found.metrics == {"accuracy": 0.5}
    with pytest.raises(RunError, match=f"The recipe of the run {run.id} cannot be read: .*of-a-package-that-is-gone"):
        _ = found.requested


def test_a_newer_schema_is_refused(runs):
    make(runs)
    runs.close()
    damage(runs.path / "dotbogi.sqlite", "PRAGMA user_version = 99")
    with pytest.raises(RunError, match="of schema 99; this version of dotbogi reads schema 1") as caught:
        runs.runs()
    assert "newer version" in caught.value.fix
    assert not list(runs.path.glob("*.damaged-*"))


def test_a_drive_without_shared_memory_does_without_wal(runs, monkeypatch):
    connect = sqlite3.connect

    def without_shared_memory(path, **options):
        return connect(f"{Path(path).as_uri()}?vfs=unix-dotfile", uri=True, **options)

    if os.name == "nt":
        pytest.skip("SQLite has this file system on Unix only")
    monkeypatch.setattr(sqlite3, "connect", without_shared_memory)
    run = make(runs)
    assert runs._database.query("PRAGMA journal_mode", (), tuple) == [("delete",)]
    assert runs.find(run.id).metrics == {"accuracy": 0.5}
    assert runs.notices == []


def test_a_drive_that_refuses_wal_does_without(runs, monkeypatch):
    class Refusing(sqlite3.Connection):
        def execute(self, sql, *parameters):
            if sql == "PRAGMA journal_mode = WAL":
                error = sqlite3.OperationalError("locking protocol")
                error.sqlite_errorcode = sqlite3.SQLITE_PROTOCOL
                raise error
            return super().execute(sql, *parameters)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **options: connect(path, factory=Refusing, **options))
    make(runs)
    assert runs._database.query("PRAGMA journal_mode", (), tuple) == [("delete",)]


def test_wal_foreign_keys_and_a_busy_timeout_are_set(runs):
    make(runs)
    assert runs._database.query("PRAGMA journal_mode", (), tuple) == [("wal",)]
    assert runs._database.query("PRAGMA foreign_keys", (), tuple) == [(1,)]
    assert runs._database.query("PRAGMA busy_timeout", (), tuple) == [(60_000,)]


def test_a_database_held_by_another_process(runs, monkeypatch):
    make(runs)
    runs.close()
    runs._database._processes.timeout = 0.05
    with FileLock(runs.path / ".opening.lock"), pytest.raises(RunError, match="is held by another process"):
        runs.runs()


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "runs").write_text("not a folder", encoding="utf-8")
    runs = RunsFolder(tmp_path / "runs")
    for use in (lambda: runs.create("", RECIPE, {}), runs.runs, lambda: runs.find("last")):
        with pytest.raises(RunError, match=r"runs.* cannot be used: "):
            use()


def test_a_folder_without_permission(runs, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(RunError, match="No permission to use") as caught:
        runs.create("", RECIPE, {})
    assert "--runs-dir" in caught.value.fix


def test_a_disk_that_is_full_when_a_run_is_created_leaves_no_half_run(runs, monkeypatch):
    kept = make(runs)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(record, "replace_file", full)
    with pytest.raises(RunError, match="The disk is full"):
        runs.create("one", RECIPE, {})
    monkeypatch.undo()
    assert [run.id for run in runs.runs()] == [kept.id]
    assert [path.name for path in runs.path.iterdir() if path.is_dir()] == [kept.id]
    assert runs.create("one", RECIPE, {}).name == "one"


def test_a_database_that_has_no_room_leaves_no_half_run(runs):
    kept = make(runs)
    pages = runs._database.query("PRAGMA page_count", (), lambda row: row[0])[0]
    runs._database.query(f"PRAGMA max_page_count = {pages}", (), tuple)
    with pytest.raises(RunError, match="The disk is full"):
        runs.create("one", RECIPE, {"long": "x" * 100_000})
    assert [path.name for path in runs.path.iterdir() if path.is_dir()] == [kept.id]
    with pytest.raises(RunError, match="The disk is full"):
        kept.add_steps([{"step": step, "epoch": 0, "note": "x" * 1000} for step in range(100)])
    assert [row["step"] for row in kept.steps()] == [1, 2, 3, 4]
    assert kept.history()[0]["validation_accuracy"] == 0.5


def test_what_a_killed_removal_left_is_cleared(runs):
    run = make(runs)
    run.path.rename(runs.path / f".removing-{run.id}")  # killed before the row was deleted
    runs.close()
    assert runs.runs() == []
    make(runs)
    assert not list(runs.path.glob(".removing-*"))


def test_a_removal_that_is_refused_keeps_the_run(runs, monkeypatch):
    run = make(runs)

    def denied(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(atomic.Path, "rename", denied)
    with pytest.raises(RunError, match="No permission to use"):
        runs.remove(run)
    monkeypatch.undo()
    assert runs.find(run.id).metrics == {"accuracy": 0.5}

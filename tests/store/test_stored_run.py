import errno
import json
import math
import os
import threading

import pytest
import torch
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbogi.errors import RunError
from dotbogi.recipe import Recipe
from dotbogi.store import stored_run
from dotbogi.store.runs_folder import RunsFolder

RECIPE = Recipe(model="simple-cnn")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = RunsFolder(tmp_path_factory.mktemp("stored") / "runs")
    yield folder
    folder.close()


@pytest.fixture
def run(runs):
    return runs.create("", RECIPE, {})


def on_disk(run):
    return json.loads((run.path / "run.json").read_text(encoding="utf-8"))


def test_what_is_updated_is_in_the_object_the_database_and_the_file(runs, run):
    run.update(status="finished", metrics={"loss": math.inf}, facts={"a": [1]}, weights_sha256="ab", resolved=RECIPE)
    for shown in (run, runs.find(run.id)):
        assert (shown.status, shown.metrics, shown.facts) == ("finished", {"loss": math.inf}, {"a": [1]})
        assert (shown.weights_sha256, shown.resolved) == ("ab", RECIPE)
    assert (on_disk(run)["status"], on_disk(run)["metrics"]) == ("finished", {"loss": math.inf})
    run.update(facts={})
    assert (run.facts, run.metrics, run.status) == ({}, {"loss": math.inf}, "finished")


def test_another_object_sees_changes_when_it_reloads(runs, run):
    other = runs.find(run.id)
    run.update(status="failed")
    assert other.status == "interrupted"
    other.reload()
    assert other.status == "failed"


def test_history_and_steps_in_order_with_everything_they_were_given(run):
    steps = [{"step": step, "epoch": 0, "images": 128, "loss": 2.5, "lr": 0.1, "norm": 3.0} for step in (2, 1, 3)]
    run.add_steps(iter(steps))
    run.add_epoch({"epoch": 1, "step": 6, "validation_loss": math.nan, "learning": {"a": [1]}})
    run.add_epoch({"epoch": 0, "step": 3, "validation_loss": 0.1 + 0.2})
    assert run.steps() == sorted(steps, key=lambda row: row["step"])
    first, second = run.history()
    assert first == {"epoch": 0, "step": 3, "validation_loss": 0.1 + 0.2}
    assert math.isnan(second.pop("validation_loss"))
    assert second == {"epoch": 1, "step": 6, "learning": {"a": [1]}}
    assert [row["epoch"] for row in on_disk(run)["epochs"]] == [0, 1]


def test_rows_of_the_same_step_or_epoch_are_replaced(run):
    for loss in (1.0, 2.0):
        run.add_steps([{"step": 1, "epoch": 0, "loss": loss}])
        run.add_epoch({"epoch": 0, "step": 1, "training_loss": loss})
    assert run.steps() == [{"step": 1, "epoch": 0, "loss": 2.0}]
    assert run.history() == [{"epoch": 0, "step": 1, "training_loss": 2.0}]


def rows_until(steps, salt=0):
    rows = [{"step": step, "epoch": (step - 1) // 3, "loss": step + salt / 8} for step in range(1, steps + 1)]
    epochs = [{"epoch": epoch, "step": 3 * epoch + 3, "lr": epoch + salt / 8} for epoch in range(steps // 3)]
    return rows, epochs


def add(run, rows, epochs):
    run.add_steps(rows)
    for row in epochs:
        run.add_epoch(row)


@settings(max_examples=15, deadline=None)
@given(killed=st.integers(0, 12), checkpoint=st.integers(0, 12))
def test_a_resumed_runs_rows_equal_the_undisturbed_ones(runs, killed, checkpoint):
    checkpoint = min(checkpoint, killed)
    run = runs.create("", RECIPE, {})
    add(run, *rows_until(killed, salt=1))  # what was computed beyond the checkpoint may have been different
    run.truncate_after(checkpoint)
    rows, epochs = rows_until(12)
    kept = rows_until(killed, salt=1)
    assert run.steps() == kept[0][:checkpoint]
    add(run, rows[checkpoint:], [row for row in epochs if row["step"] > checkpoint])
    expected = kept[0][:checkpoint] + rows[checkpoint:]
    assert run.steps() == expected
    assert [row["epoch"] for row in run.history()] == [0, 1, 2, 3]
    lines = (run.path / "steps.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines if line] == expected


def test_truncation_takes_checkpoints_along(run):
    for step in (1, 2):
        run.checkpoints.write("last", step, {"w": torch.ones(1)}, {})
        run.checkpoints.write("snapshot", step, {"w": torch.ones(1)}, {})
    run.truncate_after(1)
    assert run.checkpoints.read_last().step == 1
    assert run.checkpoints.snapshots() == [1]


def test_a_locked_run_is_running_and_nobody_elses(run):
    with run.lock():
        assert run.status == "running"
        with (
            pytest.raises(
                RunError, match=f"The run {run.id} cannot be changed: another process is writing it"
            ) as caught,
            run.lock(),
        ):
            pass
        assert "Wait until it has ended" in caught.value.fix
    assert run.status == "interrupted"
    with run.lock():
        assert run.status == "running"


def test_a_run_that_ended_is_not_called_interrupted(run):
    run.update(status="finished")
    assert run.status == "finished"
    with run.lock():
        assert run.status == "finished"


def test_a_lock_that_may_not_be_touched_counts_as_held(run, monkeypatch):
    with run.lock():
        pass

    def denied(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(FileLock, "_acquire", denied)
    assert run.status == "running"
    with pytest.raises(RunError, match="No permission to use"), run.lock():
        pass


def test_asking_for_the_status_takes_the_lock_from_nobody(run):
    asked = FileLock(run.path / "lock", thread_local=False)
    asked.acquire()
    release = threading.Timer(0.05, asked.release)  # as long as a status takes, and longer
    release.start()
    with run.lock():
        assert run.status == "running"
    release.join()


def test_a_full_disk_while_rows_are_added(run, monkeypatch):
    add(run, *rows_until(3))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(stored_run, "append_steps", full)
    monkeypatch.setattr(stored_run, "write_run_file", full)
    for write in (lambda: run.add_steps([{"step": 4, "epoch": 1}]), lambda: run.update(status="finished")):
        with pytest.raises(RunError, match="The disk is full"):
            write()
    monkeypatch.undo()
    assert run.steps() == rows_until(3)[0]
    assert on_disk(run)["status"] == "running"


def test_created_is_the_moment_in_utc(run):
    assert run.created.endswith("+00:00")
    assert run.id in repr(run)

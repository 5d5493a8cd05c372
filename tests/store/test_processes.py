"""Several processes at once, and processes that are killed at any moment."""

import os
import random
import signal
import subprocess
import sys

import pytest

from dotbogi.errors import RunError
from dotbogi.store.checkpoints import CheckpointFolder
from dotbogi.store.runs_folder import RunsFolder
from dotbogi.store.weights import weights_sha256

# Imports torch once, then forks a writer for each line it reads.
WRITERS = """
import os, sys
from pathlib import Path
import torch
from dotbogi.store.checkpoints import CheckpointFolder

folder = CheckpointFolder(Path(sys.argv[1]))

def write(step):
    weights = {"w": torch.full((30_000,), float(step))}
    folder.write("best", step, weights, {"step": step, "momentum": weights["w"]})
    folder.write("snapshot", step % 3, weights, {"step": step})
    folder.add_next_weights(step % 3, weights)
    folder.write("last", step, weights, {"step": step, "momentum": weights["w"]})
    print("step", step, flush=True)

for line in iter(sys.stdin.readline, ""):
    child = os.fork()
    if child == 0:
        step = int(line)
        while True:
            write(step)
            step += 1
    print("child", child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


TRAINER = """
import sys
from pathlib import Path
from dotbogi.errors import RunError
from dotbogi.recipe import Recipe
from dotbogi.store.runs_folder import RunsFolder

runs = RunsFolder(Path(sys.argv[1]))

def meet():
    print("ready", flush=True)
    sys.stdin.readline()

meet()
run = runs.create(sys.argv[2], Recipe(model="simple-cnn"), {})
with run.lock():
    for epoch in range(10):
        run.add_steps([{"step": epoch * 10 + step, "epoch": epoch, "loss": 0.5} for step in range(1, 11)])
        run.add_epoch({"epoch": epoch, "step": epoch * 10 + 10, "training_loss": 0.5})
    meet()
    other = next(other for other in runs.runs() if other.id != run.id)
    assert other.status == "running"
    try:
        with other.lock():
            sys.exit("two processes hold one run")
    except RunError as error:
        assert "another process is writing it" in error.message
    meet()
    run.update(status="finished")
"""


def test_two_processes_train_in_one_folder(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TRAINER, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for _ in range(3):
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    runs = RunsFolder(tmp_path)
    assert {run.name for run in runs.runs()} == {"a", "b"}
    for run in runs.runs():
        assert run.status == "finished"
        assert [row["step"] for row in run.steps()] == list(range(1, 101))
        assert [row["epoch"] for row in run.history()] == list(range(10))
    runs.close()


def check_whole(folder, printed):
    for read in (folder.read_last, folder.read_best):
        checkpoint = read()
        assert checkpoint.skipped == []
        assert checkpoint.state["step"] == checkpoint.step >= printed
        assert checkpoint.weights["w"].unique().tolist() == [float(checkpoint.step)]
        assert checkpoint.state["momentum"].unique().tolist() == [float(checkpoint.step)]
    for step in folder.snapshots():
        snapshot = folder.read_snapshot(step)
        assert snapshot.weights["w"].unique().tolist() == [float(snapshot.state["step"])]
        if snapshot.next_weights is not None:
            assert weights_sha256(snapshot.next_weights) == weights_sha256(snapshot.weights)
    return folder.read_last().step


@pytest.mark.skipif(not hasattr(os, "fork"), reason="one import of torch for many writers needs fork")
def test_killed_at_any_moment_the_checkpoints_are_whole(tmp_path):
    folder = CheckpointFolder(tmp_path)
    moments = random.Random(0)
    step = in_the_middle = 0
    command = [sys.executable, "-c", WRITERS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(10):
            process.stdin.write(f"{step}\n")
            process.stdin.flush()
            said = [process.stdout.readline().split() for _ in range(2 + moments.randrange(3))]
            for _ in range(moments.randrange(800)):  # the time that the writer has, without sleeping
                check_nothing_half(tmp_path / "checkpoints")
            os.kill(next(int(number) for word, number in said if word == "child"), signal.SIGKILL)
            said += [line.split() for line in iter(process.stdout.readline, "dead\n")]
            in_the_middle += any(tmp_path.glob("*/.writing-*"))
            step = check_whole(folder, max(int(number) for word, number in said if word == "step")) + 1
        process.stdin.close()
    assert in_the_middle > 0, "no kill came while a folder was being written"


def check_nothing_half(folder):
    """Asserts what a reader sees beside a writer at work: under a checkpoint's name never a part of one."""
    for path in folder.glob("last-*"):
        try:
            names = sorted(item.name for item in path.iterdir())
        except FileNotFoundError:  # it has just been pruned
            continue
        if not path.exists():  # pruned while it was listed: what is renamed away and emptied is still listed
            continue
        assert names == ["checkpoint.json", "state.pt", "weights.safetensors"]


DIES = """
import os, sys
from pathlib import Path
from dotbogi.recipe import Recipe
from dotbogi.store.runs_folder import RunsFolder

run = RunsFolder(Path(sys.argv[1])).create("dead", Recipe(model="simple-cnn"), {})
with run.lock():
    run.add_steps([{"step": 1, "epoch": 0}])
    print(run.status, flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_reads_interrupted_and_can_be_locked(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    runs = RunsFolder(tmp_path)
    with process:
        assert process.stdout.readline() == "running\n"
        run = runs.find("dead")
        assert run.status == "running"
        with pytest.raises(RunError, match="another process is writing it"), run.lock():
            pass
        process.kill()
    assert run.status == "interrupted"
    assert run.steps() == [{"step": 1, "epoch": 0}]
    with run.lock():
        assert run.status == "running"
    runs.close()

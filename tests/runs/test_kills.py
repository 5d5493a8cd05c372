"""Trainings that are killed without warning, in processes of their own."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dotbogi.runs.run import Run, open_run

KILLS = 20
TRAIN = ["train", "--deterministic", "--threads", "1", "--epochs", "3", "--json"]
# So often that many kills meet a checkpoint that is being written.
SETTINGS = ["--set", "training.checkpoint_every_s=0.05", "--set", "data.augmentation.flip=random"]


def start(folder: Path, *words: str) -> subprocess.Popen:
    """Starts a command and returns once its first line has come, after which a run can be resumed."""
    command = [sys.executable, "-m", "dotbogi", *words]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout and json.loads(process.stdout.readline())["event"] == "started"
    return process


def finish(process: subprocess.Popen) -> None:
    process.communicate()
    assert process.returncode == 0


def kept(run: Run) -> tuple[str, list, list]:
    """What must not depend on the kills: weights and rows, but for times."""
    timed = ("elapsed_s", "images_per_second")
    epochs = [{key: row[key] for key in row if key not in timed} for row in run.history()]
    return run.weights_sha256, run.steps(), epochs


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be killed without warning there")
def test_a_training_killed_at_random_moments_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    finish(start(undisturbed, *TRAIN, *SETTINGS))
    expected = open_run(runs_dir=undisturbed / "runs")
    longest = sum(row["elapsed_s"] for row in expected.history())
    moments = random.Random(0)
    kills = 0
    while kills < KILLS:
        folder = killed / str(kills)
        folder.mkdir(parents=True)
        process = start(folder, *TRAIN, *SETTINGS)
        for _ in range(min(moments.randint(1, 5), KILLS - kills)):
            time.sleep(moments.uniform(0, 0.5 * longest))
            process.kill()
            process.communicate()
            kills += 1
            process = start(folder, "resume", "last", "--json")
        finish(process)
        assert kept(open_run(runs_dir=folder / "runs")) == kept(expected)

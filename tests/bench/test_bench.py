"""The benchmarks still run: their numbers are looked at by people, on a quiet machine."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
SCRIPTS = ("throughput", "overhead", "decoding", "prediction", "time_to_accuracy", "accuracy", "startup")


def run(script: str, *arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    # One thread: tests run beside each other.
    env = os.environ | {"OMP_NUM_THREADS": "1", "DOTBOGI_LANG": "en"}
    if cache:
        env["DOTBOGI_CACHE_DIR"] = str(cache)
    command = [sys.executable, str(BENCH / f"{script}.py"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def measuring():
    sys.path.insert(0, str(BENCH))
    try:
        import measuring

        yield measuring
    finally:
        sys.path.remove(str(BENCH))


def test_every_script_is_in_the_readme():
    readme = (BENCH / "README.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in readme for path in BENCH.glob("*.py"))


def test_ratios_are_of_the_same_round(measuring):
    results = measuring.Results("a slow second round")
    for ours, theirs in ((10.0, 5.0), (2.0, 1.0), (9.0, 3.0)):
        results.add("ours", ours)
        results.add("theirs", theirs)
    assert results.ratio("ours", to="theirs") == 2.0
    assert results.median("ours") == 9.0
    assert results.spread("ours", 1) == "2.0…10.0"


def test_numbers_are_told_at_once_and_written(measuring, tmp_path, capsys):
    results = measuring.Results("speed")
    results.add("dotbogi", 1234.5, "images/s")
    assert "dotbogi: 1,234 images/s" in capsys.readouterr().err
    results.write(tmp_path / "numbers.json")
    written = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    assert written["values"] == {"dotbogi": [1234.5]}
    assert written["machine"]["cores"] >= 1
    assert written["machine"]["torch"].split("+")[0].count(".") == 2
    assert written["machine"]["processor"]


def test_a_table_is_markdown(measuring, capsys):
    measuring.print_table(["what", "images/s"], [["dotbogi", "12,345"], ["theirs", "6"]])
    assert capsys.readouterr().out.splitlines() == [
        "| what    | images/s |",
        "| ------- | -------: |",
        "| dotbogi |   12,345 |",
        "| theirs  |        6 |",
    ]


def test_options_are_told():
    done = run("startup", "--help")
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout
    assert "--json" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_each_runs_quickly(script, tmp_path):
    if script == "startup" and not hasattr(os, "wait4"):
        pytest.skip("wait4 is not on Windows")
    done = run(script, "--quick", "--json", str(tmp_path / "numbers.json"), cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert "cores" in done.stdout
    assert "|" in done.stdout
    written = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    assert written["values"]
    assert all(len(numbers) == 1 for numbers in written["values"].values())


@pytest.mark.slow
@pytest.mark.skipif(not (find_spec("skorch") and find_spec("fastai")), reason="skorch and fastai are not installed")
def test_everybody_trains_the_same_number_of_images():
    code = (
        "from peers import Task, accuracy, available\n"
        "from throughput import lecture_cnn\n"
        "task = Task(lecture_cnn, epochs=2, batch_size=128, lr=.05, quick=True)\n"
        "for peer in available().values():\n"
        "    outcome = peer(task)\n"
        "    print(outcome.images, len(outcome.epoch_s), .1 <= accuracy(outcome.model, task.test) <= 1)\n"
    )
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(BENCH)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["640 2 True"] * 4

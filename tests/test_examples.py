"""The examples run as they stand, and print what they are about."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def output_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def accuracy(line: str) -> float:
    return float(line.partition("%")[0].split()[-1])


def test_a_module_of_ones_own_learns_stripes(tmp_path, monkeypatch, capsys) -> None:
    *epochs, result, last = output_of("own_module.py", tmp_path, monkeypatch, capsys).splitlines()
    assert [line.split(":")[0] for line in epochs] == [f"epoch {number}" for number in range(1, 6)]
    assert accuracy(result) > 95
    assert last.startswith("226 parameters in runs")


def test_a_folder_of_photos_is_learned_and_predicted(tmp_path, monkeypatch, capsys) -> None:
    lines = output_of("folder_of_photos.py", tmp_path, monkeypatch, capsys).splitlines()
    assert accuracy(lines[0]) > 80
    assert [line.split()[0] for line in lines[1:4]] == ["Bag", "Sneaker", "Trouser"]
    assert len(lines) == 8 and all(Path(line.split(":")[0]).suffix == ".png" for line in lines[4:])


def test_two_optimizers_are_compared_epoch_by_epoch(tmp_path, monkeypatch, capsys) -> None:
    head, *rows, sgd, adam = output_of("two_optimizers.py", tmp_path, monkeypatch, capsys).splitlines()
    assert head.split() == ["epoch", "sgd", "adam"]
    assert [row.split()[0] for row in rows] == ["1", "2"]
    assert accuracy(sgd.partition(":")[2]) > 60 and accuracy(adam.partition(":")[2]) > 60


def test_every_example_is_tested_and_named_in_the_readme() -> None:
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    here = Path(__file__).read_text(encoding="utf-8")
    for example in EXAMPLES.glob("*.py"):
        assert f'"{example.name}"' in here
        assert f"(examples/{example.name})" in readme

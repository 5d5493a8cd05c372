"""The commands around one real, short training."""

import csv
import io
import json
import re
import signal
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dotbogi.cli.commands.predict import _show_table
from dotbogi.cli.following import follow
from dotbogi.cli.formatter import displayed_width
from dotbogi.cli.main import program
from dotbogi.cli.output import Output
from dotbogi.runs.predict import Prediction

SHORT = ["--steps", "3", "--epochs", "1", "--deterministic", "--threads", "1", "--batch-size", "32"]


def invoke(*words: str, lang: str = "en"):
    return CliRunner().invoke(program, list(words), env={"DOTBOGI_LANG": lang, "COLUMNS": "80"})


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli") / "runs"


@pytest.fixture(scope="module")
def trained(runs_dir: Path) -> list[dict]:
    """The lines of a training of three steps."""
    result = invoke("train", *SHORT, "--name", "first", "--json", "--runs-dir", str(runs_dir))
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def second(runs_dir: Path, trained: list[dict]) -> str:
    """A training with another optimizer, told to a person in Korean."""
    words = ["train", *SHORT, "--optimizer", "momentum", "--name", "second", "--runs-dir", str(runs_dir)]
    result = invoke(*words, lang="ko")
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_training_tells_programs_what_the_contract_promises(trained, runs_dir) -> None:
    first, last = trained[0], trained[-1]
    assert first["event"] == "started" and {"run", "path"} <= first.keys()
    assert Path(first["path"]).is_dir() and Path(first["path"]).parent == runs_dir
    promised = {
        "event", "run", "path", "epochs", "steps", "elapsed_s", "images_per_second", "weights_sha256", "metrics",
    }  # fmt: skip
    assert promised <= last.keys() and last["event"] == "finished"
    assert last["steps"] == 3 and last["run"] == first["run"]
    assert 0 <= last["metrics"]["accuracy"] <= 1 and last["metrics"]["loss"] > 0
    assert re.fullmatch("[0-9a-f]{64}", last["weights_sha256"])


def test_a_training_tells_people_what_it_reached_and_what_to_do_next(second) -> None:
    assert "정확도" in second and "손실" in second and "재현율" in second
    assert "T-shirt/top" in second and "Ankle boot" in second
    assert "dotbogi show last" in second and "dotbogi predict last" in second
    assert all(displayed_width(line) <= 80 for line in second.splitlines() if "/runs/" not in line)


def test_the_recipe_that_show_prints_trains_the_same_run_again(trained, runs_dir, tmp_path) -> None:
    printed = invoke("show", "first", "--toml", "--runs-dir", str(runs_dir)).stdout
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(printed, encoding="utf-8")
    result = invoke("train", str(recipe), "--json", "--runs-dir", str(tmp_path / "runs"))
    assert result.exit_code == 0, result.stderr
    again = json.loads(result.stdout.splitlines()[-1])
    assert again["weights_sha256"] == trained[-1]["weights_sha256"]


def test_runs_has_a_line_per_run(second, runs_dir, lines, dotbogi) -> None:
    records = lines("runs", "--runs-dir", str(runs_dir))
    assert [record["name"] for record in records] == ["first", "second"]
    for record in records:
        assert {"run", "name", "status", "recipe", "metrics", "weights_sha256"} <= record.keys()
        assert record["status"] == "finished"
    table = dotbogi("runs", "--runs-dir", str(runs_dir)).stdout
    assert "first" in table and "second" in table and "finished" in table


def test_no_run_yet_says_how_to_make_one(dotbogi, lines, tmp_path) -> None:
    assert "`dotbogi train` makes one" in dotbogi("runs", "--runs-dir", str(tmp_path)).stderr
    assert lines("runs", "--runs-dir", str(tmp_path)) == []


def test_the_folder_of_runs_comes_from_the_environment_too(trained, runs_dir, lines) -> None:
    (record,) = lines("show", "first", DOTBOGI_RUNS_DIR=str(runs_dir))
    assert record["run"] == trained[0]["run"]


def test_show_tells_recipe_epochs_and_metrics(trained, runs_dir, lines, dotbogi) -> None:
    (record,) = lines("show", "first", "--runs-dir", str(runs_dir))
    assert record["recipe"]["training"]["steps"] == 3
    assert record["metrics"] == trained[-1]["metrics"]
    assert len(record["history"]) == 1 and len(record["per_class"]) == 10
    page = dotbogi("show", "first", "--runs-dir", str(runs_dir)).stdout
    for part in ("first · finished", "On the test images:", "Ankle boot", "[training]", "steps = 3"):
        assert part in page
    assert tomllib.loads(page[page.index("schema_version") :])["training"]["steps"] == 3


def test_compare_shows_only_what_differs(second, runs_dir, lines, dotbogi) -> None:
    one, other = lines("compare", "first", "second", "--runs-dir", str(runs_dir))
    assert one["recipe"]["optimizer.name"] == "adam" and other["recipe"]["optimizer.name"] == "momentum"
    assert "training.steps" not in one["recipe"]
    assert one["metrics"].keys() == other["metrics"].keys()
    table = dotbogi("compare", "first", "second", "--runs-dir", str(runs_dir)).stdout
    assert "optimizer.name" in table and "momentum" in table and "accuracy" in table


def test_evaluate_measures_the_test_images(trained, runs_dir, lines, dotbogi) -> None:
    (record,) = lines("evaluate", "first", "--runs-dir", str(runs_dir))
    assert record["run"] == trained[0]["run"] and record["images"] == 2000
    assert record["metrics"]["accuracy"] == pytest.approx(trained[-1]["metrics"]["accuracy"], abs=1e-6)
    text = dotbogi("evaluate", "first", "--runs-dir", str(runs_dir)).stdout
    assert "on 2,000 images" in text and "On the test images:" in text


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b", "사진"):
        pixels = np.full((40, 50, 3), 10 * len(name), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def test_predict_has_a_line_per_image(trained, runs_dir, lines, photos) -> None:
    records = lines("predict", "first", str(photos), "--top", "2", "--runs-dir", str(runs_dir))
    assert [Path(record["path"]).name for record in records] == ["a.png", "b.png", "사진.png"]
    for record in records:
        assert record["top"][0] == {"label": record["label"], "probability": record["probability"]}
        assert len(record["top"]) == 2 and 0 < record["top"][1]["probability"] <= record["probability"] <= 1


def test_predict_has_a_plain_line_per_image_in_a_pipe(trained, runs_dir, dotbogi, photos) -> None:
    text = dotbogi("predict", "first", str(photos / "*.png"), "--runs-dir", str(runs_dir)).stdout
    rows = [line.split("\t") for line in text.splitlines()]
    assert [Path(path).name for path, _label, _probability in rows] == ["a.png", "b.png", "사진.png"]
    assert all(probability.endswith(" %") for _path, _label, probability in rows)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_table_of_predictions_is_not_longer_than_one_reads(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    top = [("고양이", 0.9), ("개", 0.07)]
    terminal = Terminal()
    shown = Output(False, terminal, io.StringIO())
    _show_table(shown, [Prediction(f"사진{number}.png", "고양이", 0.9, top) for number in range(203)])
    lines = click.unstyle(terminal.getvalue()).splitlines()
    assert lines[2].split() == ["사진0.png", "고양이", "90.0", "%", "개", "7.0", "%"]
    assert len(lines) == 2 + 200 + 1 and lines[-1] == "and 3 more; --csv FILE writes them all"


def test_predict_writes_csv(trained, runs_dir, dotbogi, photos, tmp_path) -> None:
    path = tmp_path / "classes.csv"
    result = dotbogi("predict", "first", str(photos), "--csv", str(path), "--runs-dir", str(runs_dir))
    assert result.exit_code == 0 and result.stdout == ""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["path"]).name for row in rows] == ["a.png", "b.png", "사진.png"]
    assert float(rows[0]["probability"]) >= float(rows[0]["probability_2"]) >= float(rows[0]["probability_3"])


def test_predict_tells_broken_files_after_everything_else(trained, runs_dir, dotbogi, photos) -> None:
    (photos / "broken.png").write_bytes(b"no image")
    result = dotbogi("predict", "first", str(photos), "--json", "--runs-dir", str(runs_dir))
    *predictions, error = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 2 and len(predictions) == 3
    assert error["message"].startswith("1 file is no whole image.") and "broken.png" in error["message"]
    assert error["fix"] == "--skip-broken leaves them out."


def test_predict_can_skip_broken_files(trained, runs_dir, dotbogi, photos) -> None:
    for number in range(12):
        (photos / f"broken{number:02d}.png").write_bytes(b"")
    result = dotbogi("predict", "first", str(photos), "--skip-broken", "--json", "--runs-dir", str(runs_dir))
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 3
    assert "12 files are no whole images." in result.stderr and "  and 2 more" in result.stderr


def test_resuming_a_finished_run_says_so(trained, runs_dir, dotbogi) -> None:
    result = dotbogi("resume", "first", "--json", "--runs-dir", str(runs_dir))
    assert result.exit_code == 0
    assert "nothing to resume" in result.stderr
    events = [json.loads(line)["event"] for line in result.stdout.splitlines()]
    assert events[-1] == "finished" and "started" in events
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["weights_sha256"] == trained[-1]["weights_sha256"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_is_resumed(trained, tmp_path, number, code, monkeypatch) -> None:
    """The signal arrives right after the first line, as a program that reads it would send it."""
    runs = ["--runs-dir", str(tmp_path / "runs")]
    line = Output.line

    def line_then_signal(output: Output, record: dict) -> None:
        line(output, record)
        if record["event"] == "started":
            signal.raise_signal(number)

    with monkeypatch.context() as patched:
        patched.setattr(Output, "line", line_then_signal)
        result = invoke("train", *SHORT, "--json", *runs)
    assert result.exit_code == code, result.stderr
    stopped = json.loads(result.stdout.splitlines()[-1])
    assert stopped["event"] == "interrupted" and stopped["signal"] == signal.Signals(number).name
    assert f"dotbogi resume {stopped['run']}" in result.stderr
    assert json.loads(invoke("show", "last", "--json", *runs).stdout)["status"] == "interrupted"
    resumed = [json.loads(line) for line in invoke("resume", "last", "--json", *runs).stdout.splitlines()]
    assert resumed[0]["event"] == "started" and resumed[0]["run"] == stopped["run"]
    assert resumed[-1]["weights_sha256"] == trained[-1]["weights_sha256"]


def test_rm_removes_all_or_nothing(dotbogi, lines, tmp_path) -> None:
    runs = ["--runs-dir", str(tmp_path / "runs")]
    assert invoke("train", *SHORT, "--name", "gone", *runs).exit_code == 0
    result = dotbogi("rm", "gone", "nope", *runs)
    assert result.exit_code == 2 and "There is no run 'nope'" in result.stderr
    (record,) = lines("runs", *runs)
    assert lines("rm", "gone", "last", *runs) == [{"event": "removed", "run": record["run"]}]
    assert lines("runs", *runs) == []
    assert not Path(record["path"]).exists()


@pytest.mark.parametrize(
    "words",
    [["show", "nope"], ["resume", "nope"], ["evaluate", "nope"], ["predict", "nope", "a.png"], ["compare", "nope"]],
)
def test_an_unknown_run_is_a_mistake(dotbogi, trained, runs_dir, words) -> None:
    result = dotbogi(*words, "--runs-dir", str(runs_dir))
    assert result.exit_code == 2
    assert "There is no run 'nope'" in result.stderr


def test_the_name_last_is_refused(dotbogi, tmp_path) -> None:
    result = dotbogi("train", "--name", "last", "--runs-dir", str(tmp_path / "runs"))
    assert result.exit_code == 2 and "last" in result.stderr


def test_following_ends_the_bar_where_the_training_raises() -> None:
    def work(listener, stop):
        raise ValueError("boom")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="boom"):
        follow(Output(False, io.StringIO(), io.StringIO()), work)
    assert signal.getsignal(signal.SIGINT) is before


def test_show_writes_a_page(trained, runs_dir, lines, dotbogi, tmp_path) -> None:
    words = ["show", "first", "--html", "--output", str(tmp_path), "--runs-dir", str(runs_dir)]
    assert dotbogi(*words, lang="ko").stdout == f"저장했습니다: {tmp_path / 'report.html'}\n"
    (record,) = lines(*words)
    assert record["files"] == [str(tmp_path / "report.html")]
    assert "T-shirt/top" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_show_opens_the_page(trained, runs_dir, dotbogi, tmp_path, monkeypatch) -> None:
    opened = []
    monkeypatch.setattr(click, "launch", opened.append)
    dotbogi("show", "first", "--open", "--output", str(tmp_path), "--runs-dir", str(runs_dir))
    assert opened == [str(tmp_path / "report.html")]


def test_a_loss_that_is_not_finite_is_exit_1(dotbogi, tmp_path) -> None:
    result = dotbogi("train", *SHORT, "--steps", "40", "--lr", "1e30", "--json", "--runs-dir", str(tmp_path / "runs"))
    assert result.exit_code == 1, result.stderr
    *_others, error = [json.loads(line) for line in result.stdout.splitlines()]
    assert error["event"] == "error" and error["message"] and error["fix"]


def test_predict_sees_that_the_csv_can_be_written_before_it_begins(trained, runs_dir, dotbogi, photos, tmp_path):
    for path, text in ((tmp_path / "nowhere" / "c.csv", "There is no folder"), (tmp_path, "is a directory")):
        result = dotbogi("predict", "first", str(photos), "--csv", str(path), "--runs-dir", str(runs_dir))
        assert result.exit_code == 2 and text in result.stderr


def test_what_to_do_next_names_the_folder_of_runs(trained, runs_dir, dotbogi):
    shown = dotbogi("show", "first", "--runs-dir", str(runs_dir)).stdout
    assert f"--runs-dir {runs_dir} --toml" in shown

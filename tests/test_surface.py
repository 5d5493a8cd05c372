"""The names that other people's scripts rely on: a change here is a breaking change and goes into the CHANGELOG."""

import inspect
import io
import json
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import dotbogi
from dotbogi.cli.main import program
from dotbogi.errors import DotbogiError
from dotbogi.registry import LOSSES, MODELS, OPTIMIZERS, SCHEDULES, SOURCES

COMMON = {"--json", "--lang", "--debug", "-h", "--help"}
RECIPE_OPTIONS = {
    *("--data", "--data-dir", "--image-size", "--fit", "--normalisation", "--validation", "--skip-broken"),
    *("--model", "--pretrained", "--weights", "--optimizer", "--lr", "--schedule", "--warmup", "--loss"),
    *("--batch-size", "--epochs", "--steps", "--seed", "--precision", "--device", "--threads", "--deterministic"),
    "--set",
}
OPTIONS = {
    "train": {*RECIPE_OPTIONS, "--name", "--runs-dir"},
    "resume": {"--model", "--runs-dir"},
    "evaluate": {"--data", "--best", "--model", "--runs-dir"},
    "predict": {"--top", "--csv", "--skip-broken", "--model", "--runs-dir"},
    "explain": {
        *("--image", "--step", "--epoch", "--at", "--expand", "--top", "--what-if", "--model", "--runs-dir"),
    },
    "runs": {"--runs-dir"},
    "show": {"--toml", "--html", "--png", "--open", "--output", "--runs-dir"},
    "compare": {"--runs-dir"},
    "rm": {"--runs-dir"},
    "list": {"--plot", "--set", "--output", "--library", "--search"},
}
CLASSES = {"DotbogiError", "Explanation", "Recipe", "Run", "Tape", "Term"}
FINISHED = {
    *("event", "run", "path", "epochs", "steps", "elapsed_s", "images_per_second", "weights_sha256", "metrics"),
}
SHORT = ("--steps", "2", "--epochs", "1", "--batch-size", "16", "--deterministic", "--threads", "1")


def invoke(*words: str) -> Result:
    return CliRunner().invoke(program, list(words), env={"DOTBOGI_LANG": "en"})


def lines_of(*words: str, code: int = 0) -> list[dict]:
    result = invoke(*words, "--json")
    assert result.exit_code == code, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


# Python


def test_the_names_of_the_package() -> None:
    assert set(dotbogi.__all__) == {*CLASSES, "open_run", "record", "train"}
    for name in dotbogi.__all__:
        assert getattr(dotbogi, name).__name__ == name
    assert set(dotbogi.__all__) <= set(dir(dotbogi))
    with pytest.raises(AttributeError, match="module 'dotbogi' has no attribute 'trian'"):
        dotbogi.trian  # noqa: B018


def test_what_train_and_open_run_take() -> None:
    parameters = inspect.signature(dotbogi.train).parameters
    assert next(iter(parameters)) == "recipe"
    assert {"model", "data", "loss"} <= {
        name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert next(iter(inspect.signature(dotbogi.open_run).parameters.values())).default == "last"


def test_what_a_run_has() -> None:
    assert {
        *("id", "path", "recipe", "status", "metrics"),
        *("history", "state_dict", "model", "evaluate", "predict"),
    } <= set(dir(dotbogi.Run))


def test_the_tables_of_a_recipe() -> None:
    assert set(dotbogi.Recipe.model_fields) == {"schema_version", "data", "model", "optimizer", "schedule", "training"}
    assert dotbogi.Recipe().schema_version == 1


def test_every_error_says_how_a_program_ends() -> None:
    def below(kind: type[DotbogiError]) -> set[type[DotbogiError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    codes = {kind.__name__: kind.exit_code for kind in below(DotbogiError)}
    assert codes.pop("TrainingError") == codes.pop("NonFiniteLossError") == codes.pop("UnexpectedError") == 1
    assert set(codes.values()) == {2}


# Names


def test_the_ids() -> None:
    optimizers = "sgd momentum nag adagrad rmsprop adam adamw adadelta nadam lion lamb adafactor radam muon"
    assert set(optimizers.split()) <= set(OPTIMIZERS.names())
    assert {"constant", "step", "multistep", "cosine", "one-cycle", "plateau"} <= set(SCHEDULES.names())
    assert {"linear-regression", "simple-fcn", "simple-cnn", "feature-cnn", "small-cnn"} <= set(MODELS.names())
    data = "sample line lecture-image fashion-mnist mnist kmnist cifar10 cifar100"
    assert set(data.split()) <= set(SOURCES.names())
    assert {"cross-entropy", "mse"} <= set(LOSSES.names())


# Command line


def test_the_commands() -> None:
    assert set(program.list_commands(click.Context(program))) == set(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_options_of_a_command(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert {flag for option in options for flag in option.opts} == OPTIONS[name] | COMMON


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("surface") / "runs"


@pytest.fixture(scope="module")
def trained(runs: Path) -> list[dict]:
    return lines_of("train", *SHORT, "--name", "one", "--runs-dir", str(runs))


def test_the_lines_of_train(trained: list[dict]) -> None:
    assert trained[0]["event"] == "started" and {"run", "path"} <= trained[0].keys()
    assert trained[-1]["event"] == "finished" and trained[-1].keys() >= FINISHED
    assert trained[-1]["metrics"].keys() >= {"accuracy", "loss"}


def test_the_lines_of_resume(trained: list[dict], runs: Path) -> None:
    first, *between, last = lines_of("resume", "one", "--runs-dir", str(runs))
    assert [line["event"] for line in between] == ["notice"]  # there is nothing to resume
    assert first["event"] == "started" and {"run", "path"} <= first.keys()
    assert last["event"] == "finished" and last.keys() >= FINISHED


def test_the_line_of_evaluate(trained: list[dict], runs: Path) -> None:
    (line,) = lines_of("evaluate", "one", "--runs-dir", str(runs))
    assert {"run", "images", "metrics"} <= line.keys()


def test_the_lines_of_predict(trained: list[dict], runs: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "black.png")
    (line,) = lines_of("predict", "one", str(tmp_path), "--runs-dir", str(runs))
    assert {"path", "label", "probability", "top"} <= line.keys()
    assert line["top"][0].keys() == {"label", "probability"}


@pytest.mark.parametrize("command", ["runs", "show"])
def test_the_lines_of_runs_and_show(command: str, trained: list[dict], runs: Path) -> None:
    (line,) = lines_of(command, *(["one"] if command == "show" else []), "--runs-dir", str(runs))
    assert {"run", "name", "status", "recipe", "metrics", "weights_sha256"} <= line.keys()
    assert line["status"] == "finished"


def test_the_lines_of_compare(trained: list[dict], runs: Path) -> None:
    assert all(
        {"run", "recipe", "metrics"} <= line.keys()
        for line in lines_of("compare", "one", trained[0]["run"], "--runs-dir", str(runs))
    )


@pytest.mark.parametrize("kind", ["optimizers", "schedules", "models", "data", "losses"])
def test_the_lines_of_list(kind: str) -> None:
    assert all("id" in line for line in lines_of("list", kind))


def test_the_line_of_an_error(tmp_path: Path) -> None:
    (line,) = lines_of("train", "--lr", "0", "--runs-dir", str(tmp_path), code=2)
    assert line["event"] == "error" and {"message", "fix"} <= line.keys()


def test_a_training_that_fails_ends_with_1(tmp_path: Path) -> None:
    words = ("train", *SHORT, "--model", "simple-fcn", "--optimizer", "sgd", "--lr", "1e38")
    *_, line = lines_of(*words, "--steps", "20", "--runs-dir", str(tmp_path), code=1)
    assert line["event"] == "error"


def test_the_words_for_a_run(trained: list[dict], runs: Path) -> None:
    run = trained[0]["run"]
    for word in (run, run[:-1], "one", "last"):
        assert lines_of("show", word, "--runs-dir", str(runs))[0]["run"] == run
    assert invoke("show", "two", "--runs-dir", str(runs)).exit_code == 2


def test_weights_sha256_is_over_names_dtypes_shapes_and_values(trained: list[dict], runs: Path) -> None:
    import hashlib

    weights = dotbogi.open_run("one", runs_dir=runs).state_dict()
    content = io.BytesIO()
    for name in sorted(weights):
        value = weights[name]
        shape = ",".join(map(str, value.shape))
        content.write(f"{name}\0{str(value.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        content.write(value.numpy().astype(value.numpy().dtype.newbyteorder("<")).tobytes())
    assert hashlib.sha256(content.getvalue()).hexdigest() == trained[-1]["weights_sha256"]


# What a start costs


@pytest.mark.parametrize(
    "code", ["import dotbogi", "from dotbogi.cli.main import program\nprogram.main(['--help'])"], ids=["import", "help"]
)
def test_a_start_loads_no_torch(code: str) -> None:
    at_exit = "lambda: print(sorted({'torch', 'numpy'} & {*sys.modules}), file=sys.stderr)"
    code = f"import atexit, sys\natexit.register({at_exit})\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stderr.strip() == "[]"

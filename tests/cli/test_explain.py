"""``dotbogi explain``: of a model that was never trained, and of a run."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from rich.cells import cell_len

import dotbogi
from dotbogi.cli.recording import what_if_changes
from dotbogi.errors import AddressError
from dotbogi.runs.run import open_run

OWN_MODEL = """
from torch import nn

class Own(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4, 3)
        self.fc = nn.Linear(4, num_classes)

    def forward(self, images):
        x = self.conv(images)  # (B, 4, 26, 26)
        for _round in range(2 if x.mean() > 0 else 3):
            x = x.relu() - .1
        return self.fc(x.mean((2, 3)))
"""


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    training = {"steps": 4, "batch_size": 8, "deterministic": True, "threads": 1, "snapshots": [0, 3]}
    dotbogi.train(dotbogi.Recipe(model="simple-cnn", training=training), runs_dir=folder, name="first")
    return folder


# A model


def test_without_an_address_modules_and_addresses_that_can_be_typed_are_listed(
    dotbogi: Callable[..., Result], lines: Callable[..., list[dict]]
) -> None:
    shown = dotbogi("explain", "simple-cnn").stdout
    assert "conv1" in shown and "112,896" in shown and "pool ×2" in shown
    commands = re.findall(r"^  dotbogi explain simple-cnn '([^']+)'$", shown, re.MULTILINE)
    (record,) = lines("explain", "simple-cnn")
    assert record["addresses"] == commands and len(commands) >= 4
    assert {row["module"] for row in record["modules"]} == {"", "conv1", "conv2", "pool", "fc"}
    for address in commands[1:4]:
        (explained,) = lines("explain", "simple-cnn", address)
        assert explained["agrees"] and explained["kind"] != "unexplained"


def test_suggestions_for_a_training_step_say_so(dotbogi: Callable[..., Result]) -> None:
    shown = dotbogi("explain", "simple-cnn", "--step", "train").stdout
    assert re.search(r"^  dotbogi explain simple-cnn loss --step train$", shown, re.MULTILINE)
    assert re.search(r"^  dotbogi explain simple-cnn 'update conv1[^']+' --step train$", shown, re.MULTILINE)


def test_a_pixel_of_a_feature_map_opens_to_its_products(lines: Callable[..., list[dict]]) -> None:
    (record,) = lines("explain", "simple-cnn", "conv1[0,3,10,12]")
    assert record["address"] == "conv1[0,3,10,12]" and record["kind"] == "sum_of_products"
    assert record["terms_in_all"] == 10 and record["agrees"]
    total = sum(term["coefficient"] * term["value"] for term in record["terms"])
    assert total == pytest.approx(record["result"], abs=1e-9)
    assert abs(record["recorded"] - record["result"]) <= record["tolerance"]
    assert {"formula", "numbers", "difference", "scale"} <= record.keys()


def test_the_same_model_and_image_give_the_same_numbers(lines: Callable[..., list[dict]]) -> None:
    first, second = (lines("explain", "simple-cnn", "logits[0,7]") for _unused in range(2))
    assert first == second
    (other,) = lines("explain", "simple-cnn", "logits[0,7]", "--image", "test:17")
    assert other["recorded"] != first[0]["recorded"]


def test_a_term_is_opened_down_to_the_pixel(dotbogi: Callable[..., Result], lines: Callable[..., list[dict]]) -> None:
    (record,) = lines("explain", "simple-cnn", "conv1[0,3,14,14]", "--expand", "2", "--top", "2")
    assert len(record["terms"]) == len(record["expanded"]) == 2 and record["rest"]["terms"] == 8
    assert record["expanded"][0]["address"].startswith("input[")
    text = dotbogi("explain", "simple-cnn", "conv1[0,3,14,14]", "--expand", "3", "--top", "2").stdout
    assert re.search(r"^│ │ ┌ pixel\[0,\d+,\d+,0\]   \d+$", text, re.MULTILINE)
    assert "a number of test:0, as it is stored" in text


@pytest.mark.parametrize("address", ["loss", "gradient conv1.weight[3,0,1,1]", "update conv1.weight[3,0,1,1]"])
def test_a_number_of_a_training_step_needs_no_option(lines: Callable[..., list[dict]], address: str) -> None:
    (record,) = lines("explain", "simple-cnn", address)
    assert record["agrees"] and record["kind"] not in ("given", "unexplained")


def test_a_regression_and_a_library_model_and_a_file_of_ones_own(
    lines: Callable[..., list[dict]], tmp_path: Path
) -> None:
    (regression,) = lines("explain", "linear-regression", "logits[0,0]")
    assert regression["agrees"] and regression["terms_in_all"] == 2
    (library,) = lines("explain", "torchvision/squeezenet1_1", "logits[0,5]", "--top", "1")
    assert library["agrees"]
    (tmp_path / "own.py").write_text(OWN_MODEL, encoding="utf-8")
    (own,) = lines("explain", f"{tmp_path / 'own.py'}:Own", "conv[0,1,5,5]")
    assert own["agrees"] and own["terms_in_all"] == 10


def test_a_photo_of_ones_own_is_explained(lines: Callable[..., list[dict]], photo: Path) -> None:
    (record,) = lines("explain", "simple-cnn", "pixel[0,3,4,0]", "--image", str(photo))
    assert record["kind"] == "given" and str(photo) in record["note"]


@pytest.fixture
def photo() -> Path:
    return Path(dotbogi.__file__).parent / "data" / "bundled" / "chelsea.jpg"


def test_korean_keeps_to_the_terminal_too(dotbogi: Callable[..., Result]) -> None:
    shown = dotbogi("explain", "simple-cnn", "conv2[0,3,5,5]", "--expand", "1", lang="ko").stdout
    assert max(map(cell_len, shown.splitlines())) <= 80


# What if


def test_a_what_if_shows_the_number_before_and_after_and_the_largest_changes(
    dotbogi: Callable[..., Result], lines: Callable[..., list[dict]]
) -> None:
    words = ("explain", "simple-cnn", "logits[0,7]", "--what-if", "conv1.bias[3]=1", "--what-if", "fc.bias[7]=5")
    (record,) = lines(*words)
    assert record["what_if"].keys() == {"conv1.bias[3]", "fc.bias[7]"}
    assert record["what_if"]["fc.bias[7]"]["after"] == 5
    assert record["change"] == record["after"] - record["before"] and record["after"] > 4
    addresses = [one["address"] for one in record["changed"]]
    assert addresses and not set(addresses) & {"conv1.bias[3]", "fc.bias[7]"}
    assert any(address.startswith("conv1[0,3,") for address in addresses)
    shown = dotbogi(*words).stdout
    assert "→" in shown and addresses[0] in shown
    assert "What follows" not in dotbogi("explain", "simple-cnn", "--what-if", "conv1.bias[3]=1").stdout


def test_a_change_of_nothing_changes_nothing(dotbogi: Callable[..., Result], lines: Callable[..., list[dict]]) -> None:
    (record,) = lines("explain", "simple-cnn", "conv1.bias[3]")
    shown = dotbogi("explain", "simple-cnn", "loss", "--what-if", f"conv1.bias[3]={record['recorded']!r}").stdout
    assert "Nothing else changes." in shown


@pytest.mark.parametrize("text", ["conv1.bias[3]", "=5", "conv1.bias[3]=five", ""])
def test_a_what_if_without_address_or_number_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match=re.escape(f"--what-if {text} has no address and number")):
        what_if_changes([text])
    assert what_if_changes(["conv1.bias[3]=-1e-3"]) == {"conv1.bias[3]": -1e-3}


# A run


def test_a_number_of_a_run_of_its_last_weights(lines: Callable[..., list[dict]], runs_dir: Path) -> None:
    run = dotbogi.open_run("first", runs_dir=runs_dir)
    (record,) = lines("explain", "last", "conv1.weight[0,0,1,1]", "--runs-dir", str(runs_dir))
    assert record["recorded"] == float(run.state_dict()["conv1.weight"][0, 0, 1, 1])


def test_an_update_of_a_run_is_what_was_stored(
    dotbogi: Callable[..., Result], lines: Callable[..., list[dict]], runs_dir: Path
) -> None:
    words = ("explain", "first", "update conv1.weight[0,0,1,1]", "--at", "3", "--runs-dir", str(runs_dir))
    (record,) = lines(*words)
    run = open_run("first", runs_dir=runs_dir)
    assert record["recorded"] == float(run.state_dict()["conv1.weight"][0, 0, 1, 1])
    assert record["replay_difference"] == 0 and record["agrees"]
    assert "exactly the stored ones" in dotbogi(*words).stdout


def test_a_parameter_of_a_run_has_a_past(lines: Callable[..., list[dict]], runs_dir: Path) -> None:
    words = ("explain", "first", "conv1.weight[0,0,1,1]", "--at", "2", "--runs-dir", str(runs_dir))
    (record,) = lines(*words, "--expand", "1")
    assert record["expanded"][0]["address"] == "update conv1.weight[0,0,1,1] @1"
    assert record["expanded"][0]["agrees"]


def test_where_a_word_could_be_both_a_run_wins(lines: Callable[..., list[dict]], tmp_path: Path) -> None:
    training = {"steps": 1, "batch_size": 4, "deterministic": True, "threads": 1}
    run = dotbogi.train(dotbogi.Recipe(model="simple-cnn", training=training), runs_dir=tmp_path, name="simple-fcn")
    (record,) = lines("explain", "simple-fcn", "conv1.bias[0]", "--runs-dir", str(tmp_path))
    assert record["recorded"] == float(run.state_dict()["conv1.bias"][0])


# Bad input


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "'nonsense' is neither a run nor a model."),
        (["simple-cnn", "conv9[0,0,0,0]"], "Did you mean conv"),
        (["simple-cnn", "conv1[0,99,0,0]"], "the tensor has the shape (1, 16, 28, 28)"),
        (["simple-cnn", "conv1[0,0"], "from the mark on"),
        (["simple-cnn", "pool[0,0,0,0]"], "pool#0 … pool#1"),
        (["simple-cnn", "conv1"], "say which of its numbers"),
        (["simple-cnn", "loss", "--step", "forward"], "This tape has no loss"),
        (["simple-cnn", "loss", "--epoch", "0"], "simple-cnn is a model that was not trained"),
        (["simple-cnn", "loss", "--epoch", "0", "--at", "3"], "--epoch and --at name two moments."),
        (["simple-cnn", "loss", "--image", "test:9999"], "There is no image test:9999."),
        (["simple-cnn", "logits[0,0]", "--image", "nothing.jpg"], "nothing.jpg cannot be read"),
        (["simple-cnn", "logits[0,0]", "--what-if", "fc.bias[0]"], "--what-if fc.bias[0] has no address and number."),
        (["simple-cnn", "logits[0,0]", "--what-if", "fc.bias[99]=1"], "the tensor has the shape (10,)"),
        (["first", "loss", "--image", "test:1"], "A run's training step has images of its own"),
        (["first", "loss", "--at", "99"], "has no step 99"),
        (["torchvision/resnet_18"], "torchvision/resnet"),
    ],
)
def test_mistakes_are_said_with_what_to_do(
    dotbogi: Callable[..., Result], runs_dir: Path, words: list[str], message: str
) -> None:
    result = dotbogi("explain", *words, "--runs-dir", str(runs_dir))
    assert result.exit_code == 2 and message in result.stderr and result.stdout == "", result.stderr
    assert len(result.stderr.splitlines()) >= 2  # what to do


def test_a_mistake_is_a_json_line_too(lines: Callable[..., list[dict]]) -> None:
    (record,) = lines("explain", "simple-cnn", "conv1[0,99,0,0]", code=2)
    assert record["event"] == "error" and "[0,15,27,27]" in record["fix"]


def test_a_file_whose_model_fails_says_where(dotbogi: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_MODEL.replace("nn.Linear(4,", "nn.Linear(5,"), encoding="utf-8")
    result = dotbogi("explain", f"{tmp_path / 'own.py'}:Own", "logits[0,0]")
    assert result.exit_code == 2 and "fc" in result.stderr and "Traceback" not in result.stderr


def test_an_explanation_that_does_not_agree_is_a_failure(
    dotbogi: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dotbogi.tape.explanation import Explanation

    monkeypatch.setattr(Explanation, "tolerance", property(lambda self: -1.0))
    result = dotbogi("explain", "simple-cnn", "conv1[0,3,10,12]")
    assert result.exit_code == 1 and "✗ DOES NOT AGREE" in result.stdout


def test_json_is_all_that_is_written(dotbogi: Callable[..., Result]) -> None:
    result = dotbogi("explain", "simple-cnn", "logits[0,0]", "--json")
    assert [json.loads(line)["address"] for line in result.stdout.splitlines()] == ["logits[0,0]"]

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from dotbogi.errors import RunError
from dotbogi.recipe import Recipe
from dotbogi.runs import report
from dotbogi.runs.report import write_figures, write_report
from dotbogi.runs.report_facts import Facts, column
from dotbogi.runs.run import Run, open_run
from dotbogi.runs.train import train

HOSTILE = "</script><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.pictures += [value or "" for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOTBOGI_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        training = {"steps": 12, "deterministic": True, "batch_size": 64}
        yield train(Recipe(data="sample", training=training), runs_dir=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(trained: Run) -> Iterator[Run]:
    """The run as opened from its folder; what a test changes of it is put back."""
    opened = open_run(trained.id, runs_dir=trained.path.parent)
    facts, metrics, recipe = opened.facts, opened.metrics, opened.recipe
    yield opened
    opened.stored.update(facts=facts, metrics=metrics, resolved=recipe)


def with_facts(run: Run, **facts: Any) -> Run:
    run.stored.update(facts={**run.facts, **facts})
    return open_run(run.id, runs_dir=run.path.parent)


def test_the_page_tells_all_of_a_run(run: Run, tmp_path: Path) -> None:
    path = write_report(run, tmp_path / "new")
    assert path == tmp_path / "new" / "report.html"
    elements = Elements(path)
    assert f"{100 * run.metrics['accuracy']:.1f} %" in elements.text
    assert run.recipe.to_toml().rstrip() in elements.text
    assert run.weights_sha256 in elements.text
    assert run.facts["versions"]["torch"] in elements.text
    assert elements.text.count('"type":"heatmap"') == 1
    for figure in ("Loss", "Accuracy", "Loss of each step", "Learning rate of each step"):
        assert f'"text":"{figure}"' in elements.text


def test_the_worst_mistakes_are_the_images_of_the_data(run: Run, tmp_path: Path) -> None:
    from dotbogi.data.open import open_dataset
    from dotbogi.figures.images import data_uri

    elements = Elements(write_report(run, tmp_path))
    test = open_dataset(run.recipe.data).test
    assert test
    mistakes = run.facts["worst_mistakes"]
    assert elements.pictures == [data_uri(test.images[mistake["index"]].numpy()) for mistake in mistakes]
    classes = run.facts["classes"]
    assert f"{classes[mistakes[0]['label']]} → {classes[mistakes[0]['prediction']]}" in elements.text


def test_data_that_are_gone_leave_the_rest(run: Run, tmp_path: Path) -> None:
    run.stored.update(resolved=run.recipe.with_values({"data.source": str(tmp_path / "gone")}))
    elements = Elements(write_report(open_run(run.id, runs_dir=run.path.parent), tmp_path))
    assert "The images are not shown: There is no folder" in elements.text
    assert elements.pictures == []
    assert "Where and with what" in elements.text


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"data_fingerprint": "0" * 64}, "have changed since the run"),
        ({"objects": ["data"]}, "were objects from Python"),
        (
            {"worst_mistakes": [{"index": 10**9, "label": 0, "prediction": 1, "probability": 0.5, "loss": 1.0}]},
            "are of other images than those of the data",
        ),
    ],
)
def test_images_that_are_not_the_runs_are_not_shown(
    run: Run, tmp_path: Path, facts: dict[str, Any], reason: str
) -> None:
    elements = Elements(write_report(with_facts(run, **facts), tmp_path))
    assert reason in elements.text
    assert elements.pictures == []


def test_nothing_in_a_run_becomes_an_element(run: Run, tmp_path: Path) -> None:
    plain = Elements(write_report(run, tmp_path)).tags
    per_class = [{**row, "name": HOSTILE} for row in run.per_class]
    versions = {"torch": HOSTILE, HOSTILE: "1"}
    hostile = with_facts(run, classes=[HOSTILE] * 10, per_class=per_class, model=HOSTILE, versions=versions)
    elements = Elements(write_report(hostile, tmp_path))
    assert elements.tags == plain
    assert all(address.startswith("data:image/png;base64,") for address in elements.pictures)
    assert HOSTILE in elements.text


@pytest.mark.parametrize("value", [7, "text", [[1, 2], [3]], [["<b>"]], [[-1]], {"cpu": []}, None])
def test_damaged_facts_are_named_and_left_out(run: Run, tmp_path: Path, value: Any) -> None:
    elements = Elements(write_report(with_facts(run, confusion=value, hardware=value), tmp_path))
    assert "Damaged in the run's folder, and left out: confusion" in elements.text
    assert '"type":"heatmap"' not in elements.text


def test_a_run_that_did_not_come_to_its_end(run: Run, tmp_path: Path) -> None:
    run.stored.update(metrics={})
    unfinished = with_facts(run, confusion=[], per_class=[], worst_mistakes=[])
    elements = Elements(write_report(unfinished, tmp_path))
    assert "This run has not been evaluated" in elements.text
    assert "Confusion matrix" not in elements.text


def test_a_regression_has_no_classes(tmp_path: Path) -> None:
    run = train(Recipe(model="linear-regression", training={"deterministic": True}), runs_dir=tmp_path)
    elements = Elements(write_report(run, tmp_path))
    assert "Measured on the 4 training images themselves" in elements.text
    assert "Confusion matrix" not in elements.text
    assert '"text":"Loss"' in elements.text
    assert '"text":"Accuracy"' not in elements.text


def test_data_from_python_are_shown_while_they_are_at_hand(tmp_path: Path) -> None:
    images = torch.randint(0, 256, (40, 3, 12, 12), dtype=torch.uint8)
    training = {"epochs": 1, "deterministic": True}
    run = train(Recipe(model="simple-cnn", training=training), data=(images, torch.arange(40) % 4), runs_dir=tmp_path)
    assert run.facts["worst_mistakes"]
    assert len(Elements(write_report(run, tmp_path)).pictures) == len(run.facts["worst_mistakes"])
    again = Elements(write_report(open_run(run.id, runs_dir=tmp_path), tmp_path))
    assert "were objects from Python" in again.text


def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match=r"cannot be written to .*report.html: .*\nChoose another folder with --output"):
        write_report(run, tmp_path / "file")


def test_figures_that_there_are(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A Chromium draws them in the tests of png_files.
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(report, "write_png_files", lambda figures, folder: drawn.update(figures) or [])
    write_figures(run, tmp_path)
    names = ["loss", "accuracy", "loss-per-step", "learning-rate", "confusion-matrix", "worst-mistakes"]
    assert list(drawn) == names
    assert len(drawn["worst-mistakes"].layout.images) == len(run.facts["worst_mistakes"])
    drawn.clear()
    write_figures(with_facts(run, data_fingerprint=""), tmp_path)
    assert list(drawn) == names[:-1]


def test_columns_hold_numbers_only() -> None:
    rows = [{"loss": 1}, {"loss": "<b>"}, {}, {"loss": 10**400}, {"loss": 0.5}]
    assert column(rows, "loss") == [1.0, None, None, None, 0.5]


def test_facts_without_anything_are_facts() -> None:
    facts, damaged = Facts.read({})
    assert damaged == []
    assert facts.class_name(3) == "3"

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from dotbogi.errors import DataError, RecipeError, RunError
from dotbogi.recipe import Recipe
from dotbogi.runs.compare import compare, flattened
from dotbogi.runs.predict import Broken, Prediction
from dotbogi.runs.run import Run, list_runs, open_run, remove_run
from dotbogi.runs.train import train

Trained = Callable[..., Run]


@pytest.fixture
def run(trained: Trained) -> Run:
    return trained({"training.epochs": 6})


@pytest.fixture
def photos(clothes, tmp_path: Path) -> Path:
    """The test images as files, in a folder per class, in the order of their numbers."""
    folder = tmp_path / "photos"
    for index, (image, label) in enumerate(zip(*clothes["test"], strict=True)):
        (folder / str(int(label))).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(folder / str(int(label)) / f"{index:03}.png")
    return folder


def test_predictions_are_those_of_the_network_itself(run: Run, clothes, photos: Path) -> None:
    images, _labels = clothes["test"]
    with torch.no_grad():
        probabilities = run.model()(images / 255).softmax(1)
    for prediction in run.predict([photos]):
        expected = probabilities[int(Path(prediction.path).stem)]
        assert prediction.label == run.preprocessing.classes[int(expected.argmax())]
        assert prediction.probability == pytest.approx(float(expected.max()), abs=1e-6)
        assert prediction.top[0] == (prediction.label, prediction.probability)
        assert len(prediction.top) == 5 and prediction.top == sorted(prediction.top, key=lambda pair: -pair[1])


def test_accuracy_of_the_predictions_is_that_of_the_evaluation(run: Run, photos: Path) -> None:
    right = [prediction.label == Path(prediction.path).parent.name for prediction in run.predict([photos])]
    assert sum(right) / len(right) == pytest.approx(run.metrics["accuracy"])
    assert run.evaluate()["metrics"] == run.metrics


def test_broken_files_come_in_their_place(run: Run, photos: Path) -> None:
    (photos / "0" / "aaa.png").write_bytes(b"no image")
    (photos / "0" / "bbb.png").write_bytes(b"")
    (photos / "0" / ".DS_Store").write_bytes(b"hidden")
    found = list(run.predict([photos / "0"]))
    broken = [result for result in found if isinstance(result, Broken)]
    assert [Path(result.path).name for result in broken] == ["aaa.png", "bbb.png"]
    assert [result.path for result in found] == sorted(result.path for result in found)
    assert any(isinstance(result, Prediction) for result in found)


def test_patterns_files_and_folders_are_understood_and_each_file_comes_once(run: Run, photos: Path) -> None:
    one = next((photos / "0").iterdir())
    found = list(run.predict([one, photos / "0", str(photos / "0" / "*.png")]))
    assert len(found) == len(list((photos / "0").iterdir())) and found[0].path == str(one)


def test_a_word_that_stands_for_no_file_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no image at .*nowhere"):
        list(run.predict([tmp_path / "nowhere" / "*.png"]))


def test_a_folder_of_photos_can_be_evaluated_on_whole(run: Run, photos: Path) -> None:
    report = run.evaluate(str(photos))
    assert report["images"] == 80
    assert report["metrics"]["accuracy"] == run.metrics["accuracy"]


def test_other_classes_are_refused(run: Run, photos: Path) -> None:
    (photos / "9").rename(photos / "nine")
    with pytest.raises(DataError, match=r"have the classes 0, 1, 2, 3, 4, 5, … \(10\), the run was trained on 0"):
        run.evaluate(str(photos))


def test_tensors_can_be_evaluated_on(run: Run, clothes) -> None:
    assert run.evaluate(clothes["test"])["metrics"] == run.metrics


def test_the_best_weights_can_be_asked_for(run: Run) -> None:
    best = run.stored.checkpoints.read_best().weights
    assert all(torch.equal(value, best[name]) for name, value in run.model("best").state_dict().items())


def test_compare_shows_only_what_differs(trained: Trained) -> None:
    first, second = trained(name="one"), trained({"training.seed": 9, "optimizer": {"name": "sgd"}})
    rows = compare([first, second])
    assert [row["run"] for row in rows] == [first.id, second.id]
    assert rows[0]["recipe"]["training.seed"] == 3 and rows[1]["recipe"]["training.seed"] == 9
    assert rows[0]["recipe"]["optimizer.name"] == "adam" and rows[1]["recipe"]["optimizer.name"] == "sgd"
    assert "training.epochs" not in rows[0]["recipe"]
    assert rows[1]["metrics"] == second.metrics


def test_flattened_joins_keys_with_dots() -> None:
    assert flattened({"a": {"b": 1, "c": {"d": [2]}}, "e": 3}) == {"a.b": 1, "a.c.d": [2], "e": 3}


def test_runs_are_listed_found_and_removed(trained: Trained, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    first, second = trained(name="one"), trained()
    assert [run.id for run in list_runs(runs_dir)] == [first.id, second.id]
    assert open_run("one", runs_dir=runs_dir).id == first.id
    assert open_run("last", runs_dir=runs_dir).id == second.id
    assert remove_run("one", runs_dir) == first.id
    assert not first.path.exists()
    with pytest.raises(RunError, match="one"):
        open_run("one", runs_dir=runs_dir)


def test_a_run_that_is_being_written_is_not_removed(run: Run, tmp_path: Path) -> None:
    with run.stored.lock(), pytest.raises(RunError, match="another process is writing it"):
        remove_run(run.id, tmp_path / "runs")
    assert run.path.exists()


def test_images_that_were_objects_from_python_must_be_given_again(run: Run, tmp_path: Path) -> None:
    reopened = open_run(run.id, runs_dir=tmp_path / "runs")
    with pytest.raises(RunError, match="was trained on objects from Python") as caught:
        reopened.evaluate()
    assert "run.evaluate((images, labels))" in caught.value.fix


def test_a_word_alone_is_one_path(run: Run, photos: Path) -> None:
    one = next((photos / "0").iterdir())
    assert [found.path for found in run.predict(one)] == [str(one)] == [found.path for found in run.predict(str(one))]


def test_less_than_one_class_cannot_be_told(run: Run, photos: Path) -> None:
    with pytest.raises(RecipeError, match="top = 0 is not possible"):
        list(run.predict(photos, top=0))


def test_other_weights_than_last_and_best_are_refused(run: Run) -> None:
    with pytest.raises(RunError, match="There are no weights 'bes'"):
        run.model("bes")


def test_a_module_of_ones_own_stays_as_it_is(trained: Trained, clothes) -> None:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    first = trained(model=module)
    trained({"training.seed": 4}, model=module)
    after = {name: value.clone() for name, value in module.state_dict().items()}
    first.evaluate(clothes["test"])
    assert first.model() is not module and first.model() is not first.model("best")
    assert all(torch.equal(value, after[name]) for name, value in module.state_dict().items())
    assert module.training


def test_an_older_checkpoint_is_said_where_the_newest_is_cut(run: Run) -> None:
    newest = max((run.path / "checkpoints").glob("last-*"))
    os.truncate(newest / "weights.safetensors", 100)
    with pytest.warns(UserWarning, match="bytes instead of|The weights of step"):
        run.model()


def test_a_database_that_was_rebuilt_is_said(run: Run, tmp_path: Path) -> None:
    for file in (tmp_path / "runs").glob("dotbogi.sqlite*"):
        file.unlink()
    (tmp_path / "runs" / "dotbogi.sqlite").write_bytes(b"garbage" * 1000)
    told: list = []
    found = list_runs(tmp_path / "runs", told.append)
    assert [one.id for one in found] == [run.id] and "dotbogi.sqlite" in told[0].text


def test_data_that_have_changed_are_not_evaluated_on(tiny: Recipe, photos: Path, tmp_path: Path) -> None:
    run = train(tiny.with_values({"data.source": str(photos)}), runs_dir=tmp_path / "runs")
    assert run.evaluate()["metrics"]["accuracy"] == run.metrics["accuracy"]
    next(photos.rglob("*.png")).unlink()
    with pytest.raises(DataError, match=r"have changed since the run .* began") as caught:
        run.evaluate()
    assert "Put the old images back" in caught.value.fix


def test_predict_takes_paths(run: Run) -> None:
    with pytest.raises(DataError, match="Paths of images are expected, not Tensor"):
        list(run.predict(torch.zeros(2, 1, 28, 28)))  # type: ignore[arg-type]

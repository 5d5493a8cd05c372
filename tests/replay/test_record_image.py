from pathlib import Path

import pytest
import torch
from PIL import Image

from dotbogi.errors import BrokenImagesError, DataError, RunError
from dotbogi.replay.image import record_image
from dotbogi.replay.replay import replay
from dotbogi.runs.run import open_run

from .conftest import Trained, small_net


@pytest.fixture
def photo(clothes, tmp_path: Path) -> Path:
    """A test image as a file."""
    path = tmp_path / "photo.png"
    Image.fromarray(clothes["test"][0][7, 0].numpy()).save(path)
    return path


def test_an_image_of_the_data_is_recorded_down_to_its_pixels(trained: Trained, clothes) -> None:
    run = trained(stop=5)
    tape = record_image(run, "test:7")
    images = clothes["test"][0][7:8]
    assert torch.equal(tape.names.given["pixel"].tensor(), images)
    with torch.no_grad():
        expected = run.model()(images / 255)
    assert torch.allclose(tape.names.given["logits"].tensor(), expected, rtol=1e-5, atol=1e-6)
    pixel = tape.explain("pixel[0,14,9,0]")
    assert pixel.recorded == float(images[0, 0, 14, 9])
    assert pixel.arithmetic.note == "a number of test:7, as it is stored"
    (divided,) = (term for term in tape.explain("input[0,0,14,9]").terms if "value" not in term.address)
    assert "pixel[0,14,9,0]" in [term.address for term in tape.explain(divided.address).terms]


def test_a_file_is_prepared_as_for_a_prediction(trained: Trained, photo: Path) -> None:
    run = trained(stop=4)
    tape = record_image(run, str(photo))
    (prediction,) = run.predict(str(photo), top=1)
    probabilities = tape.names.given["logits"].tensor().softmax(1)[0]
    assert run.preprocessing.classes[int(probabilities.argmax())] == prediction.label
    assert float(probabilities.max()) == pytest.approx(prediction.probability, abs=1e-6)
    assert tape.explain("pixel[0,1,2,0]").arithmetic.note == f"a number of {photo}, as it is stored"


def test_a_weight_of_a_forward_pass_has_a_past(trained: Trained) -> None:
    run = trained(stop=5)
    weight = record_image(run, "train:3").explain("conv1.weight[0,0,1,1]")
    (term,) = weight.terms
    assert term.address == "update conv1.weight[0,0,1,1] @4"
    (opened,) = weight.expand(1)
    assert opened.explanation.recorded == weight.recorded and opened.explanation.agrees


def test_at_another_moment_the_weights_are_those_of_then(trained: Trained) -> None:
    run = trained(stop=6)
    then = record_image(run, "test:0", step=3)
    assert then.value("conv1.weight[0,0,1,1]") == replay(run, step=3).value("conv1.weight[0,0,1,1]")
    assert then.value("logits[0,0]") != record_image(run, "test:0", epoch=0).value("logits[0,0]")


def test_evaluation_draws_nothing_and_leaves_the_module_alone(trained: Trained, clothes, tmp_path) -> None:
    model = small_net()
    run = trained(model=model, stop=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tape = record_image(run, "validation:1")
    assert not any(operation.packet.startswith("bernoulli") for operation in tape.operations)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    opened = open_run("last", runs_dir=tmp_path / "runs")
    again = record_image(opened, "validation:1", model=small_net(), data=clothes)
    assert again.value("logits[0,2]") == tape.value("logits[0,2]")


def test_a_sample_of_numbers_is_recorded(trained: Trained) -> None:
    values = {
        "model": {"name": "linear-regression"},
        "data": {"source": "line"},
        "optimizer": {"name": "sgd", "lr": 0.01},
    }
    run = trained(values | {"training.batch_size": 4}, data=None)
    tape = record_image(run, "train:2")
    (weight, bias) = (part.detach().item() for part in run.model().parameters())
    assert tape.value("logits[0,0]") == pytest.approx(weight * tape.value("input[0,0]") + bias, rel=1e-6)
    with pytest.raises(DataError, match=r"takes numbers, not images\.\nName one of its own samples"):
        record_image(run, "photo.png")


def test_images_that_are_not_there(trained: Trained, photo: Path, tmp_path: Path) -> None:
    run = trained({"data.validation": 0.0}, stop=3)
    with pytest.raises(DataError, match=r"There is no image test:16\.\nThe last one is test:15\."):
        record_image(run, "test:16")
    with pytest.raises(DataError, match=r"have no validation images\.\nThere are: train, test\."):
        record_image(run, "validation:0")
    with pytest.raises(DataError, match=r"There is no image at gone\.jpg"):
        record_image(run, "gone.jpg")
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(BrokenImagesError, match=r"broken\.png cannot be read: no image.*\nGive a whole image file"):
        record_image(run, str(tmp_path / "broken.png"))
    photo.rename(tmp_path / "other.png")
    with pytest.raises(DataError, match=r"\*\.png stands for 2 images\.\nName one of them, such as .*broken\.png"):
        record_image(run, str(tmp_path / "*.png"))


def test_changed_data_and_missing_objects_are_refused(trained: Trained, clothes, tmp_path: Path) -> None:
    run = trained(stop=3)
    images, labels = clothes["test"]
    with pytest.raises(DataError, match="have changed since the run"):
        record_image(run, "test:0", data=clothes | {"test": (images.flip(0), labels)})
    with pytest.raises(RunError, match="objects from Python: data"):
        record_image(open_run("last", runs_dir=tmp_path / "runs"), "test:0")

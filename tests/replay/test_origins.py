import re

import pytest
import torch

from dotbogi.data.objects import dataset_from_objects
from dotbogi.data.randomness import uniform
from dotbogi.replay.origins import tell_beginning
from dotbogi.replay.replay import replay
from dotbogi.runs.objects import Objects
from dotbogi.stages import BATCH
from dotbogi.store.weights import to_safetensors
from dotbogi.tape.explanation import Explanation

from .conftest import Trained


def leaves(explanation: Explanation, top: int = 12) -> list[Explanation]:
    """The given numbers that an explanation comes down to."""
    if explanation.kind == "given":
        return [explanation]
    assert explanation.kind != "unexplained" and explanation.agrees, explanation.to_dict(top=6)
    inner = [expanded.explanation for expanded in explanation.expand(1, top)]
    return [leaf for one in inner for leaf in leaves(one, top)]


def test_a_pixel_is_the_stored_number_of_its_image(trained: Trained, clothes) -> None:
    run = trained(stop=3)
    tape = replay(run, step=2)
    train = dataset_from_objects(clothes, run.recipe.data, seed=run.recipe.training.seed).train
    for sample in (0, 7, 15):
        pixel = tape.explain(f"pixel[{sample},14,9,0]")
        image = int(re.fullmatch(r"a number of train:(\d+), as it is stored", pixel.arithmetic.note)[1])
        assert pixel.kind == "given"
        assert pixel.recorded == float(train.images[image, 0, 14, 9])
        assert tape.value(f"input[{sample},0,14,9]") == pytest.approx(pixel.recorded / 255, abs=1e-7)


def test_an_input_comes_down_to_pixel_mean_and_deviation(trained: Trained) -> None:
    tape = replay(trained({"data.normalisation": "standardise"}, stop=3), step=2)
    found = leaves(tape.explain("input[3,0,14,9]"))
    assert found[0].address == "pixel[3,14,9,0]"
    assert [one.arithmetic.note for one in found[1:]] == [
        "the mean of channel 0, data.normalisation = standardise",
        "the deviation of channel 0, data.normalisation = standardise",
    ]
    pixel, mean, deviation = (one.recorded for one in found)
    assert tape.value("input[3,0,14,9]") == pytest.approx((pixel - mean) / deviation, rel=1e-6)


@pytest.mark.parametrize(
    "augmentation",
    [{"crop": 2, "flip": "random", "erasing": 0.5}, {"rotation": 15.0, "scale": 0.2, "flip": "alternating", "crop": 2}],
    ids=["moved", "resampled"],
)
def test_a_varied_input_comes_down_to_pixels_and_draws(trained: Trained, augmentation: dict) -> None:
    run = trained({"data.augmentation": augmentation}, stop=6)
    tape = replay(run, step=5)
    notes = [one.arithmetic.note for one in leaves(tape.explain("input[4,0,14,9]"), top=40)]
    image = next(re.search(r"train:(\d+)", note)[1] for note in notes if note.startswith("a number of"))
    drawn = [note for note in notes if "drawn by the key" in note]
    assert all(f"(seed 3, epoch 1, image {image})" in note for note in drawn)
    assert drawn or "erasing" not in augmentation


def test_drawn_numbers_are_those_of_their_key(trained: Trained) -> None:
    run = trained({"data.augmentation": {"crop": 2, "flip": "random"}}, stop=6)
    tape = replay(run, step=5)
    notes = {
        tape.origins[value.id]((sample,))
        for operation in tape.operations
        if operation.stage is BATCH and operation.packet == "index_select"
        for value in operation.inputs
        if value.id in tape.origins and value.shape == (16,)
        for sample in range(16)
    }
    assert len(notes) == 16
    for note in notes:
        image, flip, down, right = re.search(
            r"image (\d+)\): flip = (\w+); down, right = \[(-?\d), (-?\d)\]", note
        ).groups()
        expected = uniform(3, 1, torch.tensor([int(image)]), "augmentation", 3)[0]
        assert (flip == "True") == bool(expected[0] < 0.5)
        assert [int(down), int(right)] == [int(number * 5) - 2 for number in expected[1:].tolist()]


def test_a_label_is_that_of_its_image(trained: Trained, clothes) -> None:
    run = trained(stop=3)
    tape = replay(run, step=2)
    train = dataset_from_objects(clothes, run.recipe.data, seed=run.recipe.training.seed).train
    (labels,) = (
        value
        for operation in tape.operations
        if operation.packet == "nll_loss_forward"
        for value in operation.inputs
        if value.dtype == torch.int64
    )
    explanation = tape.explain(labels, (5,))
    image = int(re.fullmatch(r"the label of train:(\d+)", explanation.arithmetic.note)[1])
    assert explanation.recorded == float(train.labels[image])


def test_a_file_is_named_where_there_is_one(trained: Trained, tmp_path, clothes) -> None:
    from PIL import Image

    for index, (image, label) in enumerate(zip(*clothes["train"], strict=True)):
        folder = tmp_path / "photos" / str(int(label) % 2)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(folder / f"{index:03}.png")
    values = {"data": {"source": str(tmp_path / "photos"), "image_size": [28, 28], "channels": 1}}
    run = trained(values, data=None, stop=2)
    tape = replay(run, step=1)
    assert tape.replay_difference == 0.0
    note = tape.explain("pixel[0,14,14,0]").arithmetic.note
    path = re.search(r"train:\d+ \((.*\.png)\)", note)[1]
    with Image.open(path) as photo:
        assert photo.getpixel((14, 14)) == tape.value("pixel[0,14,14,0]")
    Image.new("L", (28, 28), 9).save(path)
    with pytest.raises(Exception, match="have changed since the run"):
        replay(run, step=1)


def test_weights_from_a_file_are_said_and_not_read_again(trained: Trained, tmp_path) -> None:
    file = tmp_path / "start.safetensors"
    file.write_bytes(to_safetensors(trained(stop=2).state_dict()))
    run = trained({"model.weights": str(file)}, stop=3)
    file.unlink()
    tape = replay(run, step=0)
    assert tape.replay_difference == 0.0
    assert tape.explain("conv1.weight[0,0,1,1]").arithmetic.note == f"an initial weight, from {file}"


def test_published_weights_are_said(trained: Trained) -> None:
    run = trained({"training.snapshots": [0]}, stop=2)
    tape = replay(run, step=0)
    recipe = run.recipe.with_values({"model.name": "torchvision/resnet18", "model.pretrained": True})
    run.stored._record = run.stored._record.model_copy(update={"resolved": recipe.to_dict()})
    tape.origins.clear()
    tell_beginning(tape, run, Objects(), 0)
    assert tape.explain("conv1.weight[0,0,1,1]").arithmetic.note == "an initial weight, of the published weights"

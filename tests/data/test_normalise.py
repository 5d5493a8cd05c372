import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

import dotbogi.data.normalise as normalise
from dotbogi.data.dataset import Split
from dotbogi.data.normalise import Normalisation, Preprocessing, normalisation_for, standardisation
from dotbogi.errors import DataError

CAT = Path(normalise.__file__).parent / "bundled" / "chelsea.jpg"


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    with Image.open(CAT) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].contiguous()  # (1, 3, H, W)


@pytest.mark.parametrize(("name", "mean", "deviation"), [("unit", 0, 255), ("symmetric", 127.5, 127.5), ("none", 0, 1)])
def test_fixed_normalisations_are_the_same_in_each_channel(
    photo: torch.Tensor, name: str, mean: float, deviation: float
):
    expected = Normalisation((float(mean),) * 3, (float(deviation),) * 3)
    assert normalisation_for(name, Split(photo, torch.zeros(1).long())) == expected


def test_symmetric_takes_0_and_255_to_minus_one_and_one():
    normalisation = normalisation_for("symmetric", Split(torch.zeros(1, 1, 2, 2).byte(), torch.zeros(1).long()))
    ends = (torch.tensor([0.0, 255.0]) - normalisation.mean[0]) / normalisation.deviation[0]
    assert ends.tolist() == [-1, 1]


def test_standardise_is_the_photos_mean_and_deviation_per_channel(photo: torch.Tensor):
    found = normalisation_for("standardise", Split(photo, torch.zeros(1).long()))
    pixels = photo[0].numpy().reshape(3, -1).astype(np.float64)
    assert found.mean == pytest.approx(pixels.mean(axis=1).tolist(), rel=1e-12)
    assert found.deviation == pytest.approx(pixels.std(axis=1).tolist(), rel=1e-12)


@given(st.integers(1, 7), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
def test_standardised_images_have_mean_0_and_deviation_1(n: int, channels: int, height: int, width: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=generator)
    found = standardisation(images)
    mean, deviation = (torch.tensor(values, dtype=torch.float64) for values in (found.mean, found.deviation))
    scaled = ((images - mean.view(-1, 1, 1)) / deviation.view(-1, 1, 1)).transpose(0, 1).flatten(1)  # (C, N·H·W)
    assert scaled.mean(dim=1).abs().max().item() < 1e-12
    varies = scaled.amax(dim=1) > scaled.amin(dim=1)
    assert torch.allclose(scaled.var(dim=1, correction=0), varies.double(), atol=1e-12)


def test_standardise_counts_in_chunks(photo: torch.Tensor, monkeypatch: pytest.MonkeyPatch):
    tiles = photo[:, :, :280, :400].reshape(1, 3, 10, 28, 400).transpose(1, 2)[0].contiguous()  # (10, 3, 28, 400)
    whole = standardisation(tiles)
    monkeypatch.setattr(normalise, "CHUNK_BYTES", 3 * tiles[0].numel())  # chunks of 3, 3, 3 and 1
    assert standardisation(tiles) == whole
    monkeypatch.setattr(normalise, "CHUNK_BYTES", 1)
    assert standardisation(tiles) == whole


def test_standardise_reads_a_memory_map(photo: torch.Tensor, tmp_path: Path):
    np.save(tmp_path / "images.npy", photo.numpy())
    mapped = torch.from_numpy(np.load(tmp_path / "images.npy", mmap_mode="r+"))
    assert standardisation(mapped) == standardisation(photo)


def test_a_channel_that_never_varies_is_divided_by_255():
    images = torch.full((4, 2, 3, 3), 9, dtype=torch.uint8)
    images[0, 1, 0, 0] = 200
    found = standardisation(images)
    assert found.mean[0] == 9 and found.deviation[0] == 255
    assert found.deviation[1] == pytest.approx(images[:, 1].double().std(correction=0).item())


@pytest.mark.parametrize("name", ["unit", "standardise", "symmetric", "none"])
def test_the_numbers_of_a_regression_are_left_as_they_are(name: str):
    split = Split(torch.tensor([[1.0], [2.0]]), torch.tensor([[2.0], [4.0]]))
    assert normalisation_for(name, split) == Normalisation((0.0,), (1.0,))


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [
        ((0.0,), (0.0,), "greater than 0"),
        ((0.0,), (float("inf"),), "finite number"),
        ((float("nan"),), (1.0,), "finite number"),
        ((0.0, 1.0), (1.0,), "2 means but 1 deviations"),
    ],
)
def test_a_normalisation_that_cannot_divide_is_refused(
    mean: tuple[float, ...], deviation: tuple[float, ...], text: str
):
    with pytest.raises(ValidationError, match=text):
        Normalisation(mean, deviation)


@given(
    st.lists(st.text(), max_size=4),
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6, exclude_min=True)), min_size=1, max_size=4),
    st.tuples(st.integers(1, 512), st.integers(1, 512)),
    st.sampled_from(["crop", "pad", "squash"]),
)
def test_preprocessing_survives_json(
    classes: list[str], moments: list[tuple[float, float]], size: tuple[int, int], fit: Any
):
    mean, deviation = zip(*moments, strict=True)
    before = Preprocessing(tuple(classes), len(mean), size, fit, Normalisation(mean, deviation))
    assert Preprocessing.from_dict(json.loads(json.dumps(before.to_dict()))) == before


SOUND = {
    "classes": ["cat", "dog"],
    "channels": 1,
    "image_size": [28, 28],
    "fit": "crop",
    "normalisation": {"mean": [0.0], "deviation": [255.0]},
}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"channels": "1"}, "channels: .*integer"),
        ({"channels": 2}, "2 channels but 1 means"),
        ({"classes": [1, 2]}, "classes.0: .*string"),
        ({"classes": None}, "classes: .*tuple|classes: .*array"),
        ({"fit": "stretch"}, "fit: .*'crop', 'pad' or 'squash'"),
        ({"image_size": [28]}, "image_size"),
        ({"image_size": [28, 10**9]}, "image_size.1: .*16384"),
        ({"image_size": [0, 28]}, "image_size.0: .*greater than or equal to 1"),
        ({"image_size": [True, 28]}, "image_size.0: .*integer"),
        ({"normalisation": {"mean": [0.0], "deviation": [0.0]}}, "deviation.0: .*greater than 0"),
        ({"normalisation": {"mean": [float("nan")], "deviation": [1.0]}}, "mean.0: .*finite"),
        ({"normalisation": {"mean": [0.0]}}, "normalisation.deviation: .*required"),
        ({"normalisation": []}, "normalisation"),
        ({"pickle": "gASVAA"}, "pickle: "),
        ({"classes": {1, 2}}, "not JSON serializable"),
    ],
)
def test_a_hostile_description_is_refused(change: dict[str, Any], text: str):
    assert Preprocessing.from_dict(SOUND).channels == 1
    with pytest.raises(DataError, match="no description of how images were prepared") as caught:
        Preprocessing.from_dict(SOUND | change)
    caught.match(text)


@pytest.mark.parametrize("values", [[], "crop", None, 3])
def test_a_description_of_another_shape_is_refused(values: Any):
    with pytest.raises(DataError, match="no description of how images were prepared"):
        Preprocessing.from_dict(values)


def test_a_description_nested_without_end_is_refused():
    nested: list[Any] = []
    nested.append(nested)
    with pytest.raises(DataError, match="Circular reference"):
        Preprocessing.from_dict(SOUND | {"classes": nested})

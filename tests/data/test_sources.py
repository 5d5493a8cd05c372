import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dotbogi.data.bundled import PHOTO, SAMPLE
from dotbogi.data.files import SYSTEM_FOLDERS, find_files
from dotbogi.data.idx import NAMES
from dotbogi.data.open import open_dataset
from dotbogi.data.source import Request, SourceEntry, silent
from dotbogi.data.sources import fashion_mnist, kmnist, mnist
from dotbogi.errors import DataError
from dotbogi.recipe import Data
from dotbogi.registry import SOURCES

IDS = ["cifar10", "cifar100", "fashion-mnist", "kmnist", "lecture-image", "line", "mnist", "sample"]


@pytest.fixture(autouse=True)
def no_other_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Only the test's own folders exist: nothing of the machine's is found, and nothing is reached."""
    monkeypatch.setattr("dotbogi.data.files.SYSTEM_FOLDERS", ())
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def copy_sample(folder: Path, unpacked: bool = False) -> None:
    folder.mkdir(parents=True)
    for name in NAMES:
        if unpacked:
            (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress((SAMPLE / name).read_bytes()))
        else:
            shutil.copy(SAMPLE / name, folder / name)


@pytest.mark.parametrize("name", SOURCES.names())
def test_every_entry_says_what_it_is(name: str):
    entry = SOURCES.load(name)
    assert isinstance(entry, SourceEntry)
    assert entry.title
    assert entry.description
    assert entry.licence


def test_the_ids():
    assert set(IDS) <= set(SOURCES.names())


def test_listing_needs_no_torch():
    script = (
        "import sys; from dotbogi.registry import SOURCES; [SOURCES.load(name) for name in SOURCES.names()]; "
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"


def test_the_sample_is_balanced_and_has_the_names_of_the_clothes():
    dataset = open_dataset(Data(source="sample", validation=0.0))
    assert dataset.test is not None
    assert dataset.train.images.shape == (10_000, 1, 28, 28)
    assert dataset.test.images.shape == (2000, 1, 28, 28)
    assert dataset.train.labels.bincount().tolist() == [1000] * 10
    assert dataset.test.labels.bincount().tolist() == [200] * 10
    assert dataset.classes[0] == "T-shirt/top"
    assert dataset.classes[9] == "Ankle boot"
    assert not dataset.notices


def test_what_is_bundled_is_small_and_its_licence_lies_beside_it():
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 8_000_000
    assert "Zalando SE" in (SAMPLE / "LICENSE").read_text(encoding="utf-8")
    assert PHOTO.stat().st_size < 300_000
    assert "CC0" in (PHOTO.parent / "CREDITS.md").read_text(encoding="utf-8")


def test_the_line_is_y_2x():
    dataset = open_dataset(Data(source="line"))
    assert dataset.train.images.dtype.is_floating_point
    assert dataset.train.images.tolist() == [[1.0], [2.0], [3.0], [4.0]]
    assert dataset.train.labels.tolist() == [[2.0], [4.0], [6.0], [8.0]]
    assert (dataset.is_classification, dataset.classes, dataset.validation, dataset.test) == (False, (), None, None)
    assert (dataset.channels, dataset.image_size) == (1, (1, 1))


def test_the_lectures_image():
    dataset = open_dataset(Data(source="lecture-image"))
    assert dataset.train.images.shape == (1, 3, 4, 4)
    assert dataset.train.images[0, :, 0, 0].tolist() == [148, 63, 211]  # img[0][0] of the lecture
    assert dataset.train.images[0, :, 0, 2].tolist() == [232, 46, 26]
    assert (dataset.train.labels.tolist(), len(dataset.classes)) == ([2], 3)
    assert dataset.validation is None
    assert dataset.test is None


@pytest.mark.parametrize("source", [fashion_mnist, mnist, kmnist])
@pytest.mark.parametrize("unpacked", [False, True])
def test_torchvisions_folder_is_found(source: object, unpacked: bool, tmp_path: Path):
    publication = source.PUBLICATION  # type: ignore[attr-defined]
    copy_sample(tmp_path / "data" / publication.folders[0], unpacked)
    dataset = open_dataset(Data(source=publication.name, data_dir=str(tmp_path / "data")))
    assert dataset.name == publication.name
    assert len(dataset.classes) == 10


@pytest.mark.parametrize(
    "place",
    [
        "given",
        "given/fashion-mnist",
        "here/data/FashionMNIST/raw",
        "home/data/FashionMNIST",
        "cache/downloads/fashion-mnist",
    ],
)
def test_the_places_that_are_looked_into(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOTBOGI_CACHE_DIR", str(tmp_path / "cache"))
    copy_sample(tmp_path / place)
    (tmp_path / "given").mkdir(exist_ok=True)
    found = find_files(fashion_mnist.PUBLICATION, Request(tmp_path / "given", silent))
    assert [path.resolve() for path in found] == [tmp_path / place / name for name in NAMES]


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (bytes(1999), r"mnist has 2000 test images but 1999 labels"),
        (bytes(1999) + b"\x0a", r"mnist has labels in 0…10; its 10 classes are counted from 0 to 9"),
    ],
)
def test_files_that_do_not_go_together_are_refused(labels: bytes, text: str, tmp_path: Path):
    copy_sample(tmp_path / "given")
    header = b"\0\0\x08\x01" + len(labels).to_bytes(4, "big")
    (tmp_path / "given" / NAMES[3]).write_bytes(header + labels)
    with pytest.raises(DataError, match=text):
        open_dataset(Data(source="mnist", data_dir=str(tmp_path / "given")))


def test_a_data_dir_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"There is no folder .*gone to look for mnist in"):
        open_dataset(Data(source="mnist", data_dir=str(tmp_path / "gone")))


@pytest.mark.skipif(not Path(SYSTEM_FOLDERS[0], "fashion-mnist").is_dir(), reason="Debian's package is not installed")
def test_the_systems_fashion_mnist_has_the_published_checksums_and_begins_with_the_sample(
    monkeypatch: pytest.MonkeyPatch,
):
    import hashlib

    monkeypatch.setattr("dotbogi.data.files.SYSTEM_FOLDERS", SYSTEM_FOLDERS)
    paths = find_files(fashion_mnist.PUBLICATION, Request(None, silent))
    for path, published in zip(paths, fashion_mnist.PUBLICATION.files, strict=True):
        assert path.name == published.name
    labels = gzip.decompress(paths[3].read_bytes())[8:]
    full = open_dataset(Data(source="fashion-mnist", validation=0.0))
    sample = open_dataset(Data(source="sample", validation=0.0))
    assert full.test is not None
    assert sample.test is not None
    assert hashlib.sha256(labels).digest() == hashlib.sha256(full.test.labels.numpy().astype(np.uint8)).digest()
    first = [(full.test.labels == label).nonzero()[:200, 0] for label in range(10)]
    rows = np.sort(np.concatenate(first))
    assert np.array_equal(full.test.images[rows], sample.test.images)

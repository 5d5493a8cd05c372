import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from dotbogi.data.open import open_dataset
from dotbogi.data.sources.cifar10 import PUBLICATION
from dotbogi.errors import DataError
from dotbogi.recipe import Data

NAMES = ["airplane", "automobile"]
PER_BATCH = 4


def word(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode("ascii")  # SHORT_BINSTRING, as Python 2 wrote it


def batch_of_python_2(pixels: np.ndarray, labels: list[int]) -> bytes:
    """The instructions of the published files (protocol 2, Python 2's strings), but for the number of images."""
    numbers = b"]" + b"(" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    content = pixels.tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
        b"(K\x01K" + bytes([len(labels)]) + b"M\x00\x0c\x86cnumpy\ndtype\n(U\x02u1K\x00K\x01tR"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + struct.pack("<i", len(content)) + content + b"tb"
    )
    names = b"](" + word("a.png") + word("b.png") + b"e"
    keys = word("batch_label") + word("training batch 1 of 5") + word("labels") + numbers
    return b"\x80\x02}(" + keys + word("data") + array + word("filenames") + names + b"u."


def batch_of_python_3(pixels: np.ndarray, labels: list[int]) -> bytes:
    return pickle.dumps({b"batch_label": b"x", b"labels": labels, b"data": pixels, b"filenames": [b"a.png"]})


@pytest.fixture(params=[batch_of_python_2, batch_of_python_3])
def files(request: pytest.FixtureRequest) -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (6, PER_BATCH, 3072), np.uint8)
    batches = [request.param(batch, [index % 2] * PER_BATCH) for index, batch in enumerate(pixels)]
    meta = pickle.dumps({"label_names": NAMES, "num_vis": 3072, "num_cases_per_batch": PER_BATCH}, protocol=2)
    return dict(zip(PUBLICATION.contents, [*batches, meta], strict=True))


def write(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def is_whole(data_dir: Path) -> bool:
    dataset = open_dataset(Data(source="cifar10", data_dir=str(data_dir), validation=0.0))
    pixels = np.random.default_rng(0).integers(0, 256, (6, PER_BATCH, 3072), np.uint8)
    assert dataset.test is not None
    return (
        dataset.classes == tuple(NAMES)
        and np.array_equal(dataset.train.images.numpy(), pixels[:5].reshape(-1, 3, 32, 32))
        and np.array_equal(dataset.test.images.numpy(), pixels[5].reshape(-1, 3, 32, 32))
        and dataset.train.labels.tolist() == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4 + [0] * 4
    )


def test_torchvisions_folder_is_read(files: dict[str, bytes], tmp_path: Path):
    write(files, tmp_path / "cifar-10-batches-py")
    assert is_whole(tmp_path)
    assert is_whole(tmp_path / "cifar-10-batches-py")


def test_the_archive_is_read_without_unpacking_it(files: dict[str, bytes], tmp_path: Path):
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert is_whole(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-python.tar.gz"]


def test_cifar100_takes_the_fine_labels(tmp_path: Path):
    pixels = np.zeros((3, 3072), np.uint8)
    batch = pickle.dumps({"fine_labels": [1, 2, 0], "coarse_labels": [7, 7, 7], "data": pixels, "filenames": ["fish"]})
    meta = pickle.dumps({"coarse_label_names": ["sea"], "fine_label_names": ["cod", "eel", "ray"]})
    write({"train": batch, "test": batch, "meta": meta}, tmp_path / "cifar-100-python")
    dataset = open_dataset(Data(source="cifar100", data_dir=str(tmp_path), validation=0.0))
    assert (dataset.classes, dataset.train.labels.tolist()) == (("cod", "eel", "ray"), [1, 2, 0])


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (Path.write_text, (Path("executed.txt"), "!"))


def test_a_pickle_is_never_executed(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    evil = files | {"data_batch_1": pickle.dumps({"data": Evil(), "labels": [1]})}
    write(evil, tmp_path / "cifar-10-batches-py")
    with pytest.raises(DataError, match=r"data_batch_1 is damaged: \d+ pixels for 1 labels"):
        open_dataset(Data(source="cifar10", data_dir=str(tmp_path)))
    assert not (tmp_path / "executed.txt").exists()


def test_damaged_files_are_named(files: dict[str, bytes], tmp_path: Path):
    write(files | {"test_batch": files["test_batch"][:99]}, tmp_path / "cifar-10-batches-py")
    with pytest.raises(DataError, match=r"is damaged"):
        open_dataset(Data(source="cifar10", data_dir=str(tmp_path)))


def test_a_damaged_archive_is_named(tmp_path: Path):
    archive = tmp_path / "cifar-10-python.tar.gz"
    archive.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"cifar-10-python.tar.gz is damaged"):
        open_dataset(Data(source="cifar10", data_dir=str(tmp_path)))
    with tarfile.open(archive, "w:gz"):
        pass
    with pytest.raises(DataError, match=r"it lacks data_batch_1, "):
        open_dataset(Data(source="cifar10", data_dir=str(tmp_path)))

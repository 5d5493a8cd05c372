import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from dotbogi.data.cache import Entry, ImagesWriter, cache_folder, cached, fingerprint_of
from dotbogi.errors import DataError

IMAGES = np.arange(5 * 3 * 4 * 6, dtype=np.uint8).reshape(5, 3, 4, 6)
LABELS = np.array([0, 1, 0, 1, 1])
FACTS = {"classes": ["cat", "dog"], "counts": {"train": 5}}


def build(file: BinaryIO) -> tuple[ImagesWriter, Any, dict[str, Any]]:
    writer = ImagesWriter(file, (3, 4, 6), 0)
    for start in range(0, 5, 2):
        writer.append(IMAGES[start : start + 2])
    return writer, LABELS, FACTS


def never(file: BinaryIO) -> Any:
    raise AssertionError("it is in the cache")


def is_whole(entry: Entry) -> bool:
    return (
        np.array_equal(entry.images, IMAGES)
        and np.array_equal(entry.labels, LABELS)
        and entry.facts == FACTS
        and entry.fingerprint == fingerprint_of(IMAGES, LABELS, ["cat", "dog"], {"train": 5})
    )


def test_an_entry_is_built_once(cache: Path):
    assert is_whole(cached("slot", "a", build))
    assert is_whole(cached("slot", "a", never))
    assert sorted(path.name for path in (cache / "images" / "slot-a").iterdir()) == [
        "entry.json", "images.npy", "labels.npy",
    ]  # fmt: skip


def test_numpy_reads_the_images(cache: Path):
    cached("slot", "a", build)
    assert np.array_equal(np.load(cache / "images" / "slot-a" / "images.npy"), IMAGES)


def test_writing_to_the_images_changes_nothing_on_disk():
    cached("slot", "a", build).images[:] = 0
    assert is_whole(cached("slot", "a", never))


def test_another_stamp_takes_the_place_of_the_older(cache: Path):
    cached("slot", "a", build)
    cached("other", "a", build)
    cached("slot", "b", build)
    names = {path.name for path in (cache / "images").iterdir() if path.is_dir()}
    assert names == {"slot-b", "other-a"}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def other_labels(path: Path) -> None:
    np.save(path, LABELS[::-1])


def other_shape(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"(5, 3, 4, 6)", b"(5, 3, 6, 4)"))


def without_key(path: Path) -> None:
    path.write_text(json.dumps({"layout": 1}), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("images.npy", cut),
        ("images.npy", other_shape),
        ("images.npy", Path.unlink),
        ("labels.npy", cut),
        ("labels.npy", other_labels),
        ("entry.json", cut),
        ("entry.json", without_key),
    ],
)
def test_a_damaged_entry_is_made_again(cache: Path, name: str, damage: Callable[[Path], None]):
    cached("slot", "a", build)
    damage(cache / "images" / "slot-a" / name)
    assert is_whole(cached("slot", "a", build))
    assert is_whole(cached("slot", "a", never))


def test_what_a_killed_process_left_is_removed(cache: Path):
    (cache / "images" / "slot.partial").mkdir(parents=True)
    (cache / "images" / "slot.partial" / "images.npy").write_bytes(b"half")
    assert is_whole(cached("slot", "a", build))
    assert not (cache / "images" / "slot.partial").exists()


def test_an_error_while_building_leaves_nothing(cache: Path):
    def fail(file: BinaryIO) -> Any:
        file.write(b"something")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached("slot", "a", fail)
    assert [path.name for path in (cache / "images").iterdir() if path.is_dir()] == []


@pytest.mark.skipif(os.name == "nt", reason="no such limit on Windows")
def test_a_full_disk_is_said_and_leaves_nothing_half_written(cache: Path):
    import resource

    def large(file: BinaryIO) -> Any:
        writer = ImagesWriter(file, (1, 1000, 1000), 0)
        writer.append(np.zeros((2, 1, 1000, 1000), np.uint8))
        return writer, LABELS[:2], FACTS

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(DataError, match=r"cache folder .* cannot be written: File too large") as caught:
            cached("slot", "a", large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "DOTBOGI_CACHE_DIR" in caught.value.fix
    assert [path.name for path in (cache / "images").iterdir() if path.is_dir()] == []


def test_a_cache_folder_that_is_a_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DOTBOGI_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cache folder .* cannot be written"):
        cached("slot", "a", build)


def test_the_fingerprint_depends_on_pixels_labels_classes_and_splits():
    images, labels, classes, counts = IMAGES, LABELS, ("cat", "dog"), {"train": 5}
    prints = {
        fingerprint_of(images, labels, classes, counts),
        fingerprint_of(255 - images, labels, classes, counts),
        fingerprint_of(images.reshape(5, 3, 6, 4), labels, classes, counts),
        fingerprint_of(images, 1 - labels, classes, counts),
        fingerprint_of(images, labels, ("cat", "cow"), counts),
        fingerprint_of(images, labels, classes, {"train": 4, "test": 1}),
    }
    assert len(prints) == 6


def test_the_fingerprint_stays_the_same_from_version_to_version():
    expected = "d26fc31d4be81c7ccaeb861acb9911ace787627983030d8a2f0eda2ed02f20c6"
    assert fingerprint_of(IMAGES, LABELS, ("cat", "dog"), {"train": 5}) == expected


def test_the_folder_is_the_users_own_where_none_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOTBOGI_CACHE_DIR", "")
    assert cache_folder().name in ("dotbogi", "Cache")


def test_two_processes_make_an_entry_once(cache: Path):
    script = """
import sys, numpy as np, pathlib
from dotbogi.data.cache import ImagesWriter, cached
def build(file):
    with open(sys.argv[1], "a") as log: log.write("built\\n")
    writer = ImagesWriter(file, (1, 300, 300), 0)
    for part in range(50): writer.append(np.full((1, 1, 300, 300), part, np.uint8))
    return writer, np.arange(50), {"classes": [], "counts": {}}
print(int(cached("slot", "a", build).images.sum()))
"""
    log = cache / "log.txt"
    command = [sys.executable, "-c", script, str(log)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _process in range(2)]
    sums = {process.communicate()[0].strip() for process in both}
    assert sums == {str(sum(range(50)) * 300 * 300)}
    assert log.read_text(encoding="utf-8") == "built\n"

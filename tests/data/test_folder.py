import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from dotbogi.data.folder import list_folder
from dotbogi.errors import DataError

WriteFolder = Callable[..., Path]


def test_each_subfolder_is_a_class(write_folder: WriteFolder):
    root = write_folder(dog=3, cat=2)
    (root / "cat" / "kittens").mkdir()
    (root / "cat" / "kittens" / "a.png").write_bytes(b"x")
    listing = list_folder(root)
    files = listing.splits["train"]
    assert listing.classes == ("cat", "dog")
    assert [str(Path(path).relative_to(root).as_posix()) for path in files.paths] == [
        "cat/000.png", "cat/001.png", "cat/kittens/a.png", "dog/000.png", "dog/001.png", "dog/002.png",
    ]  # fmt: skip
    assert files.labels == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_train_and_test_folders_are_splits(write_folder: WriteFolder, tmp_path: Path, validation: str):
    for split, images in (("train", 3), ("test", 1), (validation, 2)):
        write_folder(tmp_path / "photos" / split, cat=images, dog=images)
    listing = list_folder(tmp_path / "photos")
    counts = {name: len(files.paths) for name, files in listing.splits.items()}
    assert counts == {"train": 6, "validation": 4, "test": 2}


def test_a_class_may_be_called_test(write_folder: WriteFolder):
    assert list_folder(write_folder(test=1, train=1)).classes == ("test", "train")


def test_hidden_files_are_ignored(write_folder: WriteFolder):
    root = write_folder(cat=1, dog=1)
    plain = list_folder(root)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (root / "cat" / name).write_bytes(b"x")
        (root / name).write_bytes(b"x")
    for name in ("__MACOSX", ".git"):
        (root / name).mkdir()
        (root / name / "a.png").write_bytes(b"x")
    (root / "README.txt").write_text("not in a class folder", encoding="utf-8")
    assert list_folder(root) == plain


def test_the_stamp_follows_every_change(write_folder: WriteFolder):
    root = write_folder(cat=2, dog=2)
    first = root / "cat" / "000.png"
    stamps = [list_folder(root).stamp]
    os.utime(first, ns=(1, 1))
    stamps.append(list_folder(root).stamp)
    first.write_bytes(first.read_bytes() + b"x")
    os.utime(first, ns=(1, 1))
    stamps.append(list_folder(root).stamp)
    first.rename(root / "dog" / "b.png")
    stamps.append(list_folder(root).stamp)
    assert len(set(stamps)) == 4
    assert list_folder(root).stamp == stamps[-1]


def test_names_that_macos_takes_apart_are_put_together(tmp_path: Path):
    for name in ("고양이", "강아지"):
        folder = tmp_path / unicodedata.normalize("NFD", name)
        folder.mkdir()
        (folder / "a.png").write_bytes(b"x")
    assert list_folder(tmp_path).classes == ("강아지", "고양이")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_followed_but_not_in_circles(write_folder: WriteFolder, tmp_path: Path):
    root = write_folder(cat=2, dog=1)
    (root / "cat" / "again").symlink_to(root / "cat", target_is_directory=True)
    (root / "bird").symlink_to(root / "cat", target_is_directory=True)
    (root / "dog" / "gone.png").symlink_to(tmp_path / "nowhere")
    listing = list_folder(root)
    assert listing.splits["train"].labels == [0, 0, 1, 1, 2]


def test_an_empty_class_folder_is_refused(write_folder: WriteFolder):
    root = write_folder(cat=1, dog=0)
    (root / "dog" / ".DS_Store").write_bytes(b"x")
    with pytest.raises(DataError, match=r"The class folder .*dog holds no images"):
        list_folder(root)


def test_one_class_is_refused(write_folder: WriteFolder):
    with pytest.raises(DataError, match=r"has one class only: cat"):
        list_folder(write_folder(cat=4))


def test_a_folder_without_class_folders_is_refused(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"has no class folders") as caught:
        list_folder(tmp_path)
    assert "subfolder of its own" in caught.value.fix


def test_a_class_that_is_tested_but_not_trained_on_is_refused(write_folder: WriteFolder, tmp_path: Path):
    write_folder(tmp_path / "photos" / "train", cat=1, dog=1)
    write_folder(tmp_path / "photos" / "test", cat=1, bird=1)
    with pytest.raises(DataError, match=r"test has classes that are not in .*train: bird"):
        list_folder(tmp_path / "photos")


def test_a_folder_that_is_gone_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"The folder .*gone cannot be read: No such file"):
        list_folder(tmp_path / "gone")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no such permissions on Windows")
def test_a_folder_without_permission_is_refused(write_folder: WriteFolder, tmp_path_factory: pytest.TempPathFactory):
    root = write_folder(cat=1, dog=1)
    (root / "cat").chmod(0)
    user = os.geteuid()
    try:
        if user == 0:  # root may read everything: look as someone else
            os.seteuid(65534)
        with pytest.raises(DataError, match=r"cannot be read: Permission denied"):
            list_folder(root)
    finally:
        os.seteuid(user)
        (root / "cat").chmod(0o755)

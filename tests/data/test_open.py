from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dotbogi.data import decode, prepared
from dotbogi.data.bundled import PHOTO
from dotbogi.data.open import open_dataset
from dotbogi.errors import BrokenImagesError, DataError, UnknownNameError
from dotbogi.recipe import Data

WriteFolder = Callable[..., Path]


def sizes(dataset: object) -> tuple[int, int, int]:
    return tuple(len(split) if split else 0 for split in (dataset.train, dataset.validation, dataset.test))  # type: ignore


def test_a_folder_is_split_by_class(write_folder: WriteFolder, sample_images: np.ndarray):
    root = write_folder(cat=20, dog=10)
    dataset = open_dataset(Data(source=str(root)))
    assert sizes(dataset) == (21, 3, 6)  # cat 14 + 2 + 4, dog 7 + 1 + 2
    assert dataset.classes == ("cat", "dog")
    assert (dataset.channels, dataset.image_size) == (1, (28, 28))
    assert not dataset.notices
    for split in (dataset.train, dataset.validation, dataset.test):
        for image, label, path in zip(split.images, split.labels, split.paths, strict=True):
            assert Path(path).parent.name == dataset.classes[label]
            assert np.array_equal(image[0], np.asarray(Image.open(path)))


def test_three_images_of_each_class_are_enough(write_folder: WriteFolder):
    dataset = open_dataset(Data(source=str(write_folder(cat=3, dog=3))))
    assert sizes(dataset) == (4, 0, 2)
    assert "too few images to hold any out for validation" in dataset.notices[0]


def test_two_of_each_are_too_few_for_a_test_set(write_folder: WriteFolder):
    root = str(write_folder(cat=2, dog=2))
    with pytest.raises(
        DataError, match=r"4 images of 2 classes are too few to hold any out for the test set"
    ) as caught:
        open_dataset(Data(source=root))
    assert "data.test = 0" in caught.value.fix
    assert sizes(open_dataset(Data(source=root, test=0.0, validation=0.0))) == (4, 0, 0)


def test_the_folders_own_splits_are_kept(write_folder: WriteFolder, tmp_path: Path):
    for split, images in (("train", 4), ("test", 2), ("val", 1)):
        write_folder(tmp_path / "photos" / split, cat=images, dog=images)
    dataset = open_dataset(Data(source=str(tmp_path / "photos")))
    assert sizes(dataset) == (8, 2, 4)
    assert {Path(path).parts[-3] for path in dataset.validation.paths} == {"val"}
    assert {Path(path).parts[-3] for path in dataset.test.paths} == {"test"}


def test_the_seed_decides_the_split_but_not_the_fingerprint(write_folder: WriteFolder):
    recipe = Data(source=str(write_folder(cat=20, dog=20)))
    first, same, other = (open_dataset(recipe, seed=seed) for seed in (1, 1, 2))
    assert first.train.paths == same.train.paths
    assert first.train.paths != other.train.paths
    assert first.fingerprint == other.fingerprint


def test_a_copy_elsewhere_has_the_same_fingerprint_and_a_changed_image_another(
    write_folder: WriteFolder, tmp_path: Path
):
    import shutil

    root = write_folder(cat=4, dog=4)
    shutil.copytree(root, tmp_path / "copy")
    prints = [open_dataset(Data(source=str(path))).fingerprint for path in (root, tmp_path / "copy")]
    Image.new("L", (28, 28)).save(root / "cat" / "000.png")
    prints.append(open_dataset(Data(source=str(root))).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_nothing_is_decoded_twice(write_folder: WriteFolder, monkeypatch: pytest.MonkeyPatch):
    recipe = Data(source=str(write_folder(cat=5, dog=5)))
    heard: list[tuple[str, int, int]] = []
    first = open_dataset(recipe, listener=lambda *progress: heard.append(progress))
    assert heard[-1] == ("decoding images", 10, 10)
    monkeypatch.setattr(decode, "overlapped", None)
    heard.clear()
    again = open_dataset(recipe, listener=lambda *progress: heard.append(progress))
    assert not heard
    assert np.array_equal(first.train.images, again.train.images)


def test_grey_stays_grey_and_one_coloured_image_makes_all_of_them_coloured(write_folder: WriteFolder):
    root = write_folder(cat=400, dog=400)
    assert open_dataset(Data(source=str(root))).channels == 1
    Image.open(root / "dog" / "201.png").convert("RGB").save(root / "dog" / "201.png")
    dataset = open_dataset(Data(source=str(root)))
    assert dataset.channels == 3
    assert open_dataset(Data(source=str(root), channels=1)).channels == 1
    assert open_dataset(Data(source=str(root)), wants_channels=1).channels == 1


def test_photos_train_at_a_sensible_size_or_at_what_is_asked_for(tmp_path: Path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(3):
            Image.open(PHOTO).resize((1200 + index, 900)).save(tmp_path / name / f"{index}.jpg")
    root = str(tmp_path)
    assert open_dataset(Data(source=root)).image_size == (128, 128)
    assert open_dataset(Data(source=root), wants_image_size=(40, 24)).image_size == (40, 24)
    assert open_dataset(Data(source=root, image_size=36), wants_image_size=(40, 24)).image_size == (36, 36)
    shapes = {
        fit: open_dataset(Data(source=root, image_size=36, fit=fit)).train.images for fit in ("crop", "pad", "squash")
    }
    assert shapes["pad"][0, :, 0].max() == 0
    assert not np.array_equal(shapes["crop"], shapes["squash"])


def test_a_data_set_known_by_name_takes_another_size_too():
    dataset = open_dataset(Data(source="lecture-image", image_size=[8, 6], channels=1))
    assert dataset.train.images.shape == (1, 1, 8, 6)
    larger = open_dataset(Data(source="sample"), wants_channels=3, wants_image_size=(32, 32))
    assert larger.train.images.shape == (9000, 3, 32, 32)


def test_broken_files_are_refused_with_a_list(write_folder: WriteFolder):
    root = write_folder(cat=4, dog=4)
    (root / "cat" / "notes.txt").write_text("hello", encoding="utf-8")
    (root / "dog" / "003.png").write_bytes(b"")
    with pytest.raises(BrokenImagesError, match=r"2 of 9 files are no whole images") as caught:
        open_dataset(Data(source=str(root)))
    assert "notes.txt: no image that can be read" in caught.value.message
    assert "003.png: empty, 0 bytes" in caught.value.message


def test_broken_files_can_be_skipped_and_are_counted(write_folder: WriteFolder):
    root = write_folder(cat=4, dog=4)
    (root / "dog" / "000.png").write_bytes(b"")
    recipe = Data(source=str(root), skip_broken=True)
    for dataset in (open_dataset(recipe), open_dataset(recipe)):
        assert sum(sizes(dataset)) == 7
        assert dataset.notices[0].startswith("1 file that is no whole image was left out:")
        assert "000.png: empty, 0 bytes" in dataset.notices[0]
        for split in filter(None, (dataset.train, dataset.validation, dataset.test)):
            for image, path in zip(split.images, split.paths, strict=True):
                assert np.array_equal(image[0], np.asarray(Image.open(path)))
    with pytest.raises(BrokenImagesError, match=r"1 of 8 files is no whole image"):
        open_dataset(Data(source=str(root)))


def test_a_class_of_which_nothing_is_left_is_refused(write_folder: WriteFolder):
    root = write_folder(cat=4, dog=1)
    (root / "dog" / "000.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"(?s)Of class dog no whole image is left:.*000.png: empty"):
        open_dataset(Data(source=str(root), skip_broken=True))
    (root / "cat" / "000.png").write_bytes(b"")
    for path in (root / "cat").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(BrokenImagesError, match=r"5 of 5 files"):
        open_dataset(Data(source=str(root)))


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(
        UnknownNameError, match=r"no folder .*fashion-mist, and no data set is named 'fashion-m"
    ) as caught:
        open_dataset(Data(source="fashion-mist"))
    assert caught.value.fix == "Did you mean fashion-mnist?"


def test_a_folder_with_a_plain_name_that_is_gone_is_said_with_its_path():
    with pytest.raises(UnknownNameError, match=r"There is no folder .*qqqqqq, and no data set") as caught:
        open_dataset(Data(source="qqqqqq"))
    assert "Check the path" in caught.value.fix


def test_images_that_the_disk_has_no_room_for_are_refused_before_the_work(write_folder: WriteFolder, cache: Path):
    root = write_folder(a=3, b=3)
    for source in (str(root), "sample"):
        with pytest.raises(DataError, match=r"images of [13]×999999×999999 take [\d.]+ [TP]B; .* free\.") as caught:
            open_dataset(Data(source=source, image_size=999_999))
        assert "--image-size 128" in caught.value.fix
    assert not list(cache.rglob("*.partial"))


def test_a_path_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(DataError, match=r"There is no folder .*photos") as caught:
        open_dataset(Data(source=str(tmp_path / "photos")))
    assert "sample" in caught.value.fix


def test_a_file_is_no_folder():
    with pytest.raises(DataError, match=r"chelsea.jpg is a file; a folder of images is expected"):
        open_dataset(Data(source=str(PHOTO)))


def test_data_larger_than_memory_is_gathered_on_disk(
    write_folder: WriteFolder, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = Data(source=str(write_folder(cat=30, dog=30)))
    in_memory = open_dataset(recipe)
    monkeypatch.setattr(prepared, "COPIED", 0)
    for dataset in (open_dataset(recipe), open_dataset(recipe)):
        for name in ("train", "validation", "test"):
            assert np.array_equal(getattr(dataset, name).images, getattr(in_memory, name).images)
    assert len(list((cache / "images").glob("rows-*-*"))) == 3

"""The images that all benchmarks train on, as tensors and as files."""

from functools import cache
from pathlib import Path

import torch
from PIL import Image

from dotbogi.data.dataset import Split
from dotbogi.data.open import open_dataset
from dotbogi.recipe import Data

FULL, SMALL = "fashion-mnist", "sample"
FEW_TRAINING, FEW_TEST = 640, 200


@cache
def training_and_test(quick: bool) -> tuple[Split, Split]:
    """Returns all training images and the test images, uint8 (N, 1, 28, 28); a few of them where it is to be quick."""
    dataset = open_dataset(Data(source=SMALL if quick else FULL, validation=0.0))
    assert dataset.test is not None
    if not quick:
        return dataset.train, dataset.test
    return first(dataset.train, FEW_TRAINING), first(dataset.test, FEW_TEST)


def first(split: Split, most: int) -> Split:
    """Returns the first images of a split."""
    return Split(split.images[:most], split.labels[:most])


def few_images() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Returns a few images as ``dotbogi.train`` takes them in place of a name."""
    training, test = training_and_test(quick=True)
    return {"train": (training.images, training.labels), "test": (test.images, test.labels)}


def unit_range(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns images as float32 0…1 (N, 1, 28, 28), and their labels (N,)."""
    return split.images.float() / 255, split.labels.clone()


def write_files(folder: Path, split: Split, most: int, suffix: str = ".jpg") -> list[str]:
    """Writes images as files into one folder per class.

    Args:
        folder: is made.
        split: uint8 images (N, 1, H, W).
        most: how many are written at most.
        suffix: ``.jpg`` (Pillow's default quality, 75) or ``.png``.

    Returns:
        Their paths, sorted.
    """
    for label in split.labels.unique().tolist():
        (folder / f"class-{label}").mkdir(parents=True, exist_ok=True)
    paths: list[str] = []
    images, labels = split.images[:most, 0].numpy(), split.labels[:most].tolist()  # (N, H, W)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / f"class-{label}" / f"{index:05}{suffix}"
        Image.fromarray(image).save(path)
        paths.append(str(path))
    return sorted(paths)

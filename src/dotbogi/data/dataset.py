"""A data set that is ready to be trained on: whole tensors, memory-mapped where they are large."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Images and labels that belong together.

    Args:
        images: uint8 tensor (N, C, H, W), or float tensor (N, F) for a regression; not to be written to.
        labels: int64 tensor (N,), or float tensor (N, F) for a regression.
        paths: the file that each image was decoded from, where there is one.
    """

    images: Tensor
    labels: Tensor
    paths: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Dataset:
    """Images of one size, split, with all that describes them.

    Args:
        name: of the source, or the folder's path.
        classes: names, in the order of the labels; empty for a regression.
        train, validation, test: the splits; the last two where they exist.
        fingerprint: SHA-256 over pixels, labels, classes and the splits that the source itself brings;
            the same on every machine, and independent of the seed.
        notices: what a person should know, already translated: files left out, values converted.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split | None
    test: Split | None
    fingerprint: str
    notices: tuple[str, ...] = ()

    @property
    def is_classification(self) -> bool:
        """Whether labels are classes rather than numbers."""
        return self.train.labels.dtype == torch.int64

    @property
    def channels(self) -> int:
        """C of the images; the number of features of a regression."""
        return self.train.images.shape[1]

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels; (1, 1) for a regression."""
        size = tuple(self.train.images.shape[2:])
        return (size[0], size[1]) if size else (1, 1)

    @property
    def judged_by(self) -> tuple[str, Split]:
        """The split that a training is judged by, and its name: test, else validation, else training."""
        if self.test:
            return "test", self.test
        if self.validation:
            return "validation", self.validation
        return "training", self.train

"""From images of one size to a data set with its splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dotbogi.data.cache import ImagesWriter, cached, digest, pieces
from dotbogi.data.dataset import Dataset, Split
from dotbogi.data.split import ENOUGH, hold_out
from dotbogi.errors import DataError
from dotbogi.language import _
from dotbogi.recipe import Data

COPIED = 1 << 29  # bytes of images that are gathered in memory; more are gathered on disk


@dataclass(frozen=True)
class Prepared:
    """Images of one size, before validation and test images are held out.

    Args:
        name: of the source.
        classes: in the order of the labels; empty for a regression.
        images: uint8 (N, C, H, W), or float (N, F): training, validation and test images after each other.
        labels: int64 (N,), or float (N, F).
        counts: images of ``train``, ``validation`` and ``test``, where the source brings them.
        fingerprint: over all of this.
        paths: the images' files.
        notices: what a person should know.
        held_out: whether validation and test images may be taken from the training images.
    """

    name: str
    classes: tuple[str, ...]
    images: NDArray[Any]
    labels: NDArray[Any]
    counts: dict[str, int]
    fingerprint: str
    paths: Sequence[str] | None = None
    notices: tuple[str, ...] = ()
    held_out: bool = True


def split_dataset(prepared: Prepared, recipe: Data, seed: int) -> Dataset:
    """Holds out what the source does not bring, and hands out tensors.

    Args:
        prepared: all images.
        recipe: says which fractions are held out.
        seed: of the training; the same images are held out for the same seed.

    Raises:
        DataError: there are too few images to hold any out for the test set.
    """
    rows = _own_rows(prepared.counts)
    train, notices = rows["train"], list(prepared.notices)
    labels = prepared.labels
    if prepared.held_out and "test" not in rows and recipe.test > 0:
        kept, held = hold_out(labels[train], recipe.test, seed, "test")
        if not len(held):
            raise _too_few(prepared, len(train))
        train, rows["test"] = train[kept], train[held]
    if prepared.held_out and "validation" not in rows and recipe.validation > 0:
        kept, held = hold_out(labels[train], recipe.validation, seed, "validation")
        if len(held):
            train, rows["validation"] = train[kept], train[held]
        else:
            notices.append(_("There are too few images to hold any out for validation."))
    splits = {name: _taken(prepared, chosen) for name, chosen in (rows | {"train": train}).items()}
    return Dataset(
        prepared.name,
        prepared.classes,
        splits["train"],
        splits.get("validation"),
        splits.get("test"),
        prepared.fingerprint,
        tuple(notices),
    )


def _own_rows(counts: dict[str, int]) -> dict[str, NDArray[np.int64]]:
    rows: dict[str, NDArray[np.int64]] = {}
    start = 0
    for name, count in counts.items():
        rows[name] = np.arange(start, start + count)
        start += count
    return rows


def _too_few(prepared: Prepared, images: int) -> DataError:
    return DataError(
        _("{images} images of {classes} classes are too few to hold any out for the test set.").format(
            images=images, classes=len(prepared.classes)
        ),
        fix=_("Add images, at least {enough} of a class, or train without a test set: data.test = 0.").format(
            enough=ENOUGH
        ),
    )


def _taken(prepared: Prepared, rows: NDArray[np.int64]) -> Split:
    every = prepared.paths
    paths = None if every is None else [every[int(row)] for row in rows]
    images = torch.from_numpy(_gathered(prepared, rows))
    return Split(images, torch.from_numpy(prepared.labels[rows]), paths)


def _gathered(prepared: Prepared, rows: NDArray[np.int64]) -> NDArray[Any]:
    images = prepared.images
    if rows[-1] - rows[0] + 1 == len(rows):  # they follow each other: no copy
        return images[rows[0] : rows[-1] + 1]
    if images[0].nbytes * len(rows) <= COPIED:
        return images[rows]

    def copy(file: Any) -> tuple[ImagesWriter, NDArray[np.int64], dict[str, Any]]:
        shape = images.shape[1:]
        writer = ImagesWriter(file, shape, len(rows))
        for piece in pieces(len(rows), shape):
            writer.append(images[rows[piece]])
        return writer, prepared.labels[rows], {"classes": [], "counts": {}}

    stamp = digest(prepared.fingerprint, rows.tobytes().hex())
    return cached(f"rows-{digest(prepared.name, len(rows))}", stamp, copy).images

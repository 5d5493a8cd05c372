"""Decoded images on disk: written once, whole or not at all, and memory-mapped from then on.

An entry is a folder ``<cache>/images/<slot>-<stamp>``: the slot says what was asked for (a
source, a size, …), the stamp what it was made from, so that changed files make a new entry.
"""

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from platformdirs import user_cache_path

from dotbogi.errors import DataError
from dotbogi.language import _
from dotbogi.language.wording import count, size

_PIECE = 1 << 24  # bytes
LAYOUT = 1  # of an entry; another number makes other stamps


def cache_folder() -> Path:
    """Returns ``DOTBOGI_CACHE_DIR``, or the user's cache folder."""
    given = os.environ.get("DOTBOGI_CACHE_DIR")
    return Path(given).expanduser() if given else user_cache_path("dotbogi", appauthor=False)


def digest(*parts: Any) -> str:
    """Returns 32 hexadecimal digits that stand for JSON values."""
    text = json.dumps([LAYOUT, *parts], ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


@dataclass(frozen=True)
class Entry:
    """Decoded images.

    Args:
        images: uint8 array (N, C, H, W), memory-mapped; writing to it changes nothing on disk.
        labels: int64 array (N,).
        facts: what else was stored, as JSON.
        fingerprint: see :func:`fingerprint`.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    facts: dict[str, Any]
    fingerprint: str


class ImagesWriter:
    """Writes images to a .npy file one part after another, and hashes them on the way.

    Plain writes rather than a memory map: on a full disk they raise, where a map kills the process.

    Args:
        file: the file, opened for writing, at its start.
        shape: (C, H, W) of one image.
        expected: images that are to come; their space is looked for before the work begins.

    Raises:
        DataError: the disk has no room for them.
    """

    def __init__(self, file: BinaryIO, shape: tuple[int, int, int], expected: int) -> None:
        _refuse_too_large(Path(file.name).parent, shape, expected)
        self.count = 0
        self.hash = hashlib.sha256()
        self._file = file
        self.shape = shape
        self._write_header()

    def append(self, images: NDArray[np.uint8]) -> None:
        """Adds uint8 images (n, C, H, W)."""
        piece = np.ascontiguousarray(images).data
        self._file.write(piece)
        self.hash.update(piece)
        self.count += len(images)

    def close(self) -> None:
        """Says in the header how many images there are, and waits until the disk has them."""
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write_header(self) -> None:
        # numpy leaves room in the header for the first number to grow, so its length stays the same.
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


def fingerprint(
    pixels: bytes, shape: tuple[int, ...], labels: NDArray[Any], classes: Iterable[str], counts: dict[str, int]
) -> str:
    """Returns the SHA-256 over a data set's content.

    Args:
        pixels: SHA-256 over the images' bytes in their order.
        shape: of all images.
        labels: in the images' order.
        classes: names in the labels' order.
        counts: images of each split that the source brings.
    """
    facts = json.dumps([pixels.hex(), list(shape), list(classes), counts, labels.dtype.str])
    return hashlib.sha256(facts.encode("ascii") + np.ascontiguousarray(labels).tobytes()).hexdigest()


def fingerprint_of(images: NDArray[Any], labels: NDArray[Any], classes: Iterable[str], counts: dict[str, int]) -> str:
    """Returns the :func:`fingerprint` of images in memory."""
    pixels = hashlib.sha256(np.ascontiguousarray(images).data).digest()
    return fingerprint(pixels, images.shape, labels, classes, counts)


def pieces(count: int, shape: tuple[int, int, int]) -> Iterator[slice]:
    """Yields ranges over ``count`` images of a shape, each of a few megabytes, or of one image where that is more."""
    images = max(1, _PIECE // math.prod(shape))
    for start in range(0, count, images):
        yield slice(start, start + images)


Build = Callable[[BinaryIO], tuple[ImagesWriter, NDArray[np.int64], dict[str, Any]]]
"""Writes all images to the file; returns the writer, the labels, and facts with ``classes`` and ``counts``."""


def cached(slot: str, stamp: str, build: Build) -> Entry:
    """Returns the entry, and makes it first where there is none or where it is damaged.

    Older entries of the slot are removed. Two processes that want the same entry make it once.

    Args:
        slot: what was asked for.
        stamp: what it is made from.
        build: makes it.

    Raises:
        DataError: the cache folder cannot be written, or the disk is full; nothing is left behind.
    """
    folder = cache_folder() / "images"
    entry = _read(folder / f"{slot}-{stamp}")
    if entry is not None:
        return entry
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{slot}.lock"):
            return _read(folder / f"{slot}-{stamp}") or _make(folder, slot, stamp, build)
    except OSError as error:
        raise _not_written(folder, error) from error


def _make(folder: Path, slot: str, stamp: str, build: Build) -> Entry:
    target, partial = folder / f"{slot}-{stamp}", folder / f"{slot}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        _write(partial, build)
        for older in folder.glob(f"{slot}-*"):
            shutil.rmtree(older, ignore_errors=True)  # on Windows one that is in use stays
        partial.replace(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    entry = _read(target)
    if entry is None:
        raise OSError(errno.EIO, "written, but not readable")
    return entry


def _write(folder: Path, build: Build) -> None:
    with (folder / "images.npy").open("wb") as file:
        writer, labels, facts = build(file)
        writer.close()
        size = file.seek(0, os.SEEK_END)
    np.save(folder / "labels.npy", labels)
    shape = (writer.count, *writer.shape)
    entry = {
        "layout": LAYOUT,
        "bytes": size,
        "shape": shape,
        "labels": hashlib.sha256(labels.tobytes()).hexdigest(),
        "fingerprint": fingerprint(writer.hash.digest(), shape, labels, facts["classes"], facts["counts"]),
        "facts": facts,
    }
    (folder / "entry.json").write_text(json.dumps(entry), encoding="utf-8")


def _read(folder: Path) -> Entry | None:
    # None for an entry that is not there, cut short or not ours: it is made again.
    try:
        entry = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        images: NDArray[np.uint8] = np.load(folder / "images.npy", mmap_mode="c", allow_pickle=False)
        labels: NDArray[np.int64] = np.load(folder / "labels.npy", allow_pickle=False)
        whole = (
            entry["layout"] == LAYOUT
            and (folder / "images.npy").stat().st_size == entry["bytes"]
            and (images.dtype, list(images.shape)) == (np.uint8, entry["shape"])
            and hashlib.sha256(labels.tobytes()).hexdigest() == entry["labels"]
        )
        return Entry(images, labels, entry["facts"], entry["fingerprint"]) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refuse_too_large(folder: Path, shape: tuple[int, int, int], expected: int) -> None:
    needed, free = expected * math.prod(shape), shutil.disk_usage(folder).free
    if needed > free:
        channels, height, width = shape
        raise DataError(
            _("{images} images of {channels}×{height}×{width} take {needed}; {folder} has {free} free.").format(
                images=count(expected),
                channels=channels,
                height=height,
                width=width,
                needed=size(needed),
                folder=folder.parent,
                free=size(free),
            ),
            fix=_("Train on smaller images (--image-size 128), or name another folder in DOTBOGI_CACHE_DIR."),
        )


def _not_written(folder: Path, error: OSError) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = _("Make room there, or name another folder in DOTBOGI_CACHE_DIR.")
    else:
        fix = _("Allow writing there, or name another folder in DOTBOGI_CACHE_DIR.")
    reason = error.strerror or str(error)
    return DataError(
        _("The cache folder {folder} cannot be written: {reason}.").format(folder=folder, reason=reason), fix=fix
    )

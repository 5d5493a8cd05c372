"""The images of a folder, decoded into one file."""

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dotbogi.data.cache import ImagesWriter
from dotbogi.data.chunk import Broken
from dotbogi.data.decode import broken_images_error, decode_stream, listed, probe
from dotbogi.data.folder import Listing
from dotbogi.data.image_size import Wanted, choose_image_size
from dotbogi.data.source import Listener
from dotbogi.errors import DataError
from dotbogi.language import _

_UNREADABLE = (32, 32)  # the size where no file has a readable header: all of them will be listed as broken


class _ColouredError(Exception):
    """Those looked at first are grey, but not all are."""


class FolderImages:
    """Decodes what a folder holds.

    Args:
        listing: the folder's classes and files.
        wanted: channels, size and fit.
        skip_broken: leave out files that are no whole image.
        listener: hears how many files are done.
    """

    def __init__(self, listing: Listing, wanted: Wanted, skip_broken: bool, listener: Listener) -> None:
        self.paths = [path for files in listing.splits.values() for path in files.paths]
        self._listing = listing
        self._wanted = wanted
        self._skip_broken = skip_broken
        self._listener = listener

    def write(self, file: BinaryIO) -> tuple[ImagesWriter, NDArray[np.int64], dict[str, Any]]:
        """Writes all images to a file, as :func:`~dotbogi.data.cache.cached` asks for.

        Raises:
            BrokenImagesError: some files are no whole images, and they are not to be skipped.
            DataError: without them a class has no images.
        """
        sizes, coloured = probe(self.paths)
        image_size = self._wanted.image_size or (choose_image_size(sizes) if sizes else _UNREADABLE)
        channels = self._wanted.channels or (3 if coloured else 1)
        try:
            writer, whole, broken = self._decode(file, channels, image_size)
        except _ColouredError:
            writer, whole, broken = self._decode(file, 3, image_size)
        if broken and not self._skip_broken:
            raise broken_images_error(broken, len(self.paths))
        labels, counts = self._whole(whole)
        self._check_classes(labels[: counts.get("train", 0)], broken)
        reasons = [(file.path, file.reason) for file in broken]
        return writer, labels, {"classes": self._listing.classes, "counts": counts, "broken": reasons}

    def _decode(
        self, file: BinaryIO, channels: int, image_size: tuple[int, int]
    ) -> tuple[ImagesWriter, list[int], list[Broken]]:
        file.seek(0)
        file.truncate()
        writer = ImagesWriter(file, (channels, *image_size), len(self.paths))
        whole: list[int] = []
        broken: list[Broken] = []
        for part in decode_stream(self.paths, channels=channels, image_size=image_size, fit=self._wanted.fit):
            if part.coloured and channels == 1 and self._wanted.channels is None:
                raise _ColouredError
            writer.append(part.images)
            whole += part.indices
            broken += part.broken
            self._listener(_("decoding images"), len(whole) + len(broken), len(self.paths))
        return writer, whole, broken

    def _whole(self, whole: Sequence[int]) -> tuple[NDArray[np.int64], dict[str, int]]:
        # Labels of the files that are whole, and how many of them each split has.
        splits = self._listing.splits
        labels = np.array([label for files in splits.values() for label in files.labels], np.int64)[whole]
        ends = np.cumsum([len(files.paths) for files in splits.values()])
        found = np.bincount(np.searchsorted(ends, whole, side="right"), minlength=len(splits))
        return labels, {name: int(count) for name, count in zip(splits, found, strict=True) if count}

    def _check_classes(self, labels: NDArray[np.int64], broken: list[Broken]) -> None:
        images = np.bincount(labels, minlength=len(self._listing.classes))
        for name, count in zip(self._listing.classes, images, strict=True):
            if count == 0:
                raise DataError(
                    "\n".join([_("Of class {name} no whole image is left:").format(name=name), *listed(broken)]),
                    fix=_("Add images to that class, or remove its folder."),
                )

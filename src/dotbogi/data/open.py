"""Opens the data of a recipe: a data set known by name, or a folder of images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dotbogi.data.cache import Entry, ImagesWriter, cached, digest, fingerprint_of, pieces
from dotbogi.data.chunk import Broken
from dotbogi.data.convert import convert, resolved
from dotbogi.data.dataset import Dataset
from dotbogi.data.decode import broken_images_error, listed
from dotbogi.data.folder import list_folder
from dotbogi.data.folder_images import FolderImages
from dotbogi.data.image_size import Wanted
from dotbogi.data.prepared import Prepared, split_dataset
from dotbogi.data.source import Found, Listener, Material, Request, silent
from dotbogi.errors import DataError, UnknownNameError
from dotbogi.language import _, plural
from dotbogi.recipe import Data
from dotbogi.registry import SOURCES, nearest


def open_dataset(
    recipe: Data,
    *,
    wants_channels: int | None = None,
    wants_image_size: tuple[int, int] | None = None,
    seed: int = 0,
    listener: Listener = silent,
) -> Dataset:
    """Opens a data set; decodes it first where that has not been done before.

    Args:
        recipe: ``source`` is a registered name or the path of a folder.
        wants_channels: what the model needs; None takes any.
        wants_image_size: (height, width) that the model needs; None takes any.
        seed: of the training; decides which images are held out.
        listener: hears of progress: task, done, total.

    Raises:
        UnknownNameError: no such data set, and no such folder either.
        DataError: the data cannot be trained on; see the messages.
        BrokenImagesError: some files are no whole images, and ``skip_broken`` is off.
    """
    wanted = Wanted.of(recipe, wants_channels, wants_image_size)
    if recipe.source in SOURCES.names():
        data_dir = Path(recipe.data_dir).expanduser() if recipe.data_dir else None
        found = SOURCES.load(recipe.source).load(Request(data_dir, listener))
        prepared = _prepare_source(recipe.source, found, wanted, listener)
    else:
        prepared = _prepare_folder(_folder(recipe.source), wanted, recipe.skip_broken, listener)
    return split_dataset(prepared, recipe, seed)


def _folder(source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise DataError(
            _("{path} is a file; a folder of images is expected.").format(path=path),
            fix=_("Name a folder with one subfolder per class."),
        )
    known = SOURCES.names()
    if any(mark in source for mark in "/\\.~"):
        raise DataError(
            _("There is no folder {path}.").format(path=path.absolute()),
            fix=_("Check the path, or take a data set by name: {names}.").format(names=", ".join(known)),
        )
    close = nearest(source, known)
    raise UnknownNameError(
        _("There is no folder {path}, and no data set is named {name}.").format(
            path=path.absolute(), name=repr(source)
        ),
        fix=_("Did you mean {names}?").format(names=", ".join(close))
        if close
        else _("Check the path, or take a data set by name: {names}.").format(names=", ".join(known)),
    )


def _prepare_source(name: str, found: Found, wanted: Wanted, listener: Listener) -> Prepared:
    if not found.held_out:  # a handful of numbers: not worth a file
        return _in_memory(name, found.read(), wanted)

    def build(file: BinaryIO) -> tuple[ImagesWriter, NDArray[np.int64], dict[str, Any]]:
        material = _checked(name, found.read())
        parts = {"train": material.train} | ({"test": material.test} if material.test else {})
        counts = {split: len(part.images) for split, part in parts.items()}
        channels, image_size = resolved(wanted, material.train.images)
        shape = (channels, *image_size)
        writer = ImagesWriter(file, shape, sum(counts.values()))
        for images in (part.images for part in parts.values()):
            for piece in pieces(len(images), shape):
                writer.append(convert(images[piece], channels, image_size, wanted.fit))
                listener(_("preparing {name}").format(name=name), writer.count, sum(counts.values()))
        labels = np.concatenate([part.labels for part in parts.values()])
        return writer, labels, {"classes": material.classes, "counts": counts}

    entry = cached(f"{name}-{_settings(wanted)}", found.stamp, build)
    return _prepared(name, entry)


def _checked(name: str, material: Material) -> Material:
    for split, part in ((_("training"), material.train), (_("test"), material.test)):
        if part is None:
            continue
        if len(part.images) != len(part.labels):
            raise DataError(
                _("{name} has {images} {split} images but {labels} labels.").format(
                    name=name, images=len(part.images), split=split, labels=len(part.labels)
                ),
                fix=_("Its files do not go together: remove them, so that they are downloaded again."),
            )
        low, high = int(part.labels.min()), int(part.labels.max())
        if low < 0 or high >= len(material.classes):
            raise DataError(
                _("{name} has labels in {low}…{high}; its {classes} classes are counted from 0 to {last}.").format(
                    name=name, low=low, high=high, classes=len(material.classes), last=len(material.classes) - 1
                ),
                fix=_("Its files do not go together: remove them, so that they are downloaded again."),
            )
    return material


def _in_memory(name: str, material: Material, wanted: Wanted) -> Prepared:
    images, labels = material.train.images, material.train.labels
    if images.dtype == np.uint8:
        images = convert(images, *resolved(wanted, images), wanted.fit)
    counts = {"train": len(images)}
    fingerprint = fingerprint_of(images, labels, material.classes, counts)
    return Prepared(name, material.classes, images, labels, counts, fingerprint, held_out=False)


def _prepare_folder(root: Path, wanted: Wanted, skip_broken: bool, listener: Listener) -> Prepared:
    listing = list_folder(root)
    images = FolderImages(listing, wanted, skip_broken, listener)
    entry = cached(f"folder-{digest(str(root.resolve()), _settings(wanted))}", listing.stamp, images.write)
    broken = [Broken(path, reason) for path, reason in entry.facts["broken"]]
    if broken and not skip_broken:  # it was decoded when they were to be skipped
        raise broken_images_error(broken, len(images.paths))
    missing = {file.path for file in broken}
    whole = [path for path in images.paths if path not in missing] if missing else images.paths
    return _prepared(str(root), entry, whole)


def _prepared(name: str, entry: Entry, paths: Sequence[str] | None = None) -> Prepared:
    broken = [Broken(path, reason) for path, reason in entry.facts.get("broken", [])]
    notices = (_left_out(broken),) if broken else ()
    classes, counts = tuple(entry.facts["classes"]), entry.facts["counts"]
    return Prepared(name, classes, entry.images, entry.labels, counts, entry.fingerprint, paths, notices)


def _left_out(broken: list[Broken]) -> str:
    message = plural(
        "{broken} file that is no whole image was left out:",
        "{broken} files that are no whole images were left out:",
        len(broken),
    ).format(broken=len(broken))
    return "\n".join([message, *listed(broken)])


def _settings(wanted: Wanted) -> str:
    return digest(wanted.channels, wanted.image_size, wanted.fit)

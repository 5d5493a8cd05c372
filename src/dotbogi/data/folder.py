"""A folder of images: one subfolder per class, or ``train/``, ``test/`` and ``validation/`` of such."""

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dotbogi.errors import DataError
from dotbogi.language import _

SPLITS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_HIDDEN = ("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin")


@dataclass
class Files:
    """Image files and the label of each, in the order of their paths."""

    paths: list[str] = field(default_factory=list[str])
    labels: list[int] = field(default_factory=list[int])


@dataclass(frozen=True)
class Listing:
    """What a folder holds, found without opening a file.

    Args:
        root: the folder.
        classes: names of the class folders, sorted.
        splits: files of ``train``, ``validation`` and ``test``, those that exist.
        stamp: changes whenever a file is added, removed, renamed or written.
    """

    root: Path
    classes: tuple[str, ...]
    splits: dict[str, Files]
    stamp: str


def list_folder(root: Path) -> Listing:
    """Lists a folder's classes and files.

    Hidden files and folders are left out. Class folders are searched to any depth; every file
    in them counts as an image.

    Raises:
        DataError: no such folder, no permission, no class folders, one class only, a class
            without files, or a class that is tested but not trained on.
    """
    try:
        return _list(root)
    except OSError as error:
        raise DataError(
            _("The folder {path} cannot be read: {reason}.").format(
                path=error.filename or root, reason=error.strerror or str(error)
            ),
            fix=_("Check that it exists and that you may read it."),
        ) from error


def _list(root: Path) -> Listing:
    folders = _split_folders(root)
    found = {split: _class_folders(folder) for split, folder in folders.items()}
    classes = tuple(sorted(found["train"]))
    _check_classes(folders, found)
    splits: dict[str, Files] = {}
    stamped: list[str] = []
    for split, class_folders in found.items():
        files = splits[split] = Files()
        for label, name in enumerate(classes):
            for path, relative, *facts in sorted(_files(class_folders.get(name, "")), key=lambda file: file[1]):
                files.paths.append(path)
                files.labels.append(label)
                stamped.append(f"{split}/{name}/{relative}\0{facts}\n")
            if split == "train" and files.labels[-1:] != [label]:
                raise DataError(
                    _("The class folder {path} holds no images.").format(path=class_folders[name]),
                    fix=_("Put images into it, or remove it."),
                )
    stamp = hashlib.sha256("".join(stamped).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return Listing(root, classes, {name: files for name, files in splits.items() if files.paths}, stamp)


def _split_folders(root: Path) -> dict[str, str]:
    folders = {entry.name.lower(): entry.path for entry in _visible(str(root)) if entry.is_dir()}
    found = {split: folders[word] for split, words in SPLITS.items() for word in words if word in folders}
    # A class may be called "test": only beside a train folder of class folders is it a split.
    is_split = "train" in found and any(entry.is_dir() for entry in _visible(found["train"]))
    return found if is_split else {"train": str(root)}


def _class_folders(folder: str) -> dict[str, str]:
    # macOS hands out names in which accents and Hangul are taken apart; elsewhere they are whole.
    return {unicodedata.normalize("NFC", entry.name): entry.path for entry in _visible(folder) if entry.is_dir()}


def _check_classes(folders: dict[str, str], found: dict[str, dict[str, str]]) -> None:
    train = found["train"]
    if not train:
        raise DataError(
            _("The folder {path} has no class folders.").format(path=folders["train"]),
            fix=_("Put the images of each class into a subfolder of its own, named after the class."),
        )
    if len(train) == 1:
        raise DataError(
            _("The folder {path} has one class only: {name}.").format(path=folders["train"], name=next(iter(train))),
            fix=_("Add a subfolder with images of a second class."),
        )
    for split in found:
        unknown = sorted(set(found[split]) - set(train))
        if unknown:
            raise DataError(
                _("{path} has classes that are not in {train}: {names}.").format(
                    path=folders[split], train=folders["train"], names=", ".join(unknown)
                ),
                fix=_("Name the class folders alike, or remove them."),
            )


def _files(folder: str, prefix: str = "", above: tuple[str, ...] = ()) -> Iterator[tuple[str, str, int, int, int]]:
    # (path, path within the class, size, and when it was written and changed, in ns)
    if not folder:
        return
    real = os.path.realpath(folder)
    if real in above:  # a link that leads back up
        return
    for entry in _visible(folder):
        if entry.is_dir():
            yield from _files(entry.path, f"{prefix}{entry.name}/", (*above, real))
        elif entry.is_file():
            facts = entry.stat()
            yield entry.path, prefix + entry.name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _visible(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name.lower() not in _HIDDEN:
                yield entry


def files_below(folder: str) -> list[str]:
    """Returns the paths of all files in a folder and below it, sorted; hidden ones are left out."""
    return sorted(path for path, *_facts in _files(folder))

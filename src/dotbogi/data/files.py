"""Finds the files of a published data set on this machine, or downloads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dotbogi.data.cache import cache_folder, digest
from dotbogi.data.download import download
from dotbogi.data.source import Request
from dotbogi.errors import DataError
from dotbogi.language import _

SYSTEM_FOLDERS = ("/usr/share/datasets", "/usr/local/share/datasets")


@dataclass(frozen=True)
class Published:
    """A file as its authors give it away.

    Args:
        name: the file's name.
        md5: its checksum, as published.
    """

    name: str
    md5: str


@dataclass(frozen=True)
class Publication:
    """The files of a data set.

    Args:
        name: the data set's id; also the name of its folder in the system's and our own folders.
        url: the folder that the files are downloaded from, ended by a slash.
        files: what is downloaded.
        folders: where other libraries put them below their data folder, such as ``MNIST/raw``.
        contents: for an archive, the files that it unpacks to; these are taken too.
    """

    name: str
    url: str
    files: tuple[Published, ...]
    folders: tuple[str, ...]
    contents: tuple[str, ...] = ()


def find_files(publication: Publication, request: Request) -> list[Path]:
    """Returns the data set's files: as published, unpacked (without ``.gz``), or an archive's contents.

    Looked into, in this order: ``data_dir``, ``./data``, ``~/data``, the system's dataset folders,
    our own cache; in each of them the folders that torchvision makes, and one of the data set's name.

    Raises:
        DataError: ``data_dir`` does not exist, or the files are nowhere and cannot be downloaded.
    """
    if request.data_dir is not None and not request.data_dir.is_dir():
        raise DataError(
            _("There is no folder {path} to look for {name} in.").format(path=request.data_dir, name=publication.name),
            fix=_("Correct --data-dir (data.data_dir), or leave it out."),
        )
    downloads = cache_folder() / "downloads" / publication.name
    for folder in [*_places(publication, request.data_dir), downloads]:
        found = _files_in(folder, publication)
        if found:
            return found
    for file in publication.files:
        download(publication.url + file.name, file.md5, downloads / file.name, request.listener)
    return [downloads / file.name for file in publication.files]


def stamp_of(paths: Sequence[Path]) -> str:
    """Returns a word that changes when one of the files does."""
    return digest([(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths])


def _places(publication: Publication, data_dir: Path | None) -> Iterator[Path]:
    roots = [Path("data"), Path.home() / "data", *map(Path, SYSTEM_FOLDERS)]
    if data_dir is not None:
        yield data_dir
        roots.insert(0, data_dir)
    for root in roots:
        yield from (root / folder for folder in (*publication.folders, publication.name))


def _files_in(folder: Path, publication: Publication) -> list[Path]:
    names = [file.name for file in publication.files]
    unpacked = list(publication.contents) or [name.removesuffix(".gz") for name in names]
    for candidates in (unpacked, names):
        paths = [folder / name for name in candidates]
        if all(path.is_file() for path in paths):
            return paths
    return []

"""Downloads that are whole or not there: over a time limit, with progress and a checksum."""

import hashlib
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from dotbogi.data.source import Listener
from dotbogi.errors import DataError
from dotbogi.language import _

TIMEOUT_S = 30.0  # without any byte
_PIECE = 1 << 20


def download(url: str, md5: str, target: Path, listener: Listener) -> None:
    """Downloads a file, unless it is there.

    Args:
        url: where it is published.
        md5: its checksum, as published.
        target: where it is to lie; its folder is made.
        listener: hears how many bytes have come.

    Raises:
        DataError: no connection, the server refused, another checksum, or the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(target.name + ".lock")):
            if not target.exists():
                _fetch(url, md5, target, listener)
    except (OSError, HTTPException) as error:
        raise DataError(
            _("Downloading {url} failed: {reason}.").format(url=url, reason=getattr(error, "reason", error)),
            fix=_(
                "Check the network, or put {name} into a folder and name that with --data-dir (data.data_dir). "
                "The bundled data set, --data sample, needs no network."
            ).format(name=target.name),
        ) from error


def _fetch(url: str, md5: str, target: Path, listener: Listener) -> None:
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("wb") as file:
            found = _copy(url, file, listener)
        if found != md5:
            raise DataError(
                _("What {url} sent is not the published file: its MD5 is {found} instead of {md5}.").format(
                    url=url, found=found, md5=md5
                ),
                fix=_("Try again later, or from another network."),
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _copy(url: str, file: BinaryIO, listener: Listener) -> str:
    task = _("downloading {name}").format(name=url.rpartition("/")[2])
    hashed = hashlib.md5(usedforsecurity=False)
    done = 0
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        total = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(_PIECE):
            file.write(piece)
            hashed.update(piece)
            done += len(piece)
            listener(task, done, total)
    return hashed.hexdigest()

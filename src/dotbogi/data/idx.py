"""The format of MNIST and its kin: a big-endian header and raw bytes, often gzipped.

Source: Y. LeCun, http://yann.lecun.com/exdb/mnist/, "The IDX file format".
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dotbogi.data.files import Publication, Published, find_files, stamp_of
from dotbogi.data.source import Found, Labelled, Material, Request
from dotbogi.errors import DataError
from dotbogi.language import _

NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_UINT8 = 8


def idx_publication(name: str, url: str, folder: str, md5: tuple[str, str, str, str]) -> Publication:
    """Returns the description of a data set of four gzipped files.

    Args:
        name: its id.
        url: where the files are.
        folder: what torchvision calls its folder.
        md5: of the training images and labels, and the test images and labels.
    """
    files = tuple(Published(file, checksum) for file, checksum in zip(NAMES, md5, strict=True))
    return Publication(name, url, files, (f"{folder}/raw", folder))


def load_idx(publication: Publication, classes: tuple[str, ...], request: Request) -> Found:
    """Finds such a data set; raises as :func:`find_files`."""
    paths = find_files(publication, request)
    return Found(stamp_of(paths), lambda: read_material(paths, classes))


def read_material(paths: list[Path], classes: tuple[str, ...]) -> Material:
    """Reads training images and labels, and test images and labels, in this order.

    Raises:
        DataError: a file is damaged.
    """
    train_images, train_labels, test_images, test_labels = (read_idx(path) for path in paths)
    return Material(classes, _labelled(train_images, train_labels), _labelled(test_images, test_labels))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Reads a file of bytes, gzipped or not.

    Raises:
        DataError: not such a file, or not whole.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        axes = content[3]
        shape = np.frombuffer(content, ">u4", axes, offset=4)
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
        if content[:3] != bytes([0, 0, _UINT8]):
            raise ValueError(_("it does not begin as an IDX file of bytes"))
        return values.reshape(tuple(int(side) for side in shape))
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(
            _("{path} is damaged: {reason}.").format(path=path, reason=error),
            fix=_("Remove it, so that it is downloaded again."),
        ) from error


def _labelled(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Labelled:
    return Labelled(images[:, None], labels.astype(np.int64))  # (N, 1, H, W), (N,)

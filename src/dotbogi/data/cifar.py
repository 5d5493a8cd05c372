"""The format of CIFAR-10 and CIFAR-100: pickles, which are read without executing any of them.

A pickle is a program. ``pickletools.genops`` takes it apart into its instructions and runs
none; the pixels, labels and names stand in these instructions as plain bytes, numbers and words.

Source: A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html, "Dataset layout".
"""

import pickletools
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dotbogi.data.source import Labelled, Material
from dotbogi.errors import DataError
from dotbogi.language import _

SHAPE = (3, 32, 32)
_NUMBERS = ("BININT1", "BININT2", "BININT", "INT", "LONG1")
_KEYS = ("data", "labels", "fine_labels", "coarse_labels", "label_names", "fine_label_names", "coarse_label_names")
_OTHER_KEYS = ("batch_label", "filenames", "num_cases_per_batch", "num_vis")


@dataclass
class _Value:
    words: list[bytes] = field(default_factory=list[bytes])
    numbers: list[int] = field(default_factory=list[int])


def read_cifar(paths: list[Path], contents: tuple[str, ...], labels: str, names: str) -> Material:
    """Reads the batches, unpacked or in their archive.

    Args:
        paths: the files of ``contents``, or the one archive that holds them.
        contents: names of the training batches, then the test batch, then the file of class names.
        labels: the key of the labels.
        names: the key of the class names.

    Raises:
        DataError: a file is damaged.
    """
    files = _contents(paths, contents)
    batches = [_batch(name, files[name], labels) for name in contents[:-1]]
    classes = tuple(word.decode("ascii", "replace") for word in _dictionary(files[contents[-1]])[names].words)
    train = Labelled(
        np.concatenate([batch.images for batch in batches[:-1]]),  # (N, 3, 32, 32)
        np.concatenate([batch.labels for batch in batches[:-1]]),
    )
    return Material(classes, train, batches[-1])


def _contents(paths: list[Path], names: tuple[str, ...]) -> dict[str, bytes]:
    try:
        if len(paths) == len(names):
            return {name: path.read_bytes() for name, path in zip(names, paths, strict=True)}
        found = _unpacked(paths[0])
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise _damaged(paths[0].name, str(error)) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise _damaged(paths[0].name, _("it lacks {names}").format(names=", ".join(missing)))
    return found


def _unpacked(path: Path) -> dict[str, bytes]:
    # Into memory: nothing that an archive says about places is followed.
    with tarfile.open(path) as archive:
        files = ((member.name, archive.extractfile(member)) for member in archive)
        return {name.rpartition("/")[2]: file.read() for name, file in files if file is not None}


def _batch(name: str, content: bytes, labels: str) -> Labelled:
    values = _dictionary(content)
    pixels = max(values["data"].words, key=len, default=b"")
    numbers: NDArray[np.int64] = np.array(values[labels].numbers, np.int64)
    if not len(numbers) or len(pixels) != len(numbers) * int(np.prod(SHAPE)):
        raise _damaged(name, _("{pixels} pixels for {labels} labels").format(pixels=len(pixels), labels=len(numbers)))
    return Labelled(np.frombuffer(pixels, np.uint8).reshape(-1, *SHAPE), numbers)


def _dictionary(content: bytes) -> dict[str, _Value]:
    # Everything between one key and the next belongs to the former.
    values = {key: _Value() for key in _KEYS}
    current = _Value()
    try:
        for instruction, argument, _position in pickletools.genops(content):
            if isinstance(argument, str | bytes) and instruction.name != "GLOBAL":
                word = argument.encode("latin-1", "replace") if isinstance(argument, str) else argument
                key = word.decode("latin-1") if len(word) < 32 else ""
                if key in _KEYS or key in _OTHER_KEYS:
                    current = values.get(key, _Value())
                else:
                    current.words.append(word)
            elif instruction.name in _NUMBERS and isinstance(argument, int):
                current.numbers.append(argument)
    except (ValueError, IndexError) as error:
        raise _damaged("CIFAR", str(error)) from error
    return values


def _damaged(name: str, reason: str) -> DataError:
    return DataError(
        _("{path} is damaged: {reason}.").format(path=name, reason=reason),
        fix=_("Remove it, so that it is downloaded again."),
    )

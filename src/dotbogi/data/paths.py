"""From the words of a person to image files: a file, a folder, or a pattern."""

import glob
from collections.abc import Sequence
from pathlib import Path

from dotbogi.data.folder import files_below
from dotbogi.errors import DataError
from dotbogi.language import _


def image_paths(words: Sequence[str]) -> list[str]:
    """Returns the files that words stand for, in the order of the words, each file once.

    Args:
        words: a file; a folder, with all below it; or a pattern such as ``photos/**/*.jpg``.

    Raises:
        DataError: a word stands for no file; the message names it.
    """
    paths: dict[str, None] = {}
    for word in words:
        found = _files_of(str(Path(word).expanduser()))
        if not found:
            raise DataError(
                _("There is no image at {path}.").format(path=word),
                fix=_("Give a file, a folder with images, or a pattern such as 'photos/*.jpg'."),
            )
        paths |= dict.fromkeys(found)
    return list(paths)


def _files_of(word: str) -> list[str]:
    path = Path(word)
    if path.is_dir():
        return files_below(word)
    if path.is_file():
        return [word]
    matches = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [path for match in matches for path in (files_below(match) if Path(match).is_dir() else [match])]

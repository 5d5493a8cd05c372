"""What a data set that is known by name consists of; free of torch, so that listing is fast."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Listener = Callable[[str, int, int], None]
"""Called with a task (translated), how much of it is done, and the total (0 where unknown)."""


def silent(task: str, done: int, total: int) -> None:
    """A listener that does nothing."""


@dataclass(frozen=True)
class Labelled:
    """Images and labels as a source brings them.

    Args:
        images: uint8 (N, C, H, W), or float (N, F) for a regression.
        labels: int64 (N,), or float (N, F).
    """

    images: NDArray[Any]
    labels: NDArray[Any]


@dataclass(frozen=True)
class Material:
    """All that a source brings.

    Args:
        classes: names in the order of the labels; empty for a regression.
        train: images to train on.
        test: the source's own test images, where it has any.
    """

    classes: tuple[str, ...]
    train: Labelled
    test: Labelled | None = None


@dataclass(frozen=True)
class Found:
    """A data set that lies on this machine, not yet read.

    Args:
        stamp: changes whenever the content does; the decoded images are cached under it.
        read: reads the content; only called where the cache has nothing.
        held_out: whether validation and test images may be taken from it (not from four points).
    """

    stamp: str
    read: Callable[[], Material]
    held_out: bool = True


@dataclass(frozen=True)
class Request:
    """Where to look, and whom to tell.

    Args:
        data_dir: looked into first, where one is given.
        listener: hears of a download's progress.
    """

    data_dir: Path | None
    listener: Listener


@dataclass(frozen=True)
class SourceEntry:
    """A data set that is known by name.

    Args:
        title: its own name.
        description: what it shows and how much there is, marked for translation.
        licence: under which it is given away.
        load: finds it on this machine, or downloads it.
    """

    title: str
    description: str
    licence: str
    load: Callable[[Request], Found]

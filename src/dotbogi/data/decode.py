"""From image files to arrays, in parallel, in the order of the files.

Pillow releases the interpreter's lock while it decodes, so threads are enough for
photos. Of a file of 28×28 pixels, though, most of the time is Python's (50 of 65 µs), so
thousands of files go to worker processes. No result depends on the number of either.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dotbogi.data.chunk import Broken, Decoded, Target, decode_chunk
from dotbogi.data.fit import is_coloured, upright_size
from dotbogi.data.workers import WorkerPool
from dotbogi.errors import BrokenImagesError
from dotbogi.language import _, plural

SHOWN = 10  # broken files that a message lists
MANY = 5_000  # files from which worker processes pay for their start of .2 s
LARGEST_CHUNK = 1 << 22  # bytes of images that are handed over at once

Item = TypeVar("Item")
Result = TypeVar("Result")


def processors() -> int:
    """Returns how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def decode_stream(
    paths: Sequence[str | Path],
    *,
    channels: int,
    image_size: tuple[int, int],
    fit: str = "crop",
    chunk: int = 256,
    workers: int | None = None,
) -> Iterator[Decoded]:
    """Decodes files ahead of the consumer, which gets them in order.

    Args:
        paths: of image files.
        channels: 1 or 3.
        image_size: (height, width) in pixels.
        fit: ``crop``, ``pad`` or ``squash``.
        chunk: most files that are handed over at once.
        workers: threads, or processes for thousands of files; by default one per processor.
    """
    workers = workers or processors()
    chunk = max(1, min(chunk, -(-len(paths) // (4 * workers)), LARGEST_CHUNK // (channels * math.prod(image_size))))
    target = Target(channels, image_size, fit)
    pool = WorkerPool(target, workers) if len(paths) >= MANY and workers > 1 else None

    def decode(start: int) -> Decoded:
        part = paths[start : start + chunk]
        return _placed(pool.decode(part) if pool else decode_chunk(part, target), start)

    try:
        yield from overlapped(decode, range(0, len(paths), chunk), workers)
    finally:
        if pool:
            pool.close()


def decode_files(
    paths: Sequence[str | Path], *, channels: int, image_size: tuple[int, int], fit: str = "crop"
) -> tuple[NDArray[np.uint8], list[Broken]]:
    """Decodes files into one array.

    Args:
        paths, channels, image_size, fit: as in :func:`decode_stream`.

    Returns:
        uint8 array (N, C, H, W) of the whole files in their order, and the broken ones.
    """
    parts = list(decode_stream(paths, channels=channels, image_size=image_size, fit=fit))
    none = np.empty((0, channels, *image_size), np.uint8)
    images = np.concatenate([none, *(part.images for part in parts)])  # (N, C, H, W)
    return images, [broken for part in parts for broken in part.broken]


def probe(paths: Sequence[str | Path], most: int = 512) -> tuple[list[tuple[int, int]], bool]:
    """Reads headers of files that are spread evenly over all.

    Args:
        paths: of image files, some of which may be broken.
        most: how many headers are read.

    Returns:
        The (height, width) of those that have one, upright; and whether any is coloured.
    """
    chosen = [paths[len(paths) * i // most] for i in range(most)] if len(paths) > most else paths
    found = list(overlapped(_header, chosen, processors()))
    headers = [header for header in found if header is not None]
    return [size for size, _coloured in headers], any(coloured for _size, coloured in headers)


def overlapped(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yields ``work`` of each item in order, computed a few items ahead in threads."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def broken_images_error(broken: Sequence[Broken], total: int) -> BrokenImagesError:
    """Returns the error that lists files which are no whole images, of ``total`` that were read."""
    message = plural(
        "{broken} of {total} files is no whole image:", "{broken} of {total} files are no whole images:", len(broken)
    ).format(broken=len(broken), total=total)
    return BrokenImagesError(
        "\n".join([message, *listed(broken)]),
        fix=_("Repair or remove what is listed, or leave it out with --skip-broken (data.skip_broken = true)."),
    )


def listed(broken: Sequence[Broken]) -> list[str]:
    """Returns one line for each of the first files, and one for the number of the others."""
    lines = [f"  {file.path}: {file.reason}" for file in broken[:SHOWN]]
    more = len(broken) - SHOWN
    return [*lines, "  " + _("… and {more} more").format(more=more)] if more > 0 else lines


def _placed(part: Decoded, start: int) -> Decoded:
    return Decoded(part.images, [start + index for index in part.indices], part.broken, part.coloured)


def _header(path: str | Path) -> tuple[tuple[int, int], bool] | None:
    try:
        with Image.open(path) as image:
            return upright_size(image), is_coloured(image)
    except Exception:  # it will be listed with its reason when it is decoded
        return None

"""From image files to arrays, in parallel, in the order of the files.

Pillow releases the interpreter's lock while it decodes, so threads are enough for
photos; nothing depends on their number.
"""

import io
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dotbogi.data.fit import is_coloured, pixels_of, upright, upright_size
from dotbogi.errors import BrokenImagesError
from dotbogi.language import _, plural

# Pillow refuses more than twice its limit. Between the two it only warns: phones make photos of 108 megapixels.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

SHOWN = 10  # broken files that a message lists
_JPEG_FORMATS = ("JPEG", "MPO")

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Broken:
    """A file that is no whole image.

    Args:
        path: as it was given.
        reason: in a few words, already translated.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Decoded:
    """A few files that follow each other.

    Args:
        images: uint8 array (n, C, H, W) of those that are whole.
        indices: for each of them, its file's position among all paths.
        broken: the others.
        coloured: whether any of them is more than grey.
    """

    images: NDArray[np.uint8]
    indices: list[int]
    broken: list[Broken]
    coloured: bool


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
    chunk: int = 64,
    workers: int | None = None,
) -> Iterator[Decoded]:
    """Decodes files ahead of the consumer, which gets them in order.

    Args:
        paths: of image files.
        channels: 1 or 3.
        image_size: (height, width) in pixels.
        fit: ``crop``, ``pad`` or ``squash``.
        chunk: most files that are handed over at once.
        workers: threads; by default one per processor.
    """
    workers = workers or processors()
    chunk = max(1, min(chunk, -(-len(paths) // (4 * workers))))

    def decode(start: int) -> Decoded:
        return _decode_chunk(paths[start : start + chunk], start, channels, image_size, fit)

    return overlapped(decode, range(0, len(paths), chunk), workers)


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


def _decode_chunk(
    paths: Sequence[str | Path], start: int, channels: int, image_size: tuple[int, int], fit: str
) -> Decoded:
    images = np.empty((len(paths), channels, *image_size), np.uint8)  # (n, C, H, W)
    indices: list[int] = []
    broken: list[Broken] = []
    coloured = False
    for position, path in enumerate(paths):
        try:
            with _opened(path) as image:
                coloured |= is_coloured(image)
                images[len(indices)] = _decoded(image, channels, image_size, fit)
        # Anything may come out of a decoder that reads a hostile file: struct.error, SyntaxError, …
        except Exception as error:
            broken.append(Broken(str(path), _reason(error)))
        else:
            indices.append(start + position)
    return Decoded(images[: len(indices)], indices, broken, coloured)


def _opened(path: str | Path) -> Image.Image:
    content = Path(path).read_bytes()
    if not content:
        raise ValueError(_("empty, 0 bytes"))
    return Image.open(io.BytesIO(content))


def _decoded(image: Image.Image, channels: int, image_size: tuple[int, int], fit: str) -> NDArray[np.uint8]:
    if image.format in _JPEG_FORMATS:
        # A JPEG can be decoded at a half, a quarter or an eighth: still at least twice what is asked for.
        image.draft(None, (2 * max(image_size), 2 * max(image_size)))
    image.load()
    return pixels_of(upright(image), channels, image_size, fit)


def _header(path: str | Path) -> tuple[tuple[int, int], bool] | None:
    try:
        with Image.open(path) as image:
            return upright_size(image), is_coloured(image)
    except Exception:  # it will be listed with its reason when it is decoded
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return _("no image that can be read")
    if isinstance(error, Image.DecompressionBombError):
        return _("more than {limit} million pixels").format(limit=2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6)
    if isinstance(error, PermissionError):
        return _("no permission to read it")
    if isinstance(error, OSError) and "truncated" in str(error):
        return _("truncated")
    return str(error) or type(error).__name__

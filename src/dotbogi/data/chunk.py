"""Decodes a few files after each other, in whatever thread or process this runs."""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from dotbogi.data.fit import is_coloured, pixels_of, upright
from dotbogi.language import _
from dotbogi.language.wording import count

# Pillow refuses more than twice its limit. Between the two it only warns: phones make photos of 108 megapixels.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_JPEG_FORMATS = ("JPEG", "MPO")


@dataclass(frozen=True)
class Target:
    """What files are decoded to: ``channels`` 1 or 3, ``image_size`` (height, width), ``fit`` crop, pad or squash."""

    channels: int
    image_size: tuple[int, int]
    fit: str


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


def decode_chunk(paths: Sequence[str | Path], target: Target) -> Decoded:
    """Decodes files; positions count from the first of them."""
    images = np.empty((len(paths), target.channels, *target.image_size), np.uint8)  # (n, C, H, W)
    indices: list[int] = []
    broken: list[Broken] = []
    coloured = False
    for position, path in enumerate(paths):
        try:
            image = _opened(path)
            coloured |= is_coloured(image)
            images[len(indices)] = _decoded(image, target)
        # Anything may come out of a decoder that reads a hostile file: struct.error, SyntaxError, …
        except Exception as error:
            broken.append(Broken(str(path), _reason(error)))
        else:
            indices.append(position)
    return Decoded(images[: len(indices)], indices, broken, coloured)


def _opened(path: str | Path) -> Image.Image:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 -- a Path for each of 60,000 files costs 8 µs
        content = file.read()
    if not content:
        raise ValueError(_("empty, 0 bytes"))
    return Image.open(io.BytesIO(content))


def _decoded(image: Image.Image, target: Target) -> NDArray[np.uint8]:
    enough = 2 * max(target.image_size)
    if min(image.size) >= 2 * enough and image.format in _JPEG_FORMATS:
        image.draft(None, (enough, enough))  # a JPEG can be decoded at a half, a quarter or an eighth
    return pixels_of(upright(image), target.channels, target.image_size, target.fit)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return _("no image that can be read")
    if isinstance(error, Image.DecompressionBombError):
        return _("more than {limit} pixels").format(limit=count(2 * (Image.MAX_IMAGE_PIXELS or 0)))
    if isinstance(error, PermissionError):
        return _("no permission to read it")
    if isinstance(error, OSError) and "truncated" in str(error):
        return _("truncated")
    return str(error) or type(error).__name__

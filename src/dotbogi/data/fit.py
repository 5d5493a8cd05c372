"""From a picture as Pillow opens it to 8-bit grey or colour of one size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dotbogi.language import _

GREY = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_ORIENTED = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_DIRECT = {1: "L", 3: "RGB"}
_FULL_16_BIT = 65535


def is_coloured(image: Image.Image) -> bool:
    """Whether a picture has anything but grey, going by its mode, and by its palette where it has one."""
    if image.mode not in ("P", "PA"):
        return image.mode not in GREY
    palette = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    return bool((palette != palette[:, :1]).any())


def upright(image: Image.Image) -> Image.Image:
    """Turns the picture as its EXIF orientation says."""
    if image.format != "TIFF" and not any(key in image.info for key in _ORIENTED):
        return image  # asking for the EXIF of each of 60,000 small files would double their decoding time
    return ImageOps.exif_transpose(image)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of the picture once it is upright, from its header alone (a TIFF's from its pixels)."""
    if image.format == "TIFF":
        image.load()  # Pillow turns these by itself, from some version on in the header's size too
        return image.height, image.width
    width, height = image.size
    turned = image.getexif().get(0x0112, 1) >= 5  # orientations 5…8 exchange the sides
    return (width, height) if turned else (height, width)


def pixels_of(image: Image.Image, channels: int, image_size: tuple[int, int], fit: str) -> NDArray[np.uint8]:
    """Brings a picture to 8 bits, to its channels and to its size.

    Transparent parts show white; 16 bits are divided by 257, so that 65535 becomes 255.

    Args:
        image: loaded, upright.
        channels: 1 (luma) or 3.
        image_size: (height, width) in pixels.
        fit: see :func:`fitted`.

    Returns:
        uint8 array (C, H, W).

    Raises:
        ValueError: floating point pixels outside 0…1, or integers outside 0…65535.
    """
    image = fitted(_in_channels(_opaque(_eight_bits(image)), channels), image_size, fit)
    pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(*image_size, channels)  # (H, W, C)
    return pixels.transpose(2, 0, 1)


def fitted(image: Image.Image, image_size: tuple[int, int], fit: str) -> Image.Image:
    """Brings a picture to a size, with bilinear interpolation over all pixels that fall together.

    Args:
        image: 8 bits, grey or colour.
        image_size: (height, width) in pixels.
        fit: ``crop`` cuts the longer side at both ends, ``pad`` adds black at both ends of the
            shorter, ``squash`` changes the proportions.
    """
    height, width = image_size
    if image.size == (width, height):
        return image
    if fit == "squash":
        return image.resize((width, height), Image.Resampling.BILINEAR)
    if fit == "pad":
        return ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR)
    return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values: NDArray[Any] = np.asarray(image)
    low, high = values.min(), values.max()
    limit = 1.0 if image.mode == "F" else _FULL_16_BIT
    if not (low >= 0 and high <= limit):  # also true of NaN
        raise ValueError(_("pixels of {low:g}…{high:g} instead of 0…{limit:g}").format(low=low, high=high, limit=limit))
    return Image.fromarray(np.rint(values * (255.0 / limit)).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    grey = not is_coloured(image)
    picture = image.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white.convert("L" if grey else "RGB")


def _in_channels(image: Image.Image, channels: int) -> Image.Image:
    mode = _DIRECT[channels]
    if image.mode == "LAB" and mode == "L":
        image = image.convert("RGB")  # Pillow knows no direct way
    return image if image.mode == mode else image.convert(mode)

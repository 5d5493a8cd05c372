"""Brings arrays of images to other channels or another size, as files are when they are decoded."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dotbogi.data.decode import overlapped, processors
from dotbogi.data.fit import pixels_of
from dotbogi.data.image_size import Wanted, choose_image_size

_CHUNK = 256


def resolved(wanted: Wanted, images: NDArray[np.uint8]) -> tuple[int, tuple[int, int]]:
    """Returns the channels and the (height, width) that the images (N, C, H, W) are to have.

    Where nothing is said, images of up to 128 pixels stay as they are; see :func:`choose_image_size`.
    """
    _n, channels, height, width = images.shape
    return wanted.channels or channels, wanted.image_size or choose_image_size([(height, width)])


def convert(images: NDArray[np.uint8], channels: int, image_size: tuple[int, int], fit: str) -> NDArray[np.uint8]:
    """Brings images to a number of channels and a size.

    Args:
        images: uint8 (N, C, H, W), C 1 or 3.
        channels: 1 (luma) or 3.
        image_size: (height, width) in pixels.
        fit: ``crop``, ``pad`` or ``squash``.

    Returns:
        uint8 (N, channels, *image_size); ``images`` itself where nothing changes.
    """
    if images.shape[1:] == (channels, *image_size):
        return images

    def convert_chunk(start: int) -> NDArray[np.uint8]:
        pictures = [picture_of(image) for image in images[start : start + _CHUNK]]
        return np.stack([pixels_of(picture, channels, image_size, fit) for picture in pictures])

    return np.concatenate(list(overlapped(convert_chunk, range(0, len(images), _CHUNK), processors())))


def picture_of(image: NDArray[np.uint8]) -> Image.Image:
    """Returns an image (C, H, W) with 1 or 3 channels as Pillow's."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))

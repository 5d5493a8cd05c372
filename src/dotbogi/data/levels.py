"""Any numbers that stand for brightness as the 256 levels that are trained on.

A trap is closed here: libraries scale integers by the range of their type, so that pixels in
an int64 array come out as about 10⁻¹⁷, and a network sees nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dotbogi.errors import DataError
from dotbogi.language import _

_EXACT = 1e-3  # of a level: how far n/255 in float16 … float64 may be from a whole level


def to_uint8(images: NDArray[Any], notices: list[str]) -> NDArray[np.uint8]:
    """Returns images as uint8 levels.

    uint8 stays; uint16 is divided by 257; floating point in 0…1 is multiplied by 255; other whole
    numbers in 0…255 stay. What is not exact or not obvious is said in ``notices``.

    Args:
        images: array of any shape, at least one value.
        notices: gets a text, translated.

    Raises:
        DataError: values outside these ranges, or a type that is no number.
    """
    if images.dtype == np.uint8:
        return images
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    if images.dtype.kind not in "iuf":
        raise DataError(
            _("The images are of type {dtype}; numbers are expected.").format(dtype=images.dtype),
            fix=_("Give uint8 images."),
        )
    low, high = images.min(), images.max()
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        return _from_unit(images, notices)
    if images.dtype == np.uint16:
        return ((images.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if images.dtype.kind in "iu" and low >= 0 and high == 1:
        raise DataError(
            _("The images are {dtype} with values in {low:g}…{high:g}: nearly black on the scale 0…255.").format(
                dtype=images.dtype, low=low, high=high
            ),
            fix=_("Give (images * 255) as uint8, or floating point in 0…1."),
        )
    if low >= 0 and high <= 255 and (images.dtype.kind != "f" or bool((images == np.rint(images)).all())):
        notices.append(
            _("The images are {dtype} with whole numbers in {low:g}…{high:g}; they were taken as uint8.").format(
                dtype=images.dtype, low=low, high=high
            )
        )
        return images.astype(np.uint8)
    raise DataError(
        _("The images are {dtype} with values in {low:g}…{high:g}.").format(dtype=images.dtype, low=low, high=high),
        fix=_(
            "Give uint8 in 0…255, uint16 in 0…65535, or floating point in 0…1; without Normalize, "
            "which is part of the recipe (data.normalisation)."
        ),
    )


def _from_unit(images: NDArray[Any], notices: list[str]) -> NDArray[np.uint8]:
    levels = images.astype(np.float32) * np.float32(255)
    whole = np.rint(levels)
    tolerance = max(_EXACT, 255 * float(np.finfo(images.dtype).eps))
    if float(np.abs(levels - whole).max()) > tolerance:
        notices.append(_("The images were rounded to 256 levels; they lay between them."))
    return whole.astype(np.uint8)

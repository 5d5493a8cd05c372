"""Places of many elements at once, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import Indices


def combinations(*axes: Indices) -> list[Indices]:
    """Returns the coordinates of every combination of places along several axes.

    Args:
        axes: places along each axis.

    Returns:
        One (K,) for each axis, the last axis fastest; of no axis at all a single combination.
    """
    return [axis.reshape(-1) for axis in np.meshgrid(*axes, indexing="ij")]


def columns(*coordinates: Indices | int, count: int | None = None) -> Indices:
    """Returns coordinates side by side, (K, number of coordinates).

    Args:
        coordinates: (K,) each, or one number for all.
        count: K, where all are single numbers (1 by default).
    """
    lengths = [len(one) for one in coordinates if not isinstance(one, int)]
    stacked = np.empty((lengths[0] if lengths else count or 1, len(coordinates)), np.int64)
    for axis, one in enumerate(coordinates):
        stacked[:, axis] = one
    return stacked


def counting(shape: tuple[int, ...]) -> list[Indices]:
    """Returns the coordinates of every element of a shape, one (K,) for each axis, the last axis fastest."""
    return combinations(*(np.arange(size) for size in shape))


def per_axis(numbers: Any, axes: int) -> tuple[int, ...]:
    """Returns one number for each axis of an argument that may be a single number for all of them."""
    listed = tuple(numbers) if isinstance(numbers, (list, tuple)) else (numbers,)
    return listed if len(listed) == axes else listed * axes

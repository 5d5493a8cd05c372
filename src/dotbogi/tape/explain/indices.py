"""Places of many elements at once, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

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


def broadcast(index: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """Returns which element of a tensor stands at an index of the larger shape that it is broadcast to."""
    last = tuple(index)[len(index) - len(shape) :]
    return tuple(0 if size == 1 else place for place, size in zip(last, shape, strict=True))


def axes_of(dims: ArrayLike | None, count: int) -> tuple[int, ...]:
    """Returns the axes that an argument ``dim`` means: all for ``None`` and for an empty list, counted from 0."""
    listed = [] if dims is None else np.atleast_1d(np.asarray(dims, np.int64)).tolist()
    return tuple(axis % max(count, 1) for axis in listed) if listed else tuple(range(count))

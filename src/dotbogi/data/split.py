"""Holds out validation and test images: stratified, and the same for the same seed."""

import numpy as np
from numpy.typing import NDArray

from dotbogi.data.randomness import key, permutation

ENOUGH = 3  # images of a class from which one is held out even where the fraction says none


def hold_out(
    labels: NDArray[np.int64], fraction: float, seed: int, stream: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Splits images in two, class by class.

    Of each class the fraction is held out, rounded, at least one image where the class has three
    or more; every class keeps at least one.

    Args:
        labels: int64 (N,).
        fraction: of each class, in [0, 1).
        seed: of the training.
        stream: what the images are held out for; other streams hold out other images.

    Returns:
        Positions of the images that are kept and of those held out, each ascending.
    """
    order = permutation(key(seed, stream), 0, len(labels)).numpy()
    by_class = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), bool)
    start = 0
    for count in np.bincount(labels).tolist():
        chosen[by_class[start : start + _count(count, fraction)]] = True
        start += count
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _count(images: int, fraction: float) -> int:
    if fraction == 0 or images == 0:
        return 0
    least = 1 if images >= ENOUGH else 0
    return min(max(int(images * fraction + 0.5), least), images - 1)

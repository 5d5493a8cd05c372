"""Pillow on all cores and nothing else: what decoding files could cost at best."""

from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context

import numpy as np
from PIL import Image

from measuring import processors, seconds_of

CHUNK = 500  # files that a worker is given at once


def decode(paths: Sequence[str]) -> int:
    """Decodes files one after another; returns the sum of the last one's pixels."""
    total = 0
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image)
        total = int(pixels.sum())
    return total


class RawDecoder:
    """Processes, one per core, that have started and imported Pillow before anything is timed."""

    def __init__(self) -> None:
        self._pools = ExitStack()
        context = get_context("spawn")
        self._processes = self._pools.enter_context(ProcessPoolExecutor(processors(), mp_context=context))
        self._threads = self._pools.enter_context(ThreadPoolExecutor(processors()))

    def __enter__(self) -> "RawDecoder":
        return self

    def __exit__(self, *error: object) -> None:
        self._pools.close()

    def warm_up(self, paths: Sequence[str]) -> None:
        """Starts the workers with a few files each."""
        list(self._processes.map(decode, [paths[:50]] * 4 * processors()))
        list(self._threads.map(decode, [paths[:50]] * 4 * processors()))

    def images_per_second(self, paths: Sequence[str], *, threads: bool = False) -> float:
        """Returns the speed over all files, in processes or in threads."""
        pool: Executor = self._threads if threads else self._processes
        parts = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
        return len(paths) / seconds_of(lambda: list(pool.map(decode, parts)))

"""How much of each input pixel a resized image's pixel holds, along one axis.

Source: aten/src/ATen/native/UpSample.h and cpu/UpSampleKernel.cpp. Where a pixel comes from is computed in float32 (for
float64 in float64), and so are the weights here: of a large image their rounding would otherwise be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Numbers
from dotbogi.tape.explain.reducing import rounded

NEAREST, NEAREST_EXACT, LINEAR, CUBIC = "nearest", "nearest-exact", "linear", "cubic"


@dataclass(frozen=True)
class Resizing:
    """How an axis is resized.

    Args:
        mode: ``nearest``, ``nearest-exact``, ``linear`` or ``cubic``.
        size: of the input, in pixels.
        outputs: of the result.
        align_corners: whether the corner pixels' centres meet.
        factor: as it was asked for, or ``None`` where outputs / size is meant.
        antialias: whether the weights are widened where the image becomes smaller.
        is_double: whether it is computed in float64.
        weight_dtype: what the weights are rounded to, or ``None``.
    """

    mode: str
    size: int
    outputs: int
    align_corners: bool = False
    factor: float | None = None
    antialias: bool = False
    is_double: bool = False
    weight_dtype: torch.dtype | None = None

    @property
    def real(self) -> Any:
        """In what the weights are computed."""
        return np.float64 if self.is_double else np.float32

    def as_held(self, weights: Any) -> Any:
        """Returns weights as they are held between their computation and their use."""
        return weights if self.weight_dtype is None else rounded(weights, self.weight_dtype)

    @property
    def step(self) -> Any:
        """How many input pixels one output pixel goes on."""
        if self.align_corners and self.mode in (LINEAR, CUBIC):
            return self.real(self.size - 1) / self.real(self.outputs - 1) if self.outputs > 1 else self.real(0)
        if self.factor is not None and self.factor > 0:
            return self.real(1 / self.factor)
        return self.real(self.size) / self.real(self.outputs)


@lru_cache(maxsize=64)
def resizing_weights(resizing: Resizing) -> Numbers:
    """Returns the weight of every input pixel in every output pixel, (outputs, size)."""
    if resizing.antialias:
        return _widened(resizing)
    return {NEAREST: _nearest, NEAREST_EXACT: _nearest, LINEAR: _linear, CUBIC: _cubic}[resizing.mode](resizing)


def _nearest(resizing: Resizing) -> Numbers:
    i = np.arange(resizing.outputs).astype(resizing.real)
    half = resizing.real(0.5 if resizing.mode == NEAREST_EXACT else 0)
    source = np.floor(((i + half) * resizing.step).astype(np.float32)).astype(np.int64)
    return _placed(resizing, [(source, np.ones(resizing.outputs))])


def _centres(resizing: Resizing) -> Any:
    """Returns where in the input each output pixel lies, (outputs,)."""
    i = np.arange(resizing.outputs).astype(resizing.real)
    if resizing.align_corners:
        return resizing.step * i
    half = resizing.real(0.5)
    return resizing.step * (i + half) - half


def _linear(resizing: Resizing) -> Numbers:
    if resizing.size == resizing.outputs:
        return np.eye(resizing.size)
    source = np.maximum(_centres(resizing), resizing.real(0))
    first = np.minimum(np.floor(source).astype(np.int64), resizing.size - 1)
    second = resizing.as_held(np.clip(source - first.astype(resizing.real), resizing.real(0), resizing.real(1)))
    return _placed(resizing, [(first, resizing.real(1) - second), (first + 1, second)])


def _cubic(resizing: Resizing) -> Numbers:
    source = _centres(resizing)
    first = np.minimum(np.floor(source).astype(np.int64), resizing.size - 1)
    t = np.clip(source - first.astype(resizing.real), resizing.real(0), resizing.real(1))
    kernel = _cubic_kernel(-0.75, resizing.real)
    distances = (t + resizing.real(1), t, resizing.real(1) - t, resizing.real(2) - t)
    return _placed(resizing, [(first + tap - 1, kernel(distance)) for tap, distance in enumerate(distances)])


def _cubic_kernel(a: float, real: Any) -> Callable[[Any], Any]:
    """Returns the kernel of Keys 1981, 'Cubic convolution interpolation', with its parameter a."""
    one, two, three, four, five, eight = (real(number) for number in (1, 2, 3, 4, 5, 8))
    a = real(a)

    def kernel(x: Any) -> Any:
        x = np.abs(x)
        near = ((a + two) * x - (a + three)) * x * x + one
        far = ((a * x - five * a) * x + eight * a) * x - four * a
        return np.where(x <= one, near, np.where(x < two, far, real(0)))

    return kernel


def _widened(resizing: Resizing) -> Numbers:
    real = resizing.real
    half, width = real(0.5), real(4 if resizing.mode == CUBIC else 2)
    widening = max(resizing.step, real(1))
    support = width * half * widening
    centre = (resizing.step * (np.arange(resizing.outputs).astype(real) + half))[:, None]  # (outputs, 1)
    starts = np.maximum((centre - support + half).astype(np.int64), 0)
    stops = np.minimum((centre + support + half).astype(np.int64), resizing.size)
    j = np.arange(resizing.size)[None]  # (1, size)
    distance = (j.astype(real) - centre + half) * (real(1) / widening)
    kernel = _cubic_kernel(-0.5, real) if resizing.mode == CUBIC else lambda x: np.maximum(real(1) - np.abs(x), real(0))
    weights = np.where((j >= starts) & (j < stops), kernel(distance), real(0))
    return (weights / weights.sum(1, keepdims=True)).astype(np.float64)


def _placed(resizing: Resizing, taps: list[tuple[Any, Any]]) -> Numbers:
    """Returns weights at their places; what would lie outside is the border's pixel."""
    weights = np.zeros((resizing.outputs, resizing.size))
    outputs = np.arange(resizing.outputs)
    for places, numbers in taps:
        np.add.at(weights, (outputs, np.clip(places, 0, resizing.size - 1)), resizing.as_held(numbers))
    return weights

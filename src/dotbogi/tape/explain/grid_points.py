"""Where in an image a grid's point lies, and how much of each of the pixels around it holds.

Source: pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html. The order of the steps is that of
aten/src/ATen/native/cpu/GridSamplerKernel.cpp, each rounded to the grid's type (on other devices at least to float32):
of an image of some hundred pixels the rounding of a point's place would otherwise be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dotbogi.tape.arithmetic import Numbers
from dotbogi.tape.explain import Question
from dotbogi.tape.explain.low_precision import rounds_on_the_way
from dotbogi.tape.explain.reducing import LOW_PRECISION

ZEROS, BORDER, REFLECTION = 0, 1, 2
BILINEAR, NEAREST = 0, 1


@dataclass(frozen=True)
class Axis:
    """One axis of the image that a grid points into.

    Args:
        size: of the image, in pixels.
        padding: what lies outside: ``ZEROS``, the ``BORDER``'s pixel, or a ``REFLECTION``.
        align_corners: whether −1 and 1 are the centres of the corner pixels, or their outer edges.
        dtype: that every step is rounded to.
    """

    size: int
    padding: int
    align_corners: bool
    dtype: torch.dtype

    def round_to(self, numbers: Any) -> NDArray[np.float64]:
        """Returns numbers as the type of the steps holds them, in float64."""
        return torch.as_tensor(numbers, dtype=torch.float64).to(self.dtype).double().numpy()

    def weights(self, pixels: Numbers, place: Any) -> Numbers:
        """Returns how much of the pixel at a place points hold: 1 − distance, 0 beyond 1."""
        first = np.floor(pixels)
        beyond = self.round_to(pixels - first)
        return np.where(place == first, self.round_to(1 - beyond), np.where(place == first + 1, beyond, 0.0))

    @property
    def factor(self) -> float:
        """How many pixels a grid's unit is."""
        return float(self.round_to((self.size - 1 if self.align_corners else self.size) / 2))

    @property
    def last(self) -> float:
        """The last pixel, as far as the grid's type can say it."""
        return float(self.round_to(self.size - 1))

    def located(self, grid: Numbers) -> tuple[Numbers, Numbers]:
        """Returns where points lie, in pixels, and the derivative of that, both (K,)."""
        pixels = self._unnormalised(self.round_to(grid + 1))
        slope = np.full_like(pixels, self.factor)
        if self.padding == REFLECTION:
            pixels, sign = self._reflected(pixels)
            slope = slope * sign
        if self.padding != ZEROS:
            # A point on the border itself counts as outside: it has no gradient.
            slope = slope * ((pixels > 0) & (pixels < self.last))
            pixels = np.clip(pixels, 0, self.last)
        return pixels, slope

    def _unnormalised(self, distance: Numbers) -> Numbers:
        if self.align_corners:
            return self.round_to(distance * self.factor)
        if self.dtype in LOW_PRECISION:
            return self.round_to(self.round_to(distance * self.factor) - 0.5)
        # One rounding: processors multiply and add in one step.
        return self.round_to(multiplied_and_added(distance, self.factor, -0.5))

    def _reflected(self, pixels: Numbers) -> tuple[Numbers, Numbers]:
        low = 0.0 if self.align_corners else -0.5
        span = float(self.round_to(2 * (self.size - 1 if self.align_corners else self.size)))
        if span == 0:
            return np.zeros_like(pixels), np.zeros_like(pixels)
        distance = np.abs(self.round_to(pixels - low))
        flips = np.trunc(self.round_to(distance / span))
        extra = self.round_to(distance - self.round_to(flips * span))
        back = self.round_to(span - extra)
        sign = np.where((pixels < low) ^ (extra > back), -1.0, 1.0)
        return self.round_to(np.minimum(extra, back) + low), sign

    def formula(self, pixel: str, grid: str, size: str) -> str:
        """Returns how a point is located, in symbols."""
        located = f"({grid}+1)·({size}−1)/2" if self.align_corners else f"(({grid}+1)·{size}−1)/2"
        names = {ZEROS: located, BORDER: f"clip({located})", REFLECTION: f"clip(reflect({located}))"}
        return f"{pixel} = {names[self.padding]}"


@dataclass(frozen=True)
class Sampling:
    """How an image is sampled: its height first, its width second."""

    height: Axis
    width: Axis

    @classmethod
    def of(cls, question: Question) -> Sampling:
        """Reads it from the arguments of the sampling or of its gradient."""
        image, grid = question.argument("input"), question.argument("grid")
        common = (
            int(question.argument("padding_mode")),
            bool(question.argument("align_corners")),
            grid.dtype if rounds_on_the_way(grid) or grid.dtype == torch.float64 else torch.float32,
        )
        return cls(Axis(image.shape[2], *common), Axis(image.shape[3], *common))

    @property
    def formula(self) -> str:
        """How a point is located, in symbols."""
        return f"{self.width.formula('p', 'g₀', 'W')}, {self.height.formula('q', 'g₁', 'H')}"


def multiplied_and_added(a: Numbers, b: float, c: float) -> Numbers:
    """Returns a·b + c with one rounding to float64 at the end.

    Source: Dekker 1971, "A floating-point technique for extending the available precision", Numerische Mathematik 18;
    Knuth, The Art of Computer Programming 2, 4.2.2 (the exact error of a sum).
    """
    product = a * b
    a_high, b_high = (134217729.0 * one - (134217729.0 * one - one) for one in (a, b))  # 2²⁷ + 1
    a_low, b_low = a - a_high, b - b_high
    product_error = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    total = product + c
    part = total - product
    sum_error = (product - (total - part)) + (c - part)
    return total + (sum_error + product_error)

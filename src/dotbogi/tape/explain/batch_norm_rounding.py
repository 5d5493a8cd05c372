"""Where batch norm on a processor rounds in between, when its input is bfloat16 or float16.

The statistics are kept in the parameters' type; whether the steps after them are rounded too depends on the memory
format. Source: PyTorch, aten/src/ATen/native/Normalization.cpp and cpu/batch_norm_kernel.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch._prims_common import suggest_memory_format

from dotbogi.tape.arithmetic import Numbers
from dotbogi.tape.explain.normalisation import one
from dotbogi.tape.explain.reducing import LOW_PRECISION, rounded
from dotbogi.tape.value import Value

CHANNELS_LAST = (torch.channels_last, torch.channels_last_3d)


def is_dense(value: Value) -> bool:
    """Whether torch takes its fast path: contiguous, or channels last."""
    view = value.view()
    formats = CHANNELS_LAST[view.dim() - 4 : view.dim() - 3] if view.dim() in (4, 5) else ()
    return view.is_contiguous() or any(view.is_contiguous(memory_format=one) for one in formats)


def have_same_format(first: Value, second: Value) -> bool:
    """Whether torch's fast path takes both at once."""
    return suggest_memory_format(first.view()) == suggest_memory_format(second.view())


@dataclass(frozen=True)
class Rounding:
    """The types between which torch goes, and which path it takes.

    Args:
        number: type of the input and the output.
        parameter: type in which statistics, scale and shift are kept.
        is_fast: whether nothing but the statistics is rounded in between.
        by_channel: whether the fast path has the channels innermost.
    """

    number: torch.dtype
    parameter: torch.dtype
    is_fast: bool
    by_channel: bool

    @classmethod
    def of(cls, x: Value, parameter: torch.dtype, gradient: Value | None = None) -> Rounding | None:
        """Returns how a batch norm rounds, or ``None`` where it does so only once, at its end."""
        if x.device.type != "cpu" or x.dtype not in LOW_PRECISION:
            return None
        is_fast = is_dense(x) and (gradient is None or (is_dense(gradient) and have_same_format(x, gradient)))
        by_channel = not x.view().is_contiguous() or x.numel() == x.shape[0] * x.shape[1]
        return cls(x.dtype, parameter, is_fast, by_channel)

    def kept(self, number: Any) -> Any:
        """Returns a number as a parameter's type holds it."""
        return rounded(number, self.parameter)

    def stored(self, number: Any) -> Any:
        """Returns a number as the input's type holds it."""
        return rounded(number, self.number)

    def summed(self, number: Any) -> Any:
        """Returns a statistic on its way: bfloat16 is rounded there too, float16 is kept in float32."""
        return self.kept(number) if self.is_fast and self.parameter == torch.bfloat16 else number

    def mean(self, x: Numbers) -> Any:
        """Returns the mean that is kept."""
        return self.kept(np.mean(x))

    def squares(self, x: Numbers) -> Any:
        """Returns Σ(x − μ)², from the kept mean or from the one before it was rounded."""
        mean = np.mean(x)
        if not self.is_fast or self.by_channel:
            mean = self.summed(mean) if self.is_fast else self.kept(mean)
        return self.summed(np.sum((x - mean) ** 2))

    def over(self, total: Any, count: int) -> Any:
        """Returns a sum of squares over a count."""
        return self.summed(total / self.summed(float(count)))

    def statistics(self, x: Numbers, eps: float) -> tuple[Any, Any]:
        """Returns μ and 1/√(σ² + ε), as they are kept."""
        return self.mean(x), self.kept(1 / np.sqrt(self.over(self.squares(x), len(x)) + eps))

    def combine(self, x: Any, mean: Any, deviation: Any, gamma: Any, beta: Any) -> Any:
        """Returns γ·(x − μ)·r + β, on the slow path rounded after each step."""
        if self.is_fast:
            return x * deviation * gamma + (beta - mean * deviation * gamma)
        return self.kept(self.kept(self.kept(self.kept(x - mean) * deviation) * gamma) + beta)

    def running_mean(self, before: Any, x: Numbers, momentum: float) -> Any:
        """Returns (1 − m)·before + m·μ."""
        mean = self.summed(np.mean(x)) if self.is_fast else self.mean(x)
        share = self.summed(momentum)
        return self.summed(share * mean) + self.summed(self.summed(1 - share) * before)

    def running_variance(self, before: Any, x: Numbers, momentum: float) -> Any:
        """Returns (1 − m)·before + m·Σ(x − μ)²/(N − 1)."""
        share = self.summed(momentum)
        return share * self.over(self.squares(x), len(x) - 1) + self.summed(self.summed(1 - share) * before)

    def evaluated(self, x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, eps: float) -> Any:
        """Returns γ·(x − μ)/√(σ² + ε) + β on the slow path, rounded after each step."""
        deviation = self.kept(1 / self.kept(np.sqrt(self.kept(variance + eps))))
        return self.combine(x, mean, deviation, gamma, beta)

    def input_gradient(self, place: int, g: Numbers, x: Numbers, mean: Any, deviation: Any, gamma: Any) -> Any:
        """Returns (g − Σg/N − (x − μ)·k)·r·γ with k = Σg·(x − μ)·r²/N, rounded after each step of the slow path."""
        count = self.stored(float(len(x))) if self.number == torch.bfloat16 else len(x)
        total = self.stored(np.sum(self.kept(self.kept(x - mean) * g)))
        factor = self.stored(self.kept(self.kept(total * deviation) * deviation) / self.kept(float(len(x))))
        projected = self.stored(self.kept(x[place] - mean) * factor)
        average = self.stored(self.total(g) / count)
        rest = self.stored(self.stored(g[place] - average) - projected)
        return self.kept(rest * deviation) * gamma

    def total(self, g: Numbers) -> Any:
        """Returns Σ g of the slow path, which keeps it in bfloat16, but of float16 in float32."""
        return self.stored(np.sum(g)) if self.number == torch.bfloat16 else np.sum(g)

    def evaluated_gradient(self, g: Any, variance: Any, gamma: Any, eps: float) -> Any:
        """Returns g/√(σ² + ε)·γ, rounded after each step of the slow path."""
        return self.kept(g * self.kept(1 / np.sqrt(variance + eps))) * gamma

    def weight_gradient(self, g: Numbers, x: Numbers, mean: Numbers, deviation: Numbers) -> Any:
        """Returns Σ g·(x − μ)·r, rounded after each step of the slow path."""
        return np.sum(self.kept(self.kept(x - one(mean, 0.0)) * g)) * one(deviation, 1.0)

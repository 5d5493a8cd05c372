"""The windows of a pooling: which places of the input each output looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dotbogi.tape.arithmetic import Indices
from dotbogi.tape.explain import Question
from dotbogi.tape.explain.indices import per_axis


@dataclass(frozen=True)
class Windows:
    """The windows along one axis, by output.

    Args:
        starts: first place inside the input, (outputs,).
        stops: one behind the last place inside the input.
        lengths: what a window counts for in the divisor.
    """

    starts: Indices
    stops: Indices
    lengths: Indices

    @classmethod
    def fixed(cls, size: int, outputs: int, kernel: int, stride: int, padding: int, counts_padding: bool) -> Windows:
        """Returns windows of one size; of the padding counts what lies within it, not what ``ceil_mode`` adds behind.

        Source: pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html, aten/src/ATen/native/cpu/AvgPoolKernel.cpp.
        """
        starts = np.arange(outputs) * stride - padding
        stops = np.minimum(starts + kernel, size + padding)
        inner = np.maximum(starts, 0), np.minimum(stops, size)
        return cls(*inner, stops - starts if counts_padding else inner[1] - inner[0])

    @classmethod
    def adaptive(cls, size: int, outputs: int) -> Windows:
        """Returns windows that share an input out: from ⌊o·I/O⌋ to ⌈(o+1)·I/O⌉.

        Source: aten/src/ATen/native/AdaptivePooling.h, ``start_index`` and ``end_index``.
        """
        o = np.arange(outputs)
        starts, stops = o * size // outputs, -(-(o + 1) * size // outputs)
        return cls(starts, stops, stops - starts)

    def inside(self, output: int) -> Indices:
        """Returns the input's places in the window of an output."""
        return np.arange(self.starts[output], self.stops[output])

    def covering(self, place: int) -> Indices:
        """Returns the outputs whose windows cover a place of the input."""
        return np.flatnonzero((self.starts <= place) & (place < self.stops))


def windows_of(question: Question, sizes: tuple[int, ...], outputs: tuple[int, ...]) -> list[Windows]:
    """Returns the windows along each of the pooled axes, which are the last ones.

    Args:
        question: about an average pooling or its gradient.
        sizes: of the pooling's input.
        outputs: sizes of its output.
    """
    axes = next(axes for axes in (1, 2, 3) if f"pool{axes}d" in question.operation.packet)
    pairs = zip(sizes[-axes:], outputs[-axes:], strict=True)
    if "adaptive" in question.operation.packet:
        return [Windows.adaptive(*pair) for pair in pairs]
    kernel, padding = (per_axis(question.argument(name), axes) for name in ("kernel_size", "padding"))
    stride = per_axis(question.argument("stride") or kernel, axes)
    counts_padding = bool(question.argument("count_include_pad"))
    return [
        Windows.fixed(size, outputs, k, s, p, counts_padding)
        for (size, outputs), k, s, p in zip(pairs, kernel, stride, padding, strict=True)
    ]

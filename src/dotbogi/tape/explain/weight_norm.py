"""Weight norm: a weight as a length times a direction, w = g·v/‖v‖ (Salimans & Kingma 2016, arXiv:1602.07868)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.norms import norm_of
from dotbogi.tape.explain.reducing import along, place_in, reduced_axes, reduction_of
from dotbogi.tape.value import Value


@dataclass(frozen=True)
class Direction:
    """What shares a length.

    Args:
        kept: index of the length: 0 on every axis but its own.
        axes: over which the norm runs.
    """

    kept: tuple[int, ...]
    axes: frozenset[int]

    @classmethod
    def of(cls, question: Question, v: Value) -> Direction:
        """Reads it from the arguments of a weight norm, forward or backward."""
        own = reduced_axes(question.argument("dim"), len(v.shape))
        kept = tuple(i if axis in own else 0 for axis, i in enumerate(question.index))
        return cls(kept, frozenset(range(len(v.shape))) - own)

    def elements(self, value: Value) -> Elements:
        """Returns all elements of a value that share the length."""
        return along(value, self.kept, self.axes)


@explains("_weight_norm_interface")
def weight_norm(question: Question) -> Arithmetic:
    """Results: w = g·v/‖v‖ with the norm over all axes but one, and ‖v‖."""
    v, g = question.argument("v"), question.argument("g")
    direction = Direction.of(question, v)
    line = direction.elements(v)
    if question.output == 1:
        return norm_of(line, 2.0)
    place = place_in(line, question.index)
    return reduction_of(
        "w = g·v/‖v‖",
        [("v", line), ("g", Elements.one(g, direction.kept))],
        lambda v, g: g[0] * v[place] / np.sqrt(np.sum(v * v)),
        latex=r"w = g\,\frac{v}{\lVert v\rVert}",
        scale=lambda v, g: abs(g[0] * v[place]) / np.sqrt(np.sum(v * v)),
    )


@explains("_weight_norm_interface_backward")
def weight_norm_backward(question: Question) -> Arithmetic:
    """Results: ∂v = g/‖v‖·(∂w − v·(Σ ∂w·v)/‖v‖²) and ∂g = Σ ∂w·v/‖v‖."""
    v = question.argument("saved_v")
    direction = Direction.of(question, v)
    length, norm = (Elements.one(question.argument(name), direction.kept) for name in ("saved_g", "saved_norms"))
    gradient, line = direction.elements(question.argument("grad_w")), direction.elements(v)
    if question.output == 1:
        return reduction_of(
            "∂g = Σ ∂w·v/‖v‖",
            [("∂w", gradient), ("v", line), ("‖v‖", norm)],
            lambda w, v, norm: np.sum(w * v) / norm[0],
            scale=lambda w, v, norm: np.sum(np.abs(w * v)) / norm[0],
        )
    place = place_in(line, question.index)

    def result(w: Numbers, v: Numbers, g: Numbers, norm: Numbers) -> Any:
        return g[0] / norm[0] * (w[place] - v[place] * np.sum(w * v) / norm[0] ** 2)

    def scale(w: Numbers, v: Numbers, g: Numbers, norm: Numbers) -> Any:
        return abs(g[0]) / norm[0] * (abs(w[place]) + abs(v[place]) * np.sum(np.abs(w * v)) / norm[0] ** 2)

    return reduction_of(
        "∂v = g/‖v‖·(∂w − v·Σ ∂w·v/‖v‖²)",
        [("∂w", gradient), ("v", line), ("g", length), ("‖v‖", norm)],
        result,
        scale=scale,
    )

"""The grid of an affine transformation: every point is a matrix times its place in the output.

Source: pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html.
"""

from __future__ import annotations

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Numbers, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.indices import columns
from dotbogi.tape.explain.reducing import rounded


@explains("affine_grid_generator")
def affine_grid(question: Question) -> Arithmetic:
    """θ times (x, y, 1), or (x, y, z, 1), where −1 … 1 spans the output along every axis."""
    theta = question.argument("theta")
    sizes = tuple(question.argument("size"))[2:]
    b, *place, row = question.index
    aligned = bool(question.argument("align_corners"))
    located = [_places(size, aligned, theta.dtype)[at] for size, at in zip(sizes, place, strict=True)]
    terms = Elements(theta, columns(b, row, np.arange(len(sizes) + 1)))
    coefficients = np.array([*reversed(located), 1.0])
    names = ", ".join("xyz"[: len(sizes)])
    return sum_of_products(f"g[b,…,k] = Σ θ[b,k,m] · ({names}, 1)[m]", Group("θ", terms, coefficients))


def _places(size: int, align_corners: bool, dtype: torch.dtype) -> Numbers:
    """Returns where an axis's pixels lie: from −1 to 1 their centres, or their outer edges."""
    if size == 1:
        return np.zeros(1)
    centres = torch.linspace(-1, 1, size, dtype=dtype).double().numpy()
    return centres if align_corners else rounded(rounded(centres * (size - 1), dtype) / size, dtype)

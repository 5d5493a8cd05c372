"""Products of three tensors that are summed over some axes: ``torch.nn.Bilinear`` and its gradients.

Source: pytorch.org/docs/stable/generated/torch.nn.Bilinear.html; aten/src/ATen/native/Linear.cpp, ``_trilinear``.
"""

from __future__ import annotations

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.indices import columns, counting
from dotbogi.tape.explain.reducing import reduction_of
from dotbogi.tape.value import Value


@explains("_trilinear")
def trilinear(question: Question) -> Arithmetic:
    """Σ a·b·c over the axes that are summed; each tensor lacks the axes along which it stays the same."""
    tensors: list[Value] = [question.argument(f"i{number}") for number in (1, 2, 3)]
    expanded = [list(question.argument(f"expand{number}")) for number in (1, 2, 3)]
    summed = list(question.argument("sumdim"))
    count = len(tensors[0].shape) + len(expanded[0])
    kept = [axis for axis in range(count) if axis not in summed]
    own = [[axis for axis in range(count) if axis not in lacking] for lacking in expanded]
    sizes = {
        axis: size for axes, one in zip(own, tensors, strict=True) for axis, size in zip(axes, one.shape, strict=True)
    }
    place = dict(zip(kept, question.index, strict=True)) | dict(
        zip(summed, counting(tuple(sizes[axis] for axis in summed)), strict=True)
    )
    terms = [Elements(one, columns(*(place[axis] for axis in axes))) for axes, one in zip(own, tensors, strict=True)]
    return reduction_of(
        "y = Σ a · b · c",
        list(zip("abc", terms, strict=True)),
        lambda a, b, c: np.sum(a * b * c),
        scale=lambda a, b, c: np.sum(np.abs(a * b * c)),
    )

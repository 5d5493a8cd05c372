"""Images sampled at a grid's points: of the four pixels around each, more of the nearer ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from dotbogi.language import _
from dotbogi.tape.arithmetic import (
    FUNCTION,
    Arithmetic,
    Elements,
    Indices,
    Numbers,
    copy_of,
    sum_of_products,
    unexplained,
)
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.grid_points import BILINEAR, NEAREST, Sampling
from dotbogi.tape.explain.indices import columns, combinations
from dotbogi.tape.explain.low_precision import rounds_on_the_way
from dotbogi.tape.explain.reducing import reduction_of, told_rounding
from dotbogi.tape.value import Value


@explains("grid_sampler_2d", "_grid_sampler_2d_cpu_fallback", "cudnn_grid_sampler", "grid_sampler")
def grid_sampler(question: Question) -> Arithmetic:
    """The pixels around the point that the grid names, or the nearest one."""
    image: Value = question.operation.inputs[0]
    mode = question.argument("interpolation_mode")
    if mode not in (BILINEAR, NEAREST) or len(image.shape) != 4:
        return unexplained(_("only images that are sampled bilinearly or by the nearest pixel are explained"))
    sampling = Sampling.of(question)
    p, q = _point(question, sampling)
    return (_nearest if mode == NEAREST else _bilinear)(question, sampling, p, q)


def _point(question: Question, sampling: Sampling) -> tuple[float, float]:
    """Returns where in the image an output lies: its column and its row, in pixels."""
    b, _c, i, j = question.index
    x, y = Elements(question.argument("grid"), columns(b, i, j, np.arange(2))).numbers()
    (p,), _slope = sampling.width.located(np.array([x]))
    (q,), _slope = sampling.height.located(np.array([y]))
    return float(p), float(q)


def _nearest(question: Question, sampling: Sampling, p: float, q: float) -> Arithmetic:
    b, c = question.index[:2]
    formula = f"y[b,c,i,j] = x[b,c,round(q),round(p)],  {sampling.formula}"
    if not (np.isfinite([p, q]).all() and _is_inside(sampling, round(q), round(p))):
        return sum_of_products("y = 0   (outside)", p=p, q=q)
    return copy_of(question.argument("input"), (b, c, round(q), round(p)), formula)


def _is_inside(sampling: Sampling, row: Any, column: Any) -> Any:
    return (row >= 0) & (row < sampling.height.size) & (column >= 0) & (column < sampling.width.size)


def pixels_around(sampling: Sampling, p: float, q: float) -> tuple[Indices, Indices]:
    """Returns rows and columns of the up to four pixels around a point that are inside, row by row."""
    if not np.isfinite([p, q]).all():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    corner = np.floor(np.clip([q, p], -2, [sampling.height.size + 1, sampling.width.size + 1])).astype(np.int64)
    rows, places = combinations(corner[0] + np.arange(2), corner[1] + np.arange(2))
    inside = _is_inside(sampling, rows, places)
    return rows[inside], places[inside]


def _bilinear(question: Question, sampling: Sampling, p: float, q: float) -> Arithmetic:
    b, c, i, j = question.index
    rows, places = pixels_around(sampling, p, q)
    rounds = rounds_on_the_way(question.value)
    formula = f"y[b,c,i,j] = Σ x[b,c,v,u]·(1−|p−u|)·(1−|q−v|),  {sampling.formula}"
    if not len(rows):
        return sum_of_products("y = 0   (outside)", p=p, q=q)
    weighed = partial(_weighed, sampling=sampling, rows=rows, places=places, rounds=rounds)
    return reduction_of(
        formula + (told_rounding("every step", question.value.dtype) if rounds else ""),
        [
            ("x", Elements(question.argument("input"), columns(b, c, rows, places))),
            ("g", Elements(question.argument("grid"), columns(b, i, j, np.arange(2)))),
        ],
        lambda x, g: weighed(x, g)[-1],
        kind=FUNCTION,
        scale=lambda x, g: weighed(np.abs(x), g)[-1],
        p=p,
        q=q,
    )


def _weighed(x: Numbers, g: Numbers, *, sampling: Sampling, rows: Indices, places: Indices, rounds: bool) -> Numbers:
    """Returns the sum so far after every pixel, (K,)."""
    p, q = sampling.width.located(g[:1])[0], sampling.height.located(g[1:])[0]
    step = sampling.width.round_to if rounds else np.asarray
    weights = step(sampling.width.weights(p, places) * sampling.height.weights(q, rows))
    total, sums = 0.0, []
    for product in step(x * weights):
        total = float(step(total + product))
        sums.append(total)
    return np.array(sums)

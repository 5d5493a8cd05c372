"""The gradients of sampling an image at a grid's points: of the image, and of the grid. δ is ∂L/∂y.

Source: the derivative of the formula of :mod:`dotbogi.tape.explain.grid_sampling`; Jaderberg et al. 2015,
"Spatial Transformer Networks", arXiv:1506.02025, equations 6 and 7.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Indices, Numbers, sum_of_products, unexplained
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.grid_points import BILINEAR, NEAREST, Sampling
from dotbogi.tape.explain.grid_sampling import pixels_around
from dotbogi.tape.explain.indices import columns, counting
from dotbogi.tape.explain.reducing import reduction_of
from dotbogi.tape.value import Value


@explains("grid_sampler_2d_backward")
def grid_sampler_backward(question: Question) -> Arithmetic:
    """Of the image a sum over the points that held a pixel, of the grid a sum over the pixels that a point held."""
    mode = question.argument("interpolation_mode")
    if mode not in (BILINEAR, NEAREST):
        return unexplained(_("only images that are sampled bilinearly or by the nearest pixel are explained"))
    sampling = Sampling.of(question)
    if question.output == 0:
        return (_image_gradient if mode == BILINEAR else _image_gradient_of_nearest)(question, sampling)
    if mode == NEAREST:
        return sum_of_products("∂L/∂g = 0   (the nearest pixel stays the same)")
    return _grid_gradient(question, sampling)


def _points(question: Question, sampling: Sampling) -> tuple[Indices, Indices, Numbers, Numbers]:
    """Returns rows and columns of a sample's grid, and where each point lies, all (K,)."""
    grid: Value = question.argument("grid")
    b = question.index[0]
    i, j = counting(grid.shape[1:3])
    x, y = (Elements(grid, columns(b, i, j, axis)).numbers() for axis in (0, 1))
    return i, j, sampling.width.located(x)[0], sampling.height.located(y)[0]


def _image_gradient(question: Question, sampling: Sampling) -> Arithmetic:
    b, c, v, u = question.index
    i, j, p, q = _points(question, sampling)
    touching = (np.abs(p - u) < 1) & (np.abs(q - v) < 1)
    i, j = i[touching], j[touching]
    grid: Value = question.argument("grid")

    def weights(x: Numbers, y: Numbers) -> Numbers:
        width, height = sampling.width, sampling.height
        return width.weights(width.located(x)[0], u) * height.weights(height.located(y)[0], v)

    return reduction_of(
        f"∂L/∂x[b,c,v,u] = Σ δ[b,c,i,j]·(1−|p−u|)·(1−|q−v|),  {sampling.formula}",
        [
            ("δ", Elements(question.argument("grad_output"), columns(b, c, i, j))),
            ("g₀", Elements(grid, columns(b, i, j, 0))),
            ("g₁", Elements(grid, columns(b, i, j, 1))),
        ],
        lambda delta, x, y: np.sum(delta * weights(x, y)),
        scale=lambda delta, x, y: np.sum(np.abs(delta * weights(x, y))),
    )


def _image_gradient_of_nearest(question: Question, sampling: Sampling) -> Arithmetic:
    b, c, v, u = question.index
    i, j, p, q = _points(question, sampling)
    touching = (np.rint(p) == u) & (np.rint(q) == v)
    terms = Elements(question.argument("grad_output"), columns(b, c, i[touching], j[touching]))
    return sum_of_products(
        f"∂L/∂x[b,c,v,u] = Σ δ[b,c,i,j]   (round(p) = u, round(q) = v),  {sampling.formula}", Group("δ", terms, 1.0)
    )


def _grid_gradient(question: Question, sampling: Sampling) -> Arithmetic:
    b, i, j, axis = question.index
    delta, image, grid = (question.argument(name) for name in ("grad_output", "input", "grid"))
    point = Elements(grid, columns(b, i, j, np.arange(2)))
    x, y = point.numbers()
    p, q = sampling.width.located(np.array([x]))[0], sampling.height.located(np.array([y]))[0]
    rows, places = pixels_around(sampling, float(p[0]), float(q[0]))
    channel, corner = counting((image.shape[1], len(rows)))

    def products(delta: Numbers, pixels: Numbers, point: Numbers) -> Any:
        slope, steepness = _steepness(sampling, point, rows, places, axis)
        return slope * delta[channel] * pixels * steepness[corner]

    names = ("p", "g₀", "u", "q", "v") if axis == 0 else ("q", "g₁", "v", "p", "u")
    formula = "∂L/∂{1} = ∂{0}/∂{1} · Σ δ[b,c,i,j]·x[b,c,v,u]·sign({2}−{0})·(1−|{3}−{4}|)".format(*names)
    return reduction_of(
        f"{formula},  {sampling.formula}",
        [
            ("δ", Elements(delta, columns(b, np.arange(image.shape[1]), i, j))),
            ("x", Elements(image, columns(b, channel, rows[corner], places[corner]))),
            ("g", point),
        ],
        lambda *numbers: np.sum(products(*numbers)),
        scale=lambda *numbers: np.sum(np.abs(products(*numbers))),
    )


def _steepness(
    sampling: Sampling, point: Numbers, rows: Indices, places: Indices, axis: int
) -> tuple[Numbers, Numbers]:
    """Returns how fast a point moves with the grid, and how fast each pixel's weight grows when it moves, (K,)."""
    p, across = sampling.width.located(point[:1])
    q, down = sampling.height.located(point[1:])
    if axis == 0:
        return across, np.where(places > np.floor(p), 1.0, -1.0) * sampling.height.weights(q, rows)
    return down, np.where(rows > np.floor(q), 1.0, -1.0) * sampling.width.weights(p, places)

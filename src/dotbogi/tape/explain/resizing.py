"""Resized images: every pixel is a weighted sum of the input's pixels around where it comes from."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
import torch

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Indices, Numbers, copy_of, sum_of_products, unexplained
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.indices import columns, combinations
from dotbogi.tape.explain.low_precision import rounds_on_the_way
from dotbogi.tape.explain.reducing import argument_of
from dotbogi.tape.explain.resizing_weights import CUBIC, LINEAR, NEAREST, NEAREST_EXACT, Resizing, resizing_weights
from dotbogi.tape.value import Value

MODES = {"nearest_exact": NEAREST_EXACT, "nearest": NEAREST, "cubic": CUBIC, "linear": LINEAR}
HELD_IN_TYPE = ("upsample_linear1d", "upsample_trilinear3d", "upsample_bicubic2d")
"""Operations that keep their weights in the image's own type (on a CPU)."""
FORMULAS = {
    1: ("y[b,c,i] = Σ h[i,u] · x[b,c,u]", "∂L/∂x[b,c,u] = Σ h[i,u] · δ[b,c,i]"),
    2: ("y[b,c,i,j] = Σ h[i,u] · w[j,v] · x[b,c,u,v]", "∂L/∂x[b,c,u,v] = Σ h[i,u] · w[j,v] · δ[b,c,i,j]"),
    3: (
        "y[b,c,i,j,k] = Σ h[i,u] · w[j,v] · d[k,t] · x[b,c,u,v,t]",
        "∂L/∂x[b,c,u,v,t] = Σ h[i,u] · w[j,v] · d[k,t] · δ[b,c,i,j,k]",
    ),
}
"""Of an output and of a gradient, by the number of axes; h, w and d are the weights along them."""


@explains("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
@explains("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d")
def upsample_nearest(question: Question) -> Arithmetic:
    """The pixel that an output pixel comes from."""
    x: Value = question.operation.inputs[0]
    axes = _resizings(question, x.shape[2:], question.value.shape[2:])
    place = [int(resizing_weights(axis)[at].argmax()) for axis, at in zip(axes, question.index[2:], strict=True)]
    source = "(i + ½)" if "exact" in question.operation.packet else "i"
    return copy_of(x, (*question.index[:2], *place), formula=f"y[i] = x[⌊{source} · I / O⌋] along each axis")


@explains("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d")
@explains("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
def upsample(question: Question) -> Arithmetic:
    """Σ of the pixels around where an output pixel comes from, each times a weight along every axis."""
    x: Value = question.operation.inputs[0]
    if not question.value.dtype.is_floating_point:
        return unexplained(_("whole numbers are resized in fixed-point arithmetic"))
    axes = _resizings(question, x.shape[2:], question.value.shape[2:])
    weights = [resizing_weights(axis)[at] for axis, at in zip(axes, question.index[2:], strict=True)]
    return _weighted(question, x, "x", weights, FORMULAS[len(axes)][0])


@explains("upsample_nearest1d_backward", "upsample_nearest2d_backward", "upsample_nearest3d_backward")
@explains("_upsample_nearest_exact1d_backward", "_upsample_nearest_exact2d_backward")
@explains("_upsample_nearest_exact3d_backward", "upsample_linear1d_backward", "upsample_bilinear2d_backward")
@explains("upsample_trilinear3d_backward", "upsample_bicubic2d_backward")
@explains("_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward")
def upsample_backward(question: Question) -> Arithmetic:
    """Σ of δ = ∂L/∂y over the output pixels in which a pixel is, each times the weight that it has there."""
    delta: Value = question.argument("grad_output")
    axes = _resizings(question, question.value.shape[2:], delta.shape[2:])
    weights = [resizing_weights(axis)[:, at] for axis, at in zip(axes, question.index[2:], strict=True)]
    return _weighted(question, delta, "δ", weights, FORMULAS[len(axes)][1])


def _weighted(question: Question, value: Value, symbol: str, weights: list[Numbers], formula: str) -> Arithmetic:
    places, coefficients = _products(weights)
    terms = Elements(value, columns(*question.index[:2], *places))
    return sum_of_products(formula, Group(symbol, terms, coefficients))


def _products(weights: list[Numbers]) -> tuple[list[Indices], Numbers]:
    """Returns the places with a weight along every axis, and the products of their weights (K,)."""
    places = combinations(*(np.flatnonzero(axis) for axis in weights))
    return places, reduce(np.multiply, [axis[at] for axis, at in zip(weights, places, strict=True)])


def _resizings(question: Question, sizes: tuple[int, ...], outputs: tuple[int, ...]) -> list[Resizing]:
    packet = question.operation.packet
    mode = next(mode for part, mode in MODES.items() if part in packet)
    common = Resizing(
        mode,
        0,
        0,
        align_corners=bool(argument_of(question, "align_corners", default=False)),
        antialias="_aa" in packet,
        is_double=question.value.dtype == torch.float64,
        weight_dtype=question.value.dtype if packet in HELD_IN_TYPE and rounds_on_the_way(question.value) else None,
    )
    return [
        replace(common, size=size, outputs=output, factor=factor)
        for size, output, factor in zip(sizes, outputs, _factors(question, len(sizes)), strict=True)
    ]


def _factors(question: Question, axes: int) -> list[Any]:
    together = argument_of(question, "scale_factors")
    if together is not None:
        return list(together)
    names = {1: ["scales"], 2: ["scales_h", "scales_w"], 3: ["scales_d", "scales_h", "scales_w"]}[axes]
    return [argument_of(question, name) for name in names]

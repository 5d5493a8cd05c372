"""The gradients of a convolution: with respect to its input, its kernel and its bias, each a sum of products.

δ is the loss's gradient with respect to the convolution's output, ∂L/∂y.
Source: the chain rule on the sums of :mod:`dotbogi.tape.explain.convolution`; Dumoulin & Visin 2016,
arXiv:1603.07285, section 4 (the gradient of a convolution is the transposed convolution of δ).
"""

from __future__ import annotations

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, Indices, product_group, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.convolution import Geometry, Shape, forward_taps, transposed_taps
from dotbogi.tape.explain.convolution_formulas import (
    bias_gradient_formula,
    input_gradient_formula,
    weight_gradient_formula,
)
from dotbogi.tape.explain.convolution_rounding import (
    added_by_pixels,
    added_by_samples,
    is_channels_last,
    rounds_in_between,
)
from dotbogi.tape.explain.indices import columns, combinations, counting


@explains("convolution_backward", "convolution_backward_overrideable")
def convolution_backward(question: Question) -> Arithmetic:
    """Each of the three results is a sum over δ."""
    return (_input_gradient, _weight_gradient, _bias_gradient)[question.output](question)


def _input_gradient(question: Question) -> Arithmetic:
    delta, w = question.argument("grad_output"), question.argument("weight")
    geometry = Geometry.of(question)
    taps = forward_taps if geometry.transposed else transposed_taps
    delta_index, w_index = taps(question.index, delta.shape, w.shape, geometry)
    deltas, weights = Elements(delta, delta_index), Elements(w, w_index)
    formula = input_gradient_formula(len(w.shape) - 2, geometry.transposed)
    if not geometry.transposed and rounds_in_between(question.value):
        channels, from_the_last = w.shape[0] // geometry.groups, is_channels_last(question.argument("input"), w)
        return added_by_pixels(
            formula, ("δ", deltas), ("w", weights), None, channels, from_the_last, **geometry.constants
        )
    return sum_of_products(formula, product_group("δ", deltas, "w", weights), **geometry.constants)


def _weight_gradient(question: Question) -> Arithmetic:
    delta, x, w = (question.argument(name) for name in ("grad_output", "input", "weight"))
    geometry = Geometry.of(question)
    if geometry.transposed:
        x_index, delta_index = weight_taps(question.index, x.shape, delta.shape, w.shape, geometry)
    else:
        delta_index, x_index = weight_taps(question.index, delta.shape, x.shape, w.shape, geometry)
    deltas, pixels = Elements(delta, delta_index), Elements(x, x_index)
    formula = weight_gradient_formula(len(w.shape) - 2, geometry.transposed)
    if rounds_in_between(question.value):
        return added_by_samples(formula, ("δ", deltas), ("x", pixels), **geometry.constants)
    return sum_of_products(formula, product_group("δ", deltas, "x", pixels), **geometry.constants)


def weight_taps(index: Shape, near: Shape, far: Shape, w: Shape, geometry: Geometry) -> tuple[Indices, Indices]:
    """Returns which elements meet under one element of the kernel, over all samples and places.

    Args:
        index: of the kernel's element.
        near: shape of what one step of the kernel is one pixel of: the output, of a transposed convolution the input.
        far: shape of what the kernel moves over by its stride.
        w: shape of the kernel, (channels of near, channels of far / groups, *kernel).
        geometry: of the convolution.

    Returns:
        Indices of near and far, (K, number of axes) each; what would lie in the padding is left out.
    """
    channel, within, *taps = index
    far_channel = channel // (w[0] // geometry.groups) * w[1] + within
    offsets = [u * d - p for u, d, p in zip(taps, geometry.dilation, geometry.padding, strict=True)]
    places = [
        np.arange(max(0, -(offset // s)), max(0, min(count, (size - 1 - offset) // s + 1)))
        for offset, s, count, size in zip(offsets, geometry.stride, near[2:], far[2:], strict=True)
    ]
    b, *at = combinations(np.arange(near[0]), *places)
    reached = [place * s + offset for place, s, offset in zip(at, geometry.stride, offsets, strict=True)]
    return columns(b, channel, *at), columns(b, far_channel, *reached)


def _bias_gradient(question: Question) -> Arithmetic:
    delta = question.argument("grad_output")
    b, *places = counting((delta.shape[0], *delta.shape[2:]))
    terms = Elements(delta, columns(b, question.index[0], *places))
    formula = bias_gradient_formula(len(delta.shape) - 2)
    geometry = Geometry.of(question)
    if rounds_in_between(question.value) and not geometry.transposed and max(geometry.dilation) > 1:
        return added_by_samples(formula, ("δ", terms), None, doubly=True)
    return sum_of_products(formula, Group("δ", terms, 1.0))

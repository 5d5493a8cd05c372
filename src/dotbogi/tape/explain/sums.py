"""Sums, means, running sums and traces: the terms with the same coefficient each.

Source of the formulas: the documentation of the functions of these names, pytorch.org/docs/stable/torch.html.
"""

from __future__ import annotations

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.indices import columns
from dotbogi.tape.explain.reducing import along, argument_of, reduced_axes, with_axes


@explains("sum")
def sum_over_axes(question: Question) -> Arithmetic:
    """Σ x over some axes or all."""
    return sum_of_products("y = Σ x", Group("x", _summed(question), 1.0), latex=r"y = \sum x")


@explains("nansum")
def nansum(question: Question) -> Arithmetic:
    """Σ x over some axes or all, without what is not a number."""
    present = _without_nan(_summed(question))
    return sum_of_products("y = Σ x   (x ≠ NaN)", Group("x", present, 1.0), latex=r"y = \sum_{x \neq \mathrm{NaN}} x")


@explains("mean")
def mean(question: Question) -> Arithmetic:
    """Σ x / n over some axes or all."""
    terms = _summed(question)
    n = len(terms)
    return sum_of_products(
        "y = 1/n · Σ x", Group("x", terms, 1 / n if n else 1.0), latex=r"y = \frac{1}{n} \sum x", n=n
    )


def _summed(question: Question) -> Elements:
    x = question.argument("self")
    count = len(x.shape)
    axes = reduced_axes(argument_of(question, "dim"), count)
    place = with_axes(question.index, axes, count, bool(argument_of(question, "keepdim", default=False)))
    return along(x, place, axes)


def _without_nan(elements: Elements) -> Elements:
    return Elements(elements.value, elements.index[~np.isnan(elements.numbers())])


@explains("cumsum")
def cumsum(question: Question) -> Arithmetic:
    """Σ x up to a place along an axis; its gradient arrives as the cumsum of what was turned round."""
    x = question.argument("self")
    if not x.shape:
        return sum_of_products("y = x", Group("x", Elements.one(x, ()), 1.0))
    axis = question.argument("dim") % len(x.shape)
    before, last, after = question.index[:axis], question.index[axis], question.index[axis + 1 :]
    terms = Elements(x, columns(*before, np.arange(last + 1), *after))
    return sum_of_products("y[i] = Σ x[k], k ≤ i", Group("x", terms, 1.0), latex=r"y_i = \sum_{k \leq i} x_k")


@explains("trace")
def trace(question: Question) -> Arithmetic:
    """Σ of the main diagonal."""
    x = question.argument("self")
    k = np.arange(min(x.shape))
    return sum_of_products("y = Σ x[k,k]", Group("x", Elements(x, columns(k, k)), 1.0), latex=r"y = \sum_k x_{k,k}")

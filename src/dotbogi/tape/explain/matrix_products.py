"""Products of matrices and vectors: every result is the sum over k of a row's elements times a column's.

Source of the formulas: the documentation of the functions of these names, pytorch.org/docs/stable/torch.html.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, product_group, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.indices import columns
from dotbogi.tape.explain.reducing import broadcast_index
from dotbogi.tape.value import Value

Place = tuple[int, ...]


def line_of(value: Value, before: Sequence[int], after: Sequence[int] = ()) -> Elements:
    """Returns the elements along one axis, k.

    Args:
        value: of the tape.
        before: their index in the axes before k.
        after: their index in the axes after it.
    """
    k = np.arange(value.shape[len(before)])
    return Elements(value, columns(*before, k, *after))


def products(a: Elements, b: Elements, scale: float = 1.0) -> Group:
    """Returns the products of a row's elements and a column's."""
    return product_group("a", a, "b", b, scale)


def addend(value: Value, index: Sequence[int], scale: float = 1.0) -> Group:
    """Returns what is added to the products, broadcast to the result's shape."""
    return Group("c", Elements.one(value, broadcast_index(value, index)), scale)


@explains("mm")
def mm(question: Question) -> Arithmetic:
    """A matrix product, of a linear layer without bias too."""
    i, j = question.index
    a, b = question.argument("self"), question.argument("mat2")
    return sum_of_products(
        "y[i,j] = Σ a[i,k] · b[k,j]",
        products(line_of(a, (i,)), line_of(b, (), (j,))),
        latex=r"y_{i,j} = \sum_k a_{i,k}\, b_{k,j}",
    )


@explains("bmm")
def bmm(question: Question) -> Arithmetic:
    """A matrix product for each sample."""
    n, i, j = question.index
    a, b = question.argument("self"), question.argument("mat2")
    return sum_of_products(
        "y[n,i,j] = Σ a[n,i,k] · b[n,k,j]",
        products(line_of(a, (n, i)), line_of(b, (n,), (j,))),
        latex=r"y_{n,i,j} = \sum_k a_{n,i,k}\, b_{n,k,j}",
    )


@explains("mv")
def mv(question: Question) -> Arithmetic:
    """A matrix times a vector."""
    a, b = question.argument("self"), question.argument("vec")
    return sum_of_products(
        "y[i] = Σ a[i,k] · b[k]",
        products(line_of(a, question.index), line_of(b, ())),
        latex=r"y_i = \sum_k a_{i,k}\, b_k",
    )


@explains("dot", "vdot")
def dot(question: Question) -> Arithmetic:
    """The scalar product of two vectors."""
    a, b = question.operation.inputs
    return sum_of_products("y = Σ a[k] · b[k]", products(line_of(a, ()), line_of(b, ())), latex=r"y = \sum_k a_k\, b_k")


@explains("outer", "ger")
def outer(question: Question) -> Arithmetic:
    """Every element of one vector times every element of another."""
    i, j = question.index
    a, b = question.argument("self"), question.argument("vec2")
    return sum_of_products(
        "y[i,j] = a[i] · b[j]", products(Elements.one(a, (i,)), Elements.one(b, (j,))), latex="y_{i,j} = a_i\\, b_j"
    )


@explains("linear", "mkldnn_linear")
def linear(question: Question) -> Arithmetic:
    """x Wᵀ + bias, as it arrives where gradients are off for good (inference mode)."""
    x, w, bias = question.operation.inputs[0], question.argument("weight"), question.argument("bias")
    row = (question.index[-1],) if len(w.shape) == 2 else ()
    before = question.index[: len(x.shape) - 1]
    groups = [product_group("x", line_of(x, before), "w", line_of(w, row))]
    if bias is not None:
        groups.append(Group("bias", Elements.one(bias, row), 1.0))
    formula = "y[…,o] = Σ x[…,k] · w[o,k]" + (" + bias[o]" if bias is not None else "")
    latex = r"y_{o} = \sum_k x_{k}\, w_{o,k}" + (r" + \mathrm{bias}_o" if bias is not None else "")
    return sum_of_products(formula, *groups, latex=latex)


@explains("linear_backward")
def linear_backward(question: Question) -> Arithmetic:
    """The gradients of x Wᵀ + bias with respect to x, W and bias; δ is ∂L/∂y."""
    return (_input_gradient, _weight_gradient, _bias_gradient)[question.output](question)


def _input_gradient(question: Question) -> Arithmetic:
    delta, w = question.argument("grad_output"), question.argument("weight")
    *before, k = question.index
    terms = product_group("δ", line_of(delta, before), "w", line_of(w, (), (k,)))
    return sum_of_products("∂L/∂x[…,k] = Σ δ[…,o] · w[o,k]", terms)


def _weight_gradient(question: Question) -> Arithmetic:
    delta, x = question.argument("grad_output"), question.argument("self")
    o, k = question.index
    terms = product_group("δ", _samples(delta, o), "x", _samples(x, k))
    return sum_of_products("∂L/∂w[o,k] = Σ δ[n,o] · x[n,k]", terms)


def _bias_gradient(question: Question) -> Arithmetic:
    terms = Group("δ", _samples(question.argument("grad_output"), question.index[0]), 1.0)
    return sum_of_products("∂L/∂bias[o] = Σ δ[n,o]", terms)


def _samples(value: Value, last: int) -> Elements:
    """Returns the elements of all samples that have a place on the last axis."""
    places = np.indices(value.shape[:-1], np.int64).reshape(len(value.shape) - 1, -1)
    return Elements(value, columns(*places, last))


@explains("matmul")
def matmul(question: Question) -> Arithmetic:
    """The product over a's last and b's last axis but one, as it arrives in inference mode; vectors lose that axis."""
    a, b = question.argument("self"), question.argument("other")
    index = list(question.index)
    after = (index.pop(),) if len(b.shape) > 1 else ()
    row = (index.pop(),) if len(a.shape) > 1 else ()
    a_line = line_of(a, (*_batch(a, index), *row))
    b_line = line_of(b, _batch(b, index), after)
    return sum_of_products("y[…,i,j] = Σ a[…,i,k] · b[…,k,j]", products(a_line, b_line))


def _batch(value: Value, index: Sequence[int]) -> Place:
    """Returns an index of the axes before the matrices, which are broadcast."""
    sizes = value.shape[:-2]
    last = index[len(index) - len(sizes) :]
    return tuple(0 if size == 1 else place for place, size in zip(last, sizes, strict=True))

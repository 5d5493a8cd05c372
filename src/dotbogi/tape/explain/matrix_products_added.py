"""Products of matrices that are added to something: β·c + α·Σ a·b, c broadcast; a linear layer's bias is c.

Source of the formulas: the documentation of the functions of these names, pytorch.org/docs/stable/torch.html.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import Arithmetic, Elements, Group, sum_of_products
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.matrix_products import addend, line_of, products
from dotbogi.tape.explain.reducing import LOW_PRECISION, broadcast_index, reduction_of, rounded, told_rounding
from dotbogi.tape.value import Value

MKLDNN_SMALLEST = 16**3  # elements of a matrix from which on oneDNN multiplies it (aten/native/mkldnn/Matmul.cpp)


def _scales(question: Question) -> tuple[float, float]:
    return float(question.argument("beta")), float(question.argument("alpha"))


def _formula(result: str, added: str, summed: str, beta: float, alpha: float) -> str:
    """Returns the formula without the factors that are 1 and what is multiplied with 0."""
    plus = "" if beta == 0 else f" + {added}" if beta == 1 else f" + β·{added}"
    return f"{result} = {'' if alpha == 1 else 'α·'}{summed}{plus}"


def _latex(beta: float, alpha: float, indices: str) -> str:
    n = indices.removesuffix("i,j")
    plus = "" if beta == 0 else f" + {'' if beta == 1 else chr(92) + 'beta '}c_{{{indices}}}"
    return rf"y_{{{indices}}} = {'' if alpha == 1 else chr(92) + 'alpha '}\sum_k a_{{{n}i,k}}\, b_{{{n}k,j}}{plus}"


def _constants(beta: float, alpha: float) -> dict[str, Any]:
    return {symbol: scale for symbol, scale in (("β", beta), ("α", alpha)) if scale != 1}


def _sum(question: Question, formula: str, terms: Group, latex: str = "") -> Arithmetic:
    beta, alpha = _scales(question)
    # With β = 0 torch ignores c, whatever it holds.
    added = [addend(question.argument("self"), question.index, beta)] if beta else []
    return sum_of_products(formula, terms, *added, latex=latex, **_constants(beta, alpha))


@explains("addmm")
def addmm(question: Question) -> Arithmetic:
    """A matrix product and what is added to it; a linear layer with its bias."""
    i, j = question.index
    beta, alpha = _scales(question)
    terms = products(
        line_of(question.argument("mat1"), (i,)), line_of(question.argument("mat2"), (), (j,)), scale=alpha
    )
    added = "c[j]" if len(question.argument("self").shape) == 1 else "c[i,j]"
    formula = _formula("y[i,j]", added, "Σ a[i,k] · b[k,j]", beta, alpha)
    return _sum(question, formula, terms, _latex(beta, alpha, "i,j"))


@explains("baddbmm")
def baddbmm(question: Question) -> Arithmetic:
    """A matrix product for each sample, and what is added to it."""
    n, i, j = question.index
    beta, alpha = _scales(question)
    a, b = question.argument("batch1"), question.argument("batch2")
    terms = products(line_of(a, (n, i)), line_of(b, (n,), (j,)), scale=alpha)
    formula = _formula("y[n,i,j]", "c[n,i,j]", "Σ a[n,i,k] · b[n,k,j]", beta, alpha)
    return _sum(question, formula, terms, _latex(beta, alpha, "n,i,j"))


@explains("addbmm")
def addbmm(question: Question) -> Arithmetic:
    """The sum of all samples' matrix products, and what is added to it."""
    i, j = question.index
    beta, alpha = _scales(question)
    a, b = question.argument("batch1"), question.argument("batch2")
    samples, k = (axis.reshape(-1) for axis in np.indices((a.shape[0], a.shape[2]), np.int64))
    a_terms = Elements(a, np.stack([samples, np.full_like(k, i), k], 1))
    b_terms = Elements(b, np.stack([samples, k, np.full_like(k, j)], 1))
    formula = _formula("y[i,j]", "c[i,j]", "Σ a[n,i,k] · b[n,k,j]", beta, alpha)
    if question.value.dtype not in LOW_PRECISION:
        return _sum(question, formula, products(a_terms, b_terms, scale=alpha))
    c = question.argument("self")
    dtype = question.value.dtype
    return reduction_of(
        formula + told_rounding("after every n", dtype),
        [("a", a_terms), ("b", b_terms), ("c", Elements.one(c, broadcast_index(c, question.index)))],
        partial(_rounded_after_every_sample, beta=beta, alpha=alpha, samples=a.shape[0], dtype=dtype),
        scale=partial(_magnitude, beta=beta, alpha=alpha),
        **_constants(beta, alpha),
    )


def _rounded_after_every_sample(
    a: Any, b: Any, c: Any, *, beta: float, alpha: float, samples: int, dtype: torch.dtype
) -> float:
    total = beta * float(c[0]) if beta else 0.0
    for product in (a * b).reshape(samples, -1).sum(1):
        total = float(rounded(total + alpha * product, dtype))
    return total


def _magnitude(a: Any, b: Any, c: Any, *, beta: float, alpha: float) -> float:
    return float(np.sum(np.abs(alpha * a * b)) + (abs(beta * float(c[0])) if beta else 0.0))


@explains("addmv")
def addmv(question: Question) -> Arithmetic:
    """A matrix times a vector, and what is added to it."""
    beta, alpha = _scales(question)
    mat, vec = question.argument("mat"), question.argument("vec")
    formula = _formula("y[i]", "c[i]", "Σ a[i,k] · b[k]", beta, alpha)
    a, b = line_of(mat, question.index), line_of(vec, ())
    is_plain = beta in (0, 1) and alpha == 1 and not (beta and _lies_by_columns(mat))
    if question.value.dtype in LOW_PRECISION and not is_plain and not _is_left_to_onednn(mat):
        return _addmv_in_low_precision(question, formula, a, b)
    return _sum(question, formula, products(a, b, scale=alpha))


def _is_left_to_onednn(matrix: Value) -> bool:
    return matrix.device.type != "cpu" or (
        matrix.dtype == torch.bfloat16
        and matrix.numel() > MKLDNN_SMALLEST
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def _addmv_in_low_precision(question: Question, formula: str, a: Elements, b: Elements) -> Arithmetic:
    """ATen's own gemv: α, β and β·c in the type itself; where columns lie together, the sum is rounded before c too.

    Source: aten/src/ATen/native/BlasKernel.cpp, ``gemv``.
    """
    dtype = question.value.dtype
    beta, alpha = (float(rounded(scale, dtype)) for scale in _scales(question))
    c = question.argument("self")
    by_columns = _lies_by_columns(a.value)

    def function(a: Any, b: Any, c: Any) -> Any:
        total = alpha * np.sum(a * b)
        if beta == 0:
            return total
        return rounded(beta * c[0], dtype) + (rounded(total, dtype) if by_columns else total)

    return reduction_of(
        formula + told_rounding("β·c and the sum" if by_columns else "β·c", dtype),
        [("a", a), ("b", b), ("c", Elements.one(c, broadcast_index(c, question.index)))],
        function,
        scale=partial(_magnitude, beta=beta, alpha=alpha),
        **_constants(beta, alpha),
    )


def _lies_by_columns(matrix: Value) -> bool:
    (rows, count), strides = matrix.shape, list(matrix.stride)
    return strides[0] == 1 and (count == 1 or strides[1] >= max(1, rows))


@explains("addr")
def addr(question: Question) -> Arithmetic:
    """The outer product of two vectors, and what is added to it."""
    i, j = question.index
    beta, alpha = _scales(question)
    a, b = Elements.one(question.argument("vec1"), (i,)), Elements.one(question.argument("vec2"), (j,))
    formula = _formula("y[i,j]", "c[i,j]", "a[i] · b[j]", beta, alpha)
    dtype = question.value.dtype
    if dtype not in LOW_PRECISION:
        return _sum(question, formula, products(a, b, scale=alpha))
    c = question.argument("self")
    beta, alpha = float(rounded(beta, dtype)), float(rounded(alpha, dtype))

    def function(a: Any, b: Any, c: Any) -> float:
        product = rounded(rounded(alpha * a[0], dtype) * b[0], dtype)
        return float(rounded(rounded(beta * c[0], dtype) + product, dtype) if beta else product)

    return reduction_of(
        formula + told_rounding("every step", dtype),
        [("a", a), ("b", b), ("c", Elements.one(c, broadcast_index(c, question.index)))],
        function,
        scale=partial(_magnitude, beta=beta, alpha=alpha),
        **_constants(beta, alpha),
    )

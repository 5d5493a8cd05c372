"""The gradients of scaled dot-product attention with respect to queries, keys and values.

∂v[j] = Σ p[i,j]·g[i];  ∂s[i,j] = p[i,j]·(g[i]·v[j] − g[i]·y[i]);  ∂q[i] = scale·Σ ∂s[i,j]·k[j];
∂k[j] = scale·Σ ∂s[i,j]·q[i], with p[i,j] = e^(s[i,j] − L[i]) of the log Σ e^s that the forward operation kept
(Dao et al. 2022, arXiv:2205.14135, appendix B.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, Elements, Indices, Numbers, unexplained
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.attention import KEY_BLOCK, Heads, masked, rows
from dotbogi.tape.explain.reducing import (
    LOW_PRECISION,
    Operand,
    argument_of,
    reduction_of,
    rounded,
    told_rounding,
    undecided,
)

QUERY, KEY, VALUE = 0, 1, 2


@dataclass(frozen=True)
class Gradient:
    """One element of a gradient of an attention.

    Args:
        heads: of the attention.
        question: about which element.
    """

    heads: Heads
    question: Question

    def operands(self, queries: Indices, keys: Indices, of_queries: list[str], of_keys: list[str]) -> list[Operand]:
        """Returns what enters: of each query and each key the rows that are named, then L and the mask."""
        sample, head = self.question.index[:2]
        operands: list[Operand] = []
        for symbol in of_queries:
            operands.append((symbol, rows(self._values()[symbol], sample, head, queries)))
        for symbol in of_keys:
            operands.append((symbol, rows(self._values()[symbol], sample, head, keys)))
        index = np.stack([np.full_like(queries, sample), np.full_like(queries, head), queries], 1)
        operands.append(("L", Elements(self.question.argument("logsumexp"), index)))
        operands.append(("mask", self.heads.masks(sample, head, queries, keys)))
        return operands

    def _values(self) -> dict[str, Any]:
        gradient = argument_of(self.question, "grad_out", "grad_out_")
        return {
            "g": gradient,
            "q": self.heads.q,
            "k": self.heads.k,
            "v": self.heads.v,
            "y": self.question.argument("out"),
        }

    def probabilities(self, q: Numbers, k: Numbers, log_sum: Numbers, mask: Numbers | None) -> Numbers:
        """Returns p of a query and many keys, or of many queries and a key: (K,)."""
        scores = self.heads.scale * np.sum(self.by_row(q) * self.by_row(k), 1)
        kind = None if self.heads.mask is None else self.heads.mask.dtype
        return np.exp(masked(scores, mask, kind) - log_sum)

    def of_scores(self, g: Numbers, q: Numbers, y: Numbers, k: Numbers, v: Numbers, log_sum: Numbers, mask: Any) -> Any:
        """Returns ∂s of a query and many keys, or of many queries and a key: (K,)."""
        products = np.sum(self.by_row(g) * self.by_row(v), 1)
        means = np.sum(self.by_row(g) * self.by_row(y), 1)
        return self.probabilities(q, k, log_sum, mask) * (products - means)

    def magnitudes(
        self, g: Numbers, q: Numbers, y: Numbers, k: Numbers, v: Numbers, log_sum: Numbers, mask: Any
    ) -> Any:
        """Returns the magnitude of what is rounded in ∂s: (K,)."""
        products = np.sum(np.abs(self.by_row(g) * self.by_row(v)), 1)
        means = np.sum(np.abs(self.by_row(g) * self.by_row(y)), 1)
        return self.spread(q, k, log_sum, mask) * (products + means)

    def spread(self, q: Numbers, k: Numbers, log_sum: Numbers, mask: Any) -> Any:
        """Returns the magnitude of what is rounded in p: an error of a score grows with the score."""
        scores = self.heads.scale * np.sum(np.abs(self.by_row(q) * self.by_row(k)), 1)
        added = 0.0 if mask is None else np.where(np.isfinite(mask), np.abs(mask), 0.0)
        return self.probabilities(q, k, log_sum, mask) * (1 + scores + np.abs(log_sum) + added)

    def by_row(self, numbers: Numbers) -> Numbers:
        """Returns numbers of a few rows as (rows, E)."""
        return numbers.reshape(-1, self.heads.q.shape[-1])

    @property
    def dtype(self) -> torch.dtype:
        """The type that factors and sums are rounded to on their way."""
        return self.heads.q.dtype if self.heads.q.dtype in LOW_PRECISION else torch.float32


@explains(
    *("_scaled_dot_product_flash_attention_for_cpu_backward", "_scaled_dot_product_flash_attention_backward"),
    *("_scaled_dot_product_efficient_attention_backward", "_scaled_dot_product_cudnn_attention_backward"),
)
def attention_backward(question: Question) -> Arithmetic:
    """Results: the gradients of the queries, the keys and the values."""
    if question.argument("dropout_p"):
        return unexplained(_("the dropout within this attention was drawn where it cannot be seen"))
    if question.output > VALUE:
        return unexplained(_("the gradient of this attention's bias has no explanation yet"))
    heads = Heads.of(question)
    if heads.q.shape[1] != heads.k.shape[1]:
        return unexplained(_("the gradient of attention with shared keys has no explanation yet"))
    gradient = Gradient(heads, question)
    return (_of_query, _of_key, _of_value)[question.output](gradient, question.index)


def _formula(of: str, gradient: Gradient) -> str:
    mask = " + mask" if gradient.heads.mask is not None else ""
    where = f",  p[i,j] = e^(scale·Σ q[i]·k[j]{mask} − L[i])   ("
    return of + where + _("p: recomputed, not recorded") + ")" + told_rounding("p, ∂s, Σ", gradient.dtype)


def _of_query(gradient: Gradient, index: tuple[int, ...]) -> Arithmetic:
    query, column = index[2:]
    keys = gradient.heads.seen(query)
    blocks = Blocks([KEY_BLOCK], gradient.heads.scale, gradient.dtype)
    return reduction_of(
        _formula("∂q[i] = scale·Σ ∂s[i,j]·k[j],  ∂s[i,j] = p[i,j]·(g[i]·v[j] − g[i]·y[i])", gradient),
        gradient.operands(np.array([query]), keys, ["g", "q", "y"], ["k", "v"]),
        lambda *n: blocks.sum(gradient.of_scores(*n), gradient.by_row(n[3])[:, column]),
        scale=lambda *n: blocks.scale_of(
            gradient.of_scores(*n), gradient.magnitudes(*n), gradient.by_row(n[3])[:, column]
        ),
    )


def _of_key(gradient: Gradient, index: tuple[int, ...]) -> Arithmetic:
    key, column = index[2:]
    queries = gradient.heads.seers(key)
    blocks = Blocks(query_blocks(gradient.heads.q.shape[2], queries), gradient.heads.scale, gradient.dtype)
    return reduction_of(
        _formula("∂k[j] = scale·Σ ∂s[i,j]·q[i],  ∂s[i,j] = p[i,j]·(g[i]·v[j] − g[i]·y[i])", gradient),
        gradient.operands(queries, np.array([key]), ["g", "q", "y"], ["k", "v"]),
        lambda *n: blocks.sum(gradient.of_scores(*n), gradient.by_row(n[1])[:, column]),
        scale=lambda *n: blocks.scale_of(
            gradient.of_scores(*n), gradient.magnitudes(*n), gradient.by_row(n[1])[:, column]
        ),
    )


def _of_value(gradient: Gradient, index: tuple[int, ...]) -> Arithmetic:
    sample, head, key, column = index
    queries = gradient.heads.seers(key)
    blocks = Blocks(query_blocks(gradient.heads.q.shape[2], queries), 1.0, gradient.dtype)
    output = argument_of(gradient.question, "grad_out", "grad_out_")
    operands = gradient.operands(queries, np.array([key]), ["q"], ["k"])
    operands.insert(0, ("g", rows(output, sample, head, queries, column)))
    return reduction_of(
        _formula("∂v[j] = Σ p[i,j]·g[i]", gradient),
        operands,
        lambda g, *n: blocks.sum(gradient.probabilities(*n), g),
        scale=lambda g, *n: blocks.scale_of(gradient.probabilities(*n), gradient.spread(*n), g),
    )


def query_blocks(count: int, queries: Indices) -> list[int]:
    """Returns how many of some queries fall into each block that the kernel takes at once.

    Args:
        count: of all queries.
        queries: those that count, up to the last one.
    """
    size = 256 if count >= 768 else 64 if count >= 192 else 32
    return np.unique(queries // size, return_counts=True)[1].tolist()


@dataclass(frozen=True)
class Blocks:
    """A sum of products that a kernel takes block by block: rounded after each, and one factor of each product before.

    Args:
        sizes: of the blocks; the last one goes on for all that follow.
        factor: of the sum.
        dtype: to round to; float32 stands for no rounding.

    Source: PyTorch, aten/src/ATen/native/cpu/FlashAttentionKernel.cpp.
    """

    sizes: list[int]
    factor: float
    dtype: torch.dtype

    def sum(self, factors: Numbers, numbers: Numbers) -> Any:
        """Returns factor·Σ factors·numbers, each (K,)."""
        totals = self._totals(rounded(factors, self.dtype) * numbers)
        return totals[-1] if totals else 0.0

    def scale_of(self, factors: Numbers, magnitudes: Numbers, numbers: Numbers) -> Any:
        """Returns the magnitude that rounding is judged against, with what may be rounded either way.

        Args:
            factors: (K,), before they are rounded.
            magnitudes: (K,), of what was rounded on the way to them.
            numbers: (K,).
        """
        spread = magnitudes + undecided(factors, magnitudes, self.dtype)
        whole = self.factor * np.sum(spread * np.abs(numbers))
        totals = np.array(self._totals(rounded(factors, self.dtype) * numbers, stores=False))
        return whole + np.sum(undecided(totals[:-1], whole, self.dtype))

    def _totals(self, products: Numbers, stores: bool = True) -> list[float]:
        totals: list[float] = []
        sizes = iter(self.sizes)
        first, size, total = 0, next(sizes, len(products)), 0.0
        while first < len(products):
            exact = total + self.factor * float(np.sum(products[first : first + size]))
            total = float(rounded(exact, self.dtype))
            totals.append(total if stores else exact)
            first, size = first + size, next(sizes, size)
        return totals

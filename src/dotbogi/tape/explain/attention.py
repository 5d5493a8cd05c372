"""Scaled dot-product attention: every output is a mean of values, weighted with the softmax of the scores.

y[i] = Σ p[i,j]·v[j] with p = softmax(s), s[i,j] = scale·Σ q[i]·k[j] (Vaswani et al. 2017, arXiv:1706.03762). The fused
operation records neither s nor p: they are computed again from q and k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, Elements, Indices, Numbers, given, unexplained
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.reducing import (
    LOW_PRECISION,
    argument_of,
    reduction_of,
    rounded,
    told_rounding,
    undecided,
)
from dotbogi.tape.value import Value

KEY_BLOCK = 512  # the keys that a processor's kernel takes at once
SHOWN = 6
LOWEST = np.float32(-87.33655)  # the logarithm of the smallest normal float32
LATEX = (
    r"y_i = \sum_j p_{ij} v_j,\quad p_{ij} = \frac{e^{s_{ij}}}{\sum_k e^{s_{ik}}},"
    r"\quad s_{ij} = \mathrm{scale} \sum_d q_{id} k_{jd}"
)


@dataclass(frozen=True)
class Heads:
    """What attends to what.

    Args:
        q: queries (B, H, L, E).
        k: keys (B, G, S, E), H a multiple of G.
        v: values (B, G, S, D).
        mask: added to the scores, broadcast to (B, H, L, S); of bools, those that are False are left out.
        scale: of the scores.
        is_causal: whether a query sees no key after its own place.
    """

    q: Value
    k: Value
    v: Value
    mask: Value | None
    scale: float
    is_causal: bool

    @classmethod
    def of(cls, question: Question) -> Heads:
        """Reads them from the arguments of an attention, forward or backward."""
        q, k, v = (question.argument(name) for name in ("query", "key", "value"))
        mask = argument_of(question, "attn_mask", "attn_bias")
        scale = question.argument("scale")
        return cls(
            q,
            k,
            v,
            mask if mask is not None and mask.numel() else None,
            1 / math.sqrt(q.shape[-1]) if scale is None else scale,
            question.argument("is_causal"),
        )

    def group(self, head: int) -> int:
        """Returns which head of the keys a head of the queries looks at."""
        return head * self.k.shape[1] // self.q.shape[1]

    def seen(self, query: int) -> Indices:
        """Returns the keys that a query sees."""
        count = self.k.shape[2]
        return np.arange(min(query + 1, count) if self.is_causal else count)

    def seers(self, key: int) -> Indices:
        """Returns the queries that see a key."""
        return np.arange(key if self.is_causal else 0, self.q.shape[2])

    def masks(self, sample: int, head: int, queries: Indices, keys: Indices) -> Elements | None:
        """Returns what is added to the scores of queries and keys, of which one side is a single one."""
        if self.mask is None:
            return None
        count = max(len(queries), len(keys))
        full = np.stack(
            [np.broadcast_to(c, (count,)) for c in (np.array([sample]), np.array([head]), queries, keys)], 1
        )
        index = full[:, 4 - len(self.mask.shape) :]
        return Elements(self.mask, np.where(np.array(self.mask.shape) == 1, 0, index))


def rows(value: Value, sample: int, head: int, places: Indices, column: int | None = None) -> Elements:
    """Returns whole rows of a (B, H, L, E) tensor, or one column of them."""
    columns = np.arange(value.shape[3]) if column is None else np.array([column])
    row, col = (part.reshape(-1) for part in np.meshgrid(places, columns, indexing="ij"))
    return Elements(value, np.stack([np.full_like(row, sample), np.full_like(row, head), row, col], 1))


def masked(scores: Numbers, mask: Numbers | None, dtype: torch.dtype | None) -> Numbers:
    """Returns scores with their mask: added, or of bools those left out that are False."""
    if mask is None:
        return scores
    return np.where(mask != 0, scores, -np.inf) if dtype == torch.bool else scores + mask


@explains(
    *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
)
def attention(question: Question) -> Arithmetic:
    """Results: the output (B, H, L, D), and log Σ e^s of each query (B, H, L)."""
    if question.output > 1:
        return given(_("what the kernel keeps for its own gradient"))
    if question.argument("dropout_p"):
        return unexplained(_("the dropout within this attention was drawn where it cannot be seen"))
    heads = Heads.of(question)
    sample, head, query = question.index[:3]
    if query >= heads.q.shape[2]:
        return given(_("what the kernel keeps for its own gradient"))
    keys, group = heads.seen(query), heads.group(head)
    q, k = rows(heads.q, sample, head, np.array([query])), rows(heads.k, sample, group, keys)
    mask = heads.masks(sample, head, np.array([query]), keys)
    scores = Scores(heads, len(keys), None if heads.mask is None else heads.mask.dtype)
    if question.output == 1:
        return _log_sum(scores, q, k, mask)
    v = rows(heads.v, sample, group, keys, question.index[3])
    powers = Powers.of(heads.q)
    return reduction_of(
        "y = Σ p[j]·v[j],  p[j] = e^(s[j])/Σ e^s,  s[j] = scale·Σ q·k[j]"
        + (" + mask[j]" if mask is not None else "")
        + told_rounding("e^s", powers.dtype)
        + "   ("
        + _("p: recomputed, not recorded")
        + ")",
        [("q", q), ("k", k), ("v", v), ("mask", mask)],
        lambda q, k, v, mask: powers.attended(scores.of(q, k, mask), v, heads.k.shape[2])[0],
        latex=LATEX,
        scale=lambda q, k, v, mask: scores.scale(powers, q, k, v, mask),
        recomputed=scores.largest(q.numbers(), k.numbers(), None if mask is None else mask.numbers(), keys),
        factor=heads.scale,
    )


@dataclass(frozen=True)
class Scores:
    """The scores of one query.

    Args:
        heads: of the attention.
        count: of keys.
        mask_type: of the mask's elements, or ``None``.
    """

    heads: Heads
    count: int
    mask_type: torch.dtype | None

    def of(self, q: Numbers, k: Numbers, mask: Numbers | None) -> Numbers:
        """Returns s (S,)."""
        return masked(self.heads.scale * (k.reshape(self.count, -1) @ q), mask, self.mask_type)

    def scale(self, powers: Powers, q: Numbers, k: Numbers, v: Numbers, mask: Numbers | None) -> Any:
        """Returns the magnitude that rounding is judged against: an error of a score grows with the score."""
        scores = self.of(q, k, mask)
        largest = np.max(scores)
        if not np.isfinite(largest):
            return 0.0
        weights = np.exp(scores - largest)
        magnitude = self.heads.scale * (np.abs(k.reshape(self.count, -1)) @ np.abs(q))
        spread = weights * (1 + magnitude + np.where(weights > 0, largest - scores, 0.0))
        spread = spread + undecided(weights, spread, powers.dtype)
        return np.sum(spread * np.abs(v)) / np.sum(weights)

    def largest(self, q: Numbers, k: Numbers, mask: Numbers | None, keys: Indices) -> dict[str, float]:
        """Returns the largest probabilities."""
        with np.errstate(all="ignore"):
            scores = self.of(q, k, mask)
            probabilities = np.exp(scores - np.max(scores))
            probabilities = probabilities / np.sum(probabilities)
        order = sorted(np.argsort(-probabilities, kind="stable")[:SHOWN].tolist())
        return {f"p[{keys[place]}]": float(probabilities[place]) for place in order}


@dataclass(frozen=True)
class Powers:
    """How a kernel takes e^s.

    Args:
        dtype: to which e^s is rounded before it meets the values; float32 stands for no rounding.
        lanes: how many numbers it takes at once, by a polynomial of degree 3; 0 where it takes them exactly.
    """

    dtype: torch.dtype
    lanes: int

    @classmethod
    def of(cls, q: Value) -> Powers:
        """Returns how the kernel for such queries does it."""
        if q.dtype not in LOW_PRECISION:
            return cls(torch.float32, 0)
        if q.device.type != "cpu":
            return cls(q.dtype, 0)
        return cls(q.dtype, {"AVX512": 16, "AVX2": 8}.get(torch.backends.cpu.get_cpu_capability(), 0))

    def taken(self, exponents: Numbers, count: int) -> Numbers:
        """Returns e^x of a block, whose last numbers, too few for all lanes, are taken exactly.

        Args:
            exponents: (K,), each ≤ 0; the first of the block's.
            count: how many the block has, ≥ K.
        """
        if not self.lanes:
            return np.exp(exponents)
        return np.where(
            np.arange(len(exponents)) < count // self.lanes * self.lanes, fast_power(exponents), np.exp(exponents)
        )

    def attended(self, scores: Numbers, v: Numbers, count: int) -> tuple[Any, Any]:
        """Returns Σ p·v and log Σ e^s, block by block as the kernel does it: Σ e^s has the powers before rounding.

        Args:
            scores: (K,) of the keys that are seen.
            v: (K,), of each its value.
            count: of all keys.

        Source: PyTorch, aten/src/ATen/native/cpu/FlashAttentionKernel.cpp; Dao et al. 2022, arXiv:2205.14135.
        """
        largest, total, result = -np.inf, 0.0, 0.0
        for first in range(0, len(scores), KEY_BLOCK):
            block = scores[first : first + KEY_BLOCK]
            before, largest = largest, max(largest, float(np.max(block)))
            if largest == -np.inf:
                continue
            powers, shrink = self.taken(block - largest, min(KEY_BLOCK, count - first)), math.exp(before - largest)
            total = float(np.sum(powers)) + shrink * total
            products = rounded(powers, self.dtype) * v[first : first + KEY_BLOCK]
            result = float(np.sum(products)) + shrink * result
        return (result / total, largest + math.log(total)) if total else (result, 0.0)


def fast_power(exponents: Numbers) -> Numbers:
    """Returns e^x to about 10⁻⁴, from the bits of a float32, as torch's kernels for low precision take it.

    x·log₂e = n + f; 2^f is a line with a polynomial of degree 3 taken off, and n goes into the exponent's bits.
    Source: Malossi et al. 2015, "Fast exponential computation on SIMD architectures"; the constants are PyTorch's,
    aten/src/ATen/cpu/vec/vec512/vec512_float.h, ``fexp_u20``.
    """
    x = np.maximum(exponents, -1e4).astype(np.float32)
    scaled = x * np.float32(1.442695)
    fraction = (scaled - np.floor(scaled)).astype(np.float64)
    correction = np.full(len(x), np.float32(-0.079204240219773236), np.float64)
    for constant in (-0.22433836478672356, 0.30354260500649682, 0.00010703434948458272):
        correction = (correction * fraction + np.float64(np.float32(constant))).astype(np.float32).astype(np.float64)
    bits = ((scaled - correction.astype(np.float32)).astype(np.float64) * 2.0**23 + 127 * 2.0**23).astype(np.float32)
    powers = np.where(bits > 0, bits, 0).astype(np.int32).view(np.float32).astype(np.float64)
    return np.where(x < LOWEST, 0.0, powers)


def _log_sum(scores: Scores, q: Elements, k: Elements, mask: Elements | None) -> Arithmetic:
    powers = Powers.of(scores.heads.q)

    def log_sum(q: Numbers, k: Numbers, mask: Numbers | None) -> Any:
        of = scores.of(q, k, mask)
        return powers.attended(of, np.zeros(len(of)), scores.heads.k.shape[2])[1]

    def scale(q: Numbers, k: Numbers, mask: Numbers | None) -> Any:
        magnitude = scores.heads.scale * np.max(np.abs(k.reshape(scores.count, -1)) @ np.abs(q))
        added = 0.0 if mask is None else np.max(np.abs(mask), initial=0.0, where=np.isfinite(mask))
        return 1 + magnitude + added + np.log(scores.count)

    return reduction_of(
        "log Σ e^(s[j]),  s[j] = scale·Σ q·k[j]" + (" + mask[j]" if mask is not None else ""),
        [("q", q), ("k", k), ("mask", mask)],
        log_sum,
        scale=scale,
    )

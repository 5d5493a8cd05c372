"""Losses whose target is a label: the negative log-likelihood, and the margin losses.

Source of the formulas: https://pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dotbogi.tape.arithmetic import (
    FUNCTION,
    Arithmetic,
    Elements,
    Group,
    Indices,
    Numbers,
    sum_of_products,
)
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.losses import MEAN, NONE
from dotbogi.tape.explain.reducing import (
    LOW_PRECISION,
    Operand,
    reduction_of,
    rounded,
    rounded_once,
    told_rounding,
)
from dotbogi.tape.value import Value


@dataclass(frozen=True)
class Labelled:
    """Log-probabilities (B, C, …) or (C,), and a label for each place.

    Args:
        scores: the log-probabilities.
        labels: of each place; of any shape.
        weight: of each class, or ``None``.
        ignored: the label that counts for nothing.
    """

    scores: Value
    labels: Value
    weight: Value | None
    ignored: int

    @classmethod
    def of(cls, question: Question) -> Labelled:
        """Reads it from the arguments of a negative log-likelihood, forward or backward."""
        names = ("self", "target", "weight", "ignore_index")
        return cls(*(question.argument(name) for name in names))

    @property
    def axis(self) -> int:
        """Which axis the classes are on."""
        return 0 if len(self.scores.shape) == 1 else 1

    def chosen(self, places: Indices) -> Chosen:
        """Returns which log-probabilities belong to the labels at some places (K, axes of the labels)."""
        labels = Elements(self.labels, places).numbers().astype(np.int64)
        counted = labels != self.ignored
        kept, classes = places[counted], labels[counted]
        index = classes[:, None] if self.axis == 0 else np.concatenate([kept[:, :1], classes[:, None], kept[:, 1:]], 1)
        weights = None if self.weight is None else Elements(self.weight, classes[:, None])
        return Chosen(Elements(self.scores, index), weights, counted)


@dataclass(frozen=True)
class Chosen:
    """The log-probabilities of the labels that count.

    Args:
        scores: of those (K,).
        weights: of their classes (K,), or ``None``.
        counted: of every place, whether its label counts.
    """

    scores: Elements
    weights: Elements | None
    counted: NDArray[np.bool_]

    def weights_once(self) -> tuple[Elements | None, Indices, Indices]:
        """Returns the weights of the classes that occur, each once; which each label has; how often each occurs."""
        if self.weights is None:
            return None, np.zeros(0, np.int64), np.zeros(0, np.int64)
        classes, place, count = np.unique(self.weights.index[:, 0], return_inverse=True, return_counts=True)
        return Elements(self.weights.value, classes[:, None]), place.astype(np.int64), count.astype(np.int64)

    @property
    def rounds(self) -> bool:
        """Whether a processor rounds the sum after every summand."""
        return self.scores.value.dtype in LOW_PRECISION and self.scores.value.device.type == "cpu"


@explains("nll_loss_forward", "nll_loss2d_forward")
def nll_loss(question: Question) -> Arithmetic:
    """Results: −Σ w[t]·log p[b, t] over Σ w[t], and Σ w[t]; each sample's own where nothing is reduced."""
    labelled = Labelled.of(question)
    reduction = question.argument("reduction")
    if reduction == NONE and question.output == 0:
        places = np.array([question.index], np.int64).reshape(1, len(question.index))
    else:
        places = Elements.every(labelled.labels).index
    chosen = labelled.chosen(places)
    if question.output == 1:
        return _total_weight(labelled, chosen, reduction)
    return _likelihood(chosen, is_mean=reduction == MEAN)


def _likelihood(chosen: Chosen, is_mean: bool) -> Arithmetic:
    has_weights = chosen.weights is not None
    formula = "loss = −Σ w[t]·log p[t]" if has_weights else "loss = −Σ log p[t]"
    if is_mean:
        formula += " / Σ w[t]" if has_weights else " / N"
    if not len(chosen.scores):
        return Arithmetic(FUNCTION, formula, result=lambda _none: float("nan") if is_mean else 0.0)
    if chosen.rounds:
        return _rounded_likelihood(chosen, is_mean, formula)
    total = 1.0
    if is_mean:
        total = float(len(chosen.scores) if chosen.weights is None else np.sum(chosen.weights.numbers()))
    group = Group("log p", chosen.scores, -1 / total, chosen.weights, "w" if has_weights else "")
    latex = r"L = -\frac{1}{\sum_b w_{t_b}} \sum_b w_{t_b} \log p_{b,\,t_b}"
    return sum_of_products(
        formula, group, latex=latex, **({"Σ w[t]" if has_weights else "N": total} if is_mean else {})
    )


def _rounded_likelihood(chosen: Chosen, is_mean: bool, formula: str) -> Arithmetic:
    dtype = chosen.scores.value.dtype
    once, place, _count = chosen.weights_once()

    def loss(scores: Numbers, of_classes: Numbers | None) -> float:
        weights = None if of_classes is None else of_classes[place]
        products = scores if weights is None else rounded(scores * weights, dtype)
        total = cascaded_sum(-products, chosen.counted, dtype)
        if not is_mean:
            return total
        return total / float(
            rounded(len(scores), dtype) if weights is None else cascaded_sum(weights, chosen.counted, dtype)
        )

    operands = [("log p", chosen.scores), ("w", once)]
    return reduction_of(formula + told_rounding("each step", dtype), operands, loss)


def cascaded_sum(numbers: Numbers, counted: NDArray[np.bool_], dtype: torch.dtype) -> float:
    """Returns a sum in levels, rounded after every summand, as torch adds up a loss in low precision.

    Args:
        numbers: of the places that count (K,), K ≥ 1.
        counted: of every place, whether it counts.
        dtype: to round to.

    Source: PyTorch, aten/src/ATen/native/LossNLL.cpp.
    """
    levels = [0.0] * 8
    power = max(4, (len(counted) - 1).bit_length() // len(levels))
    for place, number in zip(np.flatnonzero(counted).tolist(), numbers.tolist(), strict=True):
        levels[0] = rounded_once(levels[0] + number, dtype)
        for level in range(len(levels) - 1):
            if place & (((1 << power) - 1) << (level * power)):
                break
            levels[level + 1] = rounded_once(levels[level + 1] + levels[level], dtype)
            levels[level] = 0.0
    total = 0.0
    for part in levels:
        total = rounded_once(total + part, dtype)
    return total


def _total_weight(labelled: Labelled, chosen: Chosen, reduction: int) -> Arithmetic:
    """The weights of the labels that count; without weights their number; 0 where nothing is reduced."""
    if reduction == NONE and labelled.labels.shape:
        return Arithmetic(FUNCTION, "0, for nothing is divided", result=lambda _none: 0.0)
    weights, dtype = chosen.weights, labelled.scores.dtype
    if weights is None or not len(weights):
        count = len(chosen.scores) if weights is None else 0
        return Arithmetic(FUNCTION, "N", result=lambda _none: float(count), constants={"N": count})
    once, place, count = chosen.weights_once()
    assert once is not None
    if chosen.rounds:
        formula = "Σ w[t]" + told_rounding("each step", dtype)
        return reduction_of(formula, [("w", once)], lambda w: cascaded_sum(w[place], chosen.counted, dtype))
    return sum_of_products("Σ w[t]", Group("w", once, count.astype(np.float64)))


@explains("nll_loss_backward", "nll_loss2d_backward")
def nll_loss_backward(question: Question) -> Arithmetic:
    """−g·w[t]/Σ w[t] at the label, 0 at every other class."""
    labelled = Labelled.of(question)
    axis, index = labelled.axis, question.index
    label_class, place = index[axis], (*index[:axis], *index[axis + 1 :])
    gradient = question.argument("grad_output")
    is_mean = question.argument("reduction") == MEAN
    weight, dtype = labelled.weight, labelled.scores.dtype
    operands: list[Operand] = [
        ("g", Elements.one(gradient, place if gradient.shape else ())),
        ("t", Elements.one(labelled.labels, place if labelled.labels.shape else ())),
        ("w", None if weight is None else Elements.one(weight, (label_class,))),
        ("W", Elements.one(question.argument("total_weight"), ()) if is_mean else None),
    ]

    def result(g: Numbers, label: Numbers, weight: Numbers | None, total: Numbers | None) -> Any:
        if label[0] != label_class or label[0] == labelled.ignored:
            return 0.0
        share = rounded(-g[0] / (1.0 if total is None else total[0]), dtype)
        return share * (1.0 if weight is None else weight[0])

    formula = "∂log p[c] = −g" + ("/W" if is_mean else "") + ("·w[c]" if weight is not None else "")
    formula += " where c is the label t, else 0" + told_rounding("g/W", dtype)
    return reduction_of(formula, operands, result, kind=FUNCTION, c=label_class)

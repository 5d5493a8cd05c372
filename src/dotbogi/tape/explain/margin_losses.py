"""The margin loss of many classes: by how much other classes come near the label's score.

Source: https://pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dotbogi.tape.arithmetic import Arithmetic, Elements, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.losses import MEAN, NONE
from dotbogi.tape.explain.reducing import along, reduction_of
from dotbogi.tape.value import Value

FORMULA = "loss = Σ w[t]·max(0, margin − x[t] + x[c])^p / C over c ≠ t"


@dataclass(frozen=True)
class Margin:
    """The loss of some samples.

    Args:
        labels: of each sample (B,).
        classes: how many there are.
        power: p, 1 or 2.
        width: the margin.
    """

    labels: NDArray[np.int64]
    classes: int
    power: int
    width: float

    @classmethod
    def of(cls, question: Question, labels: Elements) -> Margin:
        """Reads it from the arguments of a margin loss, forward or backward."""
        classes = question.argument("self").shape[-1]
        power, width = question.argument("p"), question.argument("margin")
        return cls(labels.numbers().astype(np.int64), classes, int(power), float(width))

    def losses(self, x: Numbers, weights: Numbers | None) -> Any:
        """Returns the loss of each sample (B,); of scores (B·C,) and the weights of the labels that occur."""
        place = np.unique(self.labels, return_inverse=True)[1]
        scores = x.reshape(-1, self.classes)
        rows = np.arange(len(scores))
        near = np.maximum(0.0, self.width - scores[rows, self.labels][:, None] + scores) ** self.power
        near[rows, self.labels] = 0.0
        return near.sum(1) / self.classes * (1.0 if weights is None else weights[place])

    def slopes(self, x: Numbers) -> Any:
        """Returns ∂loss/∂x of each class (C,), for a single sample and a weight of 1."""
        distance = self.width - x[self.labels[0]] + x
        slope = np.where(distance > 0, self.power * np.maximum(distance, 0.0) ** (self.power - 1), 0.0) / self.classes
        slope[self.labels[0]] = 0.0
        slope[self.labels[0]] = -np.sum(slope)
        return slope


def _row(value: Value, index: tuple[int, ...]) -> Elements:
    return along(value, index, (len(value.shape) - 1,))


def _weights(question: Question, margin: Margin) -> Elements | None:
    """Returns the weights of the labels that occur, each once."""
    weight = question.argument("weight")
    return None if weight is None else Elements(weight, np.unique(margin.labels)[:, None])


@explains("multi_margin_loss")
def multi_margin_loss(question: Question) -> Arithmetic:
    """Of each sample, or their mean or sum."""
    scores, target, reduction = (question.argument(name) for name in ("self", "target", "reduction"))
    if reduction == NONE and target.shape:
        labels, x = Elements.one(target, question.index), _row(scores, (*question.index, 0))
    else:
        labels, x = Elements.every(target), Elements.every(scores)
    margin = Margin.of(question, labels)
    share = 1 / len(labels) if reduction == MEAN else 1.0
    return reduction_of(
        FORMULA + (", / N" if reduction == MEAN else ""),
        [("x", x), ("w", _weights(question, margin))],
        lambda x, w: np.sum(margin.losses(x, w)) * share,
        t=margin.labels.tolist(),
        margin=margin.width,
        p=margin.power,
    )


@explains("multi_margin_loss_backward")
def multi_margin_loss_backward(question: Question) -> Arithmetic:
    """Each class that comes too near gets its slope; the label gets their sum with the sign turned."""
    scores, target, gradient = (question.argument(name) for name in ("self", "target", "grad_output"))
    sample = question.index[: len(target.shape)]
    labels, x = Elements.one(target, sample), _row(scores, question.index)
    margin = Margin.of(question, labels)
    share = 1 / target.numel() if question.argument("reduction") == MEAN else 1.0
    return reduction_of(
        "∂x[c] = g·w[t]·p·max(0, margin − x[t] + x[c])^(p−1)/C where nearer than the margin; ∂x[t] = −Σ of these",
        [
            ("g", Elements.one(gradient, sample if gradient.shape else ())),
            ("x", x),
            ("w", _weights(question, margin)),
        ],
        lambda g, x, w: g[0] * margin.slopes(x)[question.index[-1]] * (1.0 if w is None else w[0]) * share,
        t=int(margin.labels[0]),
        margin=margin.width,
        p=margin.power,
    )

"""The loss of a classifier."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dotbogi.errors import RecipeError, ShapeError
from dotbogi.language import _, mark
from dotbogi.registry import Hyperparameter
from dotbogi.training.loss import LossEntry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dotbogi.training.step import LossFunction


def build(
    *, num_classes: int, device: torch.device, dtype: torch.dtype, label_smoothing: float, class_weights: list[Any]
) -> LossFunction:
    """Returns the cross entropy of logits (B, K) and class indices (B,); see :class:`LossEntry`.

    Raises:
        RecipeError: the class weights are not K positive numbers.
    """
    import torch
    from torch.nn import functional as F

    _check_class_weights(class_weights, num_classes)
    weight = torch.tensor(class_weights, device=device, dtype=dtype) if class_weights else None  # (K,)

    def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
        # Floating labels of the logits' shape would be taken for probabilities, silently.
        if labels.is_floating_point():
            raise ShapeError(
                _("Cross entropy compares with class indices, but the labels are {dtype} {shape}.").format(
                    dtype=str(labels.dtype).removeprefix("torch."), shape=tuple(labels.shape)
                ),
                fix=_("Set training.loss to mse, or give labels of type int64."),
            )
        return F.cross_entropy(logits, labels, weight=weight, label_smoothing=label_smoothing)

    return cross_entropy


def _check_class_weights(class_weights: list[Any], num_classes: int) -> None:
    if not class_weights:
        return
    if len(class_weights) != num_classes:
        raise RecipeError(
            _("training.loss.class_weights has {given} numbers, but there are {classes} classes.").format(
                given=len(class_weights), classes=num_classes
            ),
            fix=_("Give one number for each class, in the order of their names."),
        )
    for number in class_weights:
        if type(number) not in (int, float) or not 0 < number < math.inf:
            raise RecipeError(
                _("training.loss.class_weights has {number}, which is no positive number.").format(number=repr(number)),
                fix=_("Give one positive number for each class."),
            )


LOSS = LossEntry(
    title=mark("Cross entropy"),
    hyperparameters=(
        Hyperparameter(
            "label_smoothing",
            0.0,
            low=0,
            high=1,
            high_open=True,
            text=mark("ε; how much of the label is spread evenly over all classes"),
        ),
        Hyperparameter("class_weights", [], text=mark("w; one positive number per class, to make rare classes count")),
    ),
    build=build,
    formula=(
        r"L = -\frac{1}{\sum_{i} w_{y_i}} \sum_{i=1}^{B} \sum_{k=1}^{K} w_k"
        r" \left[(1-\varepsilon)\,\mathbb{1}_{k = y_i} + \frac{\varepsilon}{K}\right]"
        r" \log \frac{e^{z_{ik}}}{\sum_{j} e^{z_{ij}}}"
    ),
    source="torch.nn.CrossEntropyLoss; label smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7",
    text=mark("For classes: the negative logarithm of the probability that the model gave to the right one."),
)

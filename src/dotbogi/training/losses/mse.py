"""The loss of a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotbogi.errors import ShapeError
from dotbogi.language import _, mark
from dotbogi.training.loss import LossEntry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dotbogi.training.step import LossFunction


def build(*, num_classes: int, device: torch.device, dtype: torch.dtype) -> LossFunction:
    """Returns the mean squared error of outputs (B, K) and numbers (B, K), or class indices (B,) as one-hot rows."""
    import torch
    from torch.nn import functional as F

    def mse(outputs: Tensor, labels: Tensor) -> Tensor:
        if not labels.is_floating_point():
            labels = F.one_hot(labels, outputs.shape[-1])  # (B, K)
        # Tensors of other shapes would be broadcast to (B, B), and the mean would say nothing.
        if labels.shape != outputs.shape:
            raise ShapeError(
                _("The model gives {outputs} but the labels are {labels}.").format(
                    outputs=tuple(outputs.shape), labels=tuple(labels.shape)
                ),
                fix=_("Give labels of shape (B, K), as many numbers per row as the model gives."),
            )
        outputs = outputs.to(torch.promote_types(outputs.dtype, dtype))  # bf16 outputs of autocast too
        return F.mse_loss(outputs, labels.to(outputs.dtype))

    return mse


LOSS = LossEntry(
    title=mark("Mean squared error"),
    hyperparameters=(),
    build=build,
    formula=r"L = \frac{1}{BK} \sum_{i=1}^{B} \sum_{k=1}^{K} (\hat{y}_{ik} - y_{ik})^2",
    source="torch.nn.MSELoss",
    text=mark("For numbers: the mean squared difference. With classes it compares with 0 and 1 for each class."),
)

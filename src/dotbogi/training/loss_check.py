"""Whether a person's own loss is what a step needs, found before the training begins."""

from typing import cast

import torch
from torch import Tensor

from dotbogi.errors import DotbogiError, ModelError
from dotbogi.language import _
from dotbogi.training.step import LossFunction


def check_loss(loss_function: LossFunction, outputs: int, labels: Tensor) -> None:
    """Checks with made-up logits that a loss is what a step needs: one number with a gradient.

    Args:
        loss_function: of logits and labels.
        outputs: numbers that the model gives for an image.
        labels: of two images.

    Raises:
        ModelError: it raises, or returns something else; the message says what.
    """
    dtype = labels.dtype if labels.is_floating_point() else torch.get_default_dtype()
    logits = torch.zeros(len(labels), outputs, dtype=dtype, device=labels.device, requires_grad=True)
    try:
        loss = cast(object, loss_function(logits, labels))
    except DotbogiError:
        raise
    except Exception as error:
        raise ModelError(
            _("The loss failed on logits {logits} and labels {labels}: {error}").format(
                logits=tuple(logits.shape), labels=tuple(labels.shape), error=error
            ),
            fix=_("Give a callable of logits and labels that returns one number, such as nn.CrossEntropyLoss()."),
        ) from error
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        shown = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ModelError(
            _("The loss returned {shown}; one number with a gradient is expected.").format(shown=shown),
            fix=_("Return a tensor of no dimension that was computed from the logits: add .mean(), leave .item() out."),
        )

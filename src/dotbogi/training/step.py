"""One training step: the five lines that every lecture shows.

The loop, the tape and whatever else trains run this step; nobody copies it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dotbogi.stages import GRADIENT, LOSS, MODEL, UPDATE, Stage

LossFunction = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class StepRules:
    """What a step does beyond the five lines.

    Args:
        accumulation: forward passes whose gradients are averaged into the one update.
        clip_norm: largest norm of all gradients together (Pascanu et al. 2013, arXiv:1211.5063); 0 for none.
        autocast: the dtype that matrix products and convolutions are computed in, or ``None`` for the weights' own.
        scaler: multiplies the loss so that gradients in fp16 do not vanish, or ``None``.
    """

    accumulation: int = 1
    clip_norm: float = 0.0
    autocast: torch.dtype | None = None
    scaler: torch.amp.GradScaler | None = None

    def precision(self, device: torch.device) -> AbstractContextManager[Any]:
        """Returns the context in which the forward pass and the loss are computed."""
        return torch.autocast(device.type, self.autocast) if self.autocast else nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Adds ∂loss/∂w to every parameter's gradient."""
        (self.scaler.scale(loss) if self.scaler else loss).backward()

    def update(self, optimizer: torch.optim.Optimizer) -> None:
        """Clips the gradients where that is asked for, and lets the optimizer update the weights."""
        if self.clip_norm:
            if self.scaler:
                self.scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(_parameters(optimizer), self.clip_norm, foreach=_foreach(optimizer))
        if self.scaler:
            self.scaler.step(optimizer)
            self.scaler.update()
        else:
            optimizer.step()


PLAIN = StepRules()


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _foreach(optimizer: torch.optim.Optimizer) -> bool | None:
    return optimizer.defaults.get("foreach")


def _nobody(stage: Stage) -> None:
    """Nobody wants to know which stage begins."""


def training_step(
    model: Callable[[Tensor], Any],
    loss_function: LossFunction,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    *,
    rules: StepRules = PLAIN,
    enter: Callable[[Stage], None] = _nobody,
) -> tuple[Tensor, Tensor]:
    """Forward pass, loss, zeroed gradients, backward pass, update.

    Args:
        model: gives the logits of a batch; of several outputs the first are the logits.
        loss_function: gives the loss, a tensor of no dimension, of logits and labels.
        optimizer: over the model's parameters.
        images: (B, C, H, W), as the model takes them.
        labels: (B,) class indices, or what the loss function takes.
        rules: accumulation, clipping, precision.
        enter: told which stage begins, before its first operation.

    Returns:
        The logits (B, K) and the loss (), both without a graph; with accumulation of the whole batch.
    """
    batch_logits: list[Tensor] = []
    batch_loss: list[Tensor] = []
    for part_images, part_labels, share in _parts(images, labels, rules.accumulation):
        with rules.precision(images.device):
            enter(MODEL)
            logits = model(part_images)  # (B, K)
            enter(LOSS)
            loss = loss_function(logits, part_labels)  # ()
        if share != 1:
            loss = loss * share
        enter(GRADIENT)
        if not batch_loss:
            optimizer.zero_grad()
        rules.backward(loss)
        batch_logits.append(_first(logits).detach())
        batch_loss.append(loss.detach())
    enter(UPDATE)
    rules.update(optimizer)
    if len(batch_loss) == 1:
        return batch_logits[0], batch_loss[0]
    return torch.cat(batch_logits), torch.stack(batch_loss).sum()


def _first(output: Any) -> Tensor:
    """Returns the logits of a model that returns others beside them (GoogLeNet's auxiliary ones)."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    return output[0] if isinstance(output, (tuple, list)) else output


def _parts(images: Tensor, labels: Tensor, accumulation: int) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Yields the batch in parts, each with its share of the images, by which its mean loss counts."""
    if accumulation == 1:
        yield images, labels, 1.0
        return
    for part_images, part_labels in zip(images.chunk(accumulation), labels.chunk(accumulation), strict=True):
        yield part_images, part_labels, len(part_images) / len(images)

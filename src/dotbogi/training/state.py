"""Everything that the next step of a training depends on."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dotbogi.optim.schedule import RunningSchedule


@dataclass
class RunningSums:
    """What an epoch's averages are made of, so far.

    Args:
        images: images seen.
        loss: Σ loss × images of the batch.
        correct: images whose largest logit was the label's.
    """

    images: int = 0
    loss: float = 0.0
    correct: int = 0

    def add(self, images: int, loss: float) -> None:
        """Adds one batch's loss."""
        self.images += images
        self.loss += loss * images


@dataclass
class Best:
    """The best epoch so far on the validation images.

    Args:
        score: accuracy, or the negative loss where there is no accuracy; larger is better.
        step: updates done then.
    """

    score: float = float("-inf")
    step: int = 0


@dataclass
class TrainingState:
    """Model, optimizer, schedule, scaler, position, running sums and best so far.

    The position in the epoch follows from ``step``; the generators' states are
    not needed, since every draw is keyed by seed and step.

    Args:
        model, optimizer, schedule: being trained.
        scaler: of fp16, or ``None``.
        step: updates done.
        sums: of the epoch so far.
        best: of the epochs so far.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: RunningSchedule
    scaler: torch.amp.GradScaler | None = None
    step: int = 0
    sums: RunningSums = field(default_factory=RunningSums)
    best: Best = field(default_factory=Best)

    def weights(self) -> dict[str, Tensor]:
        """Returns the parameters and buffers by name, as they are now (not copied)."""
        return dict(self.model.state_dict())

    def rest(self) -> dict[str, Any]:
        """Returns everything else, in types that ``torch.load(weights_only=True)`` takes."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "step": self.step,
            "sums": vars(self.sums).copy(),
            "best": vars(self.best).copy(),
        }

    def restore(self, weights: dict[str, Tensor], rest: dict[str, Any]) -> None:
        """Puts back what :meth:`weights` and :meth:`rest` returned.

        Args:
            weights: for exactly the model's names and shapes.
            rest: of a training with the same optimizer and schedule.
        """
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict(rest["optimizer"])
        self.schedule.load_state_dict(rest["schedule"])
        if self.scaler and rest["scaler"]:
            self.scaler.load_state_dict(rest["scaler"])
        self.step = rest["step"]
        self.sums = RunningSums(**rest["sums"])
        self.best = Best(**rest["best"])

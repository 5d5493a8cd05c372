"""A learning rate that drops when the loss no longer does."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dotbogi.language import mark
from dotbogi.optim.schedule import ScheduleEntry, Span
from dotbogi.registry import Hyperparameter


@dataclass
class Plateau:
    """Counts epochs without an improvement.

    Args:
        values: the hyperparameters.
        span: its warmup decides which epochs do not count: those that end within it.
        current: the factor in force.
        best: the lowest loss so far.
        bad_epochs: epochs since it.
        cooldown: epochs that still do not count.
        epochs: epochs seen.
    """

    values: Mapping[str, Any]
    span: Span
    current: float = 1.0
    best: float = math.inf
    bad_epochs: int = 0
    cooldown: int = 0
    epochs: int = 0

    def factor(self, step: int) -> float:
        """Returns the factor in force; only ``observe`` changes it."""
        return self.current

    def observe(self, metric: float) -> None:
        """Takes in an epoch's loss and drops the factor after too many epochs without a lower one.

        A loss that is not a number counts as no improvement.
        """
        self.epochs += 1
        if self.epochs * self.span.steps_per_epoch <= self.span.warmup_steps:
            return
        better = metric < self.best * (1 - self.values["threshold"])
        self.best = metric if better else self.best
        self.bad_epochs = 0 if better or self.cooldown else self.bad_epochs + 1
        self.cooldown = max(0, self.cooldown - 1)
        if self.bad_epochs > self.values["patience"]:
            self._drop()

    def _drop(self) -> None:
        self.current = max(self.current * self.values["factor"], self.values["minimum_factor"])
        self.cooldown = self.values["cooldown"]
        self.bad_epochs = 0

    def state_dict(self) -> dict[str, Any]:
        """Returns the counters, the best loss and the factor in force."""
        return {name: getattr(self, name) for name in ("current", "best", "bad_epochs", "cooldown", "epochs")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""
        for name in self.state_dict():
            setattr(self, name, state[name])


SCHEDULE = ScheduleEntry(
    title=mark("Reduce on plateau"),
    text=mark("The learning rate drops when the validation loss (without one, the training loss) no longer falls."),
    hyperparameters=(
        Hyperparameter(
            "factor", 0.1, low=0, low_open=True, high=1, high_open=True, text=mark("what a drop multiplies by")
        ),
        # torch waits for 10 epochs, which is longer than most of the trainings here.
        Hyperparameter("patience", 2, low=0, text=mark("epochs without a lower loss that are let pass before a drop")),
        Hyperparameter(
            "threshold", 1e-4, low=0, high=1, high_open=True, text=mark("how much lower, relatively, a loss must be")
        ),
        Hyperparameter("cooldown", 0, low=0, text=mark("epochs after a drop that do not count")),
        Hyperparameter("minimum_factor", 0.0, low=0, high=1, text=mark("what the factor never falls below")),
    ),
    formula=r"""f \leftarrow \max(f \cdot \text{factor},\, f_\text{min})
\quad\text{after more than } \text{patience} \text{ epochs in a row with}\quad
L \ge L_\text{best}\,(1 - \text{threshold})""",
    source="torch.optim.lr_scheduler.ReduceLROnPlateau",
    start=Plateau,
)

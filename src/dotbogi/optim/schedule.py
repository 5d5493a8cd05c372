"""What a schedule's file says, and how the learning rate's factor follows from a recipe.

Positions are fractions of the training, so that a recipe keeps its shape when
only the number of epochs changes: in 90 epochs, "every 30 epochs" is 1/3.
Plateau alone counts epochs, since it learns its metric once per epoch. A factor
is computed from the number of the update, never from the factor before it, so
that a resumed training gets the very same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dotbogi.registry import SCHEDULES, Hyperparameter, check_hyperparameters

if TYPE_CHECKING:
    import torch

    from dotbogi import recipe as recipes


class Course(Protocol):
    """A schedule that was started, without its warmup."""

    def factor(self, step: int, /) -> float:
        """Returns what the base learning rate is multiplied by at an update, counted from 0."""
        ...

    def observe(self, metric: float) -> None:
        """Takes in the loss at the end of an epoch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that later factors depend on."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""
        ...


@dataclass(frozen=True)
class ClosedForm:
    """A course that depends on nothing but the number of the update.

    Args:
        factor: from the number of the update, from 0, to the factor.
    """

    factor: Callable[[int], float]

    def observe(self, metric: float) -> None:
        """Ignores the loss."""

    def state_dict(self) -> dict[str, Any]:
        """Returns nothing: there is no state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes nothing."""


@dataclass(frozen=True)
class Span:
    """How long a course runs.

    Args:
        steps: its updates, ≥ 1.
        steps_per_epoch: updates of one epoch, ≥ 1.
        warmup_steps: updates that came before it.
    """

    steps: int
    steps_per_epoch: int
    warmup_steps: int = 0


@dataclass(frozen=True)
class ScheduleEntry:
    """A schedule that can be chosen by name.

    Args:
        title: the name in full, marked for translation.
        text: what it does to the learning rate, marked for translation.
        hyperparameters: what a recipe can set.
        formula: the factor in LaTeX. s: number of the update after the warmup, from 0; S: updates after the warmup.
        source: the paper, or where the form comes from.
        start: from the hyperparameters' values and the span to the course.
    """

    title: str
    text: str
    hyperparameters: tuple[Hyperparameter, ...]
    formula: str
    source: str
    start: Callable[[Mapping[str, Any], Span], Course]


@dataclass(frozen=True)
class RunningSchedule:
    """A schedule with its warmup.

    During ``warmup_steps`` updates the factor rises in equal steps from 0, which
    would be the update before the first, to the course's first factor.
    """

    warmup_steps: int
    course: Course

    def factor(self, step: int) -> float:
        """Returns what the base learning rate is multiplied by at an update.

        Args:
            step: number of the update, from 0, warmup included.
        """
        if step < self.warmup_steps:
            return self.course.factor(0) * ((step + 1) / (self.warmup_steps + 1))
        return self.course.factor(step - self.warmup_steps)

    def observe(self, metric: float) -> None:
        """Takes in the loss at the end of an epoch; only plateau depends on it."""
        self.course.observe(metric)

    def state_dict(self) -> dict[str, Any]:
        """Returns everything that later factors depend on, as plain numbers."""
        return self.course.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state; the schedule was built from the same recipe and numbers of steps."""
        self.course.load_state_dict(state)


def build_schedule(recipe: recipes.Schedule, *, steps: int, steps_per_epoch: int) -> RunningSchedule:
    """Starts the schedule that a recipe describes.

    Args:
        recipe: name, warmup (a fraction of all steps) and hyperparameters; the schedule runs over the steps that the
            warmup leaves, at least one.
        steps: updates of the whole training, ≥ 1.
        steps_per_epoch: updates of one epoch, ≥ 1.

    Raises:
        RecipeError: a hyperparameter out of its range.
    """
    entry: ScheduleEntry = SCHEDULES.load(recipe.name)
    values = check_hyperparameters(entry.hyperparameters, recipe.hyperparameters, "schedule")
    warmup_steps = min(round(recipe.warmup * steps), steps - 1)
    return RunningSchedule(warmup_steps, entry.start(values, Span(steps - warmup_steps, steps_per_epoch, warmup_steps)))


def apply_schedule(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Sets every group's learning rate to its ``initial_lr`` times the factor.

    Returns:
        The learning rate of the first group.
    """
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
    return optimizer.param_groups[0]["lr"]

"""What a training makes small; needs no torch until a loss is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotbogi import recipe as recipes
from dotbogi.registry import LOSSES, Hyperparameter, check_hyperparameters

if TYPE_CHECKING:
    import torch

    from dotbogi.training.step import LossFunction


@dataclass(frozen=True)
class LossEntry:
    """A loss that can be chosen by name.

    Args:
        title: its name in words, marked for translation.
        hyperparameters: further keys of the recipe's ``training.loss`` table.
        build: takes ``num_classes``, ``device``, ``dtype`` and the hyperparameters; returns a function of the
            model's outputs (B, K) and the labels, whose result is a scalar, the mean over the batch.
        formula: LaTeX, as implemented.
        source: where the formula stands.
        text: what it is for, marked for translation.
    """

    title: str
    hyperparameters: tuple[Hyperparameter, ...]
    build: Callable[..., LossFunction]
    formula: str
    source: str
    text: str


def build_loss(recipe: recipes.Loss, *, num_classes: int, device: torch.device, dtype: torch.dtype) -> LossFunction:
    """Builds a loss.

    Args:
        recipe: which, with its hyperparameters.
        num_classes: K; 0 for a regression.
        device: where the outputs lie.
        dtype: in which the loss is computed: float32 (under autocast too) or float64.

    Returns:
        A function of outputs (B, K) and labels (B,) int64, or (B, K) float for a regression; a scalar.

    Raises:
        UnknownNameError: there is no such loss.
        RecipeError: a hyperparameter outside its range, or that does not go with the classes.
    """
    entry: LossEntry = LOSSES.load(recipe.name)
    values = check_hyperparameters(entry.hyperparameters, recipe.hyperparameters, "training.loss")
    return entry.build(num_classes=num_classes, device=device, dtype=dtype, **values)

"""Records the step that a training stands before, from the stored pixels to the updated weights."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from dotbogi.data.augment import Draws
from dotbogi.optim.schedule import apply_schedule
from dotbogi.runs.assemble import Assembly
from dotbogi.tape.record import record
from dotbogi.tape.tape import Tape
from dotbogi.training.loop import seed_step


def recorded_step(
    assembly: Assembly, indices: Tensor, draws: Draws | None, modules: Iterable[str] | None = None
) -> Tape:
    """Returns the tape of the step that a training stands before; the training goes on standing there.

    Args:
        assembly: whose state is that before the step.
        indices: (B,) int64, which training images the step sees.
        draws: how each of them is varied, or ``None``.
        modules: paths of the modules whose numbers are kept; by default those of all.
    """
    state, batches = assembly.state, assembly.batches
    state.model.train()
    apply_schedule(state.optimizer, state.schedule.factor(state.step))
    pixels = batches.split.images.index_select(0, indices)  # (B, C, H, W) uint8
    labels = batches.split.labels.index_select(0, indices).to(batches.device)  # (B,)
    if labels.is_floating_point():
        labels = labels.to(batches.dtype)
    seed_step(assembly.recipe.training.seed, state.step, batches.device)
    what: dict[str, Any] = {"rules": assembly.rules, "modules": modules, "loss": assembly.loss_function}
    if pixels.is_floating_point():  # a regression's numbers are the input as they are
        images = pixels.to(batches.device, batches.dtype)
        return record(state.model, (images, labels), optimizer=state.optimizer, **what)
    return record(
        state.model,
        (pixels, labels),
        optimizer=state.optimizer,
        prepare=lambda stored: batches.prepare(stored, draws),
        **what,
    )


def difference_from(tape: Tape, stored: Mapping[str, Tensor]) -> float:
    """Returns the largest absolute difference of a tape's updated weights and buffers from stored ones.

    Args:
        tape: of a training step.
        stored: a state dict, on the CPU.

    Returns:
        0 where they are the same, bit for bit but for the sign of 0 and the kind of NaN; infinity where one is NaN.
    """
    given = tape.names.given
    differences = [
        _largest_difference(given[f"update {name}"].view().cpu(), weights)
        for name, weights in stored.items()
        if f"update {name}" in given
    ]
    return max(differences, default=0.0)


def _largest_difference(found: Tensor, stored: Tensor) -> float:
    found, stored = found.double(), stored.double()
    same = (found == stored) | (found.isnan() & stored.isnan())
    apart = torch.where(same, 0.0, (found - stored).abs())
    return float(apart.nan_to_num(nan=torch.inf).max()) if apart.numel() else 0.0

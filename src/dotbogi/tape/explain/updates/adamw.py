"""AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.explain.updates.adam import CLASSES, adam_rule
from dotbogi.tape.update_lines import decay_lines, gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import UpdateStep


@explains_update(*CLASSES, when=lambda options: options["decoupled_weight_decay"])
def adamw(step: UpdateStep) -> Rule | None:
    """As torch.optim.AdamW."""
    return adam_rule(step, (*gradient_lines(step), *decay_lines(step)), latex_of("adamw"))

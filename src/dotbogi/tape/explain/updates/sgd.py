"""Stochastic gradient descent: w ← w − lr·g (Robbins & Monro 1951, doi:10.1214/aoms/1177729586)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep


@explains_update("torch.optim.sgd:SGD", when=lambda options: options["momentum"] == 0)
def sgd(step: UpdateStep) -> Rule | None:
    """As torch.optim.SGD without momentum."""
    return Rule(
        lines=(*gradient_lines(step), ("w", "rounded(w - product(factor(lr)*g))")),
        reads={"w": step.weight, "g": step.gradient},
        constants={"lr": step.options["lr"], "λ": step.options["weight_decay"]},
        results={WEIGHT: "w"},
        latex=latex_of("sgd"),
    )

"""Adagrad (Duchi, Hazan & Singer 2011, JMLR 12:2121–2159)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep


@explains_update("torch.optim.adagrad:Adagrad")
def adagrad(step: UpdateStep) -> Rule | None:
    """As torch.optim.Adagrad; η is the decay of its learning rate."""
    options = step.options
    slower = (("lr", "lr/(1 + (t - 1)*η)"),) if options["lr_decay"] else ()
    return Rule(
        lines=(
            *slower,
            *gradient_lines(step),
            ("G", "rounded(G + g**2)"),
            ("w", "rounded(w - lr*g/rounded(rounded(sqrt(G)) + factor(ε)))"),
        ),
        reads={"w": step.weight, "g": step.gradient, **step.states(G="sum")},
        constants={
            "lr": options["lr"],
            "η": options["lr_decay"],
            "ε": options["eps"],
            "λ": options["weight_decay"],
            "t": step.count,
        },
        results={WEIGHT: "w", "sum": "G"},
        latex="" if slower else latex_of("adagrad"),
    )

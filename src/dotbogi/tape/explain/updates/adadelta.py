"""Adadelta (Zeiler 2012, arXiv:1212.5701)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep


@explains_update("torch.optim.adadelta:Adadelta")
def adadelta(step: UpdateStep) -> Rule | None:
    """As torch.optim.Adadelta: E averages the squared gradients, D the squared steps."""
    options = step.options
    return Rule(
        lines=(
            *gradient_lines(step),
            ("E", "rounded(rounded(ρ*E) + (1 - ρ)*g**2)"),
            ("Δ", "rounded(rounded(rounded(sqrt(rounded(D + factor(ε))))/rounded(sqrt(rounded(E + factor(ε)))))*g)"),
            ("D", "rounded(rounded(ρ*D) + (1 - ρ)*Δ**2)"),
            ("w", "rounded(w - product(factor(lr)*Δ))"),
        ),
        reads={"w": step.weight, "g": step.gradient, **step.states(E="square_avg", D="acc_delta")},
        constants={
            "lr": options["lr"],
            "ρ": options["rho"],
            "ε": options["eps"],
            "λ": options["weight_decay"],
        },
        results={WEIGHT: "w", "square_avg": "E", "acc_delta": "D"},
        latex=latex_of("adadelta"),
    )

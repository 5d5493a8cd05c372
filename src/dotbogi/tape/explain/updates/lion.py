"""Lion (Chen et al. 2023, arXiv:2302.06675)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import decay_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep


@explains_update(
    "timm.optim.lion:Lion", when=lambda options: not (options["caution"] or options["corrected_weight_decay"])
)
def lion(step: UpdateStep) -> Rule | None:
    """As timm.optim.Lion: the sign is that of a mixture, and the average is updated after it."""
    beta1, beta2 = step.options["betas"]
    return Rule(
        lines=(
            *((("g", "-g"),) if step.options["maximize"] else ()),
            *decay_lines(step),
            ("u", "sign(rounded(β1*m + (1 - β1)*g))"),
            ("w", "rounded(w - product(factor(lr)*u))"),
            ("m", "rounded(β2*m + (1 - β2)*g)"),
        ),
        reads={"w": step.weight, "g": step.gradient, **step.states(m="exp_avg")},
        constants={"lr": step.options["lr"], "β1": beta1, "β2": beta2, "λ": step.options["weight_decay"]},
        results={WEIGHT: "w", "exp_avg": "m"},
        latex=latex_of("lion"),
    )

"""SGD with momentum: v ← μ·v + g, w ← w − lr·v (Polyak 1964, doi:10.1016/0041-5553(64)90137-5)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import Line, gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep

BUFFER = "momentum_buffer"


@explains_update("torch.optim.sgd:SGD", when=lambda options: options["momentum"] != 0 and not options["nesterov"])
def momentum(step: UpdateStep) -> Rule | None:
    """As torch.optim.SGD with momentum."""
    return velocity_rule(step, "rounded(w - product(factor(lr)*v))", latex_of("momentum"))


def velocity_rule(step: UpdateStep, update: str, latex: str) -> Rule:
    """Returns the formula of an update along the velocity v.

    Args:
        step: of torch.optim.SGD.
        update: what is assigned to w.
        latex: the whole formula.
    """
    options = step.options
    before = step.states(v=BUFFER) if BUFFER in step.before.state else {}
    return Rule(
        lines=(*gradient_lines(step), _velocity(step), ("w", update)),
        reads={"w": step.weight, "g": step.gradient, **before},
        constants={
            "lr": options["lr"],
            "μ": options["momentum"],
            "τ": options["dampening"],
            "λ": options["weight_decay"],
        },
        results={WEIGHT: "w", BUFFER: "v"},
        latex=latex,
    )


def _velocity(step: UpdateStep) -> Line:
    """The first velocity is the first gradient, whatever the dampening."""
    if BUFFER not in step.before.state:
        return "v", "g"
    return "v", "rounded(rounded(μ*v) + product(factor(1 - τ)*g))" if step.options[
        "dampening"
    ] else "rounded(rounded(μ*v) + g)"

"""NAdam (Dozat 2016, openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import Line, adam_constants, average_lines, decay_lines, gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep

PRODUCT = "mu_product"
MOMENTUM = ("μ", "β1*(1 - 0.5*0.96**(t*ψ))")
NEXT_MOMENTUM = ("mu_next", "β1*(1 - 0.5*0.96**((t + 1)*ψ))")


@explains_update("torch.optim.nadam:NAdam")
def nadam(step: UpdateStep) -> Rule | None:
    """As torch.optim.NAdam; Πμ is the product of the momenta up to this update."""
    is_decoupled = step.options["decoupled_weight_decay"]
    constants = {**adam_constants(step), "ψ": step.options["momentum_decay"]}
    if step.asked == PRODUCT:
        reads = {"Πμ": step.one(step.state(PRODUCT))}
        return Rule((MOMENTUM, ("Πμ", "Πμ*μ")), reads, constants, {PRODUCT: "Πμ"}, latex_of("nadam"))
    return Rule(
        lines=(
            *gradient_lines(step),
            *(decay_lines(step) if is_decoupled else ()),
            *average_lines(),
            *(MOMENTUM, NEXT_MOMENTUM, ("v̂", "rounded(v/(1 - β2**t))")),
            *_last_lines(step),
        ),
        reads={
            "w": step.weight,
            "g": step.gradient,
            **step.states(m="exp_avg", v="exp_avg_sq"),
            "Πμ": step.one(step.after(PRODUCT), ()),
        },
        constants=constants,
        results={WEIGHT: "w", "exp_avg": "m", "exp_avg_sq": "v"},
        latex="" if is_decoupled else latex_of("nadam"),
    )


def _last_lines(step: UpdateStep) -> tuple[Line, ...]:
    if not step.low_precision:
        return (
            ("m̂", "mu_next*m/(1 - Πμ*mu_next) + (1 - μ)*g/(1 - Πμ)"),
            ("w", "w - lr*m̂/(sqrt(v̂) + factor(ε))"),
        )
    return (
        ("s", "rounded(rounded(sqrt(v̂)) + factor(ε))"),
        ("w", "rounded(w - lr*(1 - μ)/(1 - Πμ)*g/s)"),
        ("w", "rounded(w - lr*mu_next/(1 - Πμ*mu_next)*m/s)"),
    )

"""RAdam (Liu et al. 2020, arXiv:1908.03265)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import Line, adam_constants, average_lines, decay_lines, gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep

RECTIFIED = (
    "rounded(w - rounded(rounded(rounded(m̂*lr)*rounded(sqrt(1 - β2**t)/rounded(rounded(sqrt(v)) + factor(ε))))*r))"
)


@explains_update("torch.optim.radam:RAdam")
def radam(step: UpdateStep) -> Rule | None:
    """As torch.optim.RAdam: as long as ρ is at most 5, a step along the average gradient."""
    is_decoupled = step.options["decoupled_weight_decay"]
    constants = adam_constants(step)
    return Rule(
        lines=(
            *gradient_lines(step),
            *(decay_lines(step) if is_decoupled else ()),
            *average_lines(),
            ("m̂", "rounded(m/(1 - β1**t))"),
            *_last_lines(constants["β2"], constants["t"]),
        ),
        reads={"w": step.weight, "g": step.gradient, **step.states(m="exp_avg", v="exp_avg_sq")},
        constants=constants,
        results={WEIGHT: "w", "exp_avg": "m", "exp_avg_sq": "v"},
        latex="" if is_decoupled else latex_of("radam"),
    )


def _last_lines(beta2: float, t: float) -> tuple[Line, ...]:
    longest = 2 / (1 - beta2) - 1
    if longest - 2 * t * beta2**t / (1 - beta2**t) <= 5:
        return (("w", "rounded(w - rounded(m̂*lr))"),)
    return (
        ("rho_inf", "2/(1 - β2) - 1"),
        ("ρ", "rho_inf - 2*t*β2**t/(1 - β2**t)"),
        ("r", "sqrt((ρ - 4)*(ρ - 2)*rho_inf/((rho_inf - 4)*(rho_inf - 2)*ρ))"),
        ("w", RECTIFIED),
    )

"""Adam (Kingma & Ba 2015, arXiv:1412.6980)."""

from __future__ import annotations

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import Line, adam_constants, average_lines, gradient_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep

CLASSES = ("torch.optim.adam:Adam", "torch.optim.adamw:AdamW")


@explains_update(*CLASSES, when=lambda options: not options["decoupled_weight_decay"])
def adam(step: UpdateStep) -> Rule | None:
    """As torch.optim.Adam; with amsgrad too (Reddi et al. 2018, openreview.net/forum?id=ryQu7f-RZ)."""
    return adam_rule(step, gradient_lines(step), latex_of("adam"))


def adam_rule(step: UpdateStep, before: tuple[Line, ...], latex: str) -> Rule:
    """Returns Adam's formula.

    Args:
        step: of Adam or AdamW.
        before: the lines that prepare gradient and weight.
        latex: the whole formula.
    """
    is_largest = bool(step.options.get("amsgrad"))
    states = {"m": "exp_avg", "v": "exp_avg_sq"} | ({"v_max": "max_exp_avg_sq"} if is_largest else {})
    largest = (("v_max", "max(v_max, v)"),) if is_largest else ()
    return Rule(
        lines=(*before, *average_lines(), *largest, *adam_lines(step, "v_max" if is_largest else "v")),
        reads={"w": step.weight, "g": step.gradient, **step.states(**states)},
        constants=adam_constants(step),
        results={WEIGHT: "w", **{key: name for name, key in states.items()}},
        latex="" if is_largest else latex,
    )


def adam_lines(step: UpdateStep, average: str = "v") -> tuple[Line, ...]:
    """Returns the lines from the averages to the new weight.

    Args:
        step: where every intermediate result is rounded, the lines follow torch's order of operations.
        average: name of the average of squares that is divided by.
    """
    corrected = ("m̂", "m/(1 - β1**t)")
    if step.low_precision:
        root = ("s", f"rounded(rounded(rounded(sqrt({average}))/sqrt(1 - β2**t)) + factor(ε))")
        return corrected, root, ("w", "rounded(w - lr*m̂/s)")
    return corrected, ("v̂", f"{average}/(1 - β2**t)"), ("w", "w - lr*m̂/(sqrt(v̂) + factor(ε))")

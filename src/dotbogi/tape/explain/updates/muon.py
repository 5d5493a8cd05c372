"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon; scale: Liu et al. 2025, arXiv:2502.16982)."""

from __future__ import annotations

from typing import Any

from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.explain.updates.adam import adam_lines
from dotbogi.tape.update_lines import Line, adam_constants, average_lines, decay_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep

BUFFER = "momentum_buffer"


@explains_update("timm.optim.muon:Muon", when=lambda options: options["algo"] == "muon" and not options["nesterov"])
def muon(step: UpdateStep) -> Rule | None:
    """As timm.optim.Muon, which updates a tensor of a shape that does not suit it as AdamW does.

    The orthogonalised momentum X is a number of the tape, and explained in turn through Newton–Schulz's iterations:
    each of these rounds to bfloat16.
    """
    return _orthogonalised(step) if step.keeps(BUFFER) else _fallback(step)


def _orthogonalised(step: UpdateStep) -> Rule | None:
    options = step.options
    last = step.after(WEIGHT).operation
    if last is None or last.packet != "add_":
        return None
    x = f"X{options['ns_steps']}"
    scale, constants = _scale(step, -last.argument("alpha") / options["lr"])
    return Rule(
        lines=(
            *decay_lines(step),
            ("M", "rounded(μ*M + (1 - μ)*g)"),
            *scale,
            ("w", f"rounded(w - product(factor(lr*s)*{x}))"),
        ),
        reads={
            "w": step.weight,
            "g": step.gradient,
            **step.states(M=BUFFER),
            x: step.one(last.argument("other")),
        },
        constants={
            "lr": options["lr"],
            "μ": options["momentum"],
            "λ": options["weight_decay"],
            **constants,
        },
        results={WEIGHT: "w", BUFFER: "M"},
        latex=latex_of("muon"),
    )


def _scale(step: UpdateStep, used: float) -> tuple[tuple[Line, ...], dict[str, float]]:
    """Returns the factor s by which the step is fitted to the matrix's shape: its line, and its constants."""
    options: Any = step.options
    if options["adjust_lr_fn"] != "match_rms_adamw" or options["conv_mode"] != "flatten":
        return (), {"s": used}
    rows = step.before.weight.shape[0]
    columns = step.before.weight.numel() // rows
    return (("s", "0.2*sqrt(max(rows, columns))"),), {"rows": float(rows), "columns": float(columns)}


def _fallback(step: UpdateStep) -> Rule:
    options = step.options
    constants = {**adam_constants(step), "lr": options["lr"] * options["fallback_lr_scale"]}
    return Rule(
        lines=(*decay_lines(step), *average_lines(), *adam_lines(step)),
        reads={"w": step.weight, "g": step.gradient, **step.states(m="exp_avg", v="exp_avg_sq")},
        constants=constants,
        results={WEIGHT: "w", "exp_avg": "m", "exp_avg_sq": "v"},
        latex=latex_of("adamw"),
    )

"""LAMB (You et al. 2020, arXiv:1904.00962)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dotbogi.tape.arithmetic import Elements
from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import Line, adam_constants, average_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep
from dotbogi.tape.value import Value


def _is_covered(options: Mapping[str, Any]) -> bool:
    return options["grad_averaging"] and not (options["caution"] or options["corrected_weight_decay"])


@explains_update("timm.optim.lamb:Lamb", when=_is_covered)
def lamb(step: UpdateStep) -> Rule | None:
    """As timm.optim.Lamb: the norms of the whole tensor are numbers of the tape, and explained in turn."""
    options = step.options
    norms = _norms(step) if step.asked == WEIGHT and (options["weight_decay"] or options["always_adapt"]) else {}
    if norms is None:
        return None
    clipping = _clipping(step)
    rule = Rule(
        lines=(
            *((("g", "rounded(g/c)"),) if clipping else ()),
            *average_lines(),
            *_decay_lines(options, decoupled=True),
            *_direction_lines(step),
            *_decay_lines(options, decoupled=False),
            *_last_lines(options, norms),
        ),
        reads={"w": step.weight, "g": step.gradient, **clipping, **step.states(m="exp_avg", v="exp_avg_sq"), **norms},
        constants={**adam_constants(step), "t": options.get("step", 0.0) + 1},
        results={WEIGHT: "w", "exp_avg": "m", "exp_avg_sq": "v"},
        latex=latex_of("lamb"),
    )
    is_as_in_the_paper = options["bias_correction"] and not (clipping or options["decoupled_decay"])
    return rule if is_as_in_the_paper and not options["trust_clip"] else replace(rule, latex="")


def _clipping(step: UpdateStep) -> dict[str, Elements]:
    """c = max(1, ‖all gradients‖ / max_grad_norm), which timm divides the gradient by."""
    gradient = step.before.gradient
    division = step.reader_of(gradient, "div") if gradient is not None else None
    return {"c": step.one(division.argument("other"), ())} if division is not None else {}


def _decay_lines(options: Mapping[str, Any], *, decoupled: bool) -> tuple[Line, ...]:
    if not options["weight_decay"] or options["decoupled_decay"] != decoupled:
        return ()
    return (
        (("w", "rounded(w - product(factor(lr*λ)*w))"),) if decoupled else (("r", "rounded(r + product(factor(λ)*w))"),)
    )


def _direction_lines(step: UpdateStep) -> tuple[Line, ...]:
    is_corrected = step.options["bias_correction"]
    m_hat = ("m̂", "rounded(m/(1 - β1**t))") if is_corrected else ("m̂", "m")
    if step.low_precision:
        root = "rounded(sqrt(v))/sqrt(1 - β2**t)" if is_corrected else "rounded(sqrt(v))"
        return m_hat, ("s", f"rounded(rounded({root}) + factor(ε))"), ("r", "rounded(m̂/s)")
    return m_hat, ("v̂", "v/(1 - β2**t)" if is_corrected else "v"), ("r", "m̂/(sqrt(v̂) + factor(ε))")


def _last_lines(options: Mapping[str, Any], norms: Mapping[str, Elements]) -> tuple[Line, ...]:
    if not norms:
        return (("w", "rounded(w - product(factor(lr)*r))"),)
    is_zero = any(not elements.numbers()[0] > 0 for elements in norms.values())
    ratio = "1" if is_zero else "rounded(norm_w/norm_r)"
    ratio = f"min({ratio}, 1)" if options["trust_clip"] else ratio
    return ("η", ratio), ("w", "rounded(w - product(factor(lr)*rounded(η*r)))")


def _norms(step: UpdateStep) -> dict[str, Elements] | None:
    """Returns ‖w‖ and ‖r‖ as they were recorded, where they are found."""
    last = step.after(WEIGHT).operation
    scaling = last.argument("other").operation if last is not None and last.packet == "add_" else None
    if scaling is None or scaling.packet != "mul_":
        return None
    norm = step.reader_of(scaling.argument("self"), "linalg_vector_norm", "norm")
    division = step.reader_of(norm.outputs[0], "div") if norm is not None else None
    if norm is None or division is None:
        return None
    norm_w: Value = division.argument("self")
    return {"norm_w": step.one(norm_w, ()), "norm_r": step.one(norm.outputs[0], ())}

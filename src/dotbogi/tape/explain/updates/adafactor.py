"""Adafactor (Shazeer & Stern 2018, arXiv:1804.04235), as torch.optim.Adafactor carries it out."""

from __future__ import annotations

import numpy as np
import torch

from dotbogi.tape.arithmetic import Elements
from dotbogi.tape.explain.updates import explains_update, latex_of
from dotbogi.tape.update_lines import Line, decay_lines
from dotbogi.tape.update_rule import Rule
from dotbogi.tape.updates import WEIGHT, UpdateStep
from dotbogi.tape.value import Value

NORMS = ("linalg_vector_norm", "norm")
FRACTION = ("ρ", "t**τ")  # of the average that is new
TURNED = (("g", "-g"),)


@explains_update("torch.optim:Adafactor")
def adafactor(step: UpdateStep) -> Rule | None:
    """Averages per row (R) and per column (C) of each matrix; of a vector the averages themselves (v̂)."""
    if step.asked in ("row_var", "col_var"):
        return _averages(step)
    if step.asked == "variance":
        reads = {"g": step.gradient, **step.states(**{"v̂": "variance"})}
        return _rule(step, _vector_lines(), reads, {"variance": "v̂"})
    norms = _norms(step)
    if norms is None:
        return None
    reads = {"w": step.weight, "g": step.gradient, **norms[0]}
    if step.keeps("row_var"):
        estimate: tuple[Line, ...] = (("v̂", "rounded(rounded(R*C)/max(R̄, ε1))"),)
        reads |= _matrix_reads(step)
    else:
        estimate = _vector_lines()
        reads |= step.states(**{"v̂": "variance"})
    return _rule(step, (*estimate, *_update_lines(step)), reads, {WEIGHT: "w"}, norms[1])


def _rule(
    step: UpdateStep,
    lines: tuple[Line, ...],
    reads: dict[str, Elements],
    results: dict[str, str],
    constants: dict[str, float] | None = None,
) -> Rule:
    options = step.options
    epsilon1, epsilon2 = options["eps"]
    turned = TURNED if options["maximize"] and step.asked == WEIGHT else ()  # elsewhere only squares are read
    return Rule(
        lines=(*turned, *lines),
        reads=reads,
        constants={
            "lr": options["lr"],
            "τ": options["beta2_decay"],
            "ε1": torch.finfo(step.before.weight.dtype).eps if epsilon1 is None else epsilon1,
            "ε2": epsilon2,
            "d": options["d"],
            "λ": options["weight_decay"],
            "n": float(step.before.weight.numel()),
            "t": step.count,
            **(constants or {}),
        },
        results=results,
        latex=latex_of("adafactor"),
    )


def _vector_lines() -> tuple[Line, ...]:
    return FRACTION, ("v̂", "rounded((1 - ρ)*v̂ + ρ*rounded(g**2))")


def _update_lines(step: UpdateStep) -> tuple[Line, ...]:
    scale = ("α", "max(ε2, norm_w/sqrt(n))*min(lr, 1/sqrt(t))")
    largest = "max(1, norm_u/(sqrt(n)*d))"
    if step.low_precision:
        direction = ("u", "rounded(g*rounded(1/sqrt(max(v̂, ε1**2))))")
        last = ("w", f"rounded(w - product(factor(α/{largest})*u))")
    else:
        direction, last = ("u", "g/sqrt(max(v̂, ε1**2))"), ("w", f"w - α*u/{largest}")
    return scale, *decay_lines(step), direction, last


def _norms(step: UpdateStep) -> tuple[dict[str, Elements], dict[str, float]] | None:
    """Returns the norms of weights and step as they were recorded: as numbers of the tape, or as constants.

    Torch reads them as Python's numbers: in a what-if they stay what they were.
    """
    last = step.after(WEIGHT).operation
    if last is None or last.packet != "add_":
        return None
    of_weight = step.reader_of(step.before.weight, *NORMS)
    of_step = step.reader_of(last.argument("other"), *NORMS)
    if of_weight is None or of_step is None:
        return None
    norms = {"norm_w": of_weight.outputs[0], "norm_u": of_step.outputs[0]}
    if not step.tape.changed:
        return {name: step.one(value, ()) for name, value in norms.items()}, {}
    read = {name: step.reader_of(value, "_local_scalar_dense") for name, value in norms.items()}
    return {}, {name: float(one.scalar) for name, one in read.items() if one is not None and one.scalar is not None}


def _matrix_reads(step: UpdateStep) -> dict[str, Elements]:
    *stack, row, column = step.index
    rows, columns = step.after("row_var"), step.after("col_var")
    average = step.reader_of(rows, "mean")
    assert average is not None
    return {
        "R": step.one(rows, (*stack, row, 0)),
        "C": step.one(columns, (*stack, 0, column)),
        "R̄": step.one(average.outputs[0], (*stack, 0, 0)),
    }


def _averages(step: UpdateStep) -> Rule | None:
    """R averages the squares of a row, over the last axis; C those of a column, over the axis before it."""
    name, axis = ("R", -1) if step.asked == "row_var" else ("C", -2)
    gradient = step.before.gradient
    if gradient is None or step.low_precision:
        return None
    line = (name, f"(1 - ρ)*{name} + ρ*mean(g**2)")
    reads = {name: step.one(step.state(step.asked)), "g": _along(step, gradient, axis)}
    return _rule(step, (FRACTION, line), reads, {step.asked: name})


def _along(step: UpdateStep, gradient: Value, axis: int) -> Elements:
    """Returns the elements of the gradient that differ from the asked place in one axis only."""
    index = np.tile(np.array(step.index, np.int64), (gradient.shape[axis], 1))
    index[:, axis] = np.arange(gradient.shape[axis])
    return Elements(step.value(gradient), index)

"""Fills: tensors that begin as a constant, or as counted numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from dotbogi.language import _
from dotbogi.tape.arithmetic import FUNCTION, Arithmetic, given
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.conversions import conversion
from dotbogi.tape.explain.number_types import held
from dotbogi.tape.render.numbers import shown
from dotbogi.tape.value import Value


def _constant(number: float) -> Arithmetic:
    return given(_("a constant of the code: {number}").format(number=shown(number)), f"y = {shown(number)}")


@explains(
    "zeros", "zeros_like", "new_zeros", "zero", "zero_", "_foreach_zero", "_foreach_zero_", "_efficientzerotensor"
)
def zeros(question: Question) -> Arithmetic:
    """0."""
    return _constant(0)


@explains("ones", "ones_like", "new_ones")
def ones(question: Question) -> Arithmetic:
    """1."""
    return _constant(1)


@explains("full", "full_like", "new_full", "fill", "fill_", "scalar_tensor")
def full(question: Question) -> Arithmetic:
    """A number that the code names, or the one number of a tensor."""
    name = {"fill": "value", "fill_": "value", "scalar_tensor": "s"}.get(question.operation.packet, "fill_value")
    number = question.argument(name)
    return conversion(question, number, ()) if isinstance(number, Value) else _constant(number)


def _counted(
    question: Question, text: str, latex: str, function: Callable[[], Any], constants: dict[str, Any]
) -> Arithmetic:
    """Explains a number that follows from its place alone."""
    dtype = question.value.dtype
    if dtype in (torch.bfloat16, torch.float16):
        # Counted in the type itself, in an order that depends on the processor's vectors.
        return given(
            _("a constant of the code: {formula}, counted in {dtype}").format(
                formula=text, dtype=str(dtype).removeprefix("torch.")
            ),
            text,
        )
    return Arithmetic(FUNCTION, text, result=lambda _none: held(function(), dtype), latex=latex, constants=constants)


@explains("arange")
def arange(question: Question) -> Arithmetic:
    """start + i·step (https://pytorch.org/docs/stable/generated/torch.arange.html)."""
    overload = question.operation.overload._overloadname
    start = 0 if overload in ("default", "out", "") else question.argument("start")
    step = question.argument("step") if overload in ("start_step", "start_out") else 1
    i = question.index[0]
    return _counted(
        question,
        "y = start + i·step",
        r"y = \mathrm{start} + i \cdot \mathrm{step}",
        lambda: start + i * step,
        {"start": start, "step": step, "i": i},
    )


@explains("linspace")
def linspace(question: Question) -> Arithmetic:
    """steps numbers at equal distances (https://pytorch.org/docs/stable/generated/torch.linspace.html)."""
    start, end, steps = (question.argument(name) for name in ("start", "end", "steps"))
    start, end = (one.item(()) if isinstance(one, Value) else one for one in (start, end))
    i = question.index[0]
    return _counted(
        question,
        "y = start + i·(end − start) / (steps − 1)",
        r"y = \mathrm{start} + i\,\frac{\mathrm{end} - \mathrm{start}}{\mathrm{steps} - 1}",
        lambda: start + i * (end - start) / max(steps - 1, 1),
        {"start": start, "end": end, "steps": steps, "i": i},
    )


@explains("eye")
def eye(question: Question) -> Arithmetic:
    """1 on the diagonal, else 0."""
    i, j = question.index
    text, latex = "y = 1 if i = j else 0", "y = [i = j]"
    return Arithmetic(FUNCTION, text, result=lambda _none: float(i == j), latex=latex, constants={"i": i, "j": j})

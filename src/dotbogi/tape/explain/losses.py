"""Losses between two tensors of the same shape, and their gradients: each element's loss, their mean or their sum.

Source of the formulas: https://pytorch.org/docs/stable/nn.html#loss-functions
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import FUNCTION, Arithmetic, Elements, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.elementwise_losses import LOSSES, ElementwiseLoss, Round, exactly
from dotbogi.tape.explain.reducing import (
    LOW_PRECISION,
    Operand,
    argument_of,
    broadcast_index,
    reduction_of,
    rounded,
    told_rounding,
)
from dotbogi.tape.explain.vector_loops import computed_in_vectors
from dotbogi.tape.value import Value

NONE, MEAN, SUM = 0, 1, 2


@explains(*LOSSES)
def loss(question: Question) -> Arithmetic:
    """Results: one number for each element, their mean, or their sum."""
    loss = LOSSES[question.operation.packet]
    values, constants = _values(question, loss), _constants(question, loss)
    if question.argument("reduction") == NONE:
        return _element(question, loss, values, constants)
    return _reduced(question, loss, values, constants)


@explains(*(f"{name}_backward" for name, loss in LOSSES.items() if loss.derivative is not None))
def loss_backward(question: Question) -> Arithmetic:
    """The gradient with respect to x; of a mean each element has its Nth part."""
    loss = LOSSES[question.operation.packet.removesuffix("_backward")]
    derivative = loss.derivative
    assert derivative is not None
    values, constants = _values(question, loss), _constants(question, loss)
    is_mean = question.argument("reduction") == MEAN
    count = question.value.numel()
    gradient = question.argument("grad_output")
    operands: list[Operand] = [("g", _at(gradient, question.index))]
    operands += [(symbol, _at(value, question.index)) for symbol, value in values.items()]
    dtype = _step_type(question)
    step = _rounding(dtype)

    read = [gradient, *(value for value in values.values() if value is not None)]
    if dtype in LOW_PRECISION and loss.rounds_constants and computed_in_vectors(question, read):
        constants.update((symbol, float(step(number))) for symbol, number in constants.items())

    def result(g: Numbers, *numbers: Numbers | None) -> Any:
        share = 1 / count if is_mean else 1.0
        return derivative(step, g[0], share, *map(_first, numbers), **constants)

    formula = f"∂x = g·{loss.derivative_symbol}" + ("/N" if is_mean else "") + told_rounding("each step", dtype)
    return reduction_of(formula, operands, result, kind=FUNCTION, N=count, **constants)


def _values(question: Question, loss: ElementwiseLoss) -> dict[str, Value | None]:
    names = {"x": "self", "t": "target", **loss.others}
    return {symbol: argument_of(question, name) for symbol, name in names.items()}


def _constants(question: Question, loss: ElementwiseLoss) -> dict[str, Any]:
    return {symbol: question.argument(name) for symbol, name in loss.constants.items()}


def _rounding(dtype: torch.dtype) -> Round:
    """Returns how a number is rounded after each step."""
    return (lambda number: rounded(number, dtype)) if dtype in LOW_PRECISION else exactly


def _step_type(question: Question, whole: tuple[torch.dtype, ...] = ()) -> torch.dtype:
    """Returns the type that each step is rounded to: on a processor in low precision that one."""
    value = question.value
    return torch.float32 if value.device.type != "cpu" or value.dtype in whole else value.dtype


def _element(
    question: Question, loss: ElementwiseLoss, values: dict[str, Value | None], constants: dict[str, Any]
) -> Arithmetic:
    operands = [(symbol, _at(value, question.index)) for symbol, value in values.items()]
    dtype = _step_type(question, loss.whole)
    step = _rounding(dtype)
    return reduction_of(
        f"loss = {loss.symbol}" + told_rounding("each step", dtype),
        operands,
        lambda *numbers: loss.loss(step, *map(_first, numbers), **constants),
        kind=FUNCTION,
        **constants,
    )


def _reduced(
    question: Question, loss: ElementwiseLoss, values: dict[str, Value | None], constants: dict[str, Any]
) -> Arithmetic:
    """The sum over all elements, of which each is first rounded to the tensor's type; a mean divides it by N."""
    operands = [(symbol, None if value is None else Elements.every(value)) for symbol, value in values.items()]
    shapes = [None if value is None else value.shape for value in values.values()]
    shape = np.broadcast_shapes(*(shape for shape in shapes if shape is not None))
    count = int(np.prod(shape, dtype=np.int64))
    is_mean = question.argument("reduction") == MEAN
    dtype = _step_type(question, loss.whole)
    step, store = _rounding(dtype), _rounding(question.value.dtype)

    def reduced(*numbers: Numbers | None) -> Any:
        shaped = (_shaped(one, shape) for one, shape in zip(numbers, shapes, strict=True))
        total = np.sum(np.broadcast_to(store(loss.loss(step, *shaped, **constants)), shape))
        return total / count if is_mean else total

    formula = f"loss = Σ {loss.symbol}" + (" / N" if is_mean else "") + told_rounding("each step", dtype)
    return reduction_of(formula, operands, reduced, N=count, **constants)


def _at(value: Value | None, index: tuple[int, ...]) -> Elements | None:
    return None if value is None else Elements.one(value, broadcast_index(value, index))


def _first(numbers: Numbers | None) -> Any:
    return None if numbers is None else numbers[0]


def _shaped(numbers: Numbers | None, shape: tuple[int, ...] | None) -> Any:
    return None if numbers is None or shape is None else numbers.reshape(shape)

"""Shared by the tests of the tape: recording any function, and checking explanations at random."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dotbogi.tape.explanation import Explanation
from dotbogi.tape.operation import Operation
from dotbogi.tape.record import record
from dotbogi.tape.tape import Tape


class Calling(nn.Module):
    """A module that calls a function of its inputs and, after them, of parameters."""

    def __init__(self, function: Callable[..., Any], parameters: tuple[Tensor, ...] = ()) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(nn.Parameter(one) for one in parameters)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs, *self.weights)


def _weighted_sum(output: Any, weights: Tensor) -> Tensor:
    outputs = [output] if isinstance(output, Tensor) else [one for one in output if one.is_floating_point()]
    generator = torch.Generator().manual_seed(7)
    parts = [(one * torch.randn(one.shape, generator=generator).to(one)).sum() for one in outputs]
    return torch.stack(parts).sum() * weights.sum()


def record_function(
    function: Callable[..., Any], *inputs: Tensor, parameters: tuple[Tensor, ...] = (), backward: bool = False
) -> Tape:
    """Records a function of tensors, with its backward pass where that is asked for.

    The loss is a weighted sum of everything that the function returns, so that every gradient is another number.
    Only parameters get gradients: name a tensor as a parameter to see its gradient computed.
    """
    module = Calling(function, parameters)
    if not inputs:
        inputs = (torch.zeros(1, dtype=parameters[0].dtype if parameters else torch.float32),)
        module.function = lambda _unused, *rest: function(*rest)
    if backward:
        return record(module, (inputs, torch.ones(1)), loss=_weighted_sum)
    return record(module, inputs)


def operations_called(tape: Tape, *packets: str) -> list[Operation]:
    """Returns the operations of a tape by their names without namespace and overload."""
    return [operation for operation in tape.operations if operation.packet in packets]


def assert_explained(tape: Tape, *packets: str, samples: int = 12, seed: int = 0) -> list[Explanation]:
    """Explains random elements of every result of the operations of these names, and checks each.

    Returns the explanations, so that a test can look at their kinds and terms.
    """
    found = operations_called(tape, *packets)
    assert found, f"{packets} not among {sorted({operation.packet for operation in tape.operations})}"
    draw = random.Random(seed)
    explanations: list[Explanation] = []
    for operation in found:
        for value in operation.outputs:
            for _ in range(min(samples, value.numel())):
                index = tuple(draw.randrange(size) for size in value.shape)
                explanation = tape.explain(value, index)
                check(explanation, operation)
                explanations.append(explanation)
    return explanations


def check(explanation: Explanation, operation: Operation) -> None:
    """Checks one explanation with arithmetic of its own."""
    told = f"{operation} {explanation.address}: {explanation.to_dict(top=6)}"
    assert explanation.kind != "unexplained", told
    assert explanation.agrees, told
    values = [term.value for term in explanation.terms]
    if explanation.kind == "given":
        return
    again = explanation.evaluate(values)
    assert again == explanation.result or math.isnan(again), told
    if explanation.kind == "sum_of_products":
        total = math.fsum(term.coefficient * term.value for term in explanation.terms)
        assert math.isclose(total, explanation.result, rel_tol=1e-9, abs_tol=1e-12 * max(1.0, explanation.scale)), told
    for term in explanation.terms[:3]:
        held = explanation.tape.values[term.value_id].tensor()[term.index]
        assert float(held) == term.value or (math.isnan(term.value) and math.isnan(float(held))), told
        assert explanation.tape.explain_at(term.value_id, term.index).recorded == term.value or math.isnan(term.value)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)

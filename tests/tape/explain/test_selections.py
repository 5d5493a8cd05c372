"""Selections: the value and who won, over shapes, types and memory formats."""

import math

import pytest
import torch
from hypothesis import given, settings

from ..conftest import assert_explained, record_function
from .elementwise_tensors import FLOATS, assert_bites, broadcast_operands, wrongly

PACKETS = (
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "where",
    "masked_fill",
    "masked_fill_",
    "clamp",
    "clamp_min",
    "clamp_max",
)


@settings(max_examples=30, deadline=None)
@given(operands=broadcast_operands(3))
def test_any_selection_is_explained(operands):
    def function(x, a, b):
        return [
            *(getattr(torch, name)(x, a) for name in ("maximum", "minimum", "fmax", "fmin")),
            torch.where(x > 0, a, b),
            torch.where(a > 0, x, 0.3337),
            x.masked_fill(a > 0, 0.3337),
            x.clone(memory_format=torch.contiguous_format).masked_fill_(a > 0, torch.tensor(-1.0)),
            x.clamp(-0.3337, 0.5),
            x.clamp(min=0.1),
            x.clamp(max=0.1),
            torch.clamp(x, a, b),
            torch.clamp(x, min=a),
            x.clamp_min(0.3337),
            torch.ops.aten.clamp_max.Tensor(x, b),
        ]

    tape = record_function(function, *operands)
    assert set(PACKETS) - {operation.packet for operation in tape.operations} == set()
    assert_explained(tape, *PACKETS, samples=3)


def test_the_winner_is_named():
    a, b = torch.tensor([1.0, 5.0, math.nan]), torch.tensor([2.0, 4.0, 0.0])

    def function(a, b):
        return [torch.maximum(a, b), torch.minimum(a, b), torch.where(a > b, a, b), a.masked_fill(a > b, 7.0)]

    tape = record_function(function, a, b)
    found = {
        operation.packet: [tape.explain(operation.outputs[0], (i,)) for i in range(3)]
        for operation in tape.operations
        if operation.packet in PACKETS
    }
    chosen = {name: [one.arithmetic.chosen for one in explanations] for name, explanations in found.items()}
    assert chosen == {
        "maximum": [1, 0, 0],
        "minimum": [0, 1, 0],
        "where": [2, 1, 2],
        "masked_fill": [0, None, 0],  # the constant is no term
    }
    assert {one.kind for explanations in found.values() for one in explanations} == {"selection"}
    assert [term.label for term in found["where"][0].terms] == ["c[0]", "a[0]", "b[0]"]


def test_integers_are_exact():
    a, b = torch.arange(6), torch.tensor([3, 3, 3, 0, 9, 5])

    def function(_unused, a, b):
        return [torch.maximum(a, b), torch.where(a > 2, a, b), a.masked_fill(a > 2, -1), a.clamp(1, 4)]

    tape = record_function(function, torch.zeros(1), a, b)
    assert all(one.result == one.recorded for one in assert_explained(tape, "maximum", "where", "masked_fill", "clamp"))


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_wrong_explanation_is_caught(dtype):
    a, b = torch.full((2,), 0.25, dtype=dtype), torch.full((2,), 4.0, dtype=dtype)
    tape = record_function(lambda a, b: [torch.maximum(a, b), torch.where(a > b, a, b), a.clamp(min=1)], a, b)
    for explanation in assert_explained(tape, "maximum", "where", "clamp", samples=1):
        assert_bites(explanation)
        first = explanation.arithmetic.groups[0]
        assert not wrongly(explanation, result=lambda numbers: float(numbers[0])).agrees, f"the loser {first}"

"""Comparisons and logic: exact, over shapes, types and memory formats."""

import math
import operator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function
from .elementwise_tensors import FLOATS, broadcast_operands, wrongly

COMPARED = ("eq", "ne", "lt", "le", "gt", "ge")


@settings(max_examples=30, deadline=None)
@given(operands=broadcast_operands(2), number=st.sampled_from([0, 0.3337, -1, math.inf]))
def test_any_comparison_is_explained(operands, number):
    def function(a, b):
        two = [getattr(torch, name)(a, b.round()) for name in COMPARED]
        return [*two, *(getattr(torch, name)(a, number) for name in COMPARED)]

    explanations = assert_explained(record_function(function, *operands), *COMPARED, samples=2)
    assert all(explanation.result == explanation.recorded for explanation in explanations)


@pytest.mark.parametrize("dtype", FLOATS)
def test_numbers_are_compared_in_the_tensors_type(dtype):
    """0.3337 is no float32: beside a float32 tensor it is rounded to one first."""
    x = torch.tensor([0.3337], dtype=torch.float64).to(dtype)
    tape = record_function(lambda x: [getattr(torch, name)(x, 0.3337) for name in COMPARED], x)
    assert_explained(tape, *COMPARED)
    assert tape.explain(tape.operations[0].outputs[0], (0,)).result == 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.bool])
def test_integers_and_truth_values_are_explained(dtype):
    a, b = torch.tensor([0, 1, 1, 5]).to(dtype), torch.tensor([0, 1, 0, 3]).to(dtype)

    def function(_unused, a, b):
        bits = [a & b, a | b, a ^ b, ~a, torch.logical_and(a, b), torch.logical_or(a, b), torch.logical_not(a)]
        shifts = [] if dtype == torch.bool else [a << 3, a >> b, a & 1]
        return [*bits, *shifts, torch.logical_xor(a, b), a == b, a < 3, a.clone().bitwise_and_(b), torch.eq(a, 0.5)]

    tape = record_function(function, torch.zeros(1), a, b)
    called = {one.packet for one in tape.operations} - {"clone"}
    explanations = assert_explained(tape, *called)
    assert all(one.result == one.recorded for one in explanations)
    assert {one.kind for one in explanations} == {"function"}


def test_what_is_no_finite_number_is_found():
    x = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0])
    names = ("isnan", "isinf", "isposinf", "isneginf", "signbit")
    tape = record_function(lambda x: [getattr(torch, name)(x) for name in names], x)
    found = [[tape.explain(operation.outputs[0], (i,)).result for i in range(6)] for operation in tape.operations]
    assert found == [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 1, 0, 1, 0],
    ]
    assert_explained(tape, *names)


def test_truth_values_of_floating_point_are_explained():
    a, b = torch.tensor([0.0, 0.5, math.nan]), torch.tensor([0.2, 0.0, 0.0])
    names = ("logical_and", "logical_or", "logical_xor")
    tape = record_function(lambda a, b: [getattr(torch, name)(a, b) for name in names], a, b)
    assert_explained(tape, *names)


def test_a_wrong_explanation_is_caught():
    tape = record_function(lambda a, b: a < b, torch.tensor([1.0]), torch.tensor([2.0]))
    (explanation,) = assert_explained(tape, "lt")
    assert explanation.numbers == "1 if 1 < 2 else 0"
    right = explanation.arithmetic.result
    assert right is not None
    assert not wrongly(explanation, result=lambda numbers: right(numbers[::-1])).agrees
    assert not wrongly(explanation, result=lambda numbers: float(operator.gt(*numbers))).agrees

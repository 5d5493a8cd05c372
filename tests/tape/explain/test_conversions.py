"""Conversions: exact in every pair of types, with broadcasting."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, operations_called, record_function
from .elementwise_tensors import FLOATS, broadcast_operands, wrongly

TYPES = [*FLOATS, torch.int64, torch.int16, torch.bool]


@settings(max_examples=40, deadline=None)
@given(operands=broadcast_operands(2), after=st.sampled_from(TYPES))
def test_any_conversion_is_explained_exactly(operands, after):
    target, source = operands

    def function(x, source):
        return [source.to(after, copy=True), torch.zeros(x.shape, dtype=after).copy_(source)]

    explanations = assert_explained(record_function(function, target, source), "_to_copy", "copy_", "clone")
    assert all(one.result == one.recorded for one in explanations)
    assert {one.kind for one in explanations} == {"copy"}


@pytest.mark.parametrize("before", TYPES)
@pytest.mark.parametrize("after", TYPES)
def test_every_pair_of_types_is_explained(before, after):
    x = torch.tensor([0.0, 1.0, 2.5, 100.3]).to(before)
    tape = record_function(lambda _unused, x: [x.to(after), torch.zeros(4, dtype=after).copy_(x)], torch.zeros(1), x)
    explanations = assert_explained(tape, "copy_")
    assert all(one.difference == 0 for one in explanations)


def test_a_gradients_way_back_through_a_conversion_is_explained():
    tape = record_function(lambda x: x.bfloat16() * 2, parameters=(torch.randn(3),), backward=True)
    assert len(operations_called(tape, "_to_copy")) >= 2
    assert_explained(tape, "_to_copy")


def test_the_formula_says_the_type():
    tape = record_function(lambda x: x.half(), torch.tensor([1e5, 1 / 3]))
    assert tape.explain("logits[0]").result == float("inf")
    explanation = tape.explain("logits[1]")
    assert explanation.formula == "y = float16(x)"
    assert explanation.result == 0.333251953125


def test_a_wrong_explanation_is_caught():
    tape = record_function(lambda x: x.bfloat16(), torch.tensor([1 / 3]))
    (explanation,) = assert_explained(tape, "_to_copy")
    for wrong in (0.0, 1 / 3 * 1.01):
        assert not wrongly(explanation, result=lambda _numbers, wrong=wrong: wrong).agrees

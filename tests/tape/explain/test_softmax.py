"""Softmax, its logarithm, logsumexp, and their gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function
from .perturbing import FLOATS, assert_bites, assert_follows

PACKETS = ("_softmax", "_softmax_backward_data", "_log_softmax", "_log_softmax_backward_data", "logsumexp")


def every_softmax(x, axis):
    return torch.softmax(x, axis) + torch.log_softmax(x, axis) * torch.logsumexp(x, axis, keepdim=True)


def record_softmax(shape, axis, dtype, spread=1.0, layout="contiguous"):
    x = (torch.randn(shape) * spread).to(dtype)
    if layout == "transposed" and len(shape) > 1:
        x = x.transpose(0, -1).contiguous().transpose(0, -1)
    return record_function(lambda x: every_softmax(x, axis), parameters=(x,), backward=True)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from([(), (5,), (3, 10), (4, 5, 33), (2, 3, 4, 5)]),
    axis=st.integers(-2, 1),
    dtype=st.sampled_from(FLOATS),
    spread=st.sampled_from([0.01, 1.0, 12.0]),
    layout=st.sampled_from(["contiguous", "transposed"]),
)
def test_any_softmax_is_explained(shape, axis, dtype, spread, layout):
    axis = max(-max(len(shape), 1), min(axis, max(len(shape), 1) - 1))
    kinds = {one.kind for one in assert_explained(record_softmax(shape, axis, dtype, spread, layout), *PACKETS)}
    assert kinds == {"reduction"}


def test_the_probabilities_of_three_classes():
    """e^1, e^2, e^3 over their sum: .0900, .2447, .6652 (Goodfellow et al. 2016, equation 4.1)."""
    tape = record_function(lambda x: torch.softmax(x, 0), torch.tensor([1.0, 2.0, 3.0]))
    assert [round(tape.explain(f"logits[{place}]").result, 4) for place in range(3)] == [0.09, 0.2447, 0.6652]


def test_the_gradient_of_the_loss_is_the_probability_less_one_at_the_label():
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    tape = record_function(
        lambda x: torch.nn.functional.cross_entropy(x, torch.tensor([2])), parameters=(logits,), backward=True
    )
    factor = tape.explain("gradient logits").recorded
    expected = torch.softmax(logits.double(), 1)[0] - torch.tensor([0.0, 0.0, 1.0])
    for one in assert_explained(tape, "_log_softmax_backward_data"):
        assert one.result == pytest.approx(factor * float(expected[one.index[1]]), rel=1e-5)


def test_what_is_masked_has_no_probability():
    x = torch.tensor([[0.5, -math.inf, 1.0], [-math.inf] * 3])
    assert_explained(record_function(lambda x: torch.ops.aten._safe_softmax(x, -1), x), "_safe_softmax", samples=30)
    assert_explained(record_function(lambda x: torch.softmax(x, -1), x), "_softmax", samples=30)
    mask = torch.tensor([[False, True, False], [False, False, True]])
    values = torch.randn(2, 3)
    explanations = assert_explained(
        record_function(lambda x, m: torch.ops.aten._masked_softmax(x, m.bool(), 1, 2), values, mask.float()),
        "_masked_softmax",
        samples=30,
    )
    assert {one.recorded == 0 for one in explanations} == {True, False}


def test_every_term_matters_as_it_does_to_the_operation():
    for explanation in assert_explained(record_softmax((3, 6), 1, torch.float32), *PACKETS, samples=4):
        assert_follows(explanation)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_wrong_explanation_is_caught(dtype):
    assert_bites(assert_explained(record_softmax((4, 10), 1, dtype, 3.0), *PACKETS))


@pytest.mark.parametrize("probability", [1e-4, 1e-6])
def test_zero_is_no_explanation_of_a_small_probability(probability):
    x = torch.tensor([0.0, math.log(probability)])
    tape = record_function(lambda x: torch.softmax(x, 0), x)
    explanation = min(assert_explained(tape, "_softmax", samples=20), key=lambda one: one.recorded)
    assert 0 < explanation.tolerance < explanation.recorded / 100

"""Max pooling over its geometry: winners, losers, places, and the gradient that goes to the winner alone."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dotbogi.tape.arithmetic import Elements, Group, sum_of_products
from dotbogi.tape.explanation import Explanation

from ..conftest import assert_explained, operations_called, record_function

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])
FORMATS = st.sampled_from([torch.contiguous_format, torch.channels_last])


def with_ties(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    """Few different numbers, so that many windows have several largest."""
    return torch.randint(-2, 3, shape).to(dtype)


@settings(max_examples=25, deadline=None)
@given(
    dtype=DTYPES,
    memory_format=FORMATS,
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
    dilation=st.integers(1, 2),
    ceil_mode=st.booleans(),
    ties=st.booleans(),
)
def test_any_window_is_explained(dtype, memory_format, kernel, stride, padding, dilation, ceil_mode, ties):
    assume(padding <= min(kernel) // 2)
    x = with_ties(2, 3, 9, 8, dtype=dtype) if ties else torch.randn(2, 3, 9, 8, dtype=dtype)

    def function(x):
        return F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)

    tape = record_function(function, parameters=(x.to(memory_format=memory_format),), backward=True)
    for explanation in assert_explained(tape, "max_pool2d_with_indices", samples=8):
        assert explanation.kind == "selection"
        assert_a_loser_can_win(explanation)
    assert_explained(tape, "max_pool2d_with_indices_backward", samples=16)


def assert_a_loser_can_win(explanation):
    """Whatever is raised above the winner becomes the result, or its place does."""
    values = [term.value for term in explanation.terms]
    for position in range(len(values)):
        raised = explanation.evaluate([*values[:position], 100.0, *values[position + 1 :]])
        if explanation.value.output == 0:
            assert raised == 100
            assert explanation.terms[explanation.arithmetic.chosen].value == explanation.result
        else:
            assert (raised == explanation.result) == (position == explanation.arithmetic.chosen)


POOLS = {
    "max_pool2d_with_indices": lambda x: F.max_pool1d(x[0], 3, 2, 1),
    "max_pool2d_with_indices ": lambda x: F.max_pool2d(x[0], 2),
    "max_pool3d_with_indices": lambda x: F.max_pool3d(x, (2, 3, 1), (1, 2, 2), (1, 1, 0)),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool1d(x[0], 4),
    "adaptive_max_pool2d ": lambda x: F.adaptive_max_pool2d(x, (3, None)),
    "fractional_max_pool2d": lambda x: F.fractional_max_pool2d(x, (2, 3), output_size=(4, 5)),
    "fractional_max_pool2d ": lambda x: F.fractional_max_pool2d(x[0], 2, output_ratio=(0.5, 0.7)),
    "fractional_max_pool3d": lambda x: F.fractional_max_pool3d(x[None], (1, 2, 3), output_size=(2, 5, 4)),
    "adaptive_max_pool3d": lambda x: F.adaptive_max_pool3d(x, (2, 3, 4)),
}


@pytest.mark.parametrize("packet", POOLS)
@settings(max_examples=4, deadline=None)
@given(dtype=DTYPES, ties=st.booleans())
def test_other_pools_are_explained(packet, dtype, ties):
    function = POOLS[packet]
    x = with_ties(2, 3, 7, 9, dtype=dtype) if ties else torch.randn(2, 3, 7, 9, dtype=dtype)
    tape = record_function(function, parameters=(x,), backward=True)
    for explanation in assert_explained(tape, packet.strip(), samples=10):
        assert_a_loser_can_win(explanation)
    assert_explained(tape, f"{packet.strip()}_backward", samples=20)


def test_the_gradient_goes_to_the_winner_and_the_losers_see_who_won():
    x = torch.tensor([[1.0, 2, 0], [4, 3, 5], [0, 0, 1]]).view(1, 1, 3, 3)
    tape = record_function(lambda x: F.max_pool2d(x, 2, 1), parameters=(x,), backward=True)
    (backward,) = operations_called(tape, "max_pool2d_with_indices_backward")
    winner = tape.explain(backward.outputs[0], (0, 0, 1, 2))
    assert [term.coefficient for term in winner.terms] == [1, 1]
    loser = tape.explain(backward.outputs[0], (0, 0, 1, 1))
    assert (loser.result, [term.coefficient for term in loser.terms]) == (0, [0, 0, 0, 0])
    told = "[0, 0] ← [1, 0], [0, 1] ← [1, 2], [1, 0] ← [1, 0], [1, 1] ← [1, 2]"
    assert loser.arithmetic.constants["winners"] == told


def test_an_element_that_no_window_takes_in_has_no_gradient():
    tape = record_function(lambda x: F.max_pool2d(x, 2, 3), parameters=(torch.randn(1, 1, 6, 6),), backward=True)
    (backward,) = operations_called(tape, "max_pool2d_with_indices_backward")
    explanation = tape.explain(backward.outputs[0], (0, 0, 2, 2))
    assert (explanation.kind, explanation.result, explanation.recorded) == ("function", 0, 0)


def test_what_is_not_a_number_wins():
    x = torch.randn(1, 1, 4, 4)
    x[0, 0, 1, 0] = x[0, 0, 2, 2] = x[0, 0, 3, 3] = math.nan
    tape = record_function(lambda x: F.max_pool2d(x, 2, return_indices=True), x)
    assert [term.value for term in tape.explain("logits[0,0,0,0]").terms if math.isnan(term.value)]
    (operation,) = operations_called(tape, "max_pool2d_with_indices")
    for output in (0, 1):
        for index in ((0, 0, 0, 0), (0, 0, 1, 1)):
            assert tape.explain(operation.output(output), index).agrees


def test_another_element_of_the_window_is_caught():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    tape = record_function(lambda x: F.max_pool2d(x, 2), x)
    value, operation = tape.operations[0].outputs[0], tape.operations[0]
    assert tape.explain(value, (0, 0, 1, 1)).agrees
    for wrong in ((0, 0, 2, 2), (0, 0, 3, 2)):
        group = Group("x", Elements.one(operation.inputs[0], wrong), 1.0)
        assert not Explanation(tape, "", value, (0, 0, 1, 1), sum_of_products("x", group), operation).agrees

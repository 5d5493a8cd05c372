"""Constants and counted numbers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function
from .elementwise_tensors import FLOATS, wrongly

FILLS = {
    "zeros": (lambda x: torch.zeros(2, 3, dtype=x.dtype), "0"),
    "zeros_like": (torch.zeros_like, "0"),
    "new_zeros": (lambda x: x.new_zeros(3), "0"),
    "zero_": (lambda x: x.clone().zero_(), "0"),
    "ones": (lambda x: torch.ones(2, dtype=x.dtype), "1"),
    "ones_like": (torch.ones_like, "1"),
    "new_ones": (lambda x: x.new_ones(3), "1"),
    "full": (lambda x: torch.full((2,), 0.25, dtype=x.dtype), "0.25"),
    "full_like": (lambda x: torch.full_like(x, -3), "-3"),
    "new_full": (lambda x: x.new_full((2,), 0.25), "0.25"),
    "fill_": (lambda x: x.clone().fill_(0.25), "0.25"),
    "scalar_tensor": (lambda x: torch.ops.aten.scalar_tensor.default(0.25, dtype=x.dtype), "0.25"),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FILLS)
def test_constants_are_given_with_their_number(name, dtype):
    function, number = FILLS[name]
    for explanation in assert_explained(record_function(function, torch.randn(2, 2).to(dtype)), name):
        assert (explanation.kind, explanation.recorded) == ("given", float(number))
        assert explanation.arithmetic.note == f"a constant of the code: {number}"


def test_a_fill_with_a_tensor_leads_to_its_number():
    tape = record_function(lambda x: torch.zeros(3, dtype=torch.bfloat16).fill_(x), torch.tensor(0.3337))
    (explanation, *_others) = assert_explained(tape, "fill_")
    assert explanation.kind == "copy"
    assert [term.address for term in explanation.terms] == ["input"]
    assert explanation.result == 0.333984375


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(-20, 20),
    count=st.integers(1, 40),
    step=st.sampled_from([1, 2, -3, 0.3, -0.25, 1e-3]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.int64, torch.bfloat16]),
)
def test_counted_numbers_follow_from_their_place(start, count, step, dtype):
    step = step if dtype.is_floating_point else max(1, round(step))
    end = start + count * step

    def function(_unused):
        counted = [torch.arange(start, end, step, dtype=dtype), torch.arange(count, dtype=dtype)]
        return [
            *counted,
            torch.arange(start, start + count, dtype=dtype),
            torch.linspace(start, end, count, dtype=dtype),
        ]

    tape = record_function(function, torch.zeros(1))
    linspace_of_integers = [] if not dtype.is_floating_point else ["linspace"]
    kinds = {one.kind for one in assert_explained(tape, "arange", *linspace_of_integers)}
    assert kinds == ({"given"} if dtype == torch.bfloat16 else {"function"})


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bfloat16])
def test_the_identity_matrix_is_explained(dtype):
    tape = record_function(lambda _unused: [torch.eye(3, dtype=dtype), torch.eye(2, 4, dtype=dtype)], torch.zeros(1))
    assert {one.result for one in assert_explained(tape, "eye")} == {0.0, 1.0}


def test_a_wrong_explanation_is_caught():
    tape = record_function(lambda _unused: torch.arange(3, 9, 2, dtype=torch.float32), torch.zeros(1))
    explanation = tape.explain("logits[2]")
    assert explanation.arithmetic.constants == {"start": 3, "step": 2, "i": 2}
    for wrong in (0.0, 5.0, 7.1):
        assert not wrongly(explanation, result=lambda _numbers, wrong=wrong: wrong).agrees

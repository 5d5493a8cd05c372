"""Sums, means, running sums and traces, over axes, types and layouts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
AXES = [None, 0, -1, 1, (0, 2), (1, -1), (0, 1, 2, 3), (2, 3), ()]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    dim=st.sampled_from(AXES),
    keepdim=st.booleans(),
    dtype=st.sampled_from(DTYPES),
    result=st.sampled_from([None, torch.float32, torch.float64]),
    layout=st.sampled_from(["contiguous", "channels-last", "transposed", "expanded"]),
)
def test_any_sum_or_mean_is_explained(dim, keepdim, dtype, result, layout):
    x = torch.randn(2, 3, 5, 4, dtype=dtype)
    x = {
        "contiguous": lambda: x,
        "channels-last": lambda: x.contiguous(memory_format=torch.channels_last),
        "transposed": lambda: x.transpose(0, 3),
        "expanded": lambda: x[:, :1].expand(2, 3, 5, 4),
    }[layout]()
    functions = [(torch.sum, "sum"), (torch.mean, "mean")]
    # In low precision nansum adds parts of several axes in the type itself, in an order that depends on the strides.
    if dtype in (torch.float32, torch.float64) or isinstance(dim, int):
        functions.append((torch.nansum, "nansum"))
    for function, packet in functions:
        tape = record_function(lambda x: function(x, dim=dim, keepdim=keepdim, dtype=result), x)  # noqa: B023
        assert {explanation.kind for explanation in assert_explained(tape, packet)} == {"sum_of_products"}


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_over_everything_and_their_gradients_are_explained(dtype):
    x = torch.randn(40, 50, dtype=dtype)
    for function, packet in ((torch.sum, "sum"), (torch.mean, "mean"), (torch.nansum, "nansum")):
        assert_explained(record_function(function, x), packet)
    tape = record_function(lambda x, b: (x + b).sum(1), parameters=(x, torch.randn(50, dtype=dtype)), backward=True)
    assert_explained(tape, "sum")


def test_numbers_without_axes_are_explained():
    for function in (torch.sum, torch.mean, torch.nansum, lambda x: torch.sum(x, 0), lambda x: torch.cumsum(x, 0)):
        tape = record_function(function, torch.tensor(3.0))
        explanation = tape.explain(tape.operations[0].outputs[0], ())
        assert (explanation.result, explanation.kind) == (3.0, "sum_of_products")


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64])
def test_sums_of_whole_numbers_are_exact(kind):
    x = torch.randint(0, 2, (4, 50)).to(kind)
    for explanation in assert_explained(record_function(lambda _, x: x.sum(1), torch.zeros(1), x), "sum"):
        assert explanation.difference == explanation.tolerance == 0


def test_what_is_no_number_is_left_out_of_a_nansum():
    explanation = record_function(torch.nansum, torch.tensor([1.0, torch.nan, 2.0])).explain("logits")
    assert [term.index for term in explanation.terms] == [(0,), (2,)]
    assert explanation.result == 3


def test_a_sum_of_nothing_is_0():
    explanation = record_function(lambda x: x[:, :0].sum(1), torch.ones(2, 3)).explain("logits[0]")
    assert (explanation.result, len(explanation.terms), explanation.agrees) == (0, 0, True)


def test_sums_with_infinities_are_explained():
    x = torch.tensor([[1.0, torch.inf], [torch.inf, -torch.inf], [torch.nan, 1.0]])
    tape = record_function(lambda x: (x.sum(1), x.mean(1)), x)
    results = [tape.explain(operation.outputs[0], (row,)) for operation in tape.operations for row in range(3)]
    assert [str(explanation.result) for explanation in results] == ["inf", "nan", "nan"] * 2
    assert all(explanation.difference == 0 for explanation in results)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(dim=st.integers(-3, 2), dtype=st.sampled_from(DTYPES))
def test_any_running_sum_and_its_gradient_are_explained(dim, dtype):
    x = torch.randn(4, 6, 5, dtype=dtype)
    assert_explained(record_function(lambda x: x.cumsum(dim), parameters=(x,), backward=True), "cumsum", samples=20)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_trace_is_explained(shape, dtype):
    explanations = assert_explained(record_function(torch.trace, torch.randn(shape, dtype=dtype)), "trace")
    assert len(explanations[0].terms) == min(shape)


def test_a_wrong_explanation_of_a_sum_does_not_agree():
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.rand(4, 9, dtype=dtype) + 0.5
        tape = record_function(lambda x: (x.sum(1), x.mean(0), x.cumsum(1)), x)
        for explanation in assert_explained(tape, "sum", "mean", "cumsum"):
            right = explanation.terms.values
            for wrong in ([*right[:-1], 0.0], 0.9 * right, 0 * right):
                assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance

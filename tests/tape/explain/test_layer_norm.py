"""Layer norm, its statistics and its gradients."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, operations_called, record_function
from .perturbing import FLOATS, assert_bites, assert_follows

PACKETS = ("native_layer_norm", "native_layer_norm_backward")


def record_layer_norm(shape, axes, dtype, affine=True, shift=0.0, mixed=False):
    x = (torch.randn(shape) * 2 + shift).to(dtype)
    inner = shape[len(shape) - axes :]
    parameters = (torch.randn(inner).to(dtype), torch.randn(inner).to(dtype)) if affine else ()
    kept = torch.float32 if mixed else dtype

    def function(x, *parameters):
        weight, bias = (one.to(kept) for one in parameters) if affine else (None, None)
        return F.layer_norm(x, inner, weight, bias)

    return record_function(function, parameters=(x, *parameters), backward=True)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from([(7,), (5, 6), (2, 9, 33), (2, 3, 4, 5)]),
    axes=st.integers(1, 3),
    dtype=st.sampled_from(FLOATS),
    affine=st.booleans(),
    shift=st.sampled_from([0.0, 10.0]),
    mixed=st.booleans(),
)
def test_any_layer_norm_is_explained(shape, axes, dtype, affine, shift, mixed):
    mixed = mixed and affine and dtype in (torch.bfloat16, torch.float16)
    assert_explained(record_layer_norm(shape, min(axes, len(shape)), dtype, affine, shift, mixed), *PACKETS)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_gradient_over_many_samples_is_rounded_as_torch_rounds_it(dtype):
    tape = record_layer_norm((4, 150, 24), 1, dtype, mixed=True)
    explanations = assert_explained(tape, "native_layer_norm_backward", samples=20)
    assert any("→" in one.formula for one in explanations)


def test_the_worked_numbers_of_a_sample():
    """Of 1, 2, 3, 4 with ε = 0: μ = 2.5, r = 1/√1.25."""
    tape = record_function(lambda x: F.layer_norm(x, (4,), eps=0.0), torch.tensor([1.0, 2.0, 3.0, 4.0]))
    operation = operations_called(tape, "native_layer_norm")[0]
    assert tape.explain(operation.output(0), (3,)).result == pytest.approx(1.5 / 1.25**0.5)
    assert tape.explain(operation.output(1), (0,)).result == 2.5
    assert tape.explain(operation.output(2), (0,)).result == pytest.approx(1 / 1.25**0.5)


def test_every_term_matters_as_it_does_to_the_operation():
    for explanation in assert_explained(record_layer_norm((3, 4, 5), 2, torch.float32), *PACKETS, samples=3):
        assert_follows(explanation)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_wrong_explanation_is_caught(dtype):
    assert_bites(assert_explained(record_layer_norm((6, 20), 1, dtype), *PACKETS))

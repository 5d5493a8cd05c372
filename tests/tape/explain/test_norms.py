"""Norms, variances, products, counts, and weight norm."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from ..conftest import assert_explained, operations_called, record_function
from .perturbing import FLOATS, assert_bites, assert_follows

AXES = st.sampled_from([None, 0, -1, (0, 2), (1,)])


def tensor(dtype, layout="contiguous", shift=0.0):
    x = (torch.randn(3, 4, 5) + shift).to(dtype)
    return x.transpose(0, 2).contiguous().transpose(0, 2) if layout == "transposed" else x


@settings(max_examples=30, deadline=None)
@given(
    order=st.sampled_from([2, 1, 0, math.inf, -math.inf, 3, 0.5, -1]),
    axes=AXES,
    keepdim=st.booleans(),
    dtype=st.sampled_from(FLOATS),
    layout=st.sampled_from(["contiguous", "transposed"]),
)
def test_any_norm_is_explained(order, axes, keepdim, dtype, layout):
    tape = record_function(
        lambda x: torch.linalg.vector_norm(x, order, dim=axes, keepdim=keepdim), tensor(dtype, layout)
    )
    assert_explained(tape, "linalg_vector_norm")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_long_norm_drifts_as_torch_lets_it_drift(dtype):
    weight = torch.randn(400_000).reshape(40, 50, 20, 10).to(dtype).contiguous(memory_format=torch.channels_last)
    tape = record_function(torch.linalg.vector_norm, weight)
    explanation = tape.explain(operations_called(tape, "linalg_vector_norm")[0].output(0), ())
    assert explanation.agrees
    exact = math.sqrt(float((weight.double() ** 2).sum()))
    assert explanation.result == pytest.approx(exact, rel=1e-3)
    assert "→" in explanation.formula


def test_gradient_clipping_asks_for_the_norm_of_each_tensor():
    tensors = [torch.tensor([3.0, 4.0]), torch.tensor([[5.0], [12.0]])]
    tape = record_function(lambda *of: torch.stack(torch._foreach_norm(list(of), 2)), *tensors)
    assert [one.result for one in assert_explained(tape, "_foreach_norm", samples=1)] == [5.0, 13.0]


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["var", "std", "var_mean", "std_mean"]),
    axes=AXES,
    correction=st.sampled_from([0, 1, 2]),
    keepdim=st.booleans(),
    dtype=st.sampled_from(FLOATS),
    shift=st.sampled_from([0.0, 20.0]),
)
def test_any_variance_is_explained(name, axes, correction, keepdim, dtype, shift):
    function = getattr(torch, name)
    tape = record_function(
        lambda x: function(x, axes, correction=correction, keepdim=keepdim), tensor(dtype, shift=shift)
    )
    assert_explained(tape, name)


def test_the_worked_variance_of_four_numbers():
    """Of 1, 2, 3, 4: 5/3 over N − 1, 5/4 over N."""
    for correction, expected in ((1, 5 / 3), (0, 5 / 4)):
        tape = record_function(
            lambda x, c=correction: torch.var(x, None, correction=c), torch.tensor([1.0, 2.0, 3.0, 4.0])
        )
        assert assert_explained(tape, "var")[0].result == pytest.approx(expected)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_products_and_counts_are_explained(dtype, axis):
    x = tensor(dtype)
    for function, packet in (
        (lambda x: torch.prod(x, axis), "prod"),
        (lambda x: torch.cumprod(x, axis), "cumprod"),
        (lambda x: torch.count_nonzero(torch.relu(x), axis), "count_nonzero"),
        (lambda x: torch.any(x > 1, axis), "any"),
        (lambda x: torch.all(x > -1, axis), "all"),
        (lambda x: torch.dist(x, x + 1), "dist"),
    ):
        explanations = assert_explained(record_function(function, x), packet)
        assert {one.kind for one in explanations} == {"reduction"}


def test_all_numbers_at_once():
    x = torch.randn(3, 4)
    for function, packet in ((torch.prod, "prod"), (torch.count_nonzero, "count_nonzero")):
        assert_explained(record_function(function, x), packet)
    assert_explained(record_function(lambda x: torch.any(x > 9), x), "any")
    assert_explained(record_function(lambda x: torch.all(x < 9), x), "all")
    assert_explained(record_function(lambda x: torch.cumprod(x, 0), torch.tensor(2.0)), "cumprod")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 2, 2)])
@pytest.mark.parametrize("last", [True, False])
def test_weight_norm_is_explained_with_its_gradients(dtype, shape, last):
    axis = len(shape) - 1 if last else 0
    v, g = torch.randn(shape), torch.rand([size if i == axis else 1 for i, size in enumerate(shape)]) + 0.5
    tape = record_function(
        lambda v, g: torch._weight_norm(v, g, axis), parameters=(v.to(dtype), g.to(dtype)), backward=True
    )
    explanations = assert_explained(tape, "_weight_norm_interface", "_weight_norm_interface_backward")
    assert_bites(explanations)


def test_normed_weights_of_a_module_are_explained():
    linear = parametrizations.weight_norm(nn.Linear(5, 4))
    assert_explained(record_function(lambda x: linear(x), torch.randn(2, 5)), "_weight_norm_interface")
    spectral = parametrizations.spectral_norm(nn.Linear(5, 4))
    assert_explained(record_function(lambda x: spectral(x), torch.randn(2, 5)), "linalg_vector_norm")


def test_every_term_matters_as_it_does_to_the_operation():
    x = torch.randn(2, 3, 4)
    for function, packet in (
        (lambda x: torch.linalg.vector_norm(x, 2, 1), "linalg_vector_norm"),
        (lambda x: torch.linalg.vector_norm(x, 3.0), "linalg_vector_norm"),
        (lambda x: torch.std(x, 1), "std"),
        (lambda x: torch.var_mean(x, 2), "var_mean"),
        (lambda x: torch.prod(x, 1), "prod"),
        (lambda x: torch.cumprod(x, 1), "cumprod"),
        (lambda x: torch._weight_norm(x, torch.full((2, 1, 1), 2.0), 0), "_weight_norm_interface"),
    ):
        for explanation in assert_explained(record_function(function, x), packet, samples=3):
            assert_follows(explanation)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_wrong_explanation_is_caught(dtype):
    for function, packet in (
        (lambda x: torch.linalg.vector_norm(x, 2, 1), "linalg_vector_norm"),
        (lambda x: torch.std(x, 1), "std"),
        (lambda x: torch.prod(x, 1), "prod"),
        (lambda x: torch.cumprod(x, 1), "cumprod"),
    ):
        assert_bites(assert_explained(record_function(function, tensor(dtype)), packet))

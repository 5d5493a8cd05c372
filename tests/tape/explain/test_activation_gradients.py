"""Gradients of activation functions, recorded in a backward pass."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, operations_called, record_function
from .elementwise_tensors import FLOATS, assert_bites, broadcast_operands, wrongly

GRADIENTS = {
    "relu": (F.relu, "threshold_backward"),
    "relu6": (F.relu6, "hardtanh_backward"),
    "hardtanh": (lambda x: F.hardtanh(x, -0.3337, 0.5), "hardtanh_backward"),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.3337), "leaky_relu_backward"),
    "leaky_relu_": (lambda x: F.leaky_relu(x + 0.1, 0.3337, inplace=True), "leaky_relu_backward"),
    "elu": (lambda x: F.elu(x, 1.7), "elu_backward"),
    "elu_": (lambda x: F.elu(x + 0.1, 1.7, inplace=True), "elu_backward"),
    "selu": (F.selu, "elu_backward"),
    "celu": (lambda x: F.celu(x, 1.7), "elu_backward"),
    "gelu": (F.gelu, "gelu_backward"),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), "gelu_backward"),
    "silu": (F.silu, "silu_backward"),
    "mish": (F.mish, "mish_backward"),
    "softplus": (lambda x: F.softplus(x, 2.3, 5.0), "softplus_backward"),
    "hardsigmoid": (F.hardsigmoid, "hardsigmoid_backward"),
    "hardswish": (F.hardswish, "hardswish_backward"),
    "logsigmoid": (F.logsigmoid, "log_sigmoid_backward"),
    "threshold": (lambda x: F.threshold(x, 0.1, -0.7), "threshold_backward"),
    "hardshrink": (lambda x: F.hardshrink(x, 0.3337), "hardshrink_backward"),
    "softshrink": (lambda x: F.softshrink(x, 0.3337), "softshrink_backward"),
    "sigmoid": (torch.sigmoid, "sigmoid_backward"),
    "tanh": (torch.tanh, "tanh_backward"),
    "logit": (lambda x: torch.logit(torch.sigmoid(x)), "logit_backward"),
    "logit with ε": (lambda x: torch.logit(torch.sigmoid(x), 0.3), "logit_backward"),
}
SELECTIONS = {"relu", "relu6", "hardtanh", "threshold", "hardshrink", "softshrink"}


def explained(name, x, samples=6):
    function, packet = GRADIENTS[name]
    tape = record_function(function, parameters=(x,), backward=True)
    return assert_explained(tape, packet, samples=samples)


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(GRADIENTS)), operands=broadcast_operands(1))
def test_any_gradient_is_explained(name, operands):
    x = operands[0]
    explained(name, x.clone() if name.endswith("_") else x)


@pytest.mark.parametrize("name", GRADIENTS)
def test_every_gradient_is_explained_in_every_type(name):
    for dtype in FLOATS:
        kinds = {one.kind for one in explained(name, torch.randn(4, 20).to(dtype) * 3)}
        assert kinds == {"selection" if name in SELECTIONS else "function"}


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_edges_are_explained(name):
    edges = [-3.0, 3.0, 0.0, -0.0, 6.0, 0.3337, -0.3337, 0.5, 0.1, 1.0, -1.0, 30.0, -30.0]
    if name == "logit":
        edges = edges[:-2]  # 30 is infinitely far from 0 as a probability in float32
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = torch.tensor(edges, dtype=dtype)
        for explanation in explained(name, x, samples=26):
            assert math.isfinite(explanation.result)


@settings(max_examples=15, deadline=None)
@given(
    dtype=st.sampled_from(FLOATS),
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    axis=st.integers(-2, 1),
    one_slope=st.booleans(),
)
def test_gradients_of_several_tensors_are_explained(dtype, shape, axis, one_slope):
    shape[axis] *= 2
    x = torch.randn(shape).to(dtype)
    slopes = torch.rand(1 if one_slope else shape[1]).to(dtype)

    def function(x, w):
        return torch.cat([F.prelu(x, w).flatten(), F.glu(x, axis).flatten()])

    tape = record_function(function, parameters=(x, slopes), backward=True)
    assert_explained(tape, "_prelu_kernel_backward", "glu_backward")


@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_of_a_randomised_relu_is_explained(training):
    tape = record_function(lambda x: F.rrelu(x, training=training), parameters=(torch.randn(4, 5),), backward=True)
    assert_explained(tape, "rrelu_with_noise_backward")


def test_a_relu_lets_a_gradient_through_or_not():
    tape = record_function(F.relu, parameters=(torch.tensor([-1.0, 2.0]),), backward=True)
    (operation,) = operations_called(tape, "threshold_backward")
    lost, passed = (tape.explain(operation.outputs[0], (place,)) for place in (0, 1))
    assert (lost.result, lost.arithmetic.chosen) == (0.0, None)
    assert (passed.arithmetic.chosen, passed.terms[0].label) == (0, "g[1]")
    assert passed.result == passed.terms[0].value == passed.recorded
    assert [term.value for term in passed.terms][1] == 2.0


@pytest.mark.parametrize("scale", [1.0, 1e-7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", [name for name in GRADIENTS if name not in ("hardshrink", "logit with ε")])
def test_a_wrong_explanation_is_caught(name, dtype, scale):
    """Also beside inputs that are far larger than the gradients, where 0 would look close."""
    inside = 0.35 if name in ("hardtanh", "threshold", "logit") else 0.7
    function, packet = GRADIENTS[name]
    x = torch.full((2,), inside, dtype=dtype)
    tape = record_function(lambda x: function(x) * scale, parameters=(x,), backward=True)
    for explanation in assert_explained(tape, packet, samples=1):
        assert_bites(explanation)
        assert not wrongly(explanation, result=lambda numbers: float(numbers[1])).agrees, "the other operand"

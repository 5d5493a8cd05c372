"""Activation functions, over shapes, types and memory formats."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ..conftest import assert_explained, record_function
from .elementwise_tensors import FLOATS, assert_bites, broadcast_operands

ACTIVATIONS = {
    "relu": (F.relu, "relu"),
    "relu_": (lambda x: F.relu(x.clone(memory_format=torch.contiguous_format), inplace=True), "relu_"),
    "relu6": (F.relu6, "hardtanh"),
    "hardtanh": (lambda x: F.hardtanh(x, -0.3337, 0.5), "hardtanh"),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.3337), "leaky_relu"),
    "elu": (lambda x: F.elu(x, 1.7), "elu"),
    "selu": (F.selu, "elu"),
    "celu": (lambda x: F.celu(x, 1.7), "celu"),
    "gelu": (F.gelu, "gelu"),
    "gelu tanh": (lambda x: F.gelu(x, approximate="tanh"), "gelu"),
    "silu": (F.silu, "silu"),
    "mish": (F.mish, "mish"),
    "softplus": (lambda x: F.softplus(x, 2.3, 5.0), "softplus"),
    "hardsigmoid": (F.hardsigmoid, "hardsigmoid"),
    "hardswish": (F.hardswish, "hardswish"),
    "logsigmoid": (F.logsigmoid, "log_sigmoid_forward"),
    "threshold": (lambda x: F.threshold(x, 0.1, -0.7), "threshold"),
    "hardshrink": (lambda x: F.hardshrink(x, 0.3337), "hardshrink"),
    "softshrink": (lambda x: F.softshrink(x, 0.3337), "softshrink"),
    "sigmoid": (torch.sigmoid, "sigmoid"),
    "tanh": (torch.tanh, "tanh"),
}


def explained(name, x, samples=6):
    function, packet = ACTIVATIONS[name]
    return assert_explained(record_function(function, x), packet, samples=samples)


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(ACTIVATIONS)), operands=broadcast_operands(1))
def test_any_activation_is_explained(name, operands):
    explained(name, *operands)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_explained_in_every_type(name):
    for dtype in FLOATS:
        for explanation in explained(name, torch.randn(4, 20).to(dtype) * 3):
            assert explanation.kind == "function"
            assert explanation.arithmetic.latex


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name not in ("gelu", "hardswish")])
def test_infinities_and_nan_are_explained(name):
    explained(name, torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-30]))


@settings(max_examples=30, deadline=None)
@given(
    dtype=st.sampled_from(FLOATS),
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    axis=st.integers(-2, 1),
    one_slope=st.booleans(),
)
def test_activations_of_several_tensors_are_explained(dtype, shape, axis, one_slope):
    shape[axis] *= 2
    x = torch.randn(shape).to(dtype)
    slopes = torch.rand(1 if one_slope else shape[1]).to(dtype)
    tape = record_function(lambda x, w: [F.prelu(x, w), F.glu(x, axis)], x, slopes)
    assert_explained(tape, "_prelu_kernel", "glu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_randomised_relu_is_explained_by_what_was_drawn(dtype):
    x = torch.randn(4, 5, dtype=dtype)
    tape = record_function(lambda x: [F.rrelu(x, training=True), F.rrelu(x, training=False)], x)
    kinds = [one.kind for one in assert_explained(tape, "rrelu_with_noise", samples=1)]
    assert kinds == ["function", "given", "function", "copy"]


def test_what_was_drawn_with_more_digits_is_not_explained():
    tape = record_function(lambda x: F.rrelu(x, training=True), torch.randn(3).bfloat16())
    explanation = tape.explain("logits[1]")
    assert (explanation.kind, explanation.arithmetic.note) == (
        "unexplained",
        "the factor was drawn with more digits than were kept of it",
    )


@pytest.mark.parametrize("slopes", [torch.tensor(0.3), torch.tensor([0.3]), torch.tensor([0.3, -0.2, 0.1])])
def test_activations_that_are_not_taken_apart_are_explained(slopes):
    def function(x, w):
        with torch.inference_mode():
            return [F.prelu(x, w), F.logsigmoid(x), F.relu6(x), F.selu(x)]

    tape = record_function(function, torch.randn(2, 3, 4), slopes)
    assert_explained(tape, "prelu", "log_sigmoid", "relu6", "selu")


def test_a_relu_inside_a_model_reads_as_on_paper():
    torch.manual_seed(0)
    tape = record_function(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.tensor([[1.0, -2.0]]))
    (explanation,) = assert_explained(tape, "relu", samples=1)
    assert explanation.formula == "y = max(x, 0)"
    assert explanation.numbers == f"max({explanation.terms[0].value:.9g}, 0)"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "relu_"])
def test_a_wrong_explanation_is_caught(name, dtype):
    assert_bites(explained(name, torch.full((2,), 0.7, dtype=dtype))[0])

"""The gradients of convolution, over the shapes that it can have."""

import math
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dotbogi.tape.record import record

from ..conftest import assert_explained, operations_called, record_function

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    axes=st.sampled_from([1, 2, 2, 3]),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    transposed=st.booleans(),
    channels_last=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]),
)
def test_the_three_gradients_are_explained(
    axes, kernel, stride, padding, dilation, groups, transposed, channels_last, dtype
):
    x = torch.randn(2, 4, *(7, 6, 5)[:axes], dtype=dtype)
    w = torch.randn(*((4, 8 // groups) if transposed else (8, 4 // groups)), *[kernel] * axes, dtype=dtype)
    convolve = (TRANSPOSED if transposed else CONVOLVE)[axes]

    def function(x, w, bias):
        if channels_last and axes == 2:
            x = x.contiguous(memory_format=torch.channels_last)
        return convolve(x, w, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)

    tape = record_function(function, parameters=(x, w, torch.randn(8, dtype=dtype)), backward=True)
    explanations = assert_explained(tape, "convolution_backward")
    assert {explanation.value.output for explanation in explanations} == {0, 1, 2}
    if dtype != torch.float16:
        assert {explanation.kind for explanation in explanations} == {"sum_of_products"}


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)])
def test_a_gradient_that_was_asked_for_alone_is_explained(wanted):
    operands = [torch.randn(2, 3, 6, 6), torch.randn(4, 3, 3, 3), torch.randn(4)]

    def function(*parameters):
        left = iter(parameters)
        return F.conv2d(*(next(left) if i in wanted else operand for i, operand in enumerate(operands)))

    tape = record_function(function, parameters=tuple(operands[i] for i in wanted), backward=True)
    explanations = assert_explained(tape, "convolution_backward")
    assert {explanation.value.output for explanation in explanations} >= set(wanted)


def test_a_gradient_with_output_padding_is_explained():
    def function(x, w):
        return F.conv_transpose2d(x, w, stride=3, output_padding=2)

    parameters = torch.randn(2, 3, 4, 5), torch.randn(3, 2, 3, 3)
    assert_explained(record_function(function, parameters=parameters, backward=True), "convolution_backward")


def test_a_layer_trained_in_channels_last_is_explained():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 36, 4))
    model = model.to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 6, 6).contiguous(memory_format=torch.channels_last)
    tape = record(model, (images, torch.tensor([1, 3])), loss=F.cross_entropy)
    assert_explained(tape, "convolution_backward")
    explanation = tape.explain("gradient 0.weight[3,0,1,1]")
    assert explanation.formula == "∂L/∂w[o,c,u,v] = Σ δ[b,o,i,j] · x[b,c,i·s+u·d−p,j·s+v·d−p]"
    assert {term.address.split("[")[0] for term in explanation.terms} == {"gradient 0"}
    assert explanation.terms[0].coefficient_address.startswith("input[")


def test_the_formulas_of_the_gradients():
    def formulas(convolve):
        parameters = torch.randn(1, 1, 4), torch.randn(1, 1, 2), torch.randn(1)
        tape = record_function(convolve, parameters=parameters, backward=True)
        (operation,) = operations_called(tape, "convolution_backward")
        return [tape.explain(value, (0,) * len(value.shape)).formula for value in operation.outputs]

    assert formulas(F.conv1d) == [
        "∂L/∂x[b,c,i] = Σ δ[b,o,(i+p−u·d)/s] · w[o,c,u]",
        "∂L/∂w[o,c,u] = Σ δ[b,o,i] · x[b,c,i·s+u·d−p]",
        "∂L/∂bias[o] = Σ δ[b,o,i]",
    ]
    assert formulas(F.conv_transpose1d) == [
        "∂L/∂x[b,c,i] = Σ δ[b,o,i·s+u·d−p] · w[c,o,u]",
        "∂L/∂w[c,o,u] = Σ δ[b,o,i·s+u·d−p] · x[b,c,i]",
        "∂L/∂bias[o] = Σ δ[b,o,i]",
    ]


def test_a_gradient_of_100_000_terms_is_arrays():
    tape = record_function(
        lambda x, w: F.conv2d(x, w, padding=1),
        torch.randn(8, 1, 120, 120),
        parameters=(torch.randn(1, 1, 3, 3),),
        backward=True,
    )
    (operation,) = operations_called(tape, "convolution_backward")
    explanation = tape.explain(operation.output(1), (0, 0, 1, 1))
    calls: list[str] = []
    sys.setprofile(lambda _frame, event, _argument: calls.append(event))
    try:
        count, values, agrees = len(explanation.terms), explanation.terms.values, explanation.agrees
    finally:
        sys.setprofile(None)
    assert count == 8 * 120 * 120
    assert agrees
    assert len(calls) < 2000  # no loop over the terms in Python
    assert isinstance(values, np.ndarray)
    assert math.isclose(float(np.dot(values, explanation.terms.coefficients)), explanation.result)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_wrong_explanation_of_a_gradient_does_not_agree(dtype):
    parameters = torch.rand(2, 2, 5, 5, dtype=dtype), torch.rand(2, 2, 3, 3, dtype=dtype), torch.rand(2, dtype=dtype)

    def function(x, w, bias):
        return F.conv2d(x, w, bias).square()

    tape = record_function(function, parameters=parameters, backward=True)
    for explanation in assert_explained(tape, "convolution_backward"):
        right = explanation.terms.values
        largest = np.argmax(np.abs(right * explanation.terms.coefficients))
        dropped = np.where(np.arange(len(right)) == largest, 0.0, right)
        for wrong in (dropped, -right, 0 * right):
            assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance

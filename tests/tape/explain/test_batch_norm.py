"""Batch norm in training and at evaluation, its statistics and its gradients."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ..conftest import assert_explained, operations_called, record_function
from .perturbing import FLOATS, assert_bites, assert_follows

PACKETS = ("native_batch_norm", "native_batch_norm_backward")


def record_batch_norm(shape, dtype, training, affine=True, layout="contiguous", shift=0.0, mixed=False):
    """Batch norm of a tensor of some memory format; of low precision with parameters in float32 where ``mixed``."""
    channels = shape[1]
    x = (torch.randn(shape) * 2 + shift).to(dtype)
    if layout == "channels_last" and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    parameters = (torch.randn(channels).to(dtype), torch.randn(channels).to(dtype)) if affine else ()
    kept = torch.float32 if mixed else dtype
    mean, variance = torch.randn(channels).to(kept), (torch.rand(channels) + 0.5).to(kept)

    def function(x, *parameters):
        if layout == "transposed":
            x = x.transpose(0, -1).contiguous().transpose(0, -1)
        weight, bias = (one.to(kept) for one in parameters) if affine else (None, None)
        return F.batch_norm(x, mean.clone(), variance.clone(), weight, bias, training=training)

    return record_function(function, parameters=(x, *parameters), backward=True)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from([(6, 3), (3, 4, 5), (3, 4, 5, 6), (2, 3, 1, 1), (2, 17, 3, 3), (2, 3, 2, 3, 4)]),
    dtype=st.sampled_from(FLOATS),
    training=st.booleans(),
    affine=st.booleans(),
    layout=st.sampled_from(["contiguous", "channels_last", "transposed"]),
    shift=st.sampled_from([0.0, 10.0]),
    mixed=st.booleans(),
)
def test_any_batch_norm_is_explained(shape, dtype, training, affine, layout, shift, mixed):
    mixed = mixed and affine and dtype in (torch.bfloat16, torch.float16)
    tape = record_batch_norm(shape, dtype, training, affine, layout, shift, mixed)
    assert_explained(tape, *PACKETS)


def test_at_evaluation_it_is_a_sum_of_products_and_in_training_a_reduction_over_the_channel():
    evaluated, trained = (record_batch_norm((2, 3, 4, 5), torch.float32, training) for training in (False, True))
    explanation = assert_explained(evaluated, "native_batch_norm")[0]
    assert explanation.kind == "sum_of_products"
    assert [term.label.split("[")[0] for term in explanation.terms] == ["x", "μ", "β"]
    assert explanation.terms[0].coefficient_address.startswith("weights.1[")
    assert any(name.startswith("σ² = ") for name in explanation.arithmetic.constants)
    explanation = assert_explained(trained, "native_batch_norm")[0]
    assert explanation.kind == "reduction"
    assert len(explanation.terms) == 2 * 4 * 5 + 2


def test_the_worked_numbers_of_a_channel():
    """Of 1, 2, 3, 4: μ = 2.5, σ² = 1.25 (over N); running values move by momentum, the variance over N − 1 = 5/3."""
    norm = nn.BatchNorm1d(1, eps=1e-9, momentum=0.1)
    tape = record_function(lambda x: norm(x), torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
    operation = operations_called(tape, "native_batch_norm")[0]
    results = [tape.explain(operation.output(position), (0,) if position else (0, 0)) for position in range(5)]
    expected = [-1.5 / math.sqrt(1.25), 2.5, 1 / math.sqrt(1.25), 0.25, 0.9 + 0.1 * 5 / 3]
    assert [one.result for one in results] == pytest.approx(expected, abs=1e-6)
    assert all(one.agrees for one in results)


def test_without_running_statistics_the_batch_is_always_used():
    norm = nn.BatchNorm2d(3, track_running_stats=False).eval()
    tape = record_function(lambda x: norm(x), torch.randn(2, 3, 4, 4))
    assert {one.kind for one in assert_explained(tape, "native_batch_norm")} == {"reduction", "sum_of_products"}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["_native_batch_norm_legit", "_batch_norm_with_update", "_batch_norm_no_update"])
def test_other_forms_of_batch_norm_are_explained(name, training):
    overload = getattr(torch.ops.aten, name).default
    mean, variance = torch.zeros(3), torch.ones(3)

    def function(x, weight, bias):
        extra = (training,) if name == "_native_batch_norm_legit" else ()
        return overload(x, weight, bias, mean, variance, *extra, 0.1, 1e-5)[0]

    assert_explained(record_function(function, torch.randn(2, 3, 4, 5), torch.randn(3), torch.randn(3)), name)


def test_instance_norm_arrives_as_batch_norm():
    tape = record_function(lambda x: F.instance_norm(x), torch.randn(2, 3, 4, 5))
    assert_explained(tape, "native_batch_norm")


@pytest.mark.parametrize("training", [True, False])
def test_every_term_matters_as_it_does_to_the_operation(training):
    tape = record_batch_norm((2, 3, 3, 3), torch.float32, training)
    for explanation in assert_explained(tape, *PACKETS, samples=2):
        if explanation.value.output < 3:
            assert_follows(explanation)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("training", [True, False])
def test_a_wrong_explanation_is_caught(dtype, training):
    assert_bites(assert_explained(record_batch_norm((3, 4, 5, 6), dtype, training), *PACKETS))

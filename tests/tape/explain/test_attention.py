"""Scaled dot-product attention and its gradients, as the processor's fused kernel computes them."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dotbogi.tape.explain.attention import fast_power

from ..conftest import assert_explained, operations_called, record_function
from .perturbing import FLOATS, assert_bites, assert_follows

FORWARD = "_scaled_dot_product_flash_attention_for_cpu"
PACKETS = (FORWARD, f"{FORWARD}_backward")


def record_attention(queries, keys, size, dtype, causal=False, mask=None, scale=None, layout="contiguous"):
    q, k, v = (torch.randn(2, 3, length, size).to(dtype) for length in (queries, keys, keys))
    if layout == "heads_inside":
        q, k, v = (one.transpose(1, 2).contiguous().transpose(1, 2) for one in (q, k, v))
    masks = {"added": torch.randn(1, 1, queries, keys).to(dtype), "chosen": torch.rand(queries, keys) > 0.4}
    if mask == "chosen":
        masks["chosen"][:, 0] = True
    return record_function(
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, is_causal=causal, attn_mask=masks.get(mask), scale=scale
        ),
        parameters=(q, k, v),
        backward=True,
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    queries=st.sampled_from([1, 4, 33]),
    keys=st.sampled_from([1, 5, 49]),
    size=st.sampled_from([1, 4, 16]),
    dtype=st.sampled_from(FLOATS),
    mask=st.sampled_from([None, "causal", "added", "chosen"]),
    scale=st.sampled_from([None, 0.3]),
    layout=st.sampled_from(["contiguous", "heads_inside"]),
)
def test_any_attention_is_explained(queries, keys, size, dtype, mask, scale, layout):
    tape = record_attention(queries, keys, size, dtype, mask == "causal", mask, scale, layout)
    assert {one.kind for one in assert_explained(tape, *PACKETS, samples=6)} == {"reduction"}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("causal", [True, False])
def test_more_keys_and_queries_than_a_block_of_the_kernel(dtype, causal):
    assert_explained(record_attention(200, 600, 8, dtype, causal), *PACKETS, samples=4)


def test_two_keys_by_hand():
    """q = 1, k = (0, log 3): p = (1/4, 3/4), so of the values 8 and 4 the mean is 5, and log Σ e^s = log 4."""
    q, k, v = (torch.tensor(numbers).reshape(1, 1, -1, 1) for numbers in ([1.0], [0.0, math.log(3.0)], [8.0, 4.0]))
    tape = record_function(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=1.0), q, k, v)
    operation = operations_called(tape, FORWARD)[0]
    explanation = tape.explain(operation.output(0), (0, 0, 0, 0))
    assert explanation.result == pytest.approx(5.0)
    assert explanation.arithmetic.recomputed == pytest.approx({"p[0]": 0.25, "p[1]": 0.75})
    assert "recomputed, not recorded" in explanation.formula
    assert tape.explain(operation.output(1), (0, 0, 0)).result == pytest.approx(math.log(4.0))


def test_a_query_that_sees_nothing_is_zero():
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    q, k = torch.randn(1, 1, 2, 4), torch.randn(1, 1, 3, 4)
    tape = record_function(lambda q, k: F.scaled_dot_product_attention(q, k, k, attn_mask=nothing), q, k)
    explanations = assert_explained(tape, FORWARD)
    assert {one.result for one in explanations} == {0.0}


def test_the_attention_of_a_module_is_explained():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    images = torch.randn(2, 5, 8)
    tape = record_function(lambda x: layer(x, x, x, need_weights=False)[0], images)
    assert_explained(tape, FORWARD)


def test_attention_of_long_rows_has_the_fast_power_of_the_kernel():
    exponents = -torch.rand(1000).double().numpy() * 30
    assert fast_power(exponents) == pytest.approx([math.exp(x) for x in exponents], rel=2e-4)


@pytest.mark.parametrize("mask", [None, "added", "causal"])
def test_every_term_matters_as_it_does_to_the_operation(mask):
    tape = record_attention(4, 4, 3, torch.float32, mask == "causal", mask)
    for explanation in assert_explained(tape, *PACKETS, samples=3):
        assert_follows(explanation, changes=3)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_wrong_explanation_is_caught(dtype):
    assert_bites(assert_explained(record_attention(6, 8, 4, dtype), *PACKETS))

"""Losses between two tensors, and their gradients."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function
from .perturbing import FLOATS, assert_bites, assert_follows

REDUCTIONS = ["none", "mean", "sum"]
LOSSES = {
    "mse_loss": {},
    "smooth_l1_loss": {"beta": 0.7},
    "huber_loss": {"delta": 0.6},
    "soft_margin_loss": {},
    "binary_cross_entropy": {"weight": True},
    "binary_cross_entropy_with_logits": {"weight": True, "pos_weight": True},
}


def record_loss(name, dtype, reduction, options=None, shape=(4, 7)):
    options = dict(LOSSES[name] if options is None else options)
    for tensor in ("weight", "pos_weight"):
        if tensor in options:
            options[tensor] = (torch.rand(shape[-1]) + 0.5).to(dtype)
    x = torch.rand(shape) * 0.9 + 0.05 if name == "binary_cross_entropy" else torch.randn(shape)
    target = torch.rand(shape) if "entropy" in name else torch.randn(shape)
    target = target.sign() if "margin" in name else target
    loss = getattr(F, name)
    return record_function(
        lambda target, x: loss(x, target, reduction=reduction, **options),
        target.to(dtype),
        parameters=(x.to(dtype),),
        backward=True,
    )


def packets(name):
    return (name,) if name == "binary_cross_entropy_with_logits" else (name, f"{name}_backward")


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(LOSSES)),
    dtype=st.sampled_from(FLOATS),
    reduction=st.sampled_from(REDUCTIONS),
    plain=st.booleans(),
    shape=st.sampled_from([(3,), (4, 7), (2, 3, 5)]),
)
def test_any_loss_is_explained(name, dtype, reduction, plain, shape):
    tape = record_loss(name, dtype, reduction, {} if plain else None, shape)
    explanations = assert_explained(tape, *packets(name))
    forward = {one.kind for one in explanations if one.operation.packet == name}
    assert forward == {"function" if reduction == "none" else "reduction"}


@pytest.mark.parametrize(
    ("name", "options", "x", "target", "expected"),
    [
        ("mse_loss", {}, 3.0, 1.0, 4.0),
        ("smooth_l1_loss", {"beta": 1.0}, 3.0, 1.0, 1.5),
        ("huber_loss", {"delta": 0.5}, 3.0, 1.0, 0.5 * (2.0 - 0.25)),
        ("soft_margin_loss", {}, 0.5, 1.0, math.log1p(math.exp(-0.5))),
        ("binary_cross_entropy", {}, 0.25, 1.0, math.log(4.0)),
        ("binary_cross_entropy", {}, 0.0, 1.0, 100.0),
        ("binary_cross_entropy_with_logits", {}, 0.0, 1.0, math.log(2.0)),
    ],
)
def test_losses_of_one_number(name, options, x, target, expected):
    """From the definitions at https://pytorch.org/docs/stable/nn.html#loss-functions."""
    loss, of = getattr(F, name), torch.tensor([target])
    tape = record_function(lambda x: loss(x, of, **options), torch.tensor([x]))
    assert [one.result for one in assert_explained(tape, name)] == pytest.approx([expected])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradients_in_vectors_and_beside_them(dtype, reduction):
    tape = record_loss("huber_loss", dtype, reduction, shape=(5, 31))
    assert_explained(tape, "huber_loss_backward", samples=60)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_term_matters_as_it_does_to_the_operation(name, reduction):
    tape = record_loss(name, torch.float32, reduction)
    for explanation in assert_explained(tape, *packets(name), samples=2):
        if name != "binary_cross_entropy":  # whose x must stay below 1
            assert_follows(explanation, changes=3)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_wrong_explanation_is_caught(name, dtype):
    assert_bites(assert_explained(record_loss(name, dtype, "none"), *packets(name)))
    assert_bites(assert_explained(record_loss(name, dtype, "mean"), name))

"""The negative log-likelihood of labels, and what cross entropy makes of it."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, operations_called, record_function
from .perturbing import FLOATS, assert_bites, assert_follows

PACKETS = ("nll_loss_forward", "nll_loss_backward", "nll_loss2d_forward", "nll_loss2d_backward")
SHAPES = [(5,), (6, 5), (2, 5, 3), (2, 5, 3, 4)]


def record_loss(shape, dtype, reduction="mean", weighted=False, ignored=0, smoothing=0.0):
    scores = torch.randn(shape).to(dtype)
    places = () if len(shape) == 1 else (shape[0], *shape[2:])
    labels = torch.randint(0, 5, places)
    if ignored and labels.dim():
        labels.view(-1)[:ignored] = -100
    weight = (torch.rand(5) + 0.5).to(dtype) if weighted else None
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    return record_function(lambda x: F.cross_entropy(x, labels, **options), parameters=(scores,), backward=True)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from(SHAPES),
    dtype=st.sampled_from(FLOATS),
    reduction=st.sampled_from(["none", "mean", "sum"]),
    weighted=st.booleans(),
    ignored=st.integers(0, 2),
    smoothing=st.sampled_from([0.0, 0.1]),
)
def test_any_likelihood_is_explained(shape, dtype, reduction, weighted, ignored, smoothing):
    tape = record_loss(shape, dtype, reduction, weighted, ignored, smoothing)
    assert_explained(tape, *(packet for packet in PACKETS if operations_called(tape, packet)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weighted", [True, False])
def test_long_sums_are_rounded_as_torch_rounds_them(dtype, weighted):
    tape = record_loss((7, 5, 11, 9), dtype, "sum", weighted, 3)
    assert_explained(tape, "nll_loss2d_forward")


def test_the_loss_of_two_labels_is_the_weighted_mean():
    """−(2·log .25 + 1·log .5)/(2 + 1), by the definition of torch.nn.NLLLoss."""
    scores = torch.tensor([[0.25, 0.75], [0.5, 0.5]]).log()
    weight, labels = torch.tensor([2.0, 1.0]), torch.tensor([0, 1])
    tape = record_function(lambda x: F.nll_loss(x, labels, weight=weight), scores)
    operation = operations_called(tape, "nll_loss_forward")[0]
    explanation = tape.explain(operation.output(0), ())
    assert explanation.kind == "sum_of_products"
    assert explanation.result == pytest.approx(-(2 * math.log(0.25) + math.log(0.5)) / 3)
    assert [term.coefficient for term in explanation.terms] == pytest.approx([-2 / 3, -1 / 3])
    assert tape.explain(operation.output(1), ()).result == 3.0


def test_where_every_label_is_ignored_the_mean_is_not_a_number():
    labels = torch.full((3,), -100)
    tape = record_function(lambda x: F.cross_entropy(x, labels), torch.randn(3, 5))
    explanation = tape.explain(operations_called(tape, "nll_loss_forward")[0].output(0), ())
    assert math.isnan(explanation.result)
    assert explanation.agrees


def test_another_label_would_have_had_the_gradient():
    tape = record_loss((3, 5), torch.float32)
    operation = operations_called(tape, "nll_loss_backward")[0]
    label = int(operation.argument("target").item((0,)))
    other = tape.explain(operation.output(0), (0, (label + 1) % 5))
    assert other.result == 0
    values = [(label + 1) % 5 if term.label.startswith("t") else term.value for term in other.terms]
    at_label = tape.explain(operation.output(0), (0, label))
    assert other.evaluate(values) == at_label.result != 0


def test_labels_given_as_probabilities_arrive_as_plain_operations():
    wanted = torch.softmax(torch.randn(4, 5), 1)
    tape = record_function(lambda x: F.cross_entropy(x, wanted), parameters=(torch.randn(4, 5),), backward=True)
    assert_explained(tape, "_log_softmax", "_log_softmax_backward_data")


@pytest.mark.parametrize("shape", [(6, 5), (2, 5, 3, 4)])
def test_every_term_matters_as_it_does_to_the_operation(shape):
    tape = record_loss(shape, torch.float32)
    for explanation in assert_explained(tape, *(one for one in PACKETS if operations_called(tape, one)), samples=3):
        if explanation.result:
            assert_follows(explanation)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("weighted", [True, False])
def test_a_wrong_explanation_is_caught(dtype, weighted):
    assert_bites(
        assert_explained(record_loss((6, 5), dtype, "mean", weighted), "nll_loss_forward", "nll_loss_backward")
    )

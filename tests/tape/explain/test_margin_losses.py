"""The margin loss of many classes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function
from .perturbing import assert_bites, assert_follows

PACKETS = ("multi_margin_loss", "multi_margin_loss_backward")


def record_margin_loss(batch, dtype, reduction, power=1, margin=1.0, weighted=False):
    labels = torch.randint(0, 5, (batch,) if batch else ())
    options = {"p": power, "margin": margin, "reduction": reduction}
    options["weight"] = (torch.rand(5) + 0.5).to(dtype) if weighted else None
    scores = torch.randn((batch, 5) if batch else (5,)).to(dtype)
    return record_function(lambda x: F.multi_margin_loss(x, labels, **options), parameters=(scores,), backward=True)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.sampled_from([0, 1, 6]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    reduction=st.sampled_from(["none", "mean", "sum"]),
    power=st.sampled_from([1, 2]),
    margin=st.sampled_from([1.0, 0.3]),
    weighted=st.booleans(),
)
def test_any_margin_loss_is_explained(batch, dtype, reduction, power, margin, weighted):
    assert_explained(record_margin_loss(batch, dtype, reduction, power, margin, weighted), *PACKETS)


def test_the_loss_of_one_sample():
    """Of .1, .2, .4, .8 with the label 3, the example of the documentation: .25·((1−.7) + (1−.6) + (1−.4)) = .325."""
    scores = torch.tensor([[0.1, 0.2, 0.4, 0.8]])
    tape = record_function(lambda x: F.multi_margin_loss(x, torch.tensor([3])), scores)
    assert assert_explained(tape, "multi_margin_loss")[0].result == pytest.approx(0.325)


def test_every_term_matters_and_a_wrong_explanation_is_caught():
    explanations = assert_explained(record_margin_loss(6, torch.float32, "mean", 2, weighted=True), *PACKETS)
    for explanation in explanations:
        assert_follows(explanation, changes=2)
    assert_bites(explanations)

"""Group norm, its statistics and its gradients."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function
from .perturbing import FLOATS, assert_bites, assert_follows

PACKETS = ("native_group_norm", "native_group_norm_backward")


def record_group_norm(shape, groups, dtype, affine=True, channels_last=False, shift=0.0):
    x = (torch.randn(shape) * 2 + shift).to(dtype)
    if channels_last and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    parameters = (torch.randn(shape[1]).to(dtype), torch.randn(shape[1]).to(dtype)) if affine else ()
    return record_function(lambda x, *wb: F.group_norm(x, groups, *wb), parameters=(x, *parameters), backward=True)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from([(3, 4), (2, 4, 7), (2, 8, 3, 5), (1, 4, 2, 3, 2)]),
    groups=st.sampled_from([1, 2, 4]),
    dtype=st.sampled_from(FLOATS),
    affine=st.booleans(),
    channels_last=st.booleans(),
    shift=st.sampled_from([0.0, 10.0]),
)
def test_any_group_norm_is_explained(shape, groups, dtype, affine, channels_last, shift):
    assert_explained(record_group_norm(shape, groups, dtype, affine, channels_last, shift), *PACKETS)


def test_only_the_numbers_of_the_group_count():
    tape = record_group_norm((2, 6, 3, 3), 3, torch.float32)
    explanation = assert_explained(tape, "native_group_norm", samples=1)[0]
    assert len(explanation.terms) == 2 * 3 * 3 + 2


def test_every_term_matters_as_it_does_to_the_operation():
    for explanation in assert_explained(record_group_norm((2, 4, 2, 3), 2, torch.float32), *PACKETS, samples=3):
        assert_follows(explanation)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_wrong_explanation_is_caught(dtype):
    assert_bites(assert_explained(record_group_norm((2, 4, 5, 5), 2, dtype), *PACKETS))

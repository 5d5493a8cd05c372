"""Which elements are computed in vectors, asked of torch: one by one, a product is rounded before it is added."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbogi.tape.explain import Question
from dotbogi.tape.explain.vector_loops import computed_in_vectors, vector_step

from ..conftest import record_function
from .elementwise_tensors import laid_out

TWICE = -0.04296875  # rounded, of −0.59375 + 0.76953125 · 0.71484375, which is −0.04365539550…


def assert_told(a, b):
    """Checks of every element whether it was rounded once or twice."""
    tape = record_function(lambda a, b: torch.add(a, b, alpha=0.76953125), a, b)
    (operation,) = (one for one in tape.operations if one.packet == "add")
    value = operation.outputs[0]
    recorded = value.tensor()
    for flat in range(0, value.numel(), 1 + value.numel() // 40):
        index = tuple(int(place) for place in torch.unravel_index(torch.tensor(flat), value.shape))
        in_vectors = computed_in_vectors(Question(tape, operation, value, index), operation.inputs)
        assert in_vectors == (recorded[index].item() != TWICE), (value.shape, index)


def halves(shape, layouts):
    a = torch.full(shape, -0.59375, dtype=torch.bfloat16)
    b = torch.full(shape, 0.71484375, dtype=torch.bfloat16)
    return laid_out(a, layouts[0]), laid_out(b, layouts[1])


LAYOUTS = st.sampled_from(["contiguous", "transposed", "channels_last", "every_other", "expanded"])


@settings(max_examples=30, deadline=None)
@given(
    shape=st.one_of(
        st.lists(st.integers(1, 5), min_size=3, max_size=4),
        st.tuples(st.integers(1, 4), st.sampled_from([31, 32, 33, 65, 100])),
        st.tuples(st.sampled_from([31, 32, 33, 65, 100]), st.integers(1, 4)),
        st.tuples(st.integers(1, 140)),
    ),
    layouts=st.tuples(LAYOUTS, LAYOUTS),
)
def test_it_is_told_which_elements_torch_computes_in_vectors(shape, layouts):
    assert_told(*halves(tuple(shape), layouts))


@pytest.mark.parametrize("rows", [(3, 1), (1, 40), (40,), (1,), ()])
def test_broadcast_operands_are_told_apart(rows):
    a, _b = halves((3, 40), ("contiguous", "contiguous"))
    _a, b = halves(rows, ("contiguous", "contiguous"))
    assert_told(a, b)


def test_one_value_is_computed_alone():
    assert_told(*halves((), ("contiguous", "contiguous")))


def test_the_step_is_that_of_two_vectors_of_this_processor():
    assert vector_step() in (0, 1, 16, 32, 64, 128)

"""Places as numbers: repeated elements, and elements that are not zero."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, operations_called, record_function


@settings(max_examples=10, deadline=None)
@given(repeats=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_how_often_each_element_is_repeated(repeats):
    counts = torch.tensor(repeats)
    x = torch.arange(float(len(repeats)))
    tape = record_function(lambda x: x.repeat_interleave(counts), x, backward=False)
    (operation,) = operations_called(tape, "repeat_interleave")
    for place in range(operation.outputs[0].numel()):
        explanation = tape.explain(operation.outputs[0], (place,))
        assert explanation.agrees
        assert len(explanation.terms) == len(repeats)


def test_one_more_repetition_moves_what_follows():
    counts = torch.tensor([2, 1, 3])
    tape = record_function(lambda x: x.repeat_interleave(counts), torch.arange(3.0))
    (operation,) = operations_called(tape, "repeat_interleave")
    explanation = tape.explain(operation.outputs[0], (2,))
    assert explanation.result == 1
    assert explanation.evaluate([3, 1, 3]) == 0


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_where_the_elements_are_that_are_not_zero(data):
    numbers = data.draw(st.lists(st.sampled_from([0.0, -1.0, 2.0, float("nan")]), min_size=6, max_size=6))
    tape = record_function(lambda x: (x.nonzero(), torch.nonzero_static(x, size=4)), torch.tensor(numbers).view(2, 3))
    assert_explained(tape, "nonzero_static")
    if any(numbers):
        assert_explained(tape, "nonzero")


def test_an_element_that_becomes_zero_is_counted_no_more():
    tape = record_function(lambda x: x.nonzero(), torch.tensor([5.0, 0.0, 6.0, 7.0]))
    explanation = tape.explain("logits[1,0]")
    assert explanation.result == 2
    assert explanation.evaluate([0, 0, 6, 7]) == 3

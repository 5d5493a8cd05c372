"""Sums of what arrives at the same place: of every type, and in the order in which torch rounds."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbogi.tape.arithmetic import Elements, Group, sum_of_products
from dotbogi.tape.explanation import Explanation

from ..conftest import assert_explained, operations_called, record_function

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])
FORMATS = st.sampled_from([torch.contiguous_format, torch.channels_last])

READ_TWICE = {
    "index_put": lambda x, rows, columns: x[:, rows, :, columns],
    "index_put ": lambda x, rows, columns: x[0, rows[:, None], 1:3, columns],
    "index_put  ": lambda x, rows, columns: x[:, torch.tensor([True, False, True, True])],
    "index_add": lambda x, rows, columns: x.index_select(0, rows % 2),
    "index_add ": lambda x, rows, columns: x.index_select(1, rows),
    "index_add  ": lambda x, rows, columns: x[0, 0, 0].index_select(0, columns % 6),
    "index_add_": lambda x, rows, columns: x.as_strided((3, 3, 4), (2, 1, 1), 1),
    "scatter_add": lambda x, rows, columns: x.gather(2, rows.view(1, 1, -1, 1).expand(2, 3, -1, 5)),
    "scatter_add ": lambda x, rows, columns: x.take_along_dim((x > 0).long(), 3),
    "put": lambda x, rows, columns: x.take(rows * 7 + columns),
    "embedding_dense_backward": lambda x, rows, columns: F.embedding(rows, x[0, 0]),
    "embedding_dense_backward ": lambda x, rows, columns: F.embedding(rows, x[0, 0], padding_idx=1),
    "unfold_backward": lambda x, rows, columns: x.unfold(2, 3, 1).unfold(-2, 2, 2),
    "col2im": lambda x, rows, columns: F.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=(1, 2)),
    "reflection_pad1d_backward": lambda x, rows, columns: F.pad(x[0], (3, 2), mode="reflect"),
    "reflection_pad2d_backward": lambda x, rows, columns: F.pad(x, (3, 2, 1, 3), mode="reflect"),
    "reflection_pad3d_backward": lambda x, rows, columns: F.pad(x[None], (3, 2, 1, 3, 1, 0), mode="reflect"),
    "replication_pad1d_backward": lambda x, rows, columns: F.pad(x[0], (3, 2), mode="replicate"),
    "replication_pad2d_backward": lambda x, rows, columns: F.pad(x, (3, 2, 1, 3), mode="replicate"),
    "replication_pad3d_backward": lambda x, rows, columns: F.pad(x[None], (3, 2, 1, 3, 1, 0), mode="replicate"),
}
LOW = (torch.bfloat16, torch.float16)


@pytest.mark.parametrize("packet", READ_TWICE)
@settings(max_examples=4, deadline=None)
@given(dtype=DTYPES, memory_format=FORMATS, data=st.data())
def test_the_gradient_of_what_was_read_many_times(packet, dtype, memory_format, data):
    rows = data.draw(st.lists(st.integers(0, 3), min_size=3, max_size=12))
    columns = data.draw(st.lists(st.integers(0, 4), min_size=len(rows), max_size=len(rows)))
    x = torch.randn(2, 4, 4, 6, dtype=dtype).to(memory_format=memory_format)

    def function(x):
        return READ_TWICE[packet](x, torch.tensor(rows), torch.tensor(columns))

    tape = record_function(function, parameters=(x,), backward=True)
    for explanation in assert_explained(tape, packet.strip(), samples=8):
        assert explanation.kind in ("sum_of_products", "reduction", "function")
        assert explanation.kind != "reduction" or explanation.value.dtype in LOW
        assert explanation.kind != "function" or explanation.recorded == 0
        assert_every_term_matters(explanation)


def assert_every_term_matters(explanation):
    """Each term, made larger by much, adds as much."""
    values = [term.value for term in explanation.terms]
    for position, term in enumerate(explanation.terms):
        changed = explanation.evaluate([*values[:position], values[position] + 64, *values[position + 1 :]])
        assert changed - explanation.result == pytest.approx(64 * term.coefficient, rel=0.02)


PUT = {
    "index_put": lambda x, v, i: x.index_put((i, i % 3), v, accumulate=True),
    "index_put ": lambda x, v, i: x.index_put((i,), v[:1, None], accumulate=True),
    "index_put_": lambda x, v, i: torch.ops.aten.index_put_(x * 1, [i], v[:, None].expand(-1, 5), True),
    "index_add": lambda x, v, i: x.index_add(0, i, v[:, None].expand(-1, 5), alpha=2),
    "index_add ": lambda x, v, i: x.index_add(-1, i, v.expand(4, -1)),
    "index_add  ": lambda x, v, i: x[:, 0].index_add(0, i, v, alpha=-0.3),
    "scatter_add": lambda x, v, i: x.scatter_add(0, i[None], v.expand(4, -1)),
    "scatter_add_": lambda x, v, i: (x * 1).scatter_add_(1, (i[None] % 3).expand(2, -1), v.expand(4, -1)),
    "put": lambda x, v, i: x.put(i, v, accumulate=True),
}


@pytest.mark.parametrize("packet", PUT)
@settings(max_examples=4, deadline=None)
@given(dtype=DTYPES, index=st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_what_is_added_to_something(packet, dtype, index):
    i = torch.tensor(index)
    x, v = torch.randn(4, 5, dtype=dtype), torch.randn(len(index), dtype=dtype)
    tape = record_function(lambda x, v: PUT[packet](x, v, i), x, v)
    explanations = assert_explained(tape, packet.strip(), samples=20)
    for explanation in explanations:
        assert explanation.terms[0].coefficient == 1  # what was there before
        assert_every_term_matters(explanation)


@settings(max_examples=10, deadline=None)
@given(dtype=DTYPES, kernel=st.integers(1, 3), stride=st.integers(1, 3), padding=st.integers(0, 1))
def test_overlapping_windows_put_together(dtype, kernel, stride, padding):
    size = (7 + 2 * padding - kernel) // stride + 1
    x = torch.randn(2, 2 * kernel**2, size**2, dtype=dtype)
    tape = record_function(lambda x: F.fold(x, (7, 7), kernel, 1, padding, stride), x)
    assert_explained(tape, "col2im")


def test_whole_numbers_are_added_exactly():
    index = torch.tensor([1, 1, 1])
    tape = record_function(
        lambda x: torch.zeros(2, dtype=torch.int64).index_put((index,), x.long(), accumulate=True),
        torch.tensor([3.0, 4.0, 5.0]),
    )
    (operation,) = operations_called(tape, "index_put")
    assert [tape.explain(operation.outputs[0], (i,)).result for i in (0, 1)] == [0, 12]
    assert tape.explain(operation.outputs[0], (1,)).agrees


def test_a_frequent_word_gets_the_mean_of_its_gradients_where_that_is_asked_for():
    indices = torch.tensor([2, 0, 2, 2])
    weight = torch.randn(3, 4)
    tape = record_function(
        lambda w: F.embedding(indices, w, scale_grad_by_freq=True), parameters=(weight,), backward=True
    )
    for explanation in assert_explained(tape, "embedding_dense_backward", samples=30):
        assert {term.coefficient for term in explanation.terms} <= {1 / 3, 1.0}


def test_what_was_never_read_has_no_gradient():
    tape = record_function(lambda x: x[torch.tensor([0, 0])], parameters=(torch.randn(3),), backward=True)
    (operation,) = operations_called(tape, "index_put")
    assert [len(tape.explain(operation.outputs[0], (i,)).terms) for i in range(3)] == [3, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sum_without_one_of_its_terms_is_caught(dtype):
    tape = record_function(
        lambda x: x[torch.tensor([1, 1, 1])], parameters=(torch.ones(3, dtype=dtype),), backward=True
    )
    (operation,) = operations_called(tape, "index_put")
    value, gradient = operation.outputs[0], operation.argument("values")
    assert tape.explain(value, (1,)).agrees
    all_but_one = Group("g", Elements(gradient, Elements.every(gradient).index[1:]), 1.0)
    assert not Explanation(tape, "", value, (1,), sum_of_products("y = Σ g", all_but_one), operation).agrees


@pytest.mark.parametrize("how", ["sum", "prod", "mean", "amax", "amin"])
@settings(max_examples=5, deadline=None)
@given(dtype=DTYPES, index=st.lists(st.integers(0, 3), min_size=4, max_size=6), include_self=st.booleans())
def test_what_arrives_is_reduced(how, dtype, index, include_self):
    i = torch.tensor(index)
    x, v = torch.randn(4, 3, dtype=dtype), torch.randn(len(index), 3, dtype=dtype)

    def function(x, v):
        return x.scatter_reduce(0, i[:, None].expand(-1, 3), v, how, include_self=include_self)

    explanations = assert_explained(record_function(function, x, v), "scatter_reduce", samples=20)
    assert max(len(explanation.terms) for explanation in explanations) > int(include_self)


def test_the_mean_of_whole_numbers_is_rounded_down():
    x = torch.tensor([-3.0, 2.0])
    zeros, index = torch.zeros(2, dtype=torch.int64), torch.tensor([0, 0])
    tape = record_function(lambda x: zeros.scatter_reduce(0, index, x.long(), "mean", include_self=False), x)
    assert [explanation.result for explanation in assert_explained(tape, "scatter_reduce", samples=1)] in ([-1], [0])

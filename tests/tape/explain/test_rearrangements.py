"""Operations that move numbers: every element leads to the one that was moved there, or to what was filled in."""

import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbogi.tape.arithmetic import copy_of
from dotbogi.tape.explanation import Explanation

from ..conftest import assert_explained, operations_called, record_function

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])
FORMATS = st.sampled_from([torch.contiguous_format, torch.channels_last])
AMOUNTS = st.integers(-3, 3)


def images(dtype: torch.dtype, memory_format: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
    """A different number at every place."""
    count = 2 * 4 * 4 * 6
    return torch.randperm(count).add(1).view(2, 4, 4, 6).to(dtype).to(memory_format=memory_format)


def assert_moved(function, *tensors, packets, backward=True, samples=5):
    """Each element is a copy of a number that the operation was given, or a constant; nothing is off by a rounding."""
    tape = record_function(function, parameters=tensors, backward=backward)
    for explanation in assert_explained(tape, *packets, samples=samples):
        assert explanation.difference == 0
        if explanation.kind == "copy":
            assert len(explanation.terms) == 1
        else:
            assert explanation.kind == "function"
            assert len(explanation.terms) == 0
    return tape


MOVES = {
    "cat": lambda x, y, i: torch.cat([x, y, x], i),
    "stack": lambda x, y, i: torch.ops.aten.stack([x, y], i),
    "flip": lambda x, y, i: x.flip(i, 0) if i % 4 else x.flip(0),
    "roll": lambda x, y, i: x.roll((i, 1), (i, 1)),
    "roll ": lambda x, y, i: x.roll(i),
    "repeat": lambda x, y, i: x.repeat(abs(i), 1, 2, 1, 1),
    "repeat ": lambda x, y, i: x.tile(2, abs(i)),
    "clone": lambda x, y, i: x.repeat_interleave(2, i),
    "clone ": lambda x, y, i: x.transpose(0, 3).reshape(6, -1),
    "rot90": lambda x, y, i: x.rot90(i, (2, 3)),
    "tril": lambda x, y, i: x.tril(i),
    "triu": lambda x, y, i: x.triu(i),
    "tril_": lambda x, y, i: (x * 1).tril_(i),
    "diag_embed": lambda x, y, i: x.diag_embed(i, 1, -1),
    "block_diag": lambda x, y, i: torch.block_diag(x[0, 0], y[0, 1, :2]),
    "pixel_shuffle": lambda x, y, i: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x, y, i: F.pixel_unshuffle(x, 2),
    "channel_shuffle": lambda x, y, i: F.channel_shuffle(x, 2),
    "select_scatter": lambda x, y, i: x.select_scatter(y[:, 0], 1, i),
    "slice_scatter": lambda x, y, i: x.slice_scatter(y[:, 1:4:2], 1, 1, 4, 2),
    "diagonal_scatter": lambda x, y, i: x.diagonal_scatter(y.diagonal(i, 2, 3), i, 2, 3),
    "select_backward": lambda x, y, i: x.select(1, i),
    "slice_backward": lambda x, y, i: x[:, :, 1:, :: abs(i) + 1],
    "diagonal_backward": lambda x, y, i: x.diagonal(i, 3, 1),
}


@pytest.mark.parametrize("packet", MOVES)
@settings(max_examples=3, deadline=None)
@given(dtype=DTYPES, memory_format=FORMATS, i=st.integers(-3, 3))
def test_whole_tensors_that_are_moved(packet, dtype, memory_format, i):
    x, y = images(dtype, memory_format), -images(dtype)
    assert_moved(lambda x, y: MOVES[packet](x, y, i), x, y, packets=[packet.strip()])


def test_what_is_put_into_memory_by_strides():
    x, y = images(torch.float32), torch.tensor([[-1.0, -2.0], [-3.0, -4.0]])
    tape = record_function(lambda x, y: x.transpose(0, 1).as_strided_scatter(y, (2, 2), (3, 1), 2), x, y)
    assert {explanation.difference for explanation in assert_explained(tape, "as_strided_scatter", samples=100)} == {0}


@settings(max_examples=12, deadline=None)
@given(
    dtype=DTYPES,
    memory_format=FORMATS,
    widths=st.tuples(*[st.integers(0, 3)] * 4),
    cut=st.integers(-2, 2),
    value=st.sampled_from([0.0, 1.5, -2.0]),
)
def test_a_padding_leads_inside_or_to_its_value(dtype, memory_format, widths, cut, value):
    x = images(dtype, memory_format)
    assert_moved(lambda x: F.pad(x, (cut, *widths[1:]), value=value) * 1, x, packets=["constant_pad_nd"])


@pytest.mark.parametrize(("mode", "packet"), [("reflect", "reflection_pad"), ("replicate", "replication_pad")])
@settings(max_examples=4, deadline=None)
@given(dtype=DTYPES, memory_format=FORMATS, widths=st.tuples(*[st.integers(0, 3)] * 4))
def test_a_padding_that_repeats_leads_inside(mode, packet, dtype, memory_format, widths):
    x = images(dtype, memory_format)

    def padded(x):
        return (
            F.pad(x, widths, mode=mode),
            F.pad(x[0], widths[:2], mode=mode),
            F.pad(x[None], (*widths, 1, 0), mode=mode),
        )

    assert_moved(padded, x, packets=[f"{packet}{axes}d" for axes in (1, 2, 3)], backward=False)


def test_a_circular_padding_leads_to_the_other_side():
    tape = record_function(lambda x: F.pad(x, (1, 2, 1, 0), mode="circular") * 1, torch.arange(12.0).view(1, 1, 3, 4))
    padded = next(op for op in reversed(tape.operations) if op.packet == "mul").inputs[0]
    for index, source in {(0, 0, 0, 0): 11, (0, 0, 1, 5): 0, (0, 0, 3, 6): 9, (0, 0, 2, 2): 5}.items():
        explanation = tape.explain(padded, index)
        while explanation.operation is not None:
            explanation = tape.explain(explanation.terms[0].address)
        assert explanation.address == f"input[0,0,{source // 4},{source % 4}]"


@settings(max_examples=12, deadline=None)
@given(
    dtype=DTYPES,
    memory_format=FORMATS,
    kernel=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 1),
    dilation=st.integers(1, 2),
)
def test_columns_of_windows(dtype, memory_format, kernel, stride, padding, dilation):
    def function(x):
        return F.unfold(x, kernel, dilation, padding, stride)

    assert_moved(function, images(dtype, memory_format), packets=["im2col"], backward=False)


READS = {
    "index": lambda x, rows, columns: x[:, rows],
    "index ": lambda x, rows, columns: x[:, :, rows, columns],
    "index  ": lambda x, rows, columns: x[:, rows, :, columns],
    "index   ": lambda x, rows, columns: x[0, rows[:, None], 1, columns],
    "index    ": lambda x, rows, columns: x[x > 60],
    "index     ": lambda x, rows, columns: x[:, torch.tensor([True, False, True, True]), rows[0]],
    "index_select": lambda x, rows, columns: x.index_select(-2, rows),
    "take": lambda x, rows, columns: x.take(rows * 7),
    "masked_select": lambda x, rows, columns: x.masked_select(x[:1] > 60),
    "embedding": lambda x, rows, columns: F.embedding(rows, x.flatten(1).t()),
    "gather": lambda x, rows, columns: x.gather(2, rows.view(1, 1, -1, 1).expand(2, 3, -1, 6)),
    "gather ": lambda x, rows, columns: x.take_along_dim(rows.view(1, 1, -1, 1), 2),
}


@pytest.mark.parametrize("packet", READS)
@settings(max_examples=3, deadline=None)
@given(dtype=DTYPES, memory_format=FORMATS, data=st.data())
def test_what_is_read_by_index(packet, dtype, memory_format, data):
    rows = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    columns = data.draw(st.lists(st.integers(-6, 5), min_size=len(rows), max_size=len(rows)))

    def function(x):
        return READS[packet](x, torch.tensor(rows), torch.tensor(columns))

    assert_moved(function, images(dtype, memory_format), packets=[packet.strip()], backward=False)


PUTS = {
    "index_copy": lambda x, y, index, where: x.index_copy(1, index, y),
    "index_fill": lambda x, y, index, where: x.index_fill(1, index[:2], 2.5),
    "index_fill ": lambda x, y, index, where: x.index_fill(1, index[:2], y[0, 0, 0, 0].detach()),
    "scatter": lambda x, y, index, where: x.scatter(1, where, y),
    "scatter ": lambda x, y, index, where: x.scatter(1, where[:, :2], 2.5),
    "scatter_": lambda x, y, index, where: (x * 1).scatter_(1, where[:, :2], y[:, :2]),
    "masked_scatter": lambda x, y, index, where: x.masked_scatter(x > 60, y),
    "masked_scatter_backward": lambda x, y, index, where: x.masked_scatter(x > 60, y),
    "max_unpool2d": lambda x, y, index, where: F.max_unpool2d(x[:, :, :2, :2], where[:, :, :2, :2], 2),
    "index_put": lambda x, y, index, where: x.index_put((torch.tensor(1), index[:2]), y[0, :2]),
    "put": lambda x, y, index, where: x.put(index, y[0, 0, 0, :4]),
}


@pytest.mark.parametrize("packet", PUTS)
@settings(max_examples=3, deadline=None)
@given(dtype=DTYPES, memory_format=FORMATS, index=st.permutations(range(4)))
def test_what_is_put_by_index(packet, dtype, memory_format, index):
    places = torch.tensor(index)
    where = places.view(1, 4, 1, 1).expand(2, 4, 4, 6)
    x, y = images(dtype, memory_format), -images(dtype)
    assert_moved(lambda x, y: PUTS[packet](x, y, places, where), x, y, packets=[packet.strip()])


UNDECOMPOSED = {
    "pad": lambda x: (F.pad(x, (1, 2), value=3.0), F.pad(x[None], (1, 1), mode="reflect")),
    "vstack": lambda x: torch.vstack([x, x]),
    "hstack": lambda x: torch.hstack([x, x]),
    "column_stack": lambda x: torch.column_stack([x, x[:, 0]]),
    "meshgrid": lambda x: torch.meshgrid(x[0], x[:, 1], indexing="xy"),
    "fliplr": lambda x: x.fliplr(),
    "flipud": lambda x: x.flipud(),
    "tile": lambda x: x.tile(2, 2),
    "stack": lambda x: torch.stack([x, x], 1),
    "repeat_interleave": lambda x: (x.repeat_interleave(2, 1), x.repeat_interleave(torch.tensor([1, 0, 2]), 0)),
    "take_along_dim": lambda x: x.take_along_dim(x.argmax(1, True), 1),
    "reshape": lambda x: (x.reshape(4, 3), x.t().reshape(2, 6)),
    "flatten": lambda x: (x.flatten(), x.t().flatten()),
    "contiguous": lambda x: (x.contiguous(), x.t().contiguous()),
    "movedim": lambda x: x.movedim(0, 1),
    "chunk": lambda x: x.chunk(2, 1),
    "tensor_split": lambda x: x.tensor_split(3, 1),
    "hsplit": lambda x: x.hsplit(2),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "expand_as": lambda x: x.expand_as(torch.ones(2, 3, 4)),
    "atleast_3d": lambda x: torch.atleast_3d(x),
    "numpy_T": lambda x: x.T,
    "argsort": lambda x: x.argsort(1, descending=True),
    "msort": lambda x: torch.msort(x),
    "max_pool1d": lambda x: F.max_pool1d(x, 2),
    "max_pool2d": lambda x: F.max_pool2d(x[None], 2, 1),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x, 3),
}


@pytest.mark.parametrize("packet", UNDECOMPOSED)
def test_what_arrives_as_a_whole_in_inference_mode(packet):
    @torch.inference_mode()
    def function(x):
        return UNDECOMPOSED[packet](x)

    tape = record_function(function, images(torch.float32)[0, 0, :3, :4])
    assert {explanation.difference for explanation in assert_explained(tape, packet, samples=50)} == {0}


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_numbers_that_are_not_floating_are_moved_alike(dtype):
    x = (torch.arange(24).view(2, 3, 4) % 5).to(dtype)
    tape = record_function(lambda unused, x: F.pad(x.flip(1), (1, 1), value=1).tril(), torch.zeros(1), x)
    assert_explained(tape, "flip", "constant_pad_nd", "tril")


def test_what_is_filled_in_depends_on_nothing():
    tape = record_function(lambda x: F.pad(x, (1, 0), value=0.25), torch.ones(2, 3))
    explanation = tape.explain("logits[1,0]")
    assert (explanation.kind, explanation.result, len(explanation.terms)) == ("function", 0.25, 0)
    assert explanation.arithmetic.constants == {"pad": [1, 0], "value": 0.25}


def test_the_same_tensor_twice_is_told_apart_by_place():
    tape = record_function(lambda x: torch.cat([x, x], 0), torch.tensor([3.0, 4.0]))
    assert [tape.explain(f"logits[{i}]").terms[0].address for i in range(4)] == ["input[0]", "input[1]"] * 2


def test_a_number_without_axes_is_moved():
    tape = record_function(lambda x: torch.ops.aten.flip(x * 1, []), torch.tensor(3.0))
    assert [explanation.kind for explanation in assert_explained(tape, "flip")] == ["copy"]


@pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter")
def test_a_scatter_that_reduces_is_not_explained():
    index = torch.tensor([0, 0])
    tape = record_function(lambda x: x.scatter(0, index, x, reduce="add"), torch.ones(2))
    (operation,) = operations_called(tape, "scatter")
    assert tape.explain(operation.outputs[0], (0,)).kind == "unexplained"


def test_what_was_found_out_goes_with_the_tape():
    tape = record_function(lambda x: x.roll(1), torch.arange(5.0))
    assert_explained(tape, "roll")
    operation = weakref.ref(tape.operations[0])
    del tape
    gc.collect()
    assert operation() is None


def test_a_neighbour_or_nothing_in_the_place_of_the_element_is_caught():
    tape = record_function(lambda x: x.roll(1, 0), torch.arange(1.0, 5))
    (operation,) = operations_called(tape, "roll")
    value, x = operation.outputs[0], operation.inputs[0]
    assert tape.explain(value, (2,)).agrees
    for source in (2, 3):
        assert not Explanation(tape, "", value, (2,), copy_of(x, (source,)), operation).agrees

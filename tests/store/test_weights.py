import hashlib
import json
import struct

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dotbogi.errors import CheckpointError
from dotbogi.store.weights import from_safetensors, to_safetensors, weights_sha256

DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.int8,
    torch.bool,
]


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 4), max_size=4))
    dtype = draw(st.sampled_from(DTYPES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    tensor = (torch.randn(shape, generator=generator) * 100).to(dtype)
    if len(shape) == 4 and draw(st.booleans()):
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    if tensor.dim() >= 2 and draw(st.booleans()):
        tensor = tensor.transpose(0, 1)
    return tensor


def same(first, second):
    return (
        list(first) == list(second)
        and all(first[name].dtype == second[name].dtype and torch.equal(first[name], second[name]) for name in first)
        and all(first[name].shape == second[name].shape for name in first)
    )


def test_sha256_is_that_of_the_contract_spelled_out_by_hand():
    state = {
        "conv.weight": torch.tensor([[1.5, -2.0]]),
        "bn.num_batches_tracked": torch.tensor(7),
        "a": torch.tensor([], dtype=torch.float64),
    }
    by_hand = (
        b"a\0float64\x000\0"
        + b"bn.num_batches_tracked\0int64\0\0"
        + struct.pack("<q", 7)
        + b"conv.weight\0float32\x001,2\0"
        + struct.pack("<2f", 1.5, -2.0)
    )
    assert weights_sha256(state) == hashlib.sha256(by_hand).hexdigest()


def test_sha256_of_bfloat16_takes_the_upper_half_of_float32():
    values = np.array([1.0, -3.5, 0.0078125], dtype="<f4")
    halves = (values.view("<u4") >> 16).astype("<u2").tobytes()
    expected = hashlib.sha256(b"w\0bfloat16\x003\0" + halves).hexdigest()
    assert weights_sha256({"w": torch.from_numpy(values).bfloat16()}) == expected


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=8).filter(str.isascii), tensors(), max_size=4))
def test_sha256_agrees_with_numpy(state):
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
        array = tensor.contiguous().view(bits).numpy()
        head = f"{name}\0{str(tensor.dtype)[6:]}\0{','.join(str(side) for side in tensor.shape)}\0"
        digest.update(
            head.encode("utf-8") + np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        )
    assert weights_sha256(state) == digest.hexdigest()


def test_sha256_does_not_see_the_memory_format_but_every_bit():
    images = torch.randn(2, 3, 4, 5)
    assert weights_sha256({"w": images}) == weights_sha256({"w": images.contiguous(memory_format=torch.channels_last)})
    assert weights_sha256({"w": torch.tensor(0.0)}) != weights_sha256({"w": torch.tensor(-0.0)})
    assert weights_sha256({"w": torch.zeros(2, 3)}) != weights_sha256({"w": torch.zeros(3, 2)})
    assert weights_sha256({"w": torch.zeros(2)}) != weights_sha256({"v": torch.zeros(2)})


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=6).filter(lambda name: name != "__metadata__"), tensors(), max_size=5)
)
def test_weights_come_back_bit_by_bit_and_in_order(weights):
    back = from_safetensors(to_safetensors(weights))
    assert same(weights, back)
    assert weights_sha256(back) == weights_sha256(weights)
    assert all(tensor.is_contiguous() for tensor in back.values())


def test_a_model_comes_back_with_buffers_and_order():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(1), nn.Linear(4, 2))
    model = model.to(memory_format=torch.channels_last)
    model[1].num_batches_tracked.fill_(12)
    weights = model.state_dict()
    assert same(weights, from_safetensors(to_safetensors(weights)))


def test_special_values_keep_their_bits():
    bits = torch.tensor([0x7FC00001, 0x7F800000, -0x800000, -0x80000000, 1], dtype=torch.int32)
    back = from_safetensors(to_safetensors({"w": bits.view(torch.float32)}))
    assert torch.equal(back["w"].view(torch.int32), bits)


def test_tied_weights_are_stored_once_and_tied_again():
    table = torch.randn(50, 8)
    content = to_safetensors({"embedding": table, "other": torch.ones(1), "head": table})
    assert len(safetensors.torch.load(content)) == 2
    assert len(content) < 2 * 50 * 8 * 4
    back = from_safetensors(content)
    assert list(back) == ["embedding", "other", "head"]
    assert back["head"].data_ptr() == back["embedding"].data_ptr()
    assert torch.equal(back["head"], table)


def test_parts_of_one_storage_are_stored_apart():
    whole = torch.arange(12.0)
    weights = {
        "first": whole[:6],
        "again": whole[:6].view(2, 3),
        "transposed": whole[:6].view(2, 3).t(),
        "whole": whole,
    }
    assert same(weights, from_safetensors(to_safetensors(weights)))


def test_a_small_part_of_a_large_storage_does_not_bring_the_rest():
    assert len(to_safetensors({"w": torch.zeros(1_000_000)[:10]})) < 1000


def test_empty_tensors_are_not_tied():
    back = from_safetensors(to_safetensors({"a": torch.empty(0, 3), "b": torch.empty(0, 3), "c": torch.empty(2, 0)}))
    assert {name: tuple(tensor.shape) for name, tensor in back.items()} == {"a": (0, 3), "b": (0, 3), "c": (2, 0)}


def test_parameters_that_require_gradients_are_taken():
    weights = dict(nn.Linear(3, 2).named_parameters())
    assert same(weights, from_safetensors(to_safetensors(weights)))


def test_files_of_others_are_read():
    content = safetensors.torch.save({"b": torch.ones(2), "a": torch.zeros(1)})
    assert set(from_safetensors(content)) == {"a", "b"}


def test_what_is_no_tensor_is_refused():
    with pytest.raises(CheckpointError, match=r"extra of the weights is no tensor but of type dict"):
        to_safetensors({"extra": {}})


@pytest.mark.parametrize("tensor", [torch.ones(2, dtype=torch.complex128), torch.ones(2, device="meta")])
def test_what_has_no_place_in_the_format_is_refused(tensor):
    with pytest.raises(CheckpointError, match="These weights cannot be saved"):
        to_safetensors({"w": tensor})


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"\x80\x04N.", b"\xff" * 100, to_safetensors({"w": torch.ones(9)})[:-5]],
    ids=["empty", "garbage", "pickle", "ones", "cut"],
)
def test_what_is_no_safetensors_file_is_refused(content):
    with pytest.raises(CheckpointError, match="This is no safetensors file") as caught:
        from_safetensors(content)
    assert "never executed" in caught.value.fix


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"names": json.dumps(["w"])}, "contradicts itself"),
        ({"names": json.dumps(["w", "v", "x"])}, "no safetensors file"),
        ({"names": "{"}, "no safetensors file"),
        ({"names": json.dumps(["w", "v"]), "ties": json.dumps({"x": "v"})}, "contradicts itself"),
        ({"names": json.dumps([["w"], "v"])}, "no safetensors file"),
        ({"names": "[" * 100_000}, "no safetensors file"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(metadata, message):
    content = safetensors.torch.save({"w": torch.ones(1), "v": torch.ones(1)}, metadata)
    with pytest.raises(CheckpointError, match=message):
        from_safetensors(content)

"""What all elementwise operations share: broadcasting, types, and formulas with numbers in them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbogi.tape.explain.elementwise import Operand, broadcast_index, common_dtype, written_out
from dotbogi.tape.explain.number_types import held, rounded

from ..conftest import assert_explained, record_function


@given(data=st.data())
def test_the_index_is_that_of_numpys_broadcasting(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    own = tuple(data.draw(st.sampled_from([size, 1])) for size in shape[data.draw(st.integers(0, len(shape))) :])
    values = np.arange(math.prod(own)).reshape(own)
    index = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    assert values[broadcast_index(index, own)] == np.broadcast_to(values, shape)[index]


@given(number=st.integers(-(2**40), 2**40), dtype=st.sampled_from([torch.uint8, torch.int8, torch.int16, torch.int32]))
def test_integers_wrap_around_as_in_torch(number, dtype):
    assert held(number, dtype) == torch.tensor(number).to(dtype).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_too_large_for_a_type_is_infinite_and_what_is_tiny_lies_on_its_grid(dtype):
    assert held(1e39, dtype) == math.inf
    assert held(-1e39, dtype) == -math.inf
    small = torch.finfo(dtype).tiny / 3
    assert held(small, dtype) == torch.tensor(small, dtype=torch.float64).to(dtype).item()
    assert held(1 / 3, dtype) == 1 / 3, "rounding among normal numbers is left to the tolerance"


def test_a_truth_value_is_held_as_0_or_1():
    assert held(7, torch.bool) == 1
    assert held(0.0, torch.bool) == 0


def test_a_number_is_rounded_as_its_type_rounds_it():
    assert rounded(0.3337, torch.bfloat16) == 0.333984375
    assert rounded(2.7, torch.int64) == 2
    assert rounded("tanh", torch.bfloat16) == "tanh"
    assert rounded(None, torch.float32) is None


@pytest.mark.parametrize(
    "first, second",
    [
        (torch.ones(2), torch.tensor(1.0, dtype=torch.float64)),
        (torch.ones(2, dtype=torch.int64), torch.tensor(0.5)),
        (torch.tensor(1, dtype=torch.uint8), torch.ones(2, dtype=torch.bool)),
        (torch.ones(2).bfloat16(), 0.1),
        (torch.ones(2, dtype=torch.int32), 0.5),
        (torch.ones(2, dtype=torch.bool), 3),
    ],
)
def test_the_common_type_is_torchs(first, second):
    tensors = [one for one in (first, second) if isinstance(one, torch.Tensor)]
    tape = record_function(lambda _unused, *inputs: [one.clone() for one in inputs], torch.zeros(1), *tensors)
    values = [operation.inputs[0] for operation in tape.operations if operation.packet == "clone"]
    operands = [Operand("a", value, (0,) * len(value.shape)) for value in values]
    numbers = [] if isinstance(second, torch.Tensor) else [Operand("b", second)]
    assert common_dtype([*operands, *numbers]) == torch.result_type(first, second)


def test_numbers_take_the_symbols_places():
    operands = [Operand("x", 0.5), Operand("α", 2.0), Operand("low", -1)]
    assert written_out("y = α·exp(x) + max(x, low)", operands, np.zeros(0)) == "2·exp(0.5) + max(0.5, -1)"
    operands = [Operand("a", -0.5), Operand("b", -2.0)]
    assert written_out("y = a − α·b", operands, np.zeros(0)) == "-0.5 − α·(-2)"


@settings(deadline=None, max_examples=15)
@given(shapes=st.lists(st.lists(st.integers(1, 3), max_size=3), min_size=1, max_size=3), in_place=st.booleans())
def test_operations_on_lists_of_tensors_pick_their_own_operands(shapes, in_place):
    first = [torch.randn(shape) for shape in shapes]
    second = [torch.rand(shape) + 0.5 for shape in shapes]
    numbers = [0.5 + position for position in range(len(shapes))]
    mark = "_" if in_place else ""

    def function(_unused, *tensors):
        a, b = list(tensors[: len(shapes)]), list(tensors[len(shapes) :])
        kept = [one.clone() for one in a]
        results = [
            getattr(torch, f"_foreach_add{mark}")([one.clone() for one in a], b, alpha=0.3),
            getattr(torch, f"_foreach_mul{mark}")([one.clone() for one in a], numbers),
            getattr(torch, f"_foreach_sub{mark}")([one.clone() for one in a], 0.7),
            getattr(torch, f"_foreach_div{mark}")([one.clone() for one in a], b),
            getattr(torch, f"_foreach_lerp{mark}")([one.clone() for one in a], b, 0.1),
            getattr(torch, f"_foreach_addcmul{mark}")([one.clone() for one in a], b, b, value=0.1),
            getattr(torch, f"_foreach_addcdiv{mark}")([one.clone() for one in a], a, b, numbers),
            getattr(torch, f"_foreach_addcdiv{mark}")([one.clone() for one in a], a, b, torch.tensor(numbers)),
            getattr(torch, f"_foreach_maximum{mark}")([one.clone() for one in a], 0.1),
            getattr(torch, f"_foreach_clamp_max{mark}")([one.clone() for one in a], b),
            getattr(torch, f"_foreach_pow{mark}")([one.clone() for one in b], 2),
            getattr(torch, f"_foreach_sqrt{mark}")([one.clone() for one in b]),
            getattr(torch, f"_foreach_neg{mark}")([one.clone() for one in b]),
        ]
        torch._foreach_copy_(kept, b)
        torch._foreach_zero_(kept)
        return results[0] or kept

    tape = record_function(function, torch.zeros(1), *first, *second)
    called = {operation.packet for operation in tape.operations if operation.packet.startswith("_foreach")}
    assert len(called) == 14
    assert_explained(tape, *called, samples=2)

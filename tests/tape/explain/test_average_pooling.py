"""Average pooling and its gradient, over the shapes and options that it can have."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
FORWARD = ("avg_pool1d", "avg_pool2d", "avg_pool3d")


def images(axes: int, dtype: torch.dtype, batch: bool, channels_last: bool) -> torch.Tensor:
    x = torch.randn(*((2,) if batch else ()), 3, *(9, 8, 5)[:axes], dtype=dtype)
    return x.contiguous(memory_format=torch.channels_last) if channels_last and x.dim() == 4 and axes == 2 else x


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    axes=st.sampled_from([1, 2, 2, 3]),
    kernel=st.integers(1, 4),
    stride=st.sampled_from([None, 1, 2, 3]),
    padding=st.integers(0, 2),
    ceil_mode=st.booleans(),
    count_include_pad=st.booleans(),
    divisor=st.sampled_from([None, 3, 7]),
    batch=st.booleans(),
    channels_last=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_any_average_pool_and_its_gradient_are_explained(
    axes, kernel, stride, padding, ceil_mode, count_include_pad, divisor, batch, channels_last, dtype
):
    assume(padding <= kernel // 2)
    assume(axes < 3 or dtype in (torch.float32, torch.float64))  # the others have no kernel on a CPU
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    if axes > 1:
        options["divisor_override"] = divisor

    x = images(axes, dtype, batch, channels_last)
    tape = record_function(lambda x: POOL[axes](x, kernel, **options), parameters=(x,), backward=True)
    packet = f"avg_pool{max(axes, 2)}d"
    assert {explanation.kind for explanation in assert_explained(tape, packet)} == {"sum_of_products"}
    assert_explained(tape, f"{packet}_backward", samples=20)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    axes=st.sampled_from([1, 2, 2, 3]),
    size=st.tuples(st.integers(1, 10), st.integers(1, 10), st.integers(1, 6)),
    batch=st.booleans(),
    channels_last=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_any_adaptive_average_pool_and_its_gradient_are_explained(axes, size, batch, channels_last, dtype):
    assume(any(one > 1 for one in size[:axes]))  # one output is a mean
    x = images(axes, dtype, batch, channels_last)
    tape = record_function(lambda x: ADAPTIVE[axes](x, size[:axes]), parameters=(x,), backward=True)
    packet = f"_adaptive_avg_pool{max(axes, 2)}d"
    assert_explained(tape, packet)
    assert_explained(tape, f"{packet}_backward", samples=20)


def test_pooling_in_inference_mode_is_explained():
    x = torch.randn(2, 3, 9)
    with torch.inference_mode():
        assert_explained(record_function(lambda x: F.avg_pool1d(x, 3, padding=1), x), "avg_pool1d")
        assert_explained(record_function(lambda x: F.adaptive_avg_pool1d(x, 4), x), "adaptive_avg_pool1d")
        assert_explained(record_function(lambda x: F.adaptive_avg_pool2d(x, (2, 4)), x), "adaptive_avg_pool2d")
        assert_explained(record_function(lambda x: F.adaptive_avg_pool3d(x, (2, 2, 4)), x[None]), "adaptive_avg_pool3d")


def test_padding_counts_unless_it_is_left_out():
    x = torch.arange(1.0, 5.0).reshape(1, 1, 2, 2)
    counted = record_function(lambda x: F.avg_pool2d(x, 2, padding=1), x).explain("logits[0,0,0,0]")
    left_out = record_function(lambda x: F.avg_pool2d(x, 2, padding=1, count_include_pad=False), x)
    assert (counted.result, len(counted.terms), counted.terms[0].coefficient) == (0.25, 1, 0.25)
    assert left_out.explain("logits[0,0,0,0]").result == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_wrong_explanation_of_a_pool_does_not_agree(dtype):
    x = torch.rand(1, 2, 6, 6, dtype=dtype) + 1
    tape = record_function(lambda x: F.avg_pool2d(x, 3, 2).square(), parameters=(x,), backward=True)
    for explanation in assert_explained(tape, "avg_pool2d", "avg_pool2d_backward"):
        right = explanation.terms.values
        for wrong in ([*right[:-1], 0.0], 0.9 * right, 0 * right):
            if len(right):
                assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance

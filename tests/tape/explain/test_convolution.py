"""Convolution, over the shapes that it can have."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    bias=st.booleans(),
    transposed=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_any_convolution_is_explained(kernel, stride, padding, dilation, groups, bias, transposed, dtype):
    x = torch.randn(2, 4, 7, 6, dtype=dtype)
    shape = (4, 6 // groups, kernel, kernel) if transposed else (6, 4 // groups, kernel, kernel)
    w = torch.randn(shape, dtype=dtype)
    b = torch.randn(6, dtype=dtype) if bias else None
    convolve = F.conv_transpose2d if transposed else F.conv2d

    def function(images, weight, *biases):
        return convolve(images, weight, *biases, stride=stride, padding=padding, dilation=dilation, groups=groups)

    tape = record_function(function, x, parameters=(w,) if b is None else (w, b))
    kinds = {explanation.kind for explanation in assert_explained(tape, "convolution")}
    assert kinds == {"sum_of_products"}

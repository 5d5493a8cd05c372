"""Images sampled at a grid's points, with the gradients of the image and of the grid."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function

PADDINGS = ["zeros", "border", "reflection"]


@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from(["bilinear", "nearest"]),
    padding=st.sampled_from(PADDINGS),
    align_corners=st.booleans(),
    height=st.integers(1, 40),
    width=st.integers(1, 300),
    reach=st.sampled_from([0.8, 1.5, 4.0]),
    channels_last=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]),
)
def test_any_sampling_is_explained(mode, padding, align_corners, height, width, reach, channels_last, dtype):
    # bfloat16 cannot say 257: torch itself reads beyond the row of a wider image.
    x = torch.randn(2, 3, height, min(width, 256) if dtype.itemsize == 2 else width, dtype=dtype)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    grid = ((torch.rand(2, 4, 5, 2) * 2 - 1) * reach).to(dtype)
    options = {"mode": mode, "padding_mode": padding, "align_corners": align_corners}
    assert_explained(
        record_function(lambda x, grid: F.grid_sample(x, grid, **options), x, grid), "grid_sampler_2d", samples=40
    )

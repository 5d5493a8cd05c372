"""Images sampled at a grid's points, with the gradients of the image and of the grid."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, operations_called, record_function

PADDINGS = ["zeros", "border", "reflection"]


@settings(max_examples=30, deadline=None, derandomize=True)
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
        record_function(lambda x, grid: F.grid_sample(x, grid, **options), x, grid), "grid_sampler_2d", samples=20
    )


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    mode=st.sampled_from(["bilinear", "bilinear", "nearest"]),
    padding=st.sampled_from(PADDINGS),
    align_corners=st.booleans(),
    height=st.integers(1, 8),
    width=st.integers(1, 60),
    reach=st.sampled_from([0.8, 1.5, 4.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_gradients_of_image_and_grid_are_explained(mode, padding, align_corners, height, width, reach, dtype):
    parameters = torch.randn(2, 3, height, width, dtype=dtype), (torch.rand(2, 4, 5, 2, dtype=dtype) * 2 - 1) * reach
    options = {"mode": mode, "padding_mode": padding, "align_corners": align_corners}
    tape = record_function(lambda x, grid: F.grid_sample(x, grid, **options), parameters=parameters, backward=True)
    assert_explained(tape, "grid_sampler_2d_backward", samples=20)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("align_corners", [True, False])
def test_sampling_a_large_image_is_explained(padding, align_corners):
    parameters = torch.randn(1, 1, 3, 1999), (torch.rand(1, 1, 100, 2) * 2 - 1) * 1.2
    options = {"padding_mode": padding, "align_corners": align_corners}
    tape = record_function(lambda x, grid: F.grid_sample(x, grid, **options), parameters=parameters, backward=True)
    assert_explained(tape, "grid_sampler_2d", "grid_sampler_2d_backward", samples=20)


@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 3, 9, 7), (2, 1, 3, 4, 5)])
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_grid_of_an_affine_transformation_is_explained(size, align_corners, dtype):
    theta = torch.randn(2, len(size) - 2, len(size) - 1, dtype=dtype)
    tape = record_function(lambda theta: F.affine_grid(theta, size, align_corners=align_corners), theta)
    assert {one.kind for one in assert_explained(tape, "affine_grid_generator", samples=40)} == {"sum_of_products"}


def test_the_grid_of_a_single_row_lies_in_the_middle():
    theta = torch.randn(1, 2, 3)
    tape = record_function(lambda theta: F.affine_grid(theta, (1, 1, 1, 4), align_corners=False), theta)
    assert all(one.terms[1].coefficient == 0 for one in assert_explained(tape, "affine_grid_generator"))


def test_the_gradient_of_an_affine_transformation_is_explained():
    def function(theta, x):
        return F.grid_sample(x, F.affine_grid(theta, [2, 3, 5, 6], align_corners=False), align_corners=False)

    parameters = torch.eye(2, 3).repeat(2, 1, 1) + 0.1 * torch.randn(2, 2, 3), torch.randn(2, 3, 7, 8)
    tape = record_function(function, parameters=parameters, backward=True)
    assert_explained(tape, "affine_grid_generator", "grid_sampler_2d", "grid_sampler_2d_backward", "bmm")


def test_a_point_between_four_pixels_holds_a_quarter_of_each():
    x, grid = torch.tensor([[[[1.0, 2.0], [4.0, 9.0]]]]), torch.zeros(1, 1, 1, 2)
    explanation = record_function(lambda x, g: F.grid_sample(x, g, align_corners=False), x, grid).explain(
        "logits[0,0,0,0]"
    )
    assert explanation.result == 4
    assert [term.address for term in explanation.terms] == [
        *(f"input[0,0,{place}]" for place in ("0,0", "0,1", "1,0", "1,1")),
        "input:1[0,0,0,0]",
        "input:1[0,0,0,1]",
    ]
    assert explanation.formula == (
        "y[b,c,i,j] = Σ x[b,c,v,u]·(1−|p−u|)·(1−|q−v|),  p = ((g₀+1)·W−1)/2, q = ((g₁+1)·H−1)/2"
    )
    moved = explanation.evaluate([1, 2, 4, 9, 0.5, 0])  # half a pixel to the right
    assert moved == 5.5


def test_what_lies_outside_is_0():
    x, grid = torch.ones(1, 1, 2, 2), torch.full((1, 1, 1, 2), 9.0)
    for mode in ("bilinear", "nearest"):
        tape = record_function(lambda x, g: F.grid_sample(x, g, mode=mode, align_corners=False), x, grid)  # noqa: B023
        explanation = tape.explain("logits[0,0,0,0]")
        assert (explanation.result, explanation.formula, explanation.agrees) == (0, "y = 0   (outside)", True)


def test_what_is_not_explained_says_why():
    def function(x, grid):
        return F.grid_sample(x, grid, mode="bicubic", align_corners=False)

    tape = record_function(function, parameters=(torch.randn(1, 1, 5, 5), torch.zeros(1, 2, 2, 2)), backward=True)
    for operation in operations_called(tape, "grid_sampler_2d", "grid_sampler_2d_backward"):
        explanation = tape.explain(operation.outputs[0], (0, 0, 0, 0))
        assert (explanation.kind, explanation.arithmetic.note) == (
            "unexplained",
            "only images that are sampled bilinearly or by the nearest pixel are explained",
        )


def test_a_wrong_explanation_of_a_sampling_does_not_agree():
    parameters = torch.rand(1, 2, 5, 6) + 1, torch.rand(1, 3, 4, 2) * 1.6 - 0.8
    tape = record_function(
        lambda x, g: F.grid_sample(x, g, align_corners=False).square(), parameters=parameters, backward=True
    )
    for explanation in assert_explained(tape, "grid_sampler_2d", "grid_sampler_2d_backward"):
        right = explanation.terms.values
        is_grid = np.array([term.label.startswith("g") for term in explanation.terms], bool)
        if explanation.result:
            for wrong in (np.where(is_grid, right, 1.01 * right), np.where(is_grid, right, 0), right + 0.05 * is_grid):
                assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance

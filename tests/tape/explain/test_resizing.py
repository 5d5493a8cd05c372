"""Resized images and their gradients, over modes, sizes, types and layouts."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, operations_called, record_function

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
MODES = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "trilinear": (3,),
    "bicubic": (2,),
}


def resize_packets(tape):
    return {operation.packet for operation in tape.operations if "upsample" in operation.packet}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    mode=st.sampled_from([*MODES, "bilinear", "bicubic"]),
    axes=st.integers(1, 3),
    size=st.tuples(*[st.integers(1, 19)] * 3),
    outputs=st.tuples(*[st.integers(1, 23)] * 3),
    factor=st.sampled_from([None, 0.5, 1.7, 2.0, 3.0]),
    align_corners=st.booleans(),
    antialias=st.booleans(),
    channels_last=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_any_resizing_and_its_gradient_are_explained(
    mode, axes, size, outputs, factor, align_corners, antialias, channels_last, dtype
):
    axes = axes if axes in MODES[mode] else MODES[mode][0]
    assume(factor is None or min(size[:axes]) * factor >= 1)
    options = {"size": outputs[:axes]} if factor is None else {"scale_factor": factor}
    if "nearest" not in mode:
        options["align_corners"] = align_corners
    if mode in ("bilinear", "bicubic") and antialias and not align_corners and dtype in DTYPES[:2]:
        options["antialias"] = True
    x = torch.randn(2, 3, *size[:axes], dtype=dtype)
    if channels_last and axes == 2:
        x = x.contiguous(memory_format=torch.channels_last)
    tape = record_function(lambda x: F.interpolate(x, mode=mode, **options), parameters=(x,), backward=True)
    kinds = {explanation.kind for explanation in assert_explained(tape, *resize_packets(tape), samples=20)}
    assert kinds == ({"copy", "sum_of_products"} if "nearest" in mode else {"sum_of_products"})


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_a_large_image_is_explained(mode):
    tape = record_function(lambda x: F.interpolate(x, size=(2311, 7), mode=mode), torch.randn(1, 1, 1999, 5))
    assert_explained(tape, *resize_packets(tape), samples=100)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("options", [{"size": (5, 9)}, {"scale_factor": (1.7, 0.6)}])
def test_resizing_in_inference_mode_is_explained(mode, options):
    with torch.inference_mode():
        tape = record_function(lambda x: F.interpolate(x, mode=mode, **options), torch.randn(2, 3, 6, 7))
        assert_explained(tape, *resize_packets(tape))


def test_whole_numbers_are_not_explained():
    x = torch.randint(0, 255, (1, 1, 4, 4), dtype=torch.uint8)
    tape = record_function(lambda _, x: F.interpolate(x, size=(3, 3), mode="bilinear"), torch.zeros(1), x)
    (operation,) = operations_called(tape, "upsample_bilinear2d")
    explanation = tape.explain(operation.outputs[0], (0, 0, 1, 1))
    assert (explanation.kind, explanation.arithmetic.note) == (
        "unexplained",
        "whole numbers are resized in fixed-point arithmetic",
    )


def test_a_pixel_halfway_between_two_is_their_mean():
    x = torch.tensor([[[[1.0, 3.0]]]])
    tape = record_function(lambda x: F.interpolate(x, size=(1, 3), mode="bilinear", align_corners=True), x)
    explanation = tape.explain("logits[0,0,0,1]")
    assert [(term.value, term.coefficient) for term in explanation.terms] == [(1, 0.5), (3, 0.5)]
    assert explanation.result == 2


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_wrong_explanation_of_a_resizing_does_not_agree(mode):
    x = torch.rand(1, 1, 6, 6) + 1
    tape = record_function(lambda x: F.interpolate(x, size=(9, 8), mode=mode).square(), parameters=(x,), backward=True)
    for explanation in assert_explained(tape, *resize_packets(tape)):
        right = explanation.terms.values
        for wrong in ([*right[:-1], 0.0], 0.9 * right, 0 * right):
            assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance

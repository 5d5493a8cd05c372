"""Convolution, over the shapes that it can have."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dotbogi.tape.record import record

from ..conftest import assert_explained, record_function

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    axes=st.sampled_from([1, 2, 2, 3]),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
    transposed=st.booleans(),
    channels_last=st.booleans(),
    dtype=st.sampled_from(DTYPES),
)
def test_any_convolution_is_explained(
    axes, kernel, stride, padding, dilation, groups, bias, transposed, channels_last, dtype
):
    x = torch.randn(2, 4, *(7, 6, 5)[:axes], dtype=dtype)
    if channels_last and axes == 2:
        x = x.contiguous(memory_format=torch.channels_last)
    w = torch.randn(*((4, 8 // groups) if transposed else (8, 4 // groups)), *[kernel] * axes, dtype=dtype)
    parameters = (w, torch.randn(8, dtype=dtype)) if bias else (w,)
    convolve = (TRANSPOSED if transposed else CONVOLVE)[axes]

    def function(images, weight, *biases):
        return convolve(images, weight, *biases, stride=stride, padding=padding, dilation=dilation, groups=groups)

    tape = record_function(function, x, parameters=parameters)
    kinds = {explanation.kind for explanation in assert_explained(tape, "convolution")}
    is_rounded_on_the_way = dtype == torch.float16 and transposed
    assert kinds <= ({"sum_of_products", "reduction"} if is_rounded_on_the_way else {"sum_of_products"})


EVEN = "ignore:Using padding='same' with even kernel lengths:UserWarning"


@pytest.mark.filterwarnings(EVEN)
@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular", "replicate"])
@pytest.mark.parametrize("padding", ["same", 1, (0, 2)])
@pytest.mark.parametrize("kernel", [3, 4])
def test_every_way_of_padding_is_explained(mode, padding, kernel):
    model = nn.Conv2d(2, 3, kernel, padding=padding, padding_mode=mode)
    assert_explained(record(model, torch.randn(2, 2, 6, 7)), "convolution")


@pytest.mark.parametrize("output_padding", [0, 1, 2])
def test_a_transposed_convolution_with_output_padding_is_explained(output_padding):
    model = nn.ConvTranspose2d(3, 4, 3, stride=3, padding=1, output_padding=output_padding)
    assert_explained(record(model, torch.randn(2, 3, 4, 5)), "convolution", samples=60)


@pytest.mark.parametrize("layer", [nn.Conv1d(2, 3, 3), nn.Conv2d(2, 3, 3), nn.ConvTranspose2d(2, 3, 3)])
def test_an_image_without_a_batch_is_explained(layer):
    assert_explained(record(layer, torch.randn(2, *[7] * (layer.weight.dim() - 2))), "convolution")


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_convolutions_in_inference_mode_are_explained(axes, batch):
    with torch.inference_mode():
        x, w, bias = torch.randn(*batch, 4, *[6] * axes), torch.randn(6, 2, *[3] * axes), torch.randn(6)
        for padding in (1, "same", "valid"):
            tape = record_function(lambda *given: CONVOLVE[axes](*given, padding=padding, groups=2), x, w, bias)  # noqa: B023
            assert_explained(tape, f"conv{axes}d")
        w = torch.randn(4, 3, *[3] * axes)
        tape = record_function(lambda *given: TRANSPOSED[axes](*given, stride=2, groups=2), x, w, bias)
        assert_explained(tape, f"conv_transpose{axes}d")


@pytest.mark.filterwarnings(EVEN)
def test_an_even_kernel_keeps_the_size_with_one_more_pixel_behind():
    with torch.inference_mode():
        tape = record_function(
            lambda x, w: F.conv2d(x, w, padding="same"), torch.randn(1, 1, 5, 5), torch.randn(1, 1, 4, 2)
        )
    explanation = tape.explain("logits[0,0,0,0]")
    assert [term.index[2:] for term in explanation.terms] == [(i, j) for i in range(3) for j in range(2)]
    assert explanation.agrees


@pytest.mark.parametrize(
    "call",
    [
        lambda x, w, b: torch.ops.aten.slow_conv_dilated2d(x, w, [3, 3], b, [1, 1], [1, 1], [2, 2]),
        lambda x, w, b: torch.ops.aten.thnn_conv2d(x, w, [3, 3], b, [2, 2], [1, 1]),
        lambda x, w, b: torch.ops.aten._slow_conv2d_forward(x, w, [3, 3], b, [2, 2], [1, 1]),
        lambda x, w, b: torch.ops.aten.slow_conv_transpose2d(
            x, w.transpose(0, 1).contiguous(), [3, 3], b, [2, 2], [1, 1]
        ),
        lambda x, w, b: torch.ops.aten.mkldnn_convolution(x, w, b, [1, 1], [2, 2], [1, 1], 1),
        lambda x, w, b: torch.ops.aten._convolution(x, w, b, [2], [1], [1], False, [0], 1, False, False, False, False),
    ],
)
def test_other_forms_of_convolution_are_explained(call):
    with torch.inference_mode():
        tape = record_function(call, torch.randn(2, 3, 7, 6), torch.randn(4, 3, 3, 3), torch.randn(4))
        assert_explained(tape, *(operation.packet for operation in tape.operations if "conv" in operation.packet))


def test_the_worked_example_adds_up_to_1196():
    # A Laplacian kernel on a bright pixel, written out by hand: 8·200 − (50+52+49+51+53+48+49+52) = 1600 − 404.
    image = torch.tensor([[50.0, 52, 49], [51, 200, 53], [48, 49, 52]]).reshape(1, 1, 3, 3)
    kernel = torch.tensor([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]]).reshape(1, 1, 3, 3)
    explanation = record_function(F.conv2d, image, parameters=(kernel,)).explain("logits[0,0,0,0]")
    assert explanation.recorded == explanation.result == 1196
    assert [term.product for term in explanation.terms] == [-50, -52, -49, -51, 1600, -53, -48, -49, -52]
    assert [term.coefficient for term in explanation.terms] == [-1, -1, -1, -1, 8, -1, -1, -1, -1]
    assert explanation.terms[4].address == "input[0,0,1,1]"
    assert explanation.terms[4].coefficient_address == "weights.0[0,0,1,1]"


def test_the_formula_says_what_the_convolution_has():
    def formula(axes, *operands, transposed=False):
        convolve = (TRANSPOSED if transposed else CONVOLVE)[axes]
        return record_function(convolve, *operands).explain("logits" + str([0] * (axes + 2))).formula

    def ones(*shape):
        return torch.ones(shape)

    assert formula(1, ones(1, 1, 3), ones(1, 1, 2)) == "y[b,o,i] = Σ x[b,c,i·s+u·d−p] · w[o,c,u]"
    assert formula(2, ones(1, 1, 3, 3), ones(1, 1, 2, 2), ones(1)) == (
        "y[b,o,i,j] = Σ x[b,c,i·s+u·d−p,j·s+v·d−p] · w[o,c,u,v] + bias[o]"
    )
    assert formula(1, ones(1, 1, 3), ones(1, 1, 2), transposed=True) == "y[b,o,i] = Σ x[b,c,(i+p−u·d)/s] · w[c,o,u]"


def test_a_place_that_the_kernel_never_reaches_holds_the_bias_alone():
    tape = record_function(
        lambda x, w, b: F.conv_transpose1d(x, w, b, stride=3), torch.ones(1, 1, 2), torch.ones(1, 1, 1), torch.ones(1)
    )
    explanation = tape.explain("logits[0,0,1]")
    assert [term.label for term in explanation.terms] == ["bias[0]"]
    assert explanation.agrees


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("transposed", [True, False])
def test_a_wrong_explanation_of_a_convolution_does_not_agree(dtype, transposed):
    x, w, bias = (
        torch.rand(2, 2, 5, 5, dtype=dtype),
        torch.rand(2, 2, 3, 3, dtype=dtype),
        torch.rand(2, dtype=dtype) + 1,
    )
    convolve = F.conv_transpose2d if transposed else F.conv2d
    tape = record_function(convolve, x, parameters=(w, bias))
    for explanation in assert_explained(tape, "convolution"):
        right = explanation.terms.values
        for wrong in ([*right.tolist()[:-1], 0.0], 0.9 * right, 0 * right):
            assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance


def test_swapped_operands_do_not_agree():
    tape = record_function(F.conv2d, torch.randn(1, 1, 3, 3), parameters=(torch.randn(1, 1, 3, 3),))
    explanation = tape.explain("logits[0,0,0,0]")
    flipped = explanation.terms.values[::-1]
    assert abs(explanation.evaluate(flipped) - explanation.recorded) > explanation.tolerance

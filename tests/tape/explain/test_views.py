"""Views: an element is followed through its memory to where it was made."""

import pytest
import torch
from torch import nn

from dotbogi.tape.arithmetic import copy_of
from dotbogi.tape.explanation import Explanation
from dotbogi.tape.record import record

from ..conftest import assert_explained, operations_called, record_function

VIEWS = {
    "view": lambda x: x.view(2, 3, 20),
    "t": lambda x: x.view(6, 20).t(),
    "transpose": lambda x: x.transpose(-1, 1),
    "permute": lambda x: x.permute(3, 0, -2, 1),
    "expand": lambda x: x[:, :1].expand(7, -1, 3, -1, -1),
    "squeeze": lambda x: x[:, 1:2].squeeze(1),
    "unsqueeze": lambda x: x.unsqueeze(-2),
    "select": lambda x: x.select(-1, -2),
    "slice": lambda x: x[:, :, 1:, ::3],
    "split": lambda x: x.split(2, -1),
    "split_with_sizes": lambda x: x.split([1, 0, 4], 3),
    "unsafe_split": lambda x: x.unsafe_split(2, 1),
    "unbind": lambda x: x.unbind(1),
    "diagonal": lambda x: x.diagonal(-1, 3, 2),
    "unfold": lambda x: x.unfold(-1, 3, 1).unfold(-2, 2, 1),
    "_unsafe_view": lambda x: torch.ops.aten._unsafe_view(x, [6, 20]),
    "as_strided": lambda x: x.as_strided((2, 3), (8, 2), x.storage_offset() + 4),
}


def numbered(shape: tuple[int, ...], dtype: torch.dtype, layout: str) -> torch.Tensor:
    """Numbers that tell their places apart, laid out in memory in different ways."""
    count = torch.Size(shape).numel()
    if layout == "sliced":
        return torch.arange(2.0 * count).view(2, *shape)[1].to(dtype)
    x = torch.arange(float(count)).view(shape).to(dtype)
    return x.view_as(x) if layout == "contiguous" else torch.stack([x, x], -1)[..., 0]


def assert_copied_from_input(explanations):
    for explanation in explanations:
        assert explanation.kind == "copy"
        assert explanation.difference == 0
        assert explanation.terms[0].address.startswith("input")


@pytest.mark.parametrize("packet", VIEWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
@pytest.mark.parametrize("layout", ["contiguous", "sliced", "every second"])
def test_a_view_leads_to_the_element_that_lies_there(packet, dtype, layout):
    x = numbered((2, 3, 4, 5), dtype, layout)
    tape = record_function(lambda unused, x: VIEWS[packet](x), torch.zeros(1), x)
    assert_copied_from_input(assert_explained(tape, packet))


def test_views_of_views_that_overlap_are_followed():
    x = torch.arange(12.0)
    tape = record_function(lambda x: x.unfold(0, 5, 2).t().select(0, 3).unsqueeze(0), x)
    assert_copied_from_input(assert_explained(tape, "unfold", "t", "select", "unsqueeze"))
    assert tape.explain("logits[0,2]").terms[0].address == "input[7]"


def test_a_view_in_place_leads_to_what_was_there():
    def function(x):
        y = x * 2
        y.unsqueeze_(0)
        y.transpose_(0, 1)
        y.squeeze_(1)
        return y.t_()

    tape = record_function(function, torch.arange(6.0).view(2, 3))
    explanations = assert_explained(tape, "unsqueeze_", "transpose_", "squeeze_", "t_")
    assert {explanation.kind for explanation in explanations} == {"copy"}
    assert tape.explain("logits[2,1]").terms[0].value == 10


def test_a_view_that_reaches_beyond_its_input_is_followed_to_what_lies_there():
    def function(x):
        y = x * 2
        return y[0].as_strided((2, 3), (3, 1), 3)

    tape = record_function(function, torch.arange(12.0).view(4, 3))
    (operation,) = operations_called(tape, "as_strided")
    explanation = tape.explain(operation.outputs[0], (1, 2))
    assert explanation.kind == "copy"
    assert explanation.terms[0].address == "op 0[2,2]"


def test_a_view_of_what_was_never_recorded_is_given():
    tape = record_function(lambda x: x.as_strided((2,), (1,), 0), torch.arange(12.0)[6:])
    (operation,) = operations_called(tape, "as_strided")
    assert tape.explain(operation.outputs[0], (1,)).kind == "given"


def test_the_same_bytes_read_as_another_type_are_not_explained():
    tape = record_function(lambda x: x.view(torch.int32), torch.ones(3))
    (operation,) = operations_called(tape, "view")
    explanation = tape.explain(operation.outputs[0], (1,))
    assert explanation.kind == "unexplained"
    assert explanation.arithmetic.note == "the same bytes, read as numbers of another type"


def test_a_view_that_has_a_name_leads_to_what_it_is_a_view_of():
    """Not to itself for ever."""
    tape = record(nn.Sequential(nn.Identity(), nn.ReLU(), nn.Flatten()), torch.randn(2, 3, 4))
    assert tape.explain("2[1,5]").terms[0].address == "1[1,1,1]"
    tape = record_function(lambda x: (x * 2).flatten(1), torch.randn(2, 3, 4))
    assert tape.explain("logits[1,5]").terms[0].address == "op 0[1,1,1]"


class WritesIntoSlices(nn.Module):
    """A person's module that fills a tensor part by part."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        y = self.convolution(x)
        out = x.clone()
        out[:, 0] = y[:, 1] * 2
        out[:, 2, ::2] += y[:, 2, ::2]
        out[:, 1].mul_(3)
        return out.sum((2, 3))


def test_what_is_written_into_slices_leads_to_each_origin():
    tape = record(WritesIntoSlices(), torch.randn(2, 3, 4, 4))
    (total,) = operations_called(tape, "sum")
    explanation = tape.explain(total.outputs[0], (1, 0))
    assert {explanation.tape.explain_at(term.value_id, term.index).kind for term in explanation.terms} == {"copy"}
    written = tape.explain(explanation.terms[0].address)
    assert written.operation is not None
    assert written.operation.packet == "copy_"
    assert tape.explain(written.terms[0].address).operation.packet == "mul"
    assert_each_term_holds(tape, total.outputs[0])


def assert_each_term_holds(tape, value):
    for channel in range(3):
        explanation = tape.explain(value, (1, channel))
        assert explanation.agrees
        for term in explanation.terms:
            inner = tape.explain_at(term.value_id, term.index)
            assert inner.recorded == term.value
            assert inner.kind not in ("given", "unexplained")
            assert inner.agrees


def test_channels_that_were_not_written_lead_to_the_copy_of_the_input():
    tape = record(WritesIntoSlices(), torch.randn(2, 3, 4, 4))
    (total,) = operations_called(tape, "sum")
    origins = [
        tape.explain_at(term.value_id, term.index).operation.packet
        for term in tape.explain(total.outputs[0], (0, 2)).terms
    ]
    assert origins[:4] == ["copy_"] * 4  # out[:, 2, ::2] += … writes the sum back
    assert origins[4:8] == ["clone"] * 4


def test_a_named_output_that_was_written_part_by_part_leads_to_each_part():
    def function(x):
        out = torch.empty_like(x)
        out[0] = x[1] * 2
        out[1] = x[0] + 1
        return out

    tape = record_function(function, torch.randn(2, 3))
    first, second = tape.explain("logits[0,1]"), tape.explain("logits[1,1]")
    assert [tape.explain(one.terms[0].address).operation.packet for one in (first, second)] == ["mul", "add"]


def test_an_input_that_is_written_into_stays_the_input_elsewhere():
    def function(x, y):
        x[:, 0] = y
        return x.sum(0)

    tape = record_function(function, torch.randn(3, 4), torch.randn(3))
    assert {term.address[:7] for term in tape.explain("logits[0]").terms} <= {"op 1[0]", "op 1[1]", "op 1[2]"}
    assert tape.explain("input[0,0]").kind == "given"
    assert [term.address for term in tape.explain("logits[2]").terms] == ["input[0,2]", "input[1,2]", "input[2,2]"]


def test_the_gradient_through_slices_is_explained():
    tape = record(
        WritesIntoSlices(),
        (torch.randn(2, 3, 4, 4), torch.tensor([0, 2])),
        loss=nn.functional.cross_entropy,
        optimizer="sgd",
    )
    assert_explained(tape, "as_strided", "select_backward", "slice_backward", "slice", "select", "clone")
    (gradient,) = [op for op in tape.operations if op.packet == "convolution_backward"]
    for term in tape.explain(gradient.outputs[0], (1, 0, 1, 1)).terms:
        assert tape.explain(term.address).agrees


def test_a_neighbour_in_the_place_of_the_element_is_caught():
    tape = record_function(lambda x: x.t() * 1, torch.arange(6.0).view(2, 3))
    (operation,) = operations_called(tape, "t")
    value = operation.outputs[0]
    wrong = copy_of(operation.inputs[0], (1, 1))
    assert tape.explain(value, (2, 1)).agrees
    assert not Explanation(tape, "", value, (2, 1), wrong, operation).agrees

"""Order, over axes, directions, ties and NaN."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dotbogi.tape.arithmetic import copy_of
from dotbogi.tape.explanation import Explanation

from ..conftest import assert_explained, operations_called, record_function

DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64])
KINDS = st.sampled_from(["different", "ties", "NaN"])

ORDERS = {
    "sort": lambda x, dim, first, keepdim: tuple(x.sort(dim, descending=first)),
    "sort ": lambda x, dim, first, keepdim: tuple(x.sort(dim=dim, descending=first, stable=True)),
    "sort  ": lambda x, dim, first, keepdim: x.argsort(dim, descending=first),
    "topk": lambda x, dim, first, keepdim: tuple(x.topk(3, dim, largest=first)),
    "topk ": lambda x, dim, first, keepdim: tuple(x.topk(3, dim, largest=first, sorted=False)),
    "kthvalue": lambda x, dim, first, keepdim: tuple(x.kthvalue(2, dim, keepdim)),
    "median": lambda x, dim, first, keepdim: tuple(x.median(dim, keepdim)),
    "median ": lambda x, dim, first, keepdim: x.median(),
    "nanmedian": lambda x, dim, first, keepdim: tuple(x.nanmedian(dim, keepdim)),
    "nanmedian ": lambda x, dim, first, keepdim: x.nanmedian(),
    "mode": lambda x, dim, first, keepdim: tuple(x.mode(dim, keepdim)),
}


def numbers(kind: str, dtype: torch.dtype, *shape: int) -> torch.Tensor:
    """Random numbers: all different, many equal, or some not a number."""
    count = torch.Size(shape).numel()
    if kind == "different" or (kind == "NaN" and not dtype.is_floating_point):
        return torch.randperm(count).sub(count // 2).view(shape).to(dtype)
    x = torch.randint(-2, 3, shape).to(dtype)
    return x.masked_fill(torch.rand(shape) < 0.15, math.nan) if kind == "NaN" else x


@pytest.mark.parametrize("packet", ORDERS)
@settings(max_examples=6, deadline=None)
@given(dtype=DTYPES, kind=KINDS, dim=st.integers(-3, 2), first=st.booleans(), keepdim=st.booleans())
def test_the_place_in_order_is_found_among_all(packet, dtype, kind, dim, first, keepdim):
    x = numbers("ties" if packet == "mode" and kind == "NaN" else kind, dtype, 4, 3, 5)
    tape = record_function(lambda unused, x: ORDERS[packet](x, dim, first, keepdim), torch.zeros(1), x)
    for explanation in assert_explained(tape, packet.strip(), samples=8):
        assert explanation.kind == "selection"
        assert explanation.difference == 0
        chosen = explanation.terms[explanation.arithmetic.chosen].value
        assert explanation.value.output == 1 or chosen == explanation.result or math.isnan(chosen)


def test_what_overtakes_is_taken():
    tape = record_function(lambda x: (*x.topk(2), x.median()), torch.tensor([4.0, 1.0, 3.0, 2.0, 0.0]))
    assert [tape.explain(f"logits{output}[0]").evaluate([4, 9, 3, 2, 0]) for output in ("", ":1")] == [9, 1]
    assert tape.explain("logits:2").evaluate([4, 1, 3, 9, 0]) == 3


@pytest.mark.parametrize("packet", ["sort", "topk", "kthvalue", "median", "mode"])
def test_the_gradient_goes_to_what_was_taken(packet):
    x = numbers("different", torch.float32, 4, 3, 5)
    tape = record_function(lambda x: ORDERS[packet](x, 1, True, True)[0], parameters=(x,), backward=True)
    assert {explanation.kind for explanation in assert_explained(tape, "scatter", samples=60)} <= {"copy"}


def test_a_number_without_axes_is_in_order():
    tape = record_function(lambda x: (*x.sort(), *x.topk(1), *x.kthvalue(1), x.median()), torch.tensor(3.0))
    assert_explained(tape, "sort", "topk", "kthvalue", "median")


def test_the_neighbour_in_order_is_caught():
    tape = record_function(lambda x: x.sort()[0], torch.tensor([1.0, 3.0, 2.0]))
    (operation,) = operations_called(tape, "sort")
    wrong = copy_of(operation.inputs[0], (2,))
    assert tape.explain(operation.outputs[0], (2,)).agrees
    assert not Explanation(tape, "", operation.outputs[0], (2,), wrong, operation).agrees

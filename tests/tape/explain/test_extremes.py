"""The largest and the smallest, over axes, types, ties and NaN."""

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

EXTREMES = {
    "max": lambda x, dim, keepdim: tuple(x.max(dim, keepdim)),
    "max ": lambda x, dim, keepdim: x.max(),
    "min": lambda x, dim, keepdim: tuple(x.min(dim, keepdim)),
    "min ": lambda x, dim, keepdim: x.min(),
    "amax": lambda x, dim, keepdim: x.amax((dim, 0) if dim % 3 else dim, keepdim),
    "amax ": lambda x, dim, keepdim: x.amax(),
    "amin": lambda x, dim, keepdim: x.amin(dim, keepdim),
    "aminmax": lambda x, dim, keepdim: tuple(x.aminmax(dim=dim, keepdim=keepdim)),
    "aminmax ": lambda x, dim, keepdim: tuple(x.aminmax()),
    "argmax": lambda x, dim, keepdim: x.argmax(dim, keepdim),
    "argmax ": lambda x, dim, keepdim: x.argmax(),
    "argmin": lambda x, dim, keepdim: x.argmin(dim, keepdim),
    "cummax": lambda x, dim, keepdim: tuple(x.cummax(dim)),
    "cummin": lambda x, dim, keepdim: tuple(x.cummin(dim)),
}


def numbers(kind: str, dtype: torch.dtype, *shape: int) -> torch.Tensor:
    """Random numbers: all different, many equal, or some not a number."""
    count = torch.Size(shape).numel()
    if kind == "different" or (kind == "NaN" and not dtype.is_floating_point):
        return torch.randperm(count).sub(count // 2).view(shape).to(dtype)
    x = torch.randint(-2, 3, shape).to(dtype)
    return x.masked_fill(torch.rand(shape) < 0.15, math.nan) if kind == "NaN" else x


@pytest.mark.parametrize("packet", EXTREMES)
@settings(max_examples=5, deadline=None)
@given(dtype=DTYPES, kind=KINDS, dim=st.integers(-3, 2), keepdim=st.booleans(), transposed=st.booleans())
def test_the_winner_is_found_among_all(packet, dtype, kind, dim, keepdim, transposed):
    x = numbers(kind, dtype, 4, 3, 5)
    x = x.transpose(0, 2) if transposed else x
    tape = record_function(lambda unused, x: EXTREMES[packet](x, dim, keepdim), torch.zeros(1), x)
    for explanation in assert_explained(tape, packet.strip(), samples=6):
        assert explanation.kind == "selection"
        assert explanation.difference == 0
        chosen = explanation.terms[explanation.arithmetic.chosen].value
        assert explanation.value.dtype == torch.int64 or chosen == explanation.result or math.isnan(chosen)


@pytest.mark.parametrize("packet", ["max", "max ", "amax", "argmax", "argmax ", "cummax"])
def test_a_loser_that_is_raised_wins(packet):
    tape = record_function(lambda x: EXTREMES[packet](x, 1, False), numbers("different", torch.float32, 4, 3, 5))
    for explanation in assert_explained(tape, packet.strip(), samples=4):
        values = [term.value for term in explanation.terms]
        is_place = packet.startswith("arg") or explanation.value.output == 1
        for position in range(len(values)):
            raised = explanation.evaluate([*values[:position], 1e6, *values[position + 1 :]])
            assert raised == (position if is_place else 1e6)


@settings(max_examples=10, deadline=None)
@given(dtype=DTYPES, kind=KINDS)
def test_the_larger_of_two_is_a_formula_of_both(dtype, kind):
    x, y = numbers(kind, dtype, 4, 3), numbers(kind, dtype, 3)

    @torch.inference_mode()  # elsewhere it arrives as maximum
    def function(unused, x, y):
        return torch.max(x, y), torch.min(x, y)

    tape = record_function(function, torch.zeros(1), x, y)
    assert {len(explanation.terms) for explanation in assert_explained(tape, "max", "min")} == {2}


def test_a_number_without_axes_is_its_own_largest():
    tape = record_function(lambda x: (x.max(), x.amin(), x.argmax(), *x.cummax(0)), torch.tensor(3.0))
    assert_explained(tape, "max", "amin", "argmax", "cummax")


def test_the_gradient_of_the_largest_is_explained():
    x = numbers("different", torch.float32, 4, 3, 5)
    tape = record_function(lambda x: x.max(1)[0], parameters=(x,), backward=True)
    kinds = {explanation.kind for explanation in assert_explained(tape, "scatter", samples=60)}
    assert kinds == {"copy"}


def test_a_loser_in_the_place_of_the_winner_is_caught():
    tape = record_function(lambda x: x.amax(0), torch.tensor([1.0, 3.0, 2.0]))
    (operation,) = operations_called(tape, "amax")
    wrong = copy_of(operation.inputs[0], (2,))
    assert tape.explain(operation.outputs[0], ()).agrees
    assert not Explanation(tape, "", operation.outputs[0], (), wrong, operation).agrees

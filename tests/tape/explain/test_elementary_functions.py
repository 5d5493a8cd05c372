"""Functions of one number or two, over shapes, types and memory formats."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function
from .elementwise_tensors import FLOATS, assert_bites, broadcast_operands

A = torch.ops.aten
ANY = "abs sign sgn exp exp2 expm1 sin cos tan sinh cosh tanh atan asinh erf erfc lgamma"
ANY += " floor ceil trunc round frac sigmoid"
POSITIVE = "sqrt rsqrt log log1p log2 log10"
BETWEEN = "asin acos atanh logit"
EXPONENTS = (2, 3, 4, -1, -2, 0.5, -0.5, 0.3337, 0, 1)
FUNCTIONS = {name: getattr(A, name).default for name in ANY.split()}
FUNCTIONS |= {name: lambda x, name=name: getattr(A, name).default(x.abs() + 0.01) for name in POSITIVE.split()}
FUNCTIONS |= {name: lambda x, name=name: getattr(A, name).default(x.abs() / (x.abs() + 1)) for name in BETWEEN.split()}
FUNCTIONS |= {f"pow {n}": lambda x, n=n: A.pow.Tensor_Scalar(x.abs() + 0.01, n) for n in EXPONENTS}
FUNCTIONS |= {
    "pow of a negative": lambda x: A.pow.Tensor_Scalar(x, 3),
    "pow, not a number": lambda x: A.pow.Tensor_Scalar(x, 0.5),
    "pow of a number": lambda x: A.pow.Scalar(1.7, x),
    "acosh": lambda x: A.acosh.default(x.abs() + 1.01),
    "logit with ε": lambda x: A.logit.default(x, 0.1),
    "round to tenths": lambda x: A.round.decimals(x, decimals=1),
    "round to tens": lambda x: A.round.decimals(x, decimals=-1),
    "exp_": lambda x: x.clone().exp_(),
}


def explained(name, x, samples=6):
    packet = name.split()[0].rstrip(",")
    return assert_explained(record_function(FUNCTIONS[name], x), packet, samples=samples)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(FUNCTIONS)), operands=broadcast_operands(1))
def test_any_function_is_explained(name, operands):
    explained(name, *operands)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_explained_in_every_type(name):
    for dtype in FLOATS:
        explained(name, torch.randn(4, 20).to(dtype))
        explained(name, torch.randn(70).to(dtype))


@settings(max_examples=30, deadline=None)
@given(operands=broadcast_operands(2, largest=6))
def test_functions_of_two_tensors_are_explained(operands):
    def function(a, b):
        return [
            A.pow.Tensor_Tensor(a.abs() + 0.1, b),
            A.atan2.default(a, b),
            A.xlogy.Tensor(a, b.abs()),
            torch.copysign(a, b),
            torch.logaddexp(a, b),
        ]

    assert_explained(record_function(function, *operands), "pow", "atan2", "xlogy", "copysign", "logaddexp", samples=4)


@pytest.mark.parametrize("name", ["exp", "sign", "abs", "pow 2", "pow of a negative", "sqrt", "floor"])
def test_functions_of_integers_are_explained(name):
    packet = name.split()[0]
    integers = torch.arange(-3, 9)
    if packet == "sqrt":
        integers = integers.abs()
    function = FUNCTIONS[name] if packet != "sqrt" else torch.sqrt
    tape = record_function(lambda _unused, x: function(x), torch.zeros(1), integers)
    assert_explained(tape, packet)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "round to tens"])
def test_infinities_and_nan_are_explained(name):
    explained(name, torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-30]))


def test_a_square_that_is_not_taken_apart_is_explained():
    def function(x):
        with torch.inference_mode():
            return torch.square(x)

    assert_explained(record_function(function, torch.randn(3)), "square")


def test_a_half_is_rounded_to_the_even_integer():
    tape = record_function(torch.round, torch.tensor([0.5, 1.5, 2.5, -0.5]))
    assert [tape.explain(f"logits[{place}]").result for place in range(4)] == [0.0, 2.0, 2.0, 0.0]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["exp", "sigmoid", "pow 3", "sqrt", "tanh", "log"])
def test_a_wrong_explanation_is_caught(name, dtype):
    assert_bites(explained(name, torch.full((2,), 0.7, dtype=dtype))[0])


def test_a_small_sigmoid_is_not_explained_by_0():
    assert_bites(explained("sigmoid", torch.tensor([-20.0]))[0])

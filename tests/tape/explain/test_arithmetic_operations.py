"""Sums, products, quotients and remainders, over shapes, types and memory formats."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function
from .elementwise_tensors import FLOATS, assert_bites, broadcast_operands, wrongly

A = torch.ops.aten
TWO = {
    "add": A.add.Tensor,
    "sub": A.sub.Tensor,
    "rsub": A.rsub.Tensor,
    "add with α": lambda a, b: A.add.Tensor(a, b, alpha=0.77),
    "sub with α": lambda a, b: A.sub.Tensor(a, b, alpha=-0.3),
    "rsub with α": lambda a, b: A.rsub.Tensor(a, b, alpha=0.77),
    "mul": A.mul.Tensor,
    "div": A.div.Tensor,
    "div, floor": lambda a, b: A.div.Tensor_mode(a, b, rounding_mode="floor"),
    "div, trunc": lambda a, b: A.div.Tensor_mode(a, b, rounding_mode="trunc"),
    "floor_divide": A.floor_divide.default,
    "remainder": A.remainder.Tensor,
    "fmod": A.fmod.Tensor,
    "hypot": A.hypot.default,
    "add_": lambda a, b: a.clone().add_(b, alpha=0.77),
    "mul_": lambda a, b: a.clone().mul_(b.double()),
    "div_": lambda a, b: a.clone().div_(b),
    "a number's tensor first": lambda a, b: A.sub.Tensor(torch.tensor(0.3337), a),
    "a number's tensor second": lambda a, b: A.mul.Tensor(a, torch.tensor(0.3337, dtype=torch.float64)),
    "a number's tensor divided": lambda a, b: A.div.Tensor(torch.tensor(0.3337), a),
}
ONE = {
    "add": lambda a: a + 0.3337,
    "add.Scalar": lambda a: A.add.Scalar(a, 0.3337, 0.77),
    "sub": lambda a: a - 0.3337,
    "rsub": lambda a: 2 - a,
    "rsub with α": lambda a: A.rsub.Scalar(a, 0.3337, 0.77),
    "mul": lambda a: A.mul.Tensor(a, -0.3337),
    "mul by 0": lambda a: a * 0,
    "div": lambda a: A.div.Scalar(a, 0.3337),
    "div_": lambda a: a.clone().div_(3),
    "div, floor": lambda a: A.div.Scalar_mode(a, 0.3337, rounding_mode="floor"),
    "div, trunc": lambda a: A.div.Scalar_mode(a, -0.3337, rounding_mode="trunc"),
    "remainder": lambda a: a % 0.3337,
    "fmod": lambda a: A.fmod.Scalar(a, -0.3337),
    "reciprocal": A.reciprocal.default,
    "neg": A.neg.default,
}
THREE = {
    "addcmul": lambda x, a, b: A.addcmul.default(x, a, b, value=0.3337),
    "addcmul_": lambda x, a, b: x.clone().addcmul_(a, b),
    "addcdiv": lambda x, a, b: A.addcdiv.default(x, a, b, value=-0.3337),
    "lerp, near": lambda a, b, w: A.lerp.Scalar(a, b, 0.1),
    "lerp, far": lambda a, b, w: A.lerp.Scalar(a, b, 0.9),
    "lerp, outside": lambda a, b, w: a.clone().lerp_(b.expand(a.shape), -1.5),
    "lerp, tensor": A.lerp.Tensor,
}
PACKETS = (
    "add",
    "sub",
    "rsub",
    "mul",
    "div",
    "floor_divide",
    "remainder",
    "fmod",
    "hypot",
    "reciprocal",
    "neg",
    "lerp",
)
PACKETS = (*PACKETS, "add_", "mul_", "div_", "lerp_", "addcmul", "addcmul_", "addcdiv")


def explained(function, *operands):
    """Records a function and checks what is of this family in it."""
    tape = record_function(function, *operands)
    return assert_explained(tape, *PACKETS, samples=6)


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(TWO)), operands=broadcast_operands(2, largest=6))
def test_any_operation_on_two_tensors_is_explained(name, operands):
    explained(TWO[name], *operands)


DIVISORS = {
    "full": lambda b: b,
    "column-major": lambda b: b.t().contiguous().t(),
    "a row": lambda b: b[0].clone(),
    "a column": lambda b: b[:, :1].clone(),
    "one": lambda b: b[0, :1].clone(),
    "one, expanded": lambda b: b[0, :1].expand(6),
    "no axis": lambda b: b[0, 0].clone(),
}


@pytest.mark.parametrize("mode", ["floor", "trunc"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", DIVISORS)
def test_large_quotients_are_cut_off_as_torch_rounds_them(mode, dtype, shape):
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(40, 6, generator=draw) * 300).to(dtype), torch.rand(40, 6, generator=draw).add(0.1).to(dtype)
    tape = record_function(lambda a, b: A.div.Tensor_mode(a, b, rounding_mode=mode), a, DIVISORS[shape](b))
    assert_explained(tape, "div", samples=240)


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(ONE)), operands=broadcast_operands(1))
def test_any_operation_with_a_number_is_explained(name, operands):
    explained(ONE[name], *operands)


@settings(max_examples=80, deadline=None)
@given(name=st.sampled_from(sorted(THREE)), operands=broadcast_operands(3))
def test_any_operation_on_three_tensors_is_explained(name, operands):
    explained(THREE[name], *operands)


@pytest.mark.parametrize("name", [*TWO, *ONE])
def test_every_operation_is_explained_in_every_type(name):
    for dtype in FLOATS:
        a, b = torch.randn(5, 40).to(dtype), torch.randn(5, 40).to(dtype)
        explained(TWO.get(name, lambda a, _b, name=name: ONE[name](a)), a, b)
        explained(TWO.get(name, lambda a, _b, name=name: ONE[name](a)), a, b.t().contiguous().t())


@settings(max_examples=20, deadline=None)
@given(
    dtype=st.sampled_from([torch.uint8, torch.int8, torch.int32, torch.int64]),
    other=st.sampled_from([torch.uint8, torch.int16, torch.int64, torch.bool, torch.float32]),
    seed=st.integers(0, 2**32),
)
def test_integers_are_exact(dtype, other, seed):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randint(1, 127, (4, 3), generator=generator).to(dtype)
    b = torch.randint(1, 127, (3,), generator=generator).to(other)

    def function(unused, a, b):
        return [a + b, a * b, a // b.float().add(1).to(dtype), a + 200, -a if dtype != torch.uint8 else a * 3, a / 3]

    for explanation in explained(function, torch.zeros(1), a, b):
        if not explanation.value.dtype.is_floating_point:
            assert explanation.result == explanation.recorded


def test_truth_values_are_added_as_either_and_multiplied_as_both():
    a, b = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    results = [one.result for one in explained(lambda _unused, a, b: [a + b, a * b], torch.zeros(1), a, b)]
    assert set(results) == {0.0, 1.0}


def test_infinities_and_nan_are_explained():
    special = torch.tensor([float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 3e38, 1e-42])
    a, b = special.repeat(7), special.repeat_interleave(7)
    for name in ("add", "sub with α", "mul", "div", "add_"):
        explained(TWO[name], a, b)


def test_what_overflows_float16_is_explained():
    x = torch.full((3,), 60000.0, dtype=torch.float16)
    assert {one.recorded for one in explained(lambda x: [x + x, x * 2], x)} == {float("inf")}


def test_kinds():
    def kinds(function, *operands):
        return {one.kind for one in explained(function, *operands)}

    a, b = torch.randn(3), torch.randn(3)
    assert kinds(TWO["add with α"], a, b) == {"sum_of_products"}
    assert kinds(ONE["mul"], a) == {"sum_of_products"}
    assert kinds(ONE["neg"], a) == {"sum_of_products"}
    assert kinds(lambda a, b: A.lerp.Scalar(a, b, 0.1), a, b) == {"sum_of_products"}
    assert kinds(TWO["mul"], a, b) == {"function"}
    assert kinds(ONE["add"], a) == {"function"}


def test_adams_running_average_reads_as_on_paper():
    """m = β₁·m + (1 − β₁)·g, which torch writes as lerp (Kingma & Ba 2014, arXiv:1412.6980)."""
    m, g = torch.tensor([2.0]), torch.tensor([-1.0])
    (explanation,) = explained(lambda m, g: m.clone().lerp_(g, 1 - 0.9), m, g)
    assert [term.coefficient for term in explanation.terms] == pytest.approx([0.9, 0.1])
    assert explanation.result == pytest.approx(1.7)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["mul", "div", "add with α", "sub"])
def test_a_wrong_explanation_is_caught(name, dtype):
    a, b = torch.full((2,), 1e-3, dtype=dtype), torch.full((2,), 0.25, dtype=dtype)
    explanation = explained(TWO[name], a, b)[0]
    if name != "sub":
        assert_bites(explanation)
    assert not wrongly(explanation, result=lambda numbers: float(numbers[0])).agrees, "an operand is dropped"
    if name in ("div", "sub"):
        right = explanation.arithmetic.result or (lambda numbers: float(numbers[0] - numbers[1]))
        assert not wrongly(explanation, result=lambda numbers: right(numbers[::-1])).agrees, "they are swapped"

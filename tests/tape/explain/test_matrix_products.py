"""Products of matrices and vectors, over the shapes, types and layouts that they can have."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import assert_explained, record_function

SIZES = st.integers(1, 9)
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16])
LAYOUTS = st.sampled_from(["contiguous", "transposed", "strided", "expanded"])


def made(shape: tuple[int, ...], dtype: torch.dtype, layout: str = "contiguous") -> torch.Tensor:
    """A tensor of a shape whose last two axes lie in memory as asked for."""
    if layout == "transposed" and len(shape) > 1:
        return torch.randn(*shape[:-2], shape[-1], shape[-2], dtype=dtype).transpose(-1, -2)
    if layout == "strided":
        return torch.randn(*shape[:-1], 2 * shape[-1], dtype=dtype)[..., ::2]
    if layout == "expanded":
        return torch.randn(*shape[:-1], 1, dtype=dtype).expand(shape)
    return torch.randn(shape, dtype=dtype)


def assert_products(function, *inputs, packet, kinds=("sum_of_products",), **options):
    explanations = assert_explained(record_function(function, *inputs, **options), packet, samples=6)
    assert {explanation.kind for explanation in explanations} <= set(kinds)
    return explanations


@settings(max_examples=25, deadline=None, derandomize=True)
@given(i=SIZES, k=SIZES, j=SIZES, dtype=DTYPES, one=LAYOUTS, other=LAYOUTS)
def test_products_of_two_are_explained(i, k, j, dtype, one, other):
    a, b = made((i, k), dtype, one), made((k, j), dtype, other)
    assert_products(torch.mm, a, b, packet="mm")
    assert_products(torch.bmm, made((3, i, k), dtype, one), made((3, k, j), dtype, other), packet="bmm")
    assert_products(torch.mv, a, b[:, 0], packet="mv")
    assert_products(torch.dot, a[0], b[:, 0], packet="dot")
    assert_products(torch.vdot, a[0], b[:, 0], packet="vdot")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    i=SIZES,
    k=SIZES,
    j=SIZES,
    dtype=DTYPES,
    one=LAYOUTS,
    other=LAYOUTS,
    beta=st.sampled_from([0, 1, 0.3, -2]),
    alpha=st.sampled_from([1, 1.7]),
    added=st.sampled_from(["all", "bias", "column", "one"]),
)
def test_products_that_are_added_to_something_are_explained(i, k, j, dtype, one, other, beta, alpha, added):
    shape = {"all": (i, j), "bias": (j,), "column": (i, 1), "one": (1,)}[added]
    c, scales = torch.randn(shape, dtype=dtype), {"beta": beta, "alpha": alpha}
    a, b = made((i, k), dtype, one), made((k, j), dtype, other)
    many_a, many_b = made((3, i, k), dtype, one), made((3, k, j), dtype, other)
    rounded = ("sum_of_products", "reduction")
    assert_products(lambda c, a, b: torch.addmm(c, a, b, **scales), c, a, b, packet="addmm")
    assert_products(lambda c, a, b: torch.baddbmm(c, a, b, **scales), c, many_a, many_b, packet="baddbmm")
    assert_products(lambda c, a, b: torch.addbmm(c, a, b, **scales), c, many_a, many_b, packet="addbmm", kinds=rounded)
    vector = torch.randn(i if added == "all" else 1, dtype=dtype)
    assert_products(lambda c, a, b: torch.addmv(c, a, b, **scales), vector, a, b[:, 0], packet="addmv", kinds=rounded)
    assert_products(lambda c, a, b: torch.addr(c, a, b, **scales), c, a[:, 0], b[0], packet="addr", kinds=rounded)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(40,), (4, 40), (2, 3, 40)])
def test_a_linear_layer_and_its_gradients_are_explained(dtype, bias, shape):
    x, w, b = torch.randn(shape, dtype=dtype), torch.randn(5, 40, dtype=dtype), torch.randn(5, dtype=dtype)
    parameters = (x, w, b) if bias else (x, w)
    tape = record_function(F.linear, parameters=parameters, backward=True)
    packets = {operation.packet for operation in tape.operations} & {"mm", "addmm", "mv", "bmm"}
    assert_explained(tape, *packets)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("transposed", [True, False])
def test_large_products_in_any_type_are_explained(dtype, transposed):
    a = made((64, 700), dtype, "transposed" if transposed else "contiguous")
    c, b, v = torch.randn(64, dtype=dtype), torch.randn(700, 64, dtype=dtype), torch.randn(700, dtype=dtype)
    assert_products(torch.addmm, c, a, b, packet="addmm")
    assert_products(lambda c, a, v: torch.addmv(c, a, v, beta=0.3, alpha=1.7), c, a, v, packet="addmv")


@pytest.mark.parametrize("a, b", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4))])
def test_matmul_of_vectors_in_inference_mode_is_explained(a, b):
    with torch.inference_mode():
        assert_products(torch.matmul, torch.randn(a), torch.randn(b), packet="matmul")


@pytest.mark.parametrize(
    "a, b", [((2, 3), (3, 4)), ((5, 1, 2, 3), (6, 3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (3, 4))]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matmul_of_stacks_in_inference_mode_is_explained(a, b, dtype):
    with torch.inference_mode():
        assert_products(torch.matmul, torch.randn(a, dtype=dtype), torch.randn(b, dtype=dtype), packet="matmul")


@pytest.mark.parametrize("shape", [(8,), (4, 8), (2, 3, 8)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_in_inference_mode_is_explained(shape, bias):
    operands = [torch.randn(shape), torch.randn(5, 8), torch.randn(5)][: 3 if bias else 2]
    with torch.inference_mode():
        found = assert_products(F.linear, *operands, packet="linear")
    assert all(len(explanation.terms) == 8 + bias for explanation in found)


def test_outer_in_inference_mode_is_explained():
    with torch.inference_mode():
        found = assert_products(torch.outer, torch.randn(3), torch.randn(4), packet="outer")
        found += assert_products(torch.ger, torch.randn(3), torch.randn(4), packet="ger")
    assert all(len(explanation.terms) == 1 for explanation in found)


def test_the_gradients_of_a_linear_layer_elsewhere_are_explained():
    # No kernel of this name runs on a CPU; what it computes is the same everywhere (autograd's formula of linear).
    def kernel(x, delta, w, mask):
        flat, deltas = x.flatten(0, -2), delta.flatten(0, -2)
        return delta @ w, deltas.T @ flat, deltas.sum(0)

    library = torch.library.Library("aten", "IMPL")
    library.impl("linear_backward", kernel, "CPU")
    x, delta, w = torch.randn(2, 3, 4), torch.randn(2, 3, 5), torch.randn(5, 4)
    backward = torch.ops.aten.linear_backward
    with torch.no_grad():
        tape = record_function(lambda *given: backward(*given, [True] * 3), x, delta, w)
    library._destroy()
    assert len(assert_explained(tape, "linear_backward")) > 20


def test_integers_are_explained_exactly():
    a, b = torch.randint(-9, 9, (3, 4)), torch.randint(-9, 9, (4, 5))
    found = assert_products(lambda _, a, b: a @ b, torch.zeros(1), a, b, packet="mm")
    assert all(explanation.difference == 0 and explanation.tolerance == 0 for explanation in found)


def test_what_beta_0_leaves_out_may_be_nan():
    c = torch.full((2,), torch.nan)
    found = assert_products(
        lambda c, a, b: torch.addmm(c, a, b, beta=0), c, torch.ones(2, 3), torch.ones(3, 2), packet="addmm"
    )
    assert all(explanation.result == 3 for explanation in found)


def test_the_formula_names_only_what_counts():
    c, a, b = torch.randn(4), torch.randn(2, 3), torch.randn(3, 4)
    plain = assert_products(torch.addmm, c, a, b, packet="addmm")[0]
    scaled = assert_products(lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2), c, a, b, packet="addmm")[0]
    assert plain.formula == "y[i,j] = Σ a[i,k] · b[k,j] + c[j]"
    assert scaled.formula == "y[i,j] = α·Σ a[i,k] · b[k,j] + β·c[j]"
    assert scaled.arithmetic.constants == {"β": 0.5, "α": 2.0}


def test_a_dropped_term_or_bias_does_not_agree():
    for dtype in (torch.float32, torch.bfloat16):
        operands = torch.rand(4, dtype=dtype) + 1, torch.rand(2, 9, dtype=dtype), torch.rand(9, 4, dtype=dtype)
        for explanation in assert_products(torch.addmm, *operands, packet="addmm"):
            values = explanation.terms.values
            for wrong in ([*values[:-1].tolist(), 0.0], values[::-1], 0 * values):
                assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance

"""Einstein's summation, over the ways in which an equation can be written."""

import pytest
import torch

from dotbogi.tape.explain.einsum import letters

from ..conftest import assert_explained, record_function

EQUATIONS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "ij,jk": [(2, 3), (3, 4)],
    "bhqd, bhkd -> bhqk": [(2, 2, 3, 4), (2, 2, 5, 4)],
    "...ij,...jk->...ik": [(5, 1, 2, 3), (2, 3, 4)],
    "...i,...i": [(5, 2, 3), (2, 3)],
    "i,j->ij": [(3,), (4,)],
    "i,i->": [(3,), (3,)],
    "ii->i": [(4, 4)],
    "ii": [(4, 4)],
    "ij->ji": [(2, 3)],
    "ijk->j": [(2, 3, 4)],
    "ij,j,jk->ik": [(2, 3), (3,), (3, 4)],
}


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_einsum_in_inference_mode_is_explained(equation, dtype):
    operands = [torch.randn(shape, dtype=dtype) for shape in EQUATIONS[equation]]
    with torch.inference_mode():
        tape = record_function(lambda *operands: torch.einsum(equation, *operands), *operands)
        explanations = assert_explained(tape, "einsum")
    assert {explanation.kind for explanation in explanations} == {
        "reduction" if len(operands) > 2 else "sum_of_products"
    }


def test_an_einsum_arrives_as_products_where_gradients_are_on():
    tape = record_function(lambda a, b: torch.einsum("ij,jk->ik", a, b), torch.randn(2, 3), torch.randn(3, 4))
    assert_explained(tape, "bmm")


def test_letters_of_an_equation():
    assert letters("ba,ca", [2, 2]) == (["ba", "ca"], "bc")
    assert letters("...ij, ...jk -> ...ik", [4, 3]) == (["10ij", "0jk"], "10ik")


def test_a_wrong_explanation_of_an_einsum_does_not_agree():
    a, b, c = torch.rand(2, 3), torch.rand(3, 4), torch.rand(4)
    with torch.inference_mode():
        for operands, equation in (((a, b), "ij,jk->ik"), ((a, b, c), "ij,jk,k->i")):
            tape = record_function(lambda *given: torch.einsum(equation, *given), *operands)  # noqa: B023
            for explanation in assert_explained(tape, "einsum"):
                right = explanation.terms.values
                for wrong in ([*right[:-1], 0.0], 0.9 * right, 0 * right):
                    assert abs(explanation.evaluate(wrong) - explanation.recorded) > explanation.tolerance

import math
from decimal import Decimal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.tape.render.numbers import (
    Notation,
    column_notation,
    formula_with_numbers,
    notation_of_sum,
    plain_notation,
    shown,
    substituted,
)

from ..conftest import record_function

FINITE = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda number: number == 0 or abs(number) > 1e-12)


@given(st.lists(FINITE, min_size=1, max_size=30))
def test_an_equals_sign_stands_only_where_the_written_terms_add_up(terms: list[float]) -> None:
    total = math.fsum(terms)
    notation = notation_of_sum(terms, total)
    added = sum((Decimal(notation(term)) for term in terms), Decimal(0))
    assert (added == Decimal(notation(total))) == notation.exact
    assert notation.sign == ("=" if notation.exact else "≈")


@given(st.lists(FINITE, min_size=1, max_size=12))
def test_no_number_is_written_further_off_than_half_its_last_digit(terms: list[float]) -> None:
    notation = notation_of_sum(terms, math.fsum(terms))
    half = Decimal(5).scaleb(notation.exponent - notation.places - 1)
    assert all(abs(Decimal(notation(term)) - Decimal(term)) <= half for term in terms)


def test_most_sums_are_written_so_that_they_add_up() -> None:
    torch.manual_seed(0)
    sums = torch.randn(300, 13, dtype=torch.float64).tolist()
    assert sum(notation_of_sum(terms, math.fsum(terms)).exact for terms in sums) > 290


def test_a_sum_that_does_not_add_up_is_never_called_equal() -> None:
    assert notation_of_sum([1.0, 2.0], 4.0).sign == "≈"
    assert notation_of_sum([1.0, math.inf], math.inf).sign == "≈"
    assert notation_of_sum([0.1, 0.2], 0.31).sign == "≈"


def test_whole_numbers_have_no_point_and_small_ones_share_a_power_of_ten() -> None:
    whole = notation_of_sum([1000.0, 200.0, -4.0], 1196.0)
    assert [whole(one) for one in (1000.0, -4.0, 1196.0)] == ["1000", "-4", "1196"]
    small = notation_of_sum([1.25e-7, 2.5e-8], 1.5e-7)
    assert [small(one) for one in (1.25e-7, 2.5e-8, 1.5e-7)] == ["1.2500e-07", "0.2500e-07", "1.5000e-07"]


def test_five_digits_of_the_largest_number_are_written() -> None:
    assert plain_notation([0.00123456, -0.5])(-0.5) == "-0.50000"
    assert plain_notation([12.3456])(12.3456) == "12.346"
    assert plain_notation([0.0])(0.0) == "0"
    assert column_notation([0.5, 0.00123456])(0.00123456) == "0.001235"


@pytest.mark.parametrize(
    ("number", "written"), [(-0.0, "0.00"), (-0.001, "0.00"), (math.nan, "nan"), (math.inf, "inf")]
)
def test_nothing_is_written_as_minus_zero(number: float, written: str) -> None:
    assert Notation(2)(number) == written


def test_symbols_of_a_formula_give_way_to_numbers() -> None:
    assert substituted("w' = w − lr · g", {"w": 0.5, "lr": 0.1, "g": -2.0}) == "0.5 − 0.1 · (-2)"
    assert substituted("y = max(x[i], 0)", {"x": 3.0, "a": 1.0}) == "max(3, 0)"
    assert substituted("m̂ / (√v̂ + ε) + m", {"m̂": 1.0, "v̂": 4.0, "ε": 0.5, "m": 7.0}) == "1 / (√4 + 0.5) + 7"


def test_a_sum_is_written_out_with_its_products() -> None:
    w = torch.tensor([[2.0, -3.0]])
    tape = record_function(torch.nn.functional.linear, torch.tensor([[5.0, 7.0]]), parameters=(w, torch.tensor([1.0])))
    explanation = tape.explain(tape.operations[-1].outputs[0], (0, 0))
    text = formula_with_numbers(explanation)
    assert {part.strip("()") for part in text.replace("·", " ").split() if part != "+"} >= {"2", "-3", "5", "7"}
    assert shown(explanation.result) == "-10"

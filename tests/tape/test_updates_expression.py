"""Formulas that are text and arithmetic at once."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotbogi.tape.expression import Reading, evaluate, lines_for, names_in, written

EPSILON = float(np.finfo(np.float32).eps)


def value_of(expression: str, **numbers: float) -> float:
    return float(evaluate(expression, {name: Reading.recorded(number) for name, number in numbers.items()}, {}).value)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("a - (b - c)", "a − (b − c)"),
        ("(a + b)*c", "(a + b)·c"),
        ("a*(b/c)*d", "a·b/c·d"),
        ("a/(b*c)", "a/(b·c)"),
        ("a/b/c", "a/b/c"),
        ("-a*b", "−a·b"),
        ("(a + b)**2", "(a + b)²"),
        ("1 - β1**t", "1 − β₁ᵗ"),
        ("a**(t*b)", "a^(t·b)"),
        ("sqrt(v̂) + ε", "√v̂ + ε"),
        ("sqrt(a*b)", "√(a·b)"),
        ("max(a, norm_w)", "max(a, ‖w‖)"),
        ("rounded(a + factor(b)*c)", "a + b·c"),
    ],
)
def test_expressions_are_printed_as_on_paper(expression, text):
    assert written(expression) == text


def test_marks_are_printed_where_they_round():
    assert written("rounded(a + factor(b)*c)", marks={"rounded": "bfloat16"}) == "bfloat16(a + b·c)"


def test_negative_numbers_stand_in_brackets():
    numbers = {"a": "-1", "b": "-2", "t": "3", "c": "1e-05"}
    assert written("a - b*c**2", numbers.__getitem__) == "-1 − (-2)·(1e-05)²"
    assert written("a**t", numbers.__getitem__) == "(-1)^3"


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3))
def test_it_computes_what_python_computes(numbers):
    a, b, c = numbers
    assert value_of("a*b - c*(a + b)**2", a=a, b=b, c=c) == a * b - c * (a + b) ** 2
    assert value_of("max(a, b) + min(b, c)", a=a, b=b, c=c) == max(a, b) + min(b, c)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3))
def test_the_size_covers_the_rounding_of_float32(numbers):
    a, b, c = map(np.float32, numbers)
    in_float32 = (a + b) * c - a * c
    reading = evaluate(
        "(a + b)*c - a*c", {n: Reading.recorded(float(x)) for n, x in zip("abc", (a, b, c), strict=True)}, {}
    )
    assert abs(float(in_float32) - float(reading.value)) <= 4 * EPSILON * reading.size + 1e-40


def test_what_is_computed_of_constants_has_no_rounding():
    known = {"β": Reading(np.float64(0.999)), "t": Reading(np.float64(2.0))}
    assert evaluate("1 - β**t", known, {}).size == 0.0


def test_division_by_zero_is_as_in_torch():
    assert value_of("a/b", a=1.0, b=0.0) == math.inf
    assert math.isnan(value_of("a/b", a=0.0, b=0.0))
    assert math.isnan(value_of("sqrt(a)", a=-1.0))


def test_only_the_lines_that_a_result_needs():
    lines = (("g", "g + λ*w"), ("m", "β*m + g"), ("w", "w - lr*m"), ("m", "2*m"))
    assert lines_for("w", lines) == lines[:3]
    assert lines_for("m", lines) == (lines[0], lines[1], lines[3])
    assert names_in("max(a, sqrt(b))*c") == {"a", "b", "c"}


def test_what_is_no_formula_is_refused():
    with pytest.raises(TypeError, match="Lambda"):
        evaluate("lambda: 1", {}, {})
    with pytest.raises(TypeError, match="Lambda"):
        written("lambda: 1")

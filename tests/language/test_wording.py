import math

import pytest

from dotbogi.language.wording import count, duration, number, percent, rate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.34123, "0.3412"),
        (2.3026, "2.303"),
        (12.5, "12.50"),
        (1234.5, "1234"),
        (123456.0, "1.235e+05"),
        (0.00001234, "1.234e-05"),
        (0.0, "0"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-0.5, "-0.5000"),
    ],
)
def test_a_number_has_four_digits(value, text) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (754, "12:34"),
        (3723, "1:02:03"),
    ],
)
def test_a_duration(seconds, text) -> None:
    assert duration(seconds) == text


def test_counts_fractions_and_rates() -> None:
    assert (count(60000), percent(0.9284), rate(9812.4)) == ("60,000", "92.8 %", "9,812 images/s")

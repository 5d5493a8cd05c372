"""Colour-blind safe, told apart on both grounds, and ranges that say what they stand for."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dotbogi.figures.colours import (
    DARK,
    LIGHT,
    STAGE_COLOURS,
    STAGE_SYMBOLS,
    TRAINING,
    VALIDATION,
    Ground,
    colour_limits,
    range_text,
)
from dotbogi.stages import Stage

# Machado, Oliveira & Fernandes 2009, doi:10.1109/TVCG.2009.113, severity 1, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# IEC 61966-2-1, from linear sRGB to XYZ, D65.
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colour: str, vision: str = "normal") -> np.ndarray:
    ratios = XYZ @ np.clip(VISIONS[vision] @ linear(colour), 0, 1) / np.array([0.95047, 1, 1.08883])
    x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    low, high = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def test_every_stage_has_a_colour_and_a_symbol_of_its_own() -> None:
    assert list(STAGE_COLOURS) == list(STAGE_SYMBOLS) == list(Stage)
    assert len(set(STAGE_COLOURS.values())) == len(set(STAGE_SYMBOLS.values())) == 7


@pytest.mark.parametrize("vision", VISIONS)
def test_stages_are_told_apart_by_every_eye(vision: str) -> None:
    labs = [lab(colour, vision) for colour in STAGE_COLOURS.values()]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(labs, 2)) > 25
    assert np.linalg.norm(lab(TRAINING, vision) - lab(VALIDATION, vision)) > 25


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize("colour", [*STAGE_COLOURS.values(), TRAINING, VALIDATION])
def test_colours_stand_out_from_both_grounds(colour: str, ground: Ground) -> None:
    assert contrast(colour, ground.background) > 2.6


@pytest.mark.parametrize("ground", [LIGHT, DARK])
def test_texts_can_be_read(ground: Ground) -> None:
    for text in (ground.ink, ground.muted, ground.accent):
        assert contrast(text, ground.background) > 4.5
        assert contrast(text, ground.panel) > 4.5


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize("vision", VISIONS)
def test_scales_go_steadily_from_pale_to_strong(ground: Ground, vision: str) -> None:
    away = np.diff([lab(colour, vision)[0] for colour in ground.sequential])
    assert (away > 0).all() or (away < 0).all()
    middle = len(ground.diverging) // 2
    lightness = np.array([lab(colour, vision)[0] for colour in ground.diverging])
    for half in (lightness[middle:], lightness[middle::-1]):
        away = np.diff(half)
        assert (away > 0).all() or (away < 0).all()


numbers = arrays(np.float64, (3, 4), elements=st.floats(width=32))


@given(numbers)
def test_signed_limits_are_symmetric_and_hold_every_finite_value(values: np.ndarray) -> None:
    low, high = colour_limits(values, signed=True)
    finite = values[np.isfinite(values)]
    assert low == -high < 0
    assert ((low <= finite) & (finite <= high)).all()


@given(numbers)
def test_unsigned_limits_are_the_smallest_and_the_largest_finite_value(values: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    expected = (finite.min(), finite.max()) if finite.size else (0, 1)
    assert colour_limits(values, signed=False) == expected


def test_ranges_are_printed_with_a_real_minus() -> None:
    assert range_text((-0.32, 0.32)) == "−0.32 … 0.32"
    assert range_text((0, 1), fractions=True) == "0 % … 100 %"

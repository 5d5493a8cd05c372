"""The colours that mean something, the same in every figure, on light and on dark ground.

No colour stands alone: stages have a symbol each, curves a dash and a marker,
heat maps a printed range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotbogi.stages import BATCH, GRADIENT, IMAGE, LOSS, MODEL, TENSOR, UPDATE, Stage

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Found by a search for the seven colours that are furthest apart in CIELAB for all of normal, protanopic,
# deuteranopic and tritanopic vision, each with enough contrast on both grounds; a test measures it again.
STAGE_COLOURS: dict[Stage, str] = {
    IMAGE: "#6A6362",
    TENSOR: "#908EFC",
    BATCH: "#941CEC",
    MODEL: "#15B268",
    LOSS: "#CA0D0C",
    GRADIENT: "#F67E01",
    UPDATE: "#C37AB9",
}
STAGE_SYMBOLS: dict[Stage, str] = {
    IMAGE: "square",
    TENSOR: "cross",
    BATCH: "hexagon",
    MODEL: "circle",
    LOSS: "diamond",
    GRADIENT: "triangle-down",
    UPDATE: "star",
}
TRAINING = "#2B7BBA"
VALIDATION = "#B8860B"
NOT_A_NUMBER = "#808080"  # of the hatching, seen on both grounds


@dataclass(frozen=True)
class Ground:
    """What figures and pages are drawn on and with.

    Args:
        background, panel: of the page, and of what lies on it.
        ink, muted: of what is read first, and of the rest.
        line: of grids and borders.
        accent: of what can be clicked, and of the largest number.
        sequential: for unsigned values, from the lowest to the highest; the lowest is near the background.
        diverging: for signed values, from the negative through 0 to the positive.
    """

    background: str
    panel: str
    ink: str
    muted: str
    line: str
    accent: str
    sequential: tuple[str, ...]
    diverging: tuple[str, ...]


# Diverging: ColorBrewer's RdBu, turned round so that red is positive; https://colorbrewer2.org
LIGHT = Ground(
    background="#ffffff",
    panel="#f5f7f9",
    ink="#1b2128",
    muted="#5a6672",
    line="#dde3e9",
    accent="#1f6fb2",
    sequential=("#f5f7f9", "#c6dbef", "#6baed6", "#2171b5", "#08306b"),
    diverging=("#053061", "#2166ac", "#4393c3", "#92c5de", "#f7f7f7", "#f4a582", "#d6604d", "#b2182b", "#67001f"),
)
DARK = Ground(
    background="#14171c",
    panel="#1d2229",
    ink="#e8ecf1",
    muted="#9aa7b4",
    line="#333b45",
    accent="#7cb9f0",
    sequential=("#1d2229", "#1f4468", "#2f74ab", "#6fb0e3", "#d6ebff"),
    diverging=("#b5dcf5", "#6fb0e3", "#2f74ab", "#1f4468", "#1d2229", "#6e2a2a", "#b2473f", "#ee8168", "#ffd2c2"),
)


def colour_limits(values: NDArray[Any], *, signed: bool) -> tuple[float, float]:
    """Returns the values that the two ends of a colour scale stand for.

    Args:
        values: any shape; NaN and infinity do not count.
        signed: whether the scale is symmetric around 0; else it runs from the smallest to the largest value.
    """
    import numpy as np

    finite = values[np.isfinite(values)]
    if not finite.size:
        return (-1.0, 1.0) if signed else (0.0, 1.0)
    if signed:
        largest = float(np.abs(finite).max()) or 1.0
        return -largest, largest
    return float(finite.min()), float(finite.max())


def range_text(limits: Sequence[float], *, fractions: bool = False) -> str:
    """Returns a range as it is printed beside a figure: ``−0.32 … 0.32``, or for fractions ``0 % … 100 %``."""
    return " … ".join(f"{_number(100 * limit)} %" if fractions else _number(limit) for limit in limits)


def _number(value: float) -> str:
    text = f"{value:.4g}"
    return text.replace("-", "−", 1) if value < 0 else text

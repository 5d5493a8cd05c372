"""What torch's number types do to a number: rounding, wrapping around, overflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from dotbogi.tape.explain import Question


def opmath_dtype(dtype: torch.dtype | None) -> torch.dtype | None:
    """Returns the type that torch computes in for a type of operands: float32 for bfloat16 and float16."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def rounded(number: Any, dtype: torch.dtype | None) -> Any:
    """Returns a number as a type holds it; what is no number stays as it is."""
    if dtype is None or isinstance(number, str) or not isinstance(number, (int, float)):
        return number
    if dtype == torch.float64:
        return float(number)
    if not dtype.is_floating_point:
        return held(number, dtype)
    return float(torch.tensor(number, dtype=torch.float64).to(dtype))


def held(number: Any, dtype: torch.dtype) -> float:
    """Returns what becomes of a result in the type that it is held in.

    Integers wrap around, booleans are 0 or 1, floating point overflows to infinity; rounding within the range of
    normal numbers is left to the tolerance.
    """
    if dtype == torch.bool:
        return float(number != 0)
    if dtype.is_floating_point:
        number = float(number)
        limits = torch.finfo(dtype)
        if number == 0 or limits.tiny <= abs(number) <= limits.max:
            return number
        return float(torch.tensor(number, dtype=torch.float64).to(dtype))
    if not np.isfinite(number):
        return float(number)
    limits = torch.iinfo(dtype)
    return float((int(number) - limits.min) % (limits.max - limits.min + 1) + limits.min)


def low_precision_rounding(question: Question, *dtypes: torch.dtype) -> Callable[[Any], Any]:
    """Returns how the CPU rounds what it computes on the way to a result of these types; of others not at all."""
    dtype = question.value.dtype
    if question.value.device.type != "cpu" or dtype not in dtypes:
        return lambda number: number
    return lambda number: np.float64(rounded(float(number), dtype))


def smallest_normal(dtype: torch.dtype) -> float:
    """Returns the smallest number that a type holds with full precision; 0 for integers."""
    return torch.finfo(dtype).tiny if dtype.is_floating_point else 0.0

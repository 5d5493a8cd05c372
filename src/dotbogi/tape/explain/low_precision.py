"""Where torch rounds on the way: on a CPU, sums of bfloat16 and float16 are kept in that type by some operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from dotbogi.tape.explain.reducing import LOW_PRECISION, rounded
from dotbogi.tape.value import Value


def rounds_on_the_way(value: Value) -> bool:
    """Whether sums for a value are kept in its own type of low precision; other devices keep them in float32."""
    return value.dtype in LOW_PRECISION and value.device.type == "cpu"


def added_up(numbers: Iterable[Any], dtype: torch.dtype) -> float:
    """Returns a sum that is rounded after every number."""
    total = 0.0
    for number in numbers:
        total = float(rounded(total + number, dtype))
    return total

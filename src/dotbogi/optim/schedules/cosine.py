"""A learning rate that falls along half a cosine."""

import math
from collections.abc import Mapping
from typing import Any

from dotbogi.language import mark
from dotbogi.optim.schedule import ClosedForm, ScheduleEntry, Span
from dotbogi.registry import Hyperparameter


def start(values: Mapping[str, Any], span: Span) -> ClosedForm:
    """Returns half a cosine from 1 to the final factor, which the update after the last would have."""
    final, steps = values["final_factor"], span.steps

    def factor(step: int) -> float:
        return final + (1 - final) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2

    return ClosedForm(factor)


SCHEDULE = ScheduleEntry(
    title=mark("Cosine annealing"),
    text=mark("The learning rate falls along half a cosine: slowly, then fast, then slowly again."),
    hyperparameters=(
        Hyperparameter(
            "final_factor", 0.0, low=0, high=1, text=mark("what the learning rate ends at, as a factor of lr")
        ),
    ),
    formula=r"f(s) = f_\text{final} + \tfrac12 (1 - f_\text{final}) \left(1 + \cos \frac{\pi s}{S}\right)",
    source="Loshchilov & Hutter 2017, arXiv:1608.03983",
    start=start,
)

"""A learning rate that rises once and falls once."""

import math
from collections.abc import Mapping
from typing import Any

from dotbogi.language import mark
from dotbogi.optim.schedule import ClosedForm, ScheduleEntry, Span
from dotbogi.registry import Hyperparameter


def start(values: Mapping[str, Any], span: Span) -> ClosedForm:
    """Returns the factors as torch's ``OneCycleLR`` has them, the momentum left alone."""
    first, final = values["start_factor"], values["final_factor"]
    anneal = _cosine if values["anneal"] == "cosine" else _linear
    # A training too short for a rise begins at its peak.
    peak = max(values["rise"] * span.steps - 1, 0.0)
    last = span.steps - 1

    def factor(step: int) -> float:
        if step < peak:
            return anneal(first, 1.0, step / peak)
        return anneal(1.0, final, min(step - peak, last - peak) / (last - peak)) if last > peak else 1.0

    return ClosedForm(factor)


def _linear(begin: float, end: float, progress: float) -> float:
    return begin + (end - begin) * progress


def _cosine(begin: float, end: float, progress: float) -> float:
    return end + (begin - end) / 2 * (1 + math.cos(math.pi * progress))


SCHEDULE = ScheduleEntry(
    title=mark("One cycle"),
    text=mark("The learning rate rises to lr, then falls to almost nothing. Its warmup is built in."),
    hyperparameters=(
        Hyperparameter(
            "rise", 0.3, low=0, high=1, high_open=True, text=mark("fraction of the training that the rise takes")
        ),
        Hyperparameter(
            "anneal", "cosine", choices=("linear", "cosine"), text=mark("the curve of the rise and of the fall")
        ),
        Hyperparameter("start_factor", 0.04, low=0, high=1, text=mark("where the rise starts, as a factor of lr")),
        Hyperparameter("final_factor", 4e-6, low=0, high=1, text=mark("where the fall ends, as a factor of lr")),
    ),
    formula=r"""\begin{aligned}
f(s) &= \begin{cases}
h\bigl(f_\text{start}, 1, s / p\bigr) & s < p \\
h\bigl(1, f_\text{final}, (s - p) / (S - 1 - p)\bigr) & s \ge p
\end{cases}
\qquad p = \max(\text{rise} \cdot S - 1,\, 0) \\
h(a, b, x) &= a + (b - a)\, x \quad\text{(linear)}
\qquad\text{or}\quad b + \tfrac12 (a - b)(1 + \cos \pi x) \quad\text{(cosine)}
\end{aligned}""",
    source="Smith & Topin 2018, arXiv:1708.07120; torch.optim.lr_scheduler.OneCycleLR",
    start=start,
)

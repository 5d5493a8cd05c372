"""A learning rate that stays."""

from collections.abc import Mapping
from typing import Any

from dotbogi.language import mark
from dotbogi.optim.schedule import ClosedForm, ScheduleEntry, Span


def start(values: Mapping[str, Any], span: Span) -> ClosedForm:
    """Returns the factor 1 throughout."""
    return ClosedForm(lambda step: 1.0)


SCHEDULE = ScheduleEntry(
    title=mark("Constant"),
    text=mark("The learning rate stays as it is."),
    hyperparameters=(),
    formula=r"f(s) = 1",
    source="Robbins & Monro 1951, doi:10.1214/aoms/1177729586",
    start=start,
)

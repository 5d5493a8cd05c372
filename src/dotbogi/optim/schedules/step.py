"""A learning rate that drops at equal distances."""

from collections.abc import Mapping
from typing import Any

from dotbogi.language import mark
from dotbogi.optim.schedule import ClosedForm, ScheduleEntry, Span
from dotbogi.registry import Hyperparameter


def start(values: Mapping[str, Any], span: Span) -> ClosedForm:
    """Returns the factor γ^⌊s/d⌋, with the distance d rounded to whole updates."""
    gamma = values["gamma"]
    distance = max(1, round(values["step_size"] * span.steps))
    return ClosedForm(lambda step: gamma ** (step // distance))


SCHEDULE = ScheduleEntry(
    title=mark("Step decay"),
    text=mark("The learning rate is multiplied by γ again and again, at equal distances."),
    hyperparameters=(
        Hyperparameter(
            "step_size",
            0.25,
            low=0,
            low_open=True,
            high=1,
            text=mark("distance between two drops, as a fraction of the training (epochs between drops ÷ all epochs)"),
        ),
        Hyperparameter("gamma", 0.1, low=0, low_open=True, high=1, text=mark("γ: what each drop multiplies by")),
    ),
    formula=r"f(s) = \gamma^{\lfloor s / d \rfloor}, \qquad d = \operatorname{round}(\text{step size} \cdot S)",
    source="torch.optim.lr_scheduler.StepLR; He et al. 2016, arXiv:1512.03385",
    start=start,
)

"""A learning rate that drops at given moments."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

from dotbogi.errors import RecipeError
from dotbogi.language import _, mark
from dotbogi.optim.schedule import ClosedForm, ScheduleEntry, Span
from dotbogi.registry import Hyperparameter, Value


class Milestones(Hyperparameter):
    """A list of fractions of the training, each larger than the one before."""

    @property
    def range(self) -> str:
        """The values that are taken."""
        return "[(0, 1), …]"

    def check(self, value: Any, key: str) -> Value | None:
        """Returns the fractions as floats.

        Raises:
            RecipeError: not a list of ascending numbers between 0 and 1; the message has the key and the value.
        """
        if not _ascending_fractions(value):
            raise RecipeError(
                _("{key} = {value} is not possible.").format(key=key, value=value),
                fix=_("Give fractions of the training, ascending, each above 0 and below 1: [0.5, 0.75]."),
            )
        return [float(fraction) for fraction in value]


def _ascending_fractions(value: Any) -> bool:
    bounds: list[Any] = [0.0, *cast(list[Any], value), 1.0] if isinstance(value, list) else []
    numbers = all(type(bound) in (int, float) for bound in bounds)
    return len(bounds) > 2 and numbers and all(low < high for low, high in pairwise(bounds))


def start(values: Mapping[str, Any], span: Span) -> ClosedForm:
    """Returns the factor γ^(milestones passed), with the milestones rounded to whole updates."""
    gamma = values["gamma"]
    milestones = [max(1, round(fraction * span.steps)) for fraction in values["milestones"]]
    return ClosedForm(lambda step: gamma ** bisect_right(milestones, step))


SCHEDULE = ScheduleEntry(
    title=mark("Multistep decay"),
    text=mark("The learning rate is multiplied by γ at each milestone."),
    hyperparameters=(
        Milestones(
            "milestones", [0.5, 0.75], text=mark("when it drops, as fractions of the training (epoch ÷ all epochs)")
        ),
        Hyperparameter("gamma", 0.1, low=0, low_open=True, high=1, text=mark("γ: what each drop multiplies by")),
    ),
    formula=r"f(s) = \gamma^{\left|\{m :\, \operatorname{round}(m S) \le s\}\right|}, \qquad m: \text{milestones}",
    source="torch.optim.lr_scheduler.MultiStepLR; He et al. 2016, arXiv:1512.03385",
    start=start,
)

"""Objects that a script hands over in place of what the recipe names."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from dotbogi.training.step import LossFunction


@dataclass(frozen=True)
class Objects:
    """What is taken from Python; each wins over what the recipe names.

    Args:
        model: a module, or ``None``.
        data: tensors, a ``Dataset`` or a dictionary of these (see :mod:`dotbogi.data.objects`), or ``None``.
        loss: a callable of logits and labels, or ``None``.
    """

    model: nn.Module | None = None
    data: Any = None
    loss: LossFunction | None = None

    @property
    def names(self) -> list[str]:
        """Which were given."""
        return [name for name in ("model", "data", "loss") if getattr(self, name) is not None]


NO_OBJECTS = Objects()

"""Optimizers that do not load torch's compiler.

Building any ``torch.optim.Optimizer``, and its ``step``, import ``torch._dynamo``,
only to tell a compiler that may be tracing them to stay out: 3.2 s of processor
time beside 2.4 s for torch itself (torch 2.15). Nothing here compiles a step, so an
instance is given the same methods without that wrapping.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def construct(optimizer_class: type[torch.optim.Optimizer], groups: Any, **arguments: Any) -> torch.optim.Optimizer:
    """Constructs an optimizer whose methods are the class's own, under ``no_grad`` where that belongs to them.

    Args:
        optimizer_class: the class; stays as it is.
        groups: parameters, or parameter groups.
        arguments: further arguments of its constructor.
    """
    import torch

    optimizer = optimizer_class.__new__(optimizer_class)
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        _set_method(optimizer, name, inspect.unwrap(getattr(optimizer_class, name)))
    initialise: Callable[..., None] = optimizer.__init__
    initialise(groups, **arguments)
    step = torch.no_grad()(inspect.unwrap(optimizer_class.step))
    # The hook that runs step's own hooks and names it in a profile.
    _set_method(optimizer, "step", torch.optim.Optimizer.profile_hook_step(step))
    return optimizer


def _set_method(optimizer: torch.optim.Optimizer, name: str, function: Callable[..., Any]) -> None:
    setattr(optimizer, name, MethodType(function, optimizer))

"""What an optimizer meets when its step begins: the weights, the gradients that it reads, and its state."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dotbogi.tape.value import Value


@dataclass(frozen=True)
class BeforeUpdate:
    """A parameter when an optimizer's step begins.

    Args:
        group: which of the optimizer's groups it belongs to, from 0.
        weight: what it held.
        gradient: what the optimizer reads, clipped where that was asked for; ``None`` where there is none.
        state: the tensors that the optimizer keeps for it, by their keys.
        numbers: the plain numbers among its state.
    """

    group: int
    weight: Value
    gradient: Value | None
    state: Mapping[str, Value]
    numbers: Mapping[str, float]


@dataclass
class Beginnings:
    """Of all parameters.

    Args:
        groups: the options of each group; a tensor among them as its value.
        parameters: by name.
    """

    groups: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    parameters: dict[str, BeforeUpdate] = field(default_factory=dict[str, BeforeUpdate])

    def plain_groups(self) -> list[dict[str, Any]]:
        """Returns the options with plain numbers for those that are tensors of one element."""
        return [{name: _plain(value) for name, value in group.items()} for group in self.groups]


@contextmanager
def watched_update(
    optimizer: torch.optim.Optimizer | None, model: nn.Module, value_of: Callable[[Tensor], Value]
) -> Generator[Beginnings]:
    """Notes what an optimizer meets when its step begins, within the block.

    Args:
        optimizer: over the model's parameters, or ``None``.
        model: gives the parameters' names.
        value_of: returns the value that a tensor holds now.
    """
    found = Beginnings()
    if optimizer is None:
        yield found
        return

    def hook(stepping: torch.optim.Optimizer, _arguments: Any, _keywords: Any) -> None:
        for number, group in enumerate(stepping.param_groups):
            found.groups.append({key: _valued(part, value_of) for key, part in group.items() if key != "params"})
            members = {id(parameter) for parameter in group["params"]}
            for name, parameter in model.named_parameters(remove_duplicate=False):
                if id(parameter) in members:
                    found.parameters[name] = _before(stepping, number, parameter, value_of)

    handle = optimizer.register_step_pre_hook(hook)
    try:
        yield found
    finally:
        handle.remove()


def _before(
    optimizer: torch.optim.Optimizer, group: int, parameter: Tensor, value_of: Callable[[Tensor], Value]
) -> BeforeUpdate:
    state = optimizer.state.get(parameter, {})
    gradient = parameter.grad
    return BeforeUpdate(
        group=group,
        weight=value_of(parameter),
        gradient=None if gradient is None else value_of(gradient),
        state={key: value_of(part) for key, part in state.items() if isinstance(part, Tensor)},
        numbers={key: float(part) for key, part in state.items() if isinstance(part, (int, float))},
    )


def _valued(part: Any, value_of: Callable[[Tensor], Value]) -> Any:
    if isinstance(part, Tensor):
        return value_of(part)
    return tuple(_valued(one, value_of) for one in part) if isinstance(part, (tuple, list)) else part


def _plain(part: Any) -> Any:
    if isinstance(part, Value):
        return float(part.view()) if part.numel() == 1 else part.view().tolist()
    return tuple(_plain(one) for one in part) if isinstance(part, tuple) else part

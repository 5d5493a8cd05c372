"""What a recording must leave as it was found: the model, its gradients, the optimizer, every random state."""

from __future__ import annotations

import random
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def left_untouched(model: nn.Module, optimizer: torch.optim.Optimizer | None) -> Generator[None]:
    """Puts back, after its block, which objects a model and an optimizer hold, and the random states.

    The content of tensors is not this block's matter: a recording knows each storage as it was
    before it was first written into, and puts that back itself.

    Args:
        model: its modules' attributes and parameters' gradients.
        optimizer: its groups and state, or ``None``.
    """
    with ExitStack() as stack:
        stack.enter_context(random_states_kept())
        stack.enter_context(_attributes_kept(model))
        stack.enter_context(_gradients_kept(model))
        if optimizer is not None:
            stack.enter_context(_optimizer_kept(optimizer))
        yield


@contextmanager
def random_states_kept() -> Generator[None]:
    """Puts the random states of Python, NumPy and torch, on every device in use, back after its block."""
    numpy = sys.modules.get("numpy")
    states = random.getstate(), numpy.random.get_state() if numpy else None
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(states[0])
            if numpy:
                numpy.random.set_state(states[1])


_TABLES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")


@contextmanager
def _attributes_kept(model: nn.Module) -> Generator[None]:
    kept = [
        (module, dict(vars(module)), {name: vars(module)[name].copy() for name in _TABLES if name in vars(module)})
        for module in model.modules()
    ]
    try:
        yield
    finally:
        for module, attributes, tables in kept:
            vars(module).clear()
            vars(module).update(attributes)
            for name, table in tables.items():
                own = vars(module)[name]
                own.clear()
                own.update(table)


@contextmanager
def _gradients_kept(model: nn.Module) -> Generator[None]:
    kept = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for parameter, gradient in kept:
            parameter.grad = gradient


@contextmanager
def _optimizer_kept(optimizer: torch.optim.Optimizer) -> Generator[None]:
    attributes = dict(vars(optimizer))
    groups = [(group, dict(group)) for group in optimizer.param_groups]
    states: dict[Any, dict[Any, Any]] = {key: dict(state) for key, state in optimizer.state.items()}
    try:
        yield
    finally:
        vars(optimizer).clear()
        vars(optimizer).update(attributes)
        for group, values in groups:
            group.clear()
            group.update(values)
        optimizer.state.clear()
        optimizer.state.update(states)

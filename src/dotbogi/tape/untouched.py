"""What a recording must leave as it was found: the model, its gradients, the optimizer, every random state."""

from __future__ import annotations

import gc
import random
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import NoneType
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def left_untouched(
    model: nn.Module, optimizer: torch.optim.Optimizer | None, scaler: torch.amp.GradScaler | None = None
) -> Generator[None]:
    """Puts back, after its block, which objects a model and an optimizer hold, and the random states.

    The content of tensors is not this block's matter: a recording knows each storage as it was
    before it was first written into, and puts that back itself.

    Args:
        model: its modules' attributes, what lists and dicts among them hold, and its parameters' gradients.
        optimizer: likewise, or ``None``.
        scaler: of the loss; likewise, or ``None``.
    """
    owners = [one for one in (*model.modules(), optimizer, scaler) if one is not None]
    groups = optimizer.param_groups if optimizer is not None else []
    parameters: list[Tensor] = [*model.parameters(), *(parameter for group in groups for parameter in group["params"])]
    with ExitStack() as stack:
        stack.enter_context(random_states_kept())
        stack.enter_context(_contents_kept([vars(one) for one in owners]))
        stack.enter_context(_gradients_kept(parameters))
        yield


@contextmanager
def collector_resting() -> Generator[None]:
    """Lets Python's garbage collector rest: it would look again and again at thousands of new objects that stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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


@contextmanager
def _gradients_kept(parameters: list[Tensor]) -> Generator[None]:
    kept = [(parameter, parameter.grad, parameter.requires_grad) for parameter in parameters]
    try:
        yield
    finally:
        for parameter, gradient, requires_grad in kept:
            parameter.grad = gradient
            parameter.requires_grad_(requires_grad)


@contextmanager
def _contents_kept(roots: list[dict[str, Any]]) -> Generator[None]:
    """Puts back what dicts, lists, sets and random generators hold, however deep they lie in each other."""
    ways_back = [way for part in _parts(roots) if (way := _way_back(part)) is not None]
    try:
        yield
    finally:
        for way in ways_back:
            way()


# What torch keeps of a module beside its parameters, buffers and modules: hooks, which a forward pass leaves alone.
_OF_TORCH = frozenset(vars(nn.Module())) - {"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"}
_FLAT = frozenset({bool, int, float, str, NoneType, Tensor, nn.Parameter, torch.device, torch.dtype})


def _parts(roots: Iterable[Any]) -> Iterator[Any]:
    """Yields everything that lies in something, each object once."""
    open_parts, seen = list(roots), set[int]()
    while open_parts:
        part = open_parts.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, nn.Module):
            open_parts.append(vars(part))  # one that lies in a plain list is none of the model's modules
        elif isinstance(part, dict):
            open_parts += [value for key, value in part.items() if type(value) not in _FLAT and key not in _OF_TORCH]
        elif isinstance(part, (list, tuple, deque)):
            open_parts.extend(part)


def _way_back(part: Any) -> Callable[[], Any] | None:
    """Returns what puts an object back to what it holds now, or ``None`` for one that holds nothing of its own."""
    if isinstance(part, dict):
        return partial(_refill, part, part.update, dict(part))
    if isinstance(part, (list, deque)):
        return partial(_refill, part, part.extend, list(part))
    if isinstance(part, set):
        return partial(_refill, part, part.update, set(part))
    if isinstance(part, torch.Generator):
        return partial(part.set_state, part.get_state())
    return partial(part.setstate, part.getstate()) if isinstance(part, random.Random) else _way_back_numpy(part)


def _way_back_numpy(part: Any) -> Callable[[], Any] | None:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(part, numpy.random.Generator):
        return partial(setattr, part.bit_generator, "state", part.bit_generator.state)
    if isinstance(part, numpy.ndarray) and part.flags.writeable:
        return partial(numpy.copyto, part, part.copy())
    return None


def _refill(container: Any, fill: Callable[[Any], Any], content: Any) -> None:
    container.clear()
    fill(content)

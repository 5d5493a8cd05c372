"""Which module is being run: hooks on every module of a model, for the time of a recording."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from dotbogi.tape.value import Value


@dataclass
class ModuleCall:
    """One call of a module.

    Args:
        name: the module's path in the model; an empty text for the model itself.
        call: which call of it, from 0.
        inputs, outputs: the tensors among what it was given and what it returned, in order.
        gradients: by the output's position, the loss's gradient with respect to it.
    """

    name: str
    call: int
    inputs: list[Value]
    outputs: list[Value] = field(default_factory=list[Value])
    gradients: dict[int, Value] = field(default_factory=dict[int, Value])


class ModulePath:
    """The modules that are being run, the innermost last, and all calls so far.

    Args:
        model: whose modules are watched.
        gradients: whether a backward pass will follow, whose gradients are kept.
    """

    def __init__(self, model: nn.Module, *, gradients: bool = True) -> None:
        self._model = model
        self._gradients = gradients
        self._inside: list[tuple[nn.Module, ModuleCall]] = []
        self.calls: list[ModuleCall] = []
        self.counts: dict[str, int] = {}
        self.in_backward = False
        self.shape_before: tuple[int, ...] = ()

    @property
    def current(self) -> tuple[str, int]:
        """Path and call of the innermost module that is being run."""
        if not self._inside:
            return "", 0
        call = self._inside[-1][1]
        return call.name, call.call

    @property
    def innermost(self) -> tuple[nn.Module, ModuleCall] | None:
        """The innermost module that was entered and not left."""
        return self._inside[-1] if self._inside else None

    @property
    def reruns(self) -> bool:
        """Whether a forward pass is being repeated inside the backward pass."""
        return self.in_backward and bool(self._inside)

    @contextmanager
    def watching(self, value_of: Callable[[Tensor], Value]) -> Generator[None]:
        """Watches the modules, within its block.

        Args:
            value_of: returns the value that a tensor holds now.
        """
        with ExitStack() as hooks:
            for name, module in self._model.named_modules():
                for handle in (
                    module.register_forward_pre_hook(self._entering(name, value_of), with_kwargs=True),
                    module.register_forward_hook(self._leaving(value_of), always_call=False),
                ):
                    hooks.callback(handle.remove)
            yield

    def _entering(self, name: str, value_of: Callable[[Tensor], Value]) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            number = self.counts.get(name, 0)
            if not self.in_backward:
                self.counts[name] = number + 1
            call = ModuleCall(name, number, [value_of(tensor) for tensor in tensors_in([inputs, keywords])])
            self._inside.append((module, call))
            if not self.in_backward:
                self.calls.append(call)

        return hook

    def _leaving(self, value_of: Callable[[Tensor], Value]) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            # A forward that caught an exception leaves modules behind that were entered and never left.
            while self._inside[-1][0] is not module:
                self._inside.pop()
            call = self._inside.pop()[1]
            tensors = tensors_in(output)
            self.shape_before = tuple(tensors[0].shape) if tensors else ()
            call.outputs = [value_of(tensor) for tensor in tensors]
            for position, tensor in enumerate(tensors if self._gradients else ()):
                if tensor.requires_grad:
                    tensor.register_hook(_gradient_keeper(call, position, value_of))

        return hook


def _gradient_keeper(call: ModuleCall, position: int, value_of: Callable[[Tensor], Value]) -> Any:
    def hook(gradient: Tensor) -> None:
        call.gradients[position] = value_of(gradient)

    return hook


def tensors_in(structure: Any) -> list[Tensor]:
    """Returns the tensors in nested tuples, lists and dicts, in order."""
    if isinstance(structure, Tensor):
        return [structure]
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, (list, tuple)):
        return [tensor for part in structure for tensor in tensors_in(part)]
    return []

"""Explanations, one family of ATen operations per file.

A file holds functions, each marked with the names of the operations that it explains::

    @explains("relu")
    def relu(question: Question) -> Arithmetic: ...

A name is that of the operation without namespace and overload; ``relu`` is also asked for ``relu_``. Every file of
this folder is found by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from dotbogi.language import _
from dotbogi.tape.arithmetic import Arithmetic, copy_of, given, unexplained
from dotbogi.tape.operation import Operation
from dotbogi.tape.value import Value

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape


@dataclass(frozen=True)
class Question:
    """Which number is to be explained.

    Args:
        tape: that it is on.
        operation: what made it.
        value: the result of the operation that it is an element of.
        index: its place there.
    """

    tape: Tape
    operation: Operation
    value: Value
    index: tuple[int, ...]

    @property
    def output(self) -> int:
        """Which of the operation's results it belongs to."""
        return self.value.output

    def argument(self, name: str) -> Any:
        """Returns an argument of the operation by its name in the schema; a tensor is a value."""
        return self.operation.argument(name)


Explainer = Callable[[Question], Arithmetic]
_EXPLAINERS: dict[str, Explainer] = {}


def explains(*names: str) -> Callable[[Explainer], Explainer]:
    """Marks a function as the explanation of operations.

    Args:
        names: without namespace and overload, such as ``convolution``.

    Raises:
        RuntimeError: one of them has an explanation already.
    """

    def mark(function: Explainer) -> Explainer:
        for name in names:
            if name in _EXPLAINERS:
                raise RuntimeError(f"{name} is explained twice")
            _EXPLAINERS[name] = function
        return function

    return mark


@cache
def _load_families() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def explainer_of(operation: Operation) -> Explainer | None:
    """Returns what explains an operation's results, or ``None``."""
    _load_families()
    packet = operation.packet
    return _EXPLAINERS.get(packet) or _EXPLAINERS.get(packet.removesuffix("_"))


def is_explained(operation: Operation) -> bool:
    """Whether an operation's results can be explained."""
    return explainer_of(operation) is not None


def arithmetic_of(tape: Tape, operation: Operation, value: Value, index: tuple[int, ...]) -> Arithmetic:
    """Returns the arithmetic behind an element of an operation's result."""
    if operation.plumbing:
        return _followed(operation, index)
    explainer = explainer_of(operation)
    if explainer is None:
        return unexplained(_("{name} has no explanation yet").format(name=operation.name))
    return explainer(Question(tape, operation, value, index))


def _followed(operation: Operation, index: tuple[int, ...]) -> Arithmetic:
    if operation.packet.startswith(("empty", "new_empty")):
        return given(_("memory that nothing has been written to yet"))
    source = operation.inputs[0] if operation.inputs else None
    return copy_of(source, index) if source is not None else given(_("a constant of the code"))

"""An operation of the tape: what was called, on what, where, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from dotbogi.stages import Stage
from dotbogi.tape.value import Value

PLUMBING = frozenset(
    {"detach", "alias", "empty", "empty_like", "empty_strided", "lift_fresh", "new_empty", "new_empty_strided"}
    | {"_local_scalar_dense"}
)
"""Operations that are only followed: they compute nothing."""


class SourceLine(NamedTuple):
    """Where in a person's code an operation was called."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(eq=False)
class Operation:
    """One ATen operation, as it ran.

    Args:
        index: its place in the order of execution.
        overload: what ran, callable.
        arguments: the positional ones; tensors are replaced by their values.
        keywords: the others, likewise.
        stage: of the training step.
        module: the path of the module that called it, of a backward operation the one that called its forward one.
        call: which call of that module, from 0.
        line: of a person's code, or of the optimizer's, or ``None``.
        forward: the operation whose gradient this one computes, or ``None``.
        rerun: whether it only repeats an earlier one (``torch.utils.checkpoint``).
        inputs: values that were read, in the arguments' order.
        outputs: values that were written, in the order of the results; what is written without being returned, such
            as batch norm's running mean, follows. A result that is ``None`` has no value: see ``Value.output``.
        scalar: a number that was returned in place of a tensor, or ``None``.
    """

    index: int
    overload: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    stage: Stage
    module: str = ""
    call: int = 0
    line: SourceLine | None = None
    forward: Operation | None = None
    rerun: bool = False
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    scalar: float | int | bool | None = None
    _arguments: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def name(self) -> str:
        """Such as ``aten.convolution.default``."""
        return str(self.overload)

    @property
    def packet(self) -> str:
        """The name without namespace and overload, such as ``convolution``."""
        return self.overload.overloadpacket.__name__

    @property
    def plumbing(self) -> bool:
        """Whether it computes nothing and is only followed."""
        return self.packet in PLUMBING

    @property
    def explained(self) -> bool:
        """Whether its numbers can be explained."""
        from dotbogi.tape.explain import is_explained

        return not self.plumbing and is_explained(self)

    @property
    def argument_names(self) -> set[str]:
        """The names that its schema has for arguments: overloads of one operation differ in them."""
        return {parameter.name for parameter in self.overload._schema.arguments}

    def argument(self, name: str) -> Any:
        """Returns an argument by the name that its schema gives it, with its default where it was not given."""
        if not self._arguments:
            self._arguments = dict(self._named())
        return self._arguments[name]

    def output(self, position: int) -> Value | None:
        """Returns the value of one of its results, or ``None`` where that result was ``None``."""
        return next((value for value in self.outputs if value.output == position), None)

    def _named(self) -> Iterator[tuple[str, Any]]:
        for position, parameter in enumerate(self.overload._schema.arguments):
            if position < len(self.arguments) and not parameter.kwarg_only:
                yield parameter.name, self.arguments[position]
            else:
                yield parameter.name, self.keywords.get(parameter.name, parameter.default_value)

    def __repr__(self) -> str:
        return f"<Operation {self.index} {self.name} {self.module}>"


def with_tensors(arguments: Any, tensor_of: Callable[[Value], Tensor | Value]) -> Any:
    """Returns arguments with a tensor in each value's place; lists and tuples are gone through."""
    if isinstance(arguments, Value):
        return tensor_of(arguments)
    if isinstance(arguments, (list, tuple)):
        return type(arguments)(with_tensors(item, tensor_of) for item in arguments)
    if isinstance(arguments, dict):
        return {name: with_tensors(item, tensor_of) for name, item in arguments.items()}
    return arguments

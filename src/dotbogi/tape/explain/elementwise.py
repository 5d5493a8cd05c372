"""Elementwise operations: every element of a result follows from the elements of the operands at the same place.

A family is a table from the operations' names to formulas; what is common to all stands here once: which element of a
broadcast operand is meant, how torch holds numbers that are no tensors, and what the type of the result can hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from dotbogi.tape.arithmetic import FUNCTION, SELECTION, Arithmetic, Elements, Group, Numbers
from dotbogi.tape.explain import Question, explains
from dotbogi.tape.explain.number_types import held, opmath_dtype, rounded, smallest_normal
from dotbogi.tape.render.numbers import shown
from dotbogi.tape.value import Value

Function = Callable[..., Any]
Place = tuple[Value, tuple[int, ...]]
_NO_ELEMENTS: Mapping[str, Place] = {}

# The multi-tensor operations name some arguments differently.
_OTHER_NAMES = {
    "other": ("scalar", "scalars"),
    "min": ("other", "scalar", "scalars"),
    "max": ("other", "scalar", "scalars"),
    "value": ("scalars",),
    "end": ("tensors1",),
    "weight": ("weights",),
}


@dataclass(frozen=True)
class Formula:
    """What an elementwise operation computes.

    Args:
        text: the formula, such as ``y = x + v·a·b``.
        latex: the same in LaTeX.
        function: of the arguments' numbers, in the order of ``symbols``. Tensors' elements and numbers come in
            NumPy's float64, so that ``x / 0`` is infinite, or in Python's integers where the result is of integers;
            others (``None``, texts, booleans) as they are.
        symbols: the arguments' names in the schema, and what stands for them in the formula.
        defaults: of arguments that not every overload has.
        relative: whether rounding is in proportion to the result; else it is judged against the largest operand.
        scale: the magnitude that rounding is judged against, of the same arguments as ``function``.
        rounds: the arguments that torch rounds to the operands' common type before it computes, on the CPU.
        chosen: of a selection, of the same arguments, the position of the one that won, or ``None`` for none of them.
    """

    text: str
    latex: str
    function: Function
    symbols: Mapping[str, str] = field(default_factory=lambda: {"self": "x"})
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    relative: bool = False
    scale: Callable[..., float] | None = None
    rounds: frozenset[str] = frozenset()
    chosen: Callable[..., int | None] | None = None


@dataclass(frozen=True)
class Operand:
    """An argument of an elementwise operation.

    Args:
        symbol: what stands for it in the formula.
        content: a value of the tape, or what else was given.
        index: which element of the value.
        held_as: the type that torch computes with it in, or ``None`` where its number stays as it is.
    """

    symbol: str
    content: Any
    index: tuple[int, ...] = ()
    held_as: torch.dtype | None = None

    @property
    def on_tape(self) -> bool:
        """Whether it is an element of a value; else it is a constant."""
        return isinstance(self.content, Value)

    @property
    def as_held(self) -> float:
        """The number of an operand on the tape as torch computes with it."""
        return float(rounded(self.content.item(self.index), self.held_as))


def explains_formulas(formulas: Mapping[str, Formula]) -> None:
    """Marks formulas as the explanations of operations and of their multi-tensor forms.

    Args:
        formulas: by the operations' names without namespace and overload.
    """
    for name, formula in formulas.items():
        explains(*with_multi_tensor_form(name))(partial(elementwise, formula=formula))


def with_multi_tensor_form(name: str) -> tuple[str, ...]:
    """Returns an operation's name, and that of its form for lists of tensors where torch has one."""
    several = f"_foreach_{name}"
    return (name, several) if hasattr(torch.ops.aten, several) else (name,)


def elementwise(question: Question, formula: Formula, elements: Mapping[str, Place] = _NO_ELEMENTS) -> Arithmetic:
    """Explains an element by a formula of the elements at its place (broadcasting: NumPy's rules).

    Args:
        question: which element.
        formula: of the arguments.
        elements: operands that are not the arguments at the same place, by their names in ``formula.symbols``.
    """
    computation = Computation(formula, operands_of(question, formula, elements), question.value.dtype)
    on_tape = [operand for operand in computation.operands if operand.on_tape]
    constants = [one for one in computation.operands if not one.on_tape and one.symbol in formula.text]
    return Arithmetic(
        FUNCTION if formula.chosen is None else SELECTION,
        formula.text,
        tuple(Group(one.symbol, Elements.one(one.content, one.index)) for one in on_tape),
        result=computation.result,
        latex=formula.latex,
        numbers=partial(written_out, formula.text, computation.operands),
        scale=computation.scale,
        constants={one.symbol: one.content for one in constants if one.content is not None},
        chosen=computation.winner(np.array([one.content.item(one.index) for one in on_tape])),
    )


@dataclass(frozen=True)
class Computation:
    """A formula on its operands.

    Args:
        formula: what is computed.
        operands: its arguments.
        dtype: that the result is held in.
    """

    formula: Formula
    operands: Sequence[Operand]
    dtype: torch.dtype

    def result(self, numbers: Numbers) -> float:
        """Returns the result of other numbers (K,) on the tape."""
        return held(self._computed(self.formula.function, numbers), self.dtype)

    def scale(self, numbers: Numbers) -> float:
        """Returns the magnitude that rounding is judged against."""
        if self.formula.scale is not None:
            magnitude = float(self._computed(self.formula.scale, numbers))
            return max(magnitude, smallest_normal(self.dtype)) if np.isfinite(magnitude) else 0.0
        entered = [self.result(numbers), *(() if self.formula.relative else numbers)]
        finite = [abs(number) for number in entered if np.isfinite(number)]
        return max(*finite, smallest_normal(self.dtype)) if finite else 0.0

    def winner(self, numbers: Numbers) -> int | None:
        """Returns which term a selection takes; ``None`` where it takes none, or a constant."""
        chosen = None if self.formula.chosen is None else self._computed(self.formula.chosen, numbers)
        if chosen is None or not self.operands[chosen].on_tape:
            return None
        return sum(operand.on_tape for operand in self.operands[:chosen])

    def _computed(self, function: Function, numbers: Numbers) -> Any:
        with np.errstate(all="ignore"):
            return function(*_filled(self.operands, numbers, as_integers=not self.dtype.is_floating_point))


def operands_of(question: Question, formula: Formula, elements: Mapping[str, Place] = _NO_ELEMENTS) -> list[Operand]:
    """Returns the arguments of a formula, in its order; see :func:`elementwise`."""
    found = [
        Operand(symbol, *elements[name]) if name in elements else _operand(question, name, formula)
        for name, symbol in formula.symbols.items()
    ]
    common = common_dtype(found)
    on_cpu = question.value.device.type == "cpu"
    names = list(formula.symbols)
    return [
        replace(one, held_as=common if on_cpu and name in formula.rounds else opmath_dtype(common))
        for name, one in zip(names, found, strict=True)
    ]


def _operand(question: Question, name: str, formula: Formula) -> Operand:
    symbol = formula.symbols[name]
    content = argument(question, name, formula.defaults.get(name))
    if isinstance(content, Value):
        return Operand(symbol, content, broadcast_index(question.index, content.shape))
    if isinstance(content, tuple):
        value, index = content
        return Operand(symbol, value, index)
    return Operand(symbol, content)


def argument(question: Question, name: str, default: Any = None) -> Any:
    """Returns an argument by its name in the schema; of a multi-tensor operation the one of this result.

    Returns:
        A value, a number or what else was given; a pair of a value and an index where a tensor holds one number for
        each result; the default where the overload has no such argument.
    """
    known = question.operation.argument_names
    for candidate in (name, *_OTHER_NAMES.get(name, ())):
        if candidate in known:
            return _of_this_result(question, candidate, question.argument(candidate))
    return default


def _of_this_result(question: Question, name: str, content: Any) -> Any:
    if not question.operation.packet.startswith("_foreach_"):
        return content
    position = question.operation.outputs.index(question.value)
    if isinstance(content, (list, tuple)):
        items: Sequence[Any] = content  # pyright: ignore[reportUnknownVariableType]
        return items[position]
    return (content, (position,)) if name == "scalars" else content


def broadcast_index(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the index of the element that broadcasting puts at an index of the result.

    Args:
        index: in the result.
        shape: of the operand, whose axes are the result's last ones, of the same size or 1.

    Source: https://numpy.org/doc/stable/user/basics.broadcasting.html
    """
    last = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else place for place, size in zip(last, shape, strict=True))


def common_dtype(operands: Sequence[Operand]) -> torch.dtype | None:
    """Returns the type that torch promotes the operands to (https://pytorch.org/docs/stable/tensor_attributes.html)."""
    tensors = [one.content for one in operands if one.on_tape]
    numbers = [one.content for one in operands if isinstance(one.content, (bool, int, float))]
    # The category of a tensor with axes wins over that of one without, and both over a number's.
    stand_ins = [torch.empty((1,) * min(len(value.shape), 1), dtype=value.dtype, device="meta") for value in tensors]
    stand_ins.sort(key=lambda tensor: -tensor.dim())
    if not stand_ins:
        return None
    promoted, *rest = stand_ins
    for other in rest:
        dtype = torch.result_type(promoted, other)
        promoted = torch.empty(promoted.shape, dtype=dtype, device="meta")
    return torch.result_type(promoted, numbers[0]) if numbers else promoted.dtype


def _filled(operands: Sequence[Operand], numbers: Numbers, as_integers: bool) -> Iterator[Any]:
    """Yields the arguments of a formula's function, the terms' numbers in the places of the operands on the tape."""
    terms = iter(numbers)
    for operand in operands:
        number = float(next(terms)) if operand.on_tape else operand.content
        if isinstance(number, str) or not isinstance(number, (int, float)):
            yield number
            continue
        if not operand.on_tape or operand.content.dtype != operand.held_as:
            number = rounded(number, operand.held_as)
        is_integer = as_integers and not (operand.held_as and operand.held_as.is_floating_point)
        yield int(number) if is_integer and float(number).is_integer() else np.float64(number)


def written_out(text: str, operands: Sequence[Operand], numbers: Numbers) -> str:
    """Returns a formula with numbers in place of its symbols.

    Args:
        text: the formula, ``y = …``.
        operands: whose symbols are in it.
        numbers: of the operands on the tape, (K,).
    """
    terms = iter(numbers)
    known: dict[str, str] = {}
    for operand in operands:
        content = next(terms) if operand.on_tape else operand.content
        if isinstance(content, (int, float)):
            known[operand.symbol] = shown(float(content))
    right = text.partition("=")[2].strip()
    if not known:
        return right
    symbols = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
    return re.sub(rf"(?<![\w.])(?:{symbols})(?!\w)", lambda match: _bracketed(known[match[0]], match), right)


def _bracketed(number: str, match: re.Match[str]) -> str:
    """Returns a number in brackets where its minus would read as an operation, or as a power's."""
    before, after = match.string[: match.start()].rstrip(" "), match.string[match.end() :]
    is_joined = before.endswith(tuple("+−·/^√")) or after.startswith(tuple("^²³"))
    return f"({number})" if number.startswith("-") and is_joined else number

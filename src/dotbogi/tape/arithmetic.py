"""How one number came about: the terms that an explanation consists of, as arrays.

What a family of operations returns for one element of a result (see :mod:`dotbogi.tape.explain`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dotbogi.tape.value import Value

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]

SUM_OF_PRODUCTS = "sum_of_products"
FUNCTION = "function"
SELECTION = "selection"
REDUCTION = "reduction"
COPY = "copy"
GIVEN = "given"
UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Elements:
    """Elements of a value.

    Args:
        value: of the tape.
        index: (K, number of axes), which elements.
    """

    value: Value
    index: Indices

    @classmethod
    def one(cls, value: Value, index: Sequence[int]) -> Elements:
        """Returns a single element."""
        return cls(value, np.array([tuple(index)], np.int64).reshape(1, len(value.shape)))

    @classmethod
    def every(cls, value: Value) -> Elements:
        """Returns all elements, the last axis fastest."""
        return cls(
            value, np.stack(np.unravel_index(np.arange(value.numel()), value.shape or (1,)), 1)[:, : len(value.shape)]
        )

    def __len__(self) -> int:
        return len(self.index)

    def numbers(self) -> Numbers:
        """Returns what they held, in float64 (K,)."""
        strides = np.array(self.value.stride, np.int64)
        view = self.value.view()
        if self.value.memory is None or not len(self.index):
            return view[tuple(torch.from_numpy(self.index).T)].double().cpu().numpy()
        offsets = self.index @ strides if len(strides) else np.zeros(len(self.index), np.int64)
        size = int(offsets.max()) + 1
        flat = view.as_strided((size,), (1,), self.value.offset)
        return flat[torch.from_numpy(offsets).to(view.device)].double().cpu().numpy()


@dataclass(frozen=True)
class Group:
    """Terms of one kind: the products of a convolution, or its bias.

    Args:
        symbol: what stands for the elements in the formula, such as ``x``.
        elements: K of them.
        coefficients: what each is multiplied with, (K,) or one number for all; ``None`` where nothing is.
        factors: where the coefficients are on the tape, or ``None`` where they are constants.
        factor_symbol: what stands for the coefficients in the formula, such as ``w``.
    """

    symbol: str
    elements: Elements
    coefficients: Numbers | float | None = None
    factors: Elements | None = None
    factor_symbol: str = ""

    def coefficient_numbers(self) -> Numbers | None:
        """Returns what each element is multiplied with, (K,), or ``None``."""
        if self.factors is not None:
            sign = 1.0 if self.coefficients is None else self.coefficients
            return self.factors.numbers() * sign
        if self.coefficients is None:
            return None
        return np.broadcast_to(np.asarray(self.coefficients, np.float64), (len(self.elements),))


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic behind one number.

    Args:
        kind: one of the kinds of this module.
        formula: in symbols, plain text.
        groups: its terms, in the formula's order.
        result: of the terms' values (K,) in float64; ``None`` where it is Σ coefficient · value.
        latex: the formula in LaTeX.
        numbers: the formula with numbers in place of the symbols, of the terms' values; where ``None``, the products
            are written out.
        scale: of the terms' values, the magnitude that rounding is judged against; by default Σ|products|, or the
            largest magnitude among values and result.
        constants: the numbers in the formula that are on no tape, by symbol, such as a stride or a learning rate.
        note: where a given number comes from, or why there is no explanation; translated.
        chosen: of a selection, which of the terms won.
        recomputed: intermediate results that were computed again, not recorded, by symbol.
    """

    kind: str
    formula: str
    groups: tuple[Group, ...] = ()
    result: Callable[[Numbers], float] | None = None
    latex: str = ""
    numbers: Callable[[Numbers], str] | None = None
    scale: Callable[[Numbers], float] | None = None
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    note: str = ""
    chosen: int | None = None
    recomputed: dict[str, float] = field(default_factory=dict[str, float])


def product_group(symbol: str, elements: Elements, factor_symbol: str, factors: Elements, scale: float = 1.0) -> Group:
    """Returns terms that are products of two values of the tape, all times a constant."""
    return Group(symbol, elements, None if scale == 1.0 else scale, factors, factor_symbol)


def sum_of_products(formula: str, *groups: Group, latex: str = "", **constants: Any) -> Arithmetic:
    """Returns Σ coefficient · value over all groups."""
    return Arithmetic(SUM_OF_PRODUCTS, formula, groups, latex=latex, constants=constants)


def function_of(
    formula: str,
    operands: Sequence[tuple[str, Value, Sequence[int]]],
    function: Callable[..., float],
    *,
    latex: str = "",
    scale: Callable[[Numbers], float] | None = None,
    **constants: Any,
) -> Arithmetic:
    """Returns a formula of a few values.

    Args:
        formula: in the operands' symbols.
        operands: symbol, value and index of each.
        function: of the operands' numbers, in their order; in Python's floats.
        latex: the formula in LaTeX.
        scale: see :class:`Arithmetic`.
        constants: numbers of the formula that are on no tape.
    """
    groups = tuple(Group(symbol, Elements.one(value, index)) for symbol, value, index in operands)
    return Arithmetic(
        FUNCTION,
        formula,
        groups,
        result=lambda numbers: function(*(float(number) for number in numbers)),
        latex=latex,
        scale=scale,
        constants=constants,
    )


def copy_of(value: Value, index: Sequence[int], formula: str = "x", note: str = "") -> Arithmetic:
    """Returns the same number at another place."""
    group = Group("x", Elements.one(value, index), 1.0)
    return Arithmetic(COPY, formula, (group,), result=lambda numbers: float(numbers[0]), note=note)


def given(note: str, formula: str = "") -> Arithmetic:
    """Returns that a number comes from outside the tape, and where from."""
    return Arithmetic(GIVEN, formula, note=note)


def unexplained(note: str) -> Arithmetic:
    """Returns that there is no explanation, and why."""
    return Arithmetic(UNEXPLAINED, "", note=note)

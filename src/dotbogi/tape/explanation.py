"""The explanation of one number: formula, terms, the result computed again, and how far it is from the recorded one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import torch

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.arithmetic import GIVEN, SUM_OF_PRODUCTS, UNEXPLAINED, Arithmetic, Elements, Group, Numbers
from dotbogi.tape.value import Value

if TYPE_CHECKING:
    from dotbogi.tape.operation import Operation
    from dotbogi.tape.tape import Tape

ROUNDINGS = 32


@dataclass(frozen=True)
class Term:
    """One number that another consists of.

    Args:
        label: its symbol in the formula, with its place, such as ``x[0,1,5,7]``.
        address: by which it can be explained in turn.
        value_id: of the value that it is an element of.
        index: its place in that value.
        coefficient: what it is multiplied with, or ``None`` where it is not one of a sum's products.
        value: what it held, in float64.
        product: coefficient · value, or ``None``.
        coefficient_address: by which the coefficient can be explained, empty where it is a constant.
    """

    label: str
    address: str
    value_id: int
    index: tuple[int, ...]
    coefficient: float | None
    value: float
    product: float | None
    coefficient_address: str = ""


class Terms(Sequence[Term]):
    """The terms of an explanation, made one at a time from arrays: there may be 10⁵ of them.

    Args:
        tape: knows their addresses.
        groups: whose terms follow each other.
    """

    def __init__(self, tape: Tape, groups: tuple[Group, ...]) -> None:
        self._tape = tape
        self._groups = groups

    @cached_property
    def values(self) -> Numbers:
        """What the terms held (K,)."""
        return np.concatenate([np.zeros(0), *(group.elements.numbers() for group in self._groups)])

    @cached_property
    def coefficients(self) -> Numbers:
        """What each is multiplied with (K,); NaN where nothing is."""
        found = [group.coefficient_numbers() for group in self._groups]
        filled = [
            np.full(len(group.elements), np.nan) if numbers is None else numbers
            for group, numbers in zip(self._groups, found, strict=True)
        ]
        return np.concatenate([np.zeros(0), *filled])

    def order(self) -> list[int]:
        """Returns the terms' positions, those of the largest magnitude first."""
        magnitudes = np.abs(self.values * np.where(np.isnan(self.coefficients), 1.0, self.coefficients))
        return np.argsort(-np.nan_to_num(magnitudes, nan=np.inf), kind="stable").tolist()

    def __len__(self) -> int:
        return sum(len(group.elements) for group in self._groups)

    @overload
    def __getitem__(self, position: int) -> Term: ...
    @overload
    def __getitem__(self, position: slice) -> list[Term]: ...
    def __getitem__(self, position: int | slice) -> Term | list[Term]:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        if not -len(self) <= position < len(self):
            raise IndexError(f"there is no term {position} among {len(self)}")
        position %= len(self)
        group, within = self._place(position)
        place = tuple(group.elements.index[within].tolist())
        source, index = self._tape.source(group.elements.value, place)
        coefficient = (
            None if np.isnan(self.coefficients[position]) and not group.factors else float(self.coefficients[position])
        )
        value = float(self.values[position])
        return Term(
            label=f"{group.symbol}[{','.join(map(str, place))}]" if place else group.symbol,
            address=self._tape.address(source, index),
            value_id=source.id,
            index=index,
            coefficient=coefficient,
            value=value,
            product=None if coefficient is None else coefficient * value,
            coefficient_address=self._factor_address(group, within),
        )

    def _factor_address(self, group: Group, within: int) -> str:
        if group.factors is None:
            return ""
        place = tuple(group.factors.index[within].tolist())
        return self._tape.address(*self._tape.source(group.factors.value, place))

    def _place(self, position: int) -> tuple[Group, int]:
        for group in self._groups:
            if position < len(group.elements):
                return group, position
            position -= len(group.elements)
        raise IndexError(position)

    def __iter__(self) -> Iterator[Term]:
        return (self[position] for position in range(len(self)))


class Explanation:
    """How one number of a tape came about.

    Args:
        tape: that it is on.
        address: as it was asked for.
        value: which the number is an element of.
        index: its place there.
        arithmetic: the terms and the formula.
        operation: what made it, or ``None`` for a given number.
    """

    def __init__(
        self,
        tape: Tape,
        address: str,
        value: Value,
        index: tuple[int, ...],
        arithmetic: Arithmetic,
        operation: Operation | None,
    ) -> None:
        self.tape = tape
        self.address = address
        self.value = value
        self.index = index
        self.arithmetic = arithmetic
        self.operation = operation
        self.terms = Terms(tape, arithmetic.groups)

    @property
    def kind(self) -> str:
        """``sum_of_products``, ``function``, ``selection``, ``reduction``, ``copy``, ``given`` or ``unexplained``."""
        return self.arithmetic.kind

    @property
    def formula(self) -> str:
        """In symbols."""
        return self.arithmetic.formula

    @property
    def numbers(self) -> str:
        """The formula with the numbers in place of the symbols."""
        from dotbogi.tape.render.numbers import formula_with_numbers

        return formula_with_numbers(self)

    @cached_property
    def recorded(self) -> float:
        """What was recorded."""
        return self.value.item(self.index)

    @cached_property
    def result(self) -> float:
        """Computed again in float64 from the terms; of a given number what was recorded."""
        return self.evaluate(self.terms.values)

    def evaluate(self, values: Sequence[float] | Numbers) -> float:
        """Returns the result with other values of the terms.

        Args:
            values: one for each term.

        Raises:
            TapeError: more or fewer values than terms.
        """
        numbers = np.asarray(values, np.float64)
        if numbers.shape != (len(self.terms),):
            raise TapeError(
                _("{count} values came for {terms} terms.").format(count=numbers.size, terms=len(self.terms)),
                fix=_("Give one value for each term, such as [term.value for term in explanation.terms]."),
            )
        if self.kind in (GIVEN, UNEXPLAINED):
            return self.recorded
        if self.arithmetic.result is not None:
            return self.arithmetic.result(numbers)
        with np.errstate(invalid="ignore", over="ignore"):  # infinities meet in a model that has diverged
            return float(np.sum(self.terms.coefficients * numbers))

    @property
    def difference(self) -> float:
        """Recorded − result; 0 where both are the same infinity or NaN."""
        if self.recorded == self.result or (math.isnan(self.recorded) and math.isnan(self.result)):
            return 0.0
        return self.recorded - self.result

    @cached_property
    def scale(self) -> float:
        """Σ|products|, or the largest magnitude that entered: what rounding is judged against."""
        values = self.terms.values
        if self.arithmetic.scale is not None:
            return self.arithmetic.scale(values)
        if self.kind == SUM_OF_PRODUCTS:
            with np.errstate(invalid="ignore", over="ignore"):
                products = np.abs(values * self.terms.coefficients)
            return float(np.sum(products[np.isfinite(products)]))
        finite = [abs(number) for number in [*values.tolist(), self.result] if math.isfinite(number)]
        return max(finite, default=0.0)

    @property
    def tolerance(self) -> float:
        """½ · ε of the recorded type · |result| + 32 · ε of float32 (of float64 for float64) · scale.

        Result and scale count as the smallest normal number where they are smaller: below it numbers lie evenly.
        """
        dtype = self.value.dtype
        if not dtype.is_floating_point or not self.is_finite:
            return 0.0
        working = torch.float64 if dtype == torch.float64 else torch.float32
        rounding = 0.5 * torch.finfo(dtype).eps * max(abs(self.result), torch.finfo(dtype).tiny)
        return rounding + ROUNDINGS * torch.finfo(working).eps * max(self.scale, torch.finfo(working).tiny)

    @property
    def agrees(self) -> bool:
        """Whether result and recorded differ by rounding alone; of NaN and infinity, whether both are the same.

        A result that the recorded type cannot hold is infinite there.
        """
        if self.kind == UNEXPLAINED:
            return True
        if self.is_finite:
            return abs(self.difference) <= self.tolerance
        return self.difference == 0 or self.overflows

    @property
    def is_finite(self) -> bool:
        """Whether neither the recorded number nor the result is NaN or infinite."""
        return math.isfinite(self.recorded) and math.isfinite(self.result)

    @property
    def overflows(self) -> bool:
        """Whether the result is larger than the recorded type can hold, and an infinity was recorded for it."""
        dtype = self.value.dtype
        if not dtype.is_floating_point or not math.isinf(self.recorded) or math.isnan(self.result):
            return False
        return abs(self.result) > torch.finfo(dtype).max and self.recorded * self.result > 0

    @property
    def replay_difference(self) -> float | None:
        """Of a replayed run, the largest difference of the next weights from the stored ones, else ``None``."""
        return self.tape.replay_difference

    def expand(self, levels: int = 1, top: int = 12) -> list[Expanded]:
        """Returns the largest terms, each with its own explanation, and so on.

        Args:
            levels: how often terms are opened.
            top: how many terms of each explanation.
        """
        chosen = self.arithmetic.chosen
        order = self.terms.order() if chosen is None else [chosen]  # of a selection the winner alone is the result
        order = sorted(order[:top])
        return [self._expanded(self.terms[position], levels, top) for position in order]

    def _expanded(self, term: Term, levels: int, top: int) -> Expanded:
        explanation = self.tape.explain_at(term.value_id, term.index)
        inner = explanation.expand(levels - 1, top) if levels > 1 else []
        return Expanded(term, explanation, inner)

    def to_dict(self, top: int | None = None) -> dict[str, Any]:
        """Returns everything as JSON takes it.

        Args:
            top: how many terms, the largest; the others are summed up under ``rest``. ``None`` for all.
        """
        from dotbogi.tape.render.record import to_record

        return to_record(self, top)

    def to_latex(self, top: int = 12) -> str:
        """Returns the formula, and the formula with its largest terms, in LaTeX."""
        from dotbogi.tape.render.latex import to_latex

        return to_latex(self, top)

    def _repr_html_(self) -> str:
        from dotbogi.tape.render.html import to_html

        return to_html(self)

    def __str__(self) -> str:
        from dotbogi.tape.render.text import to_text

        return to_text(self)

    def __repr__(self) -> str:
        return f"<Explanation {self.address} = {self.recorded:.9g} ({self.kind}, {len(self.terms)} terms)>"


@dataclass(frozen=True)
class Expanded:
    """A term, its own explanation, and its terms in turn."""

    term: Term
    explanation: Explanation
    inner: list[Self]


def element(value: Value, index: Sequence[int]) -> Elements:
    """Returns a single element of a value."""
    return Elements.one(value, index)

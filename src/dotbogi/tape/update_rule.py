"""A formula in several lines, each of which gives a number a name, as the arithmetic of an explanation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dotbogi.tape.arithmetic import FUNCTION, REDUCTION, Arithmetic, Elements, Group, Numbers
from dotbogi.tape.expression import Marks, Reading, evaluate, lines_for, names_in, symbol, written

DIGITS = 6


@dataclass(frozen=True)
class Rule:
    """Lines from which several results can be taken.

    Args:
        lines: names and the expressions that are assigned to them, in order (see :mod:`dotbogi.tape.expression`).
        reads: names of numbers of the tape, and where they are; one element each, or several under one name.
        constants: names of the numbers that are on no tape.
        results: which name stands for what can be asked for.
        latex: the whole formula, or empty.
    """

    lines: tuple[tuple[str, str], ...]
    reads: Mapping[str, Elements]
    constants: Mapping[str, float]
    results: Mapping[str, str]
    latex: str = ""


@dataclass(frozen=True)
class Computation:
    """The lines of a rule that lead to one result.

    Args:
        lines: names and expressions, the result last.
        reads: as of the rule, only what is used.
        constants: likewise.
        marks: what rounds to the type of the numbers, where torch does that and the tolerance does not cover it.
        rounded_type: how that type is called.
        latex: the whole formula, or empty.
    """

    lines: tuple[tuple[str, str], ...]
    reads: Mapping[str, Elements]
    constants: Mapping[str, float]
    marks: Marks
    rounded_type: str = ""
    latex: str = ""

    @classmethod
    def of(cls, rule: Rule, asked: str, marks: Marks, rounded_type: str = "") -> Computation:
        """Leaves out of a rule what a result does not depend on."""
        lines = lines_for(rule.results[asked], rule.lines)
        used = set[str]().union(*(names_in(expression) for _name, expression in lines))
        reads = {name: elements for name, elements in rule.reads.items() if name in used}
        constants = {name: number for name, number in rule.constants.items() if name in used}
        return cls(lines, reads, constants, marks, rounded_type, rule.latex)

    def arithmetic(self) -> Arithmetic:
        """Returns it as what an explanation consists of."""
        groups = tuple(Group(symbol(name), elements) for name, elements in self.reads.items())
        several = any(len(elements) > 1 for elements in self.reads.values())
        recorded = np.concatenate([np.zeros(0), *(elements.numbers() for elements in self.reads.values())])
        *intermediate, (result, _reading) = self.run(recorded)
        return Arithmetic(
            REDUCTION if several else FUNCTION,
            "\n".join(self.line(position, symbol) for position in range(len(self.lines))),
            groups,
            result=lambda numbers: float(self.run(numbers)[-1][1].value),
            latex=self.latex,
            numbers=self.with_numbers,
            scale=self.scale,
            constants={symbol(name): number for name, number in self.constants.items()},
            recomputed={symbol(name): float(one.value) for name, one in intermediate if name != result},
        )

    def run(self, numbers: Numbers) -> list[tuple[str, Reading]]:
        """Returns what each line gives.

        Args:
            numbers: of everything that is read (K,), in its order.
        """
        known = self.start(numbers)
        found: list[tuple[str, Reading]] = []
        for name, expression in self.lines:
            known[name] = evaluate(expression, known, self.marks)
            found.append((name, known[name]))
        return found

    def start(self, numbers: Numbers) -> dict[str, Reading]:
        """Returns the constants and the numbers that are read, by name."""
        known = {name: Reading(np.float64(number)) for name, number in self.constants.items()}
        for (name, elements), part in zip(self.reads.items(), self._parts(numbers), strict=True):
            known[name] = Reading.recorded(part if len(elements) > 1 else part[0])
        return known

    def _parts(self, numbers: Numbers) -> list[Numbers]:
        ends = np.cumsum([len(elements) for elements in self.reads.values()])
        return np.split(numbers, ends[:-1])

    def scale(self, numbers: Numbers) -> float:
        """Returns Σ of the magnitudes of what was added up to the result."""
        size = self.run(numbers)[-1][1].size
        return size if np.isfinite(size) else 0.0

    def line(self, position: int, shown: Callable[[str], str]) -> str:
        """Returns one line in symbols, or with what else stands for the names."""
        name, expression = self.lines[position]
        is_again = name in self.reads or name in self.constants or name in [one for one, _ in self.lines[:position]]
        called = dict.fromkeys(self.marks, self.rounded_type)
        return f"{symbol(name)} {'←' if is_again else '='} {written(expression, shown, called)}"

    def with_numbers(self, numbers: Numbers) -> str:
        """Returns the lines with numbers in place of the symbols, each with its result but for the last."""
        known = self.start(numbers)
        lines: list[str] = []
        for position, (name, expression) in enumerate(self.lines):
            texts = {one: _shown(reading.value) for one, reading in known.items()}
            lines.append(self.line(position, texts.__getitem__))
            known[name] = evaluate(expression, known, self.marks)
            if position < len(self.lines) - 1:
                lines[-1] += f" ≈ {_shown(known[name].value)}"
        return "\n".join(lines)


def _shown(number: Any) -> str:
    if np.ndim(number):
        return f"[{', '.join(_shown(one) for one in number[:3])}, …]"
    return f"{float(number):.{DIGITS}g}"

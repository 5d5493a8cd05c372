"""From an address such as ``update conv1.weight[…]`` or ``state conv1.weight.exp_avg[…]`` to the optimizer's formula.

A known optimizer's update is explained by the formula of its paper, as its class carries it out; any other one by the
last operation that wrote the weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from dotbogi.stages import UPDATE
from dotbogi.tape.arithmetic import Arithmetic, Elements
from dotbogi.tape.before_update import BeforeUpdate
from dotbogi.tape.expression import Marks
from dotbogi.tape.operation import Operation
from dotbogi.tape.update_rule import Computation, Rule
from dotbogi.tape.value import Value, key_of

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape

WEIGHT, GRADIENT_READ = "", "gradient"
LOW_PRECISION = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class UpdateStep:
    """One element of a parameter, or of its state, in an optimizer's step.

    Args:
        tape: that it is on.
        name: of the parameter.
        asked: ``WEIGHT``, or the key of a state.
        index: of the element there.
        before: the parameter when the step began.
        options: of its parameter group.
    """

    tape: Tape
    name: str
    asked: str
    index: tuple[int, ...]
    before: BeforeUpdate
    options: Mapping[str, Any]

    @property
    def low_precision(self) -> bool:
        """Whether torch rounds every intermediate result to a type of low precision."""
        return self.before.weight.dtype in LOW_PRECISION

    def value(self, value: Value) -> Value:
        """Returns what has a value's id on this tape."""
        return self.tape.values.get(value.id, value)

    def one(self, value: Value, index: tuple[int, ...] | None = None) -> Elements:
        """Returns an element of a value, by default the one at the asked place."""
        return Elements.one(self.value(value), self.index if index is None else index)

    @property
    def weight(self) -> Elements:
        """The weight before the step."""
        return self.one(self.before.weight)

    @property
    def gradient(self) -> Elements:
        """The gradient as the optimizer reads it."""
        assert self.before.gradient is not None
        return self.one(self.before.gradient)

    def state(self, key: str) -> Value:
        """Returns a state before the step; one that did not exist as it was created in the step.

        Raises:
            KeyError: the optimizer keeps no such state.
        """
        if key in self.before.state:
            return self.before.state[key]
        after = self.after(key)
        memory = after.memory
        if memory is None or not memory.writes or memory.writes[0].version == 0:
            return after if memory is None or not memory.writes else memory.writes[0]
        # Made of a plain number, which no operation tells of: what it held before it was first written into.
        created = key_of(0, after.view())
        return next((value for key, value in memory.values.items() if key == created), memory.writes[0])

    def after(self, key: str) -> Value:
        """Returns a state after the step, or the weight (under ``WEIGHT``).

        Raises:
            KeyError: the optimizer keeps no such state.
        """
        return self.tape.names.given[f"state {self.name}.{key}" if key else f"update {self.name}"]

    def keeps(self, key: str) -> bool:
        """Whether the optimizer keeps a state."""
        return f"state {self.name}.{key}" in self.tape.names.given

    def states(self, **keys: str) -> dict[str, Elements]:
        """Returns the elements of states before the step by the names that they get in the formula."""
        return {name: self.one(self.state(key)) for name, key in keys.items()}

    @property
    def count(self) -> float:
        """The number of this update, t, from 1."""
        step = self.before.state.get("step")
        return (step.item(()) if step is not None else self.before.numbers.get("step", 0.0)) + 1

    def marks(self, result: Value) -> Marks:
        """Returns what rounds as torch does in a type of low precision; in others the tolerance covers it.

        On the CPU a sum's factor is rounded too, and outside of its vectors the product of the two.
        """
        from dotbogi.tape.explain import Question
        from dotbogi.tape.explain.vector_loops import computed_in_vectors

        if result.dtype not in LOW_PRECISION:
            return {}
        rounding = partial(_rounded, result.dtype)
        weight, gradient = self.before.weight, self.before.gradient
        if result.device.type != "cpu" or result.operation is None or gradient is None:
            return {"rounded": rounding}
        question = Question(self.tape, result.operation, result, self.index)
        if result.shape != weight.shape or computed_in_vectors(question, [weight, gradient]):
            return {"rounded": rounding, "factor": rounding}
        return {"rounded": rounding, "factor": rounding, "product": rounding}

    def reader_of(self, value: Value, *packets: str) -> Operation | None:
        """Returns the first operation of the update, by its name, that read a value."""
        readers = self.tape.readers.get(value.id, [])
        return next((operation for operation in readers if operation.packet in packets), None)


def updated_values(tape: Tape) -> dict[int, tuple[str, str]]:
    """Returns, by the ids of what was written in an optimizer's step, the parameter and the state's key."""
    found: dict[int, tuple[str, str]] = {}
    parameters: Mapping[str, BeforeUpdate] = tape.facts.get("parameters", {})
    known = {value.id for before in parameters.values() for value in (before.weight, *before.state.values())}
    for address, value in tape.names.given.items():
        kind, _space, name = address.partition(" ")
        parameter, key = name, WEIGHT
        if kind == "state":
            parameter, _dot, key = name.rpartition(".")
        if kind in ("update", "state") and _is_read(parameters.get(parameter)) and value.id not in known:
            found.setdefault(value.id, (parameter, key))
    for name, before in parameters.items():
        gradient = before.gradient
        if gradient is not None and gradient.operation is not None and gradient.operation.stage is UPDATE:
            found.setdefault(gradient.id, (name, GRADIENT_READ))
    return found


def _is_read(before: BeforeUpdate | None) -> bool:
    return before is not None and before.gradient is not None


def update_arithmetic(tape: Tape, value: Value, index: tuple[int, ...]) -> Arithmetic | None:
    """Returns the optimizer's formula for what it wrote, or ``None`` where there is none.

    Args:
        tape: of a training step.
        value: an updated weight, a state after the step, or a clipped gradient.
        index: of one of its elements.
    """
    from dotbogi.tape.explain.updates import rule_of

    if value.id not in tape.updated:
        return None
    name, asked = tape.updated[value.id]
    before: BeforeUpdate = tape.facts["parameters"][name]
    if asked == "step":  # a counter, one for the whole tensor
        return None
    step = UpdateStep(tape, name, asked, index, before, tape.facts["groups"][before.group])
    rule = _clipping(step) if asked == GRADIENT_READ else rule_of(tape.facts["implementation"], step)
    if rule is None or asked not in rule.results:
        return None
    name_of_type = str(value.dtype).removeprefix("torch.")
    return Computation.of(rule, asked, step.marks(value), name_of_type).arithmetic()


def _clipping(step: UpdateStep) -> Rule | None:
    """c = min(1, max_norm / (‖g‖ + 10⁻⁶)) of all gradients together (Pascanu et al. 2013, arXiv:1211.5063)."""
    operation = step.before.gradient.operation if step.before.gradient is not None else None
    accumulated = step.tape.names.given.get(f"gradient {step.name}")
    if operation is None or accumulated is None or operation.packet not in ("mul_", "_foreach_mul_"):
        return None
    factor = operation.argument("other")
    is_of_it = accumulated.id in {value.id for value in operation.inputs}
    if not is_of_it or not isinstance(factor, Value) or factor.shape:
        return None
    return Rule(
        lines=(("g", "rounded(g*c)"),),
        reads={"g": step.one(accumulated), "c": step.one(factor, ())},
        constants={},
        results={GRADIENT_READ: "g"},
        latex=r"g \leftarrow g \cdot \min\Bigl(1, \frac{c_{\max}}{\lVert g \rVert + 10^{-6}}\Bigr)",
    )


def _rounded(dtype: torch.dtype, number: float) -> float:
    return torch.tensor(number, dtype=torch.float64).to(dtype).item()

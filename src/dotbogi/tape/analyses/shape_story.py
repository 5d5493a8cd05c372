"""The shape story: why each layer's output has its shape, in words and arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from dotbogi.stages import MODEL
from dotbogi.tape.analyses.activity import active_places
from dotbogi.tape.analyses.shape_reasons import reason
from dotbogi.tape.execution import place_of
from dotbogi.tape.operation import Operation
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ShapeLine:
    """Why one operation's output has its shape.

    Args:
        layer: path of the module that called it, empty for the model's own forward.
        operation: its name, such as ``convolution``.
        before: shape of what came in; of several the first.
        after: shape of what came out.
        why: in words and arithmetic.
    """

    layer: str
    operation: str
    before: Shape
    after: Shape
    why: str


@dataclass(frozen=True)
class ShapeStory:
    """Why every output on the way from the input to the logits has its shape.

    Args:
        lines: in the order of execution.
    """

    lines: tuple[ShapeLine, ...]

    def __str__(self) -> str:
        return "\n".join(
            f"{line.layer or line.operation}: {_shown(line.before)} → {_shown(line.after)}: {line.why}"
            for line in self.lines
        )


def shape_story(tape: Tape) -> ShapeStory:
    """Returns for each layer why its output has its shape: 14×14 = ⌊(28 + 2·0 − 2)/2⌋ + 1, and 1568 = 32·7·7.

    Operations of one call of a module that change nothing of the shape are told once.

    Args:
        tape: recorded.

    Formulas: torch.nn.Conv2d, MaxPool2d, ConvTranspose2d, "Shape" (PyTorch documentation).
    """
    lines: list[ShapeLine] = []
    called: list[tuple[str, int, str]] = []
    for operation, source, result in _steps(tape):
        line = ShapeLine(
            operation.module, operation.packet, source.shape, result.shape, reason(operation, source, result)
        )
        call = (operation.module, operation.call, line.why)
        if line.before == line.after and called and called[-1] == call:
            continue
        lines.append(line)
        called.append(call)
    return ShapeStory(tuple(lines))


def _steps(tape: Tape) -> list[tuple[Operation, Value, Value]]:
    """Returns the operations on what was computed from the input, each with its operand and its result."""
    source = tape.names.given.get("input")
    active = active_places(tape, source) if source is not None else set()
    found: list[tuple[Operation, Value, Value]] = []
    for operation in tape.operations:
        if operation.stage is not MODEL or operation.plumbing or operation.rerun or not operation.outputs:
            continue
        operands = [one for one in operation.inputs if one.memory is not None and place_of(one) in active]
        if operands:
            found.append((operation, operands[0], operation.outputs[0]))
    return found


def _shown(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"

"""Shared by the tests of reductions: changing one term must change the result as it changes the operation's."""

import dataclasses
import math
import random

import torch

from dotbogi.tape.explanation import Explanation
from dotbogi.tape.operation import with_tensors
from dotbogi.tape.value import Value

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def wrongly(explanation: Explanation, **changes) -> Explanation:
    """The same explanation with another arithmetic."""
    arithmetic = dataclasses.replace(explanation.arithmetic, **changes)
    return Explanation(
        explanation.tape, explanation.address, explanation.value, explanation.index, arithmetic, explanation.operation
    )


def assert_bites(explanations: list[Explanation]) -> None:
    """Answering 0, half of it or the negative, or leaving out the largest term, is caught for most results."""
    asked = [one for one in explanations if one.kind not in ("given", "copy") and abs(one.recorded) > 1e-3]
    assert asked
    for factor in (0.0, 0.5, -1.0):
        wrong = [
            wrongly(
                one,
                result=lambda n, one=one, factor=factor: factor * one.evaluate(n),
                scale=lambda n, one=one: one.scale,
            )
            for one in asked
        ]
        assert not any(one.agrees for one in wrong), factor


def assert_follows(explanation: Explanation, changes: int = 5) -> None:
    """Changes terms one at a time and runs the operation itself in float64 with the same change."""
    operation = explanation.operation
    assert operation is not None
    draw = random.Random(3)
    groups = [group for group in explanation.arithmetic.groups if group.elements.value.dtype.is_floating_point]
    values = [term.value for term in explanation.terms]
    for group in groups:
        first = sum(
            len(g.elements) for g in explanation.arithmetic.groups[: explanation.arithmetic.groups.index(group)]
        )
        for within in draw.sample(range(len(group.elements)), min(changes, len(group.elements))):
            place = tuple(group.elements.index[within].tolist())
            expected = _rerun(explanation, group.elements.value, place)
            changed = list(values)
            changed[first + within] += 0.25
            result = explanation.evaluate(changed)
            tolerance = 2e-5 * max(1.0, abs(expected))
            assert math.isclose(result, expected, rel_tol=1e-6, abs_tol=tolerance), (operation, group.symbol, place)


def _rerun(explanation: Explanation, changed: Value, place: tuple[int, ...]) -> float:
    operation = explanation.operation

    def tensor_of(value: Value) -> torch.Tensor:
        tensor = value.tensor()
        if tensor.is_floating_point():
            tensor = tensor.double()
            if value is changed:
                tensor[place] += 0.25
        return tensor

    arguments, keywords = (with_tensors(part, tensor_of) for part in (operation.arguments, operation.keywords))
    with torch.no_grad():
        results = operation.overload(*arguments, **keywords)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    return float(results[explanation.value.output][explanation.index])

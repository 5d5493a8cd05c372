"""An explanation as JSON takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dotbogi.tape.explanation import Explanation, Term


def to_record(explanation: Explanation, top: int | None) -> dict[str, Any]:
    """Returns an explanation's attributes and terms.

    Args:
        explanation: of a number.
        top: how many terms, the largest, in their order; ``None`` for all.
    """
    terms = explanation.terms
    positions = list(range(len(terms))) if top is None else sorted(terms.order()[: max(top, 0)])
    shown = [terms[position] for position in positions]
    record = {
        "address": explanation.address,
        "kind": explanation.kind,
        "operation": explanation.operation.name if explanation.operation else None,
        "formula": explanation.formula,
        "numbers": explanation.numbers,
        "constants": explanation.arithmetic.constants,
        "recomputed": explanation.arithmetic.recomputed,
        "note": explanation.arithmetic.note,
        "chosen": explanation.arithmetic.chosen,
        "terms": [_term_record(term) for term in shown],
        "terms_in_all": len(terms),
        "result": explanation.result,
        "recorded": explanation.recorded,
        "difference": explanation.difference,
        "scale": explanation.scale,
        "tolerance": explanation.tolerance,
        "agrees": explanation.agrees,
    }
    if len(shown) < len(terms):
        products = [term.product for term in shown if term.product is not None]
        record["rest"] = {"terms": len(terms) - len(shown), "sum": explanation.result - sum(products)}
    if explanation.replay_difference is not None:
        record["replay_difference"] = explanation.replay_difference
    return record


def _term_record(term: Term) -> dict[str, Any]:
    return {
        "label": term.label,
        "address": term.address,
        "value_id": term.value_id,
        "index": list(term.index),
        "coefficient": term.coefficient,
        "coefficient_address": term.coefficient_address,
        "value": term.value,
        "product": term.product,
    }

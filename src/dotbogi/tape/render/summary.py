"""The tape as a summary: one row per module, in the manner of torchinfo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotbogi.language import _
from dotbogi.language.wording import count, size
from dotbogi.stages import MODEL
from dotbogi.tape.render.multiplications import multiply_accumulates
from dotbogi.tape.render.table import new_bytes
from dotbogi.tape.render.tables import TapeTable, count_text, shape_text

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape


def summary_of(tape: Tape) -> TapeTable:
    """Returns a table of the model's modules, and the totals below it.

    Each row of its ``rows`` has ``module``, ``type``, ``shapes`` (of the first call's outputs), ``calls``,
    ``parameters`` (its own, without those of the modules inside it) and ``macs`` (of the forward pass, its own).
    """
    rows = _rows(tape)
    headings = [_("module"), _("type"), _("output"), _("parameters"), _("MACs")]
    cells = [
        [
            (row["module"] or _("(the model)")) + _times(row["calls"]),
            row["type"],
            ", ".join(map(shape_text, row["shapes"])),
            count_text(row["parameters"]),
            count_text(row["macs"]),
        ]
        for row in rows
    ]
    return TapeTable(rows, headings, (3, 4), cells, totals(tape))


def _times(calls: int) -> str:
    if calls == 1:
        return ""
    return f" ×{calls}" if calls else " " + _("(never called)")


def _rows(tape: Tape) -> list[dict[str, Any]]:
    names = tape.names
    own_macs: dict[str, int] = {}
    for operation in tape.operations:
        if operation.stage is MODEL:
            own_macs[operation.module] = own_macs.get(operation.module, 0) + multiply_accumulates(operation)
    own = _own_parameters(tape)
    called = {name: [call for call in names.calls if call.name == name] for name in names.modules}
    return [
        {
            "module": name,
            "type": names.types.get(name, ""),
            "shapes": [list(value.shape) for value in called[name][0].outputs] if called[name] else [],
            "calls": len(called[name]),
            "parameters": own.get(name, 0),
            "macs": own_macs.get(name, 0),
        }
        for name in names.modules
        if names.aliases.get(name, name) == name
    ]


def _own_parameters(tape: Tape) -> dict[str, int]:
    """Returns how many values of parameters each module has itself; shared ones count where they come first."""
    own: dict[str, int] = {}
    seen: set[int] = set()
    for name in tape.names.parameters:
        value = tape.names.given[name]
        if value.id not in seen:
            seen.add(value.id)
            module = name.rpartition(".")[0]
            own[module] = own.get(module, 0) + value.numel()
    return own


def totals(tape: Tape) -> list[str]:
    """Returns what the whole tape holds, in sentences."""
    operations = [operation for operation in tape.operations if operation.stage is MODEL]
    macs = sum(map(multiply_accumulates, operations))
    return [
        _("parameters {parameters} · MACs of the forward pass {macs}").format(
            parameters=count(sum(_own_parameters(tape).values())), macs=count(macs)
        ),
        _("operations {operations} · memory of their results {bytes}").format(
            operations=count(len(tape.operations)), bytes=size(sum(map(new_bytes, tape.operations)))
        ),
    ]

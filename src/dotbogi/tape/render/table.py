"""The tape as a table: one row per operation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotbogi.language import _
from dotbogi.tape.operation import Operation
from dotbogi.tape.render.multiplications import multiply_accumulates
from dotbogi.tape.render.tables import TapeTable, count_text, shape_text

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape


def table_of(tape: Tape) -> TapeTable:
    """Returns a table of a tape's operations.

    Each row of its ``rows`` has ``index``, ``operation``, ``module``, ``call``, ``shapes``, ``dtypes``, ``stage``,
    ``line``, ``parameters`` (values of the parameters that it reads), ``macs`` and ``bytes`` (of new memory).
    """
    parameters = parameter_memories(tape)
    rows = [_row(operation, parameters) for operation in tape.operations]
    headings = [
        *(_("op"), _("operation"), _("module"), _("output"), _("dtype"), _("stage"), _("line")),
        *(_("parameters"), _("MACs"), _("bytes")),
    ]
    return TapeTable(rows, headings, (0, 7, 8, 9), [_cells(row) for row in rows])


def parameter_memories(tape: Tape) -> dict[int, int]:
    """Returns how many values each parameter has, by the number of the memory that it lies in."""
    values = (tape.names.given[name] for name in tape.names.parameters)
    return {value.memory.number: value.numel() for value in values if value.memory is not None}


def _row(operation: Operation, parameters: dict[int, int]) -> dict[str, Any]:
    return {
        "index": operation.index,
        "operation": operation.name,
        "module": operation.module,
        "call": operation.call,
        "shapes": [list(value.shape) for value in operation.outputs],
        "dtypes": [str(value.dtype).removeprefix("torch.") for value in operation.outputs],
        "stage": str(operation.stage),
        "line": str(operation.line) if operation.line else "",
        "parameters": _parameters_read(operation, parameters),
        "macs": multiply_accumulates(operation),
        "bytes": new_bytes(operation),
    }


def _parameters_read(operation: Operation, parameters: dict[int, int]) -> int:
    """Returns the values of the parameters that an operation computes with; a view of one computes nothing."""
    made = {value.memory.number for value in operation.outputs if value.memory is not None}
    read = {value.memory.number for value in operation.inputs if value.memory is not None}
    if made <= read and not operation.overload._schema.is_mutable:
        return 0
    return sum(parameters.get(number, 0) for number in read)


def new_bytes(operation: Operation) -> int:
    """Returns the bytes of the memory that an operation's results take; a view and an in-place write take none."""
    read = {value.memory.number for value in operation.inputs if value.memory is not None}
    made = {
        value.memory.number: value.numel() * value.dtype.itemsize
        for value in operation.outputs
        if value.memory is not None and value.memory.number not in read
    }
    return sum(made.values())


def _cells(row: dict[str, Any]) -> list[str]:
    call = f"#{row['call']}" if row["call"] else ""
    return [
        str(row["index"]),
        row["operation"].removeprefix("aten.").removesuffix(".default"),
        row["module"] + call,
        ", ".join(map(shape_text, row["shapes"])),
        ", ".join(dict.fromkeys(row["dtypes"])),
        row["stage"],
        Path(row["line"]).name,
        *(count_text(row[name]) for name in ("parameters", "macs", "bytes")),
    ]

"""An explanation, a what-if, and a tape as a person and as a program see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dotbogi.cli.output import WIDTH_OF_A_PIPE, Output
from dotbogi.cli.tables import table
from dotbogi.language import _
from dotbogi.tape.render.numbers import shown
from dotbogi.tape.render.suggestions import worth_trying
from dotbogi.tape.render.text import WIDTH, to_lines

if TYPE_CHECKING:
    from dotbogi.tape.analyses.difference import Difference
    from dotbogi.tape.explanation import Expanded, Explanation
    from dotbogi.tape.tape import Tape

TOP = 12  # terms of a sum, unless said otherwise
OPENED = 3  # terms that are opened of each number, unless said otherwise
CHANGES_SHOWN = 10
WIDEST = 120


def show_explanation(output: Output, explanation: Explanation, levels: int, top: int | None) -> None:
    """Shows a number's arithmetic, with its terms opened so many levels deep."""
    expanded = explanation.expand(levels, top or OPENED) if levels else []
    if output.as_json:
        record = explanation.to_dict(top=top or TOP)
        if levels:
            record["expanded"] = [_expanded_record(one, top or OPENED) for one in expanded]
        output.line(record)
        return
    output.show(*to_lines(explanation, top=top or TOP, width=_width(output), expanded=expanded))


def _expanded_record(one: Expanded, top: int) -> dict[str, Any]:
    inner = [_expanded_record(further, top) for further in one.inner]
    return one.explanation.to_dict(top=top) | ({"expanded": inner} if inner else {})


def _width(output: Output) -> int:
    width = output.console.width
    return WIDTH if width == WIDTH_OF_A_PIPE else min(width, WIDEST)


def show_what_if(output: Output, tape: Tape, changed: Tape, changes: Mapping[str, float], address: str | None) -> None:
    """Shows what followed from changed numbers: the asked number before and after, and the largest changes."""
    differences = _what_followed(tape, changed, changes)
    asked = (tape.value(address), changed.value(address)) if address else None
    if output.as_json:
        output.line(_what_if_record(tape, changes, address, asked, differences))
        return
    output.show(_what_if_table(tape, changes))
    if asked and address:
        before, after = asked
        output.show("", _("What follows for {address}:").format(address=address), "")
        output.show(f"  {shown(before)} → {shown(after)}   ({_change(after - before)})")
    if not differences:
        output.show("", _("Nothing else changes."))
        return
    output.show("", _("The largest changes:"), "", _changes_table(differences))


def _what_followed(tape: Tape, changed: Tape, changes: Mapping[str, float]) -> list[Difference]:
    """Returns the largest changes, without those that were made."""
    made = {tape.locate(address) for address in changes}
    found = tape.difference(changed, CHANGES_SHOWN + len(changes))
    return [one for one in found if tape.locate(one.address) not in made][:CHANGES_SHOWN]


def _what_if_record(
    tape: Tape,
    changes: Mapping[str, float],
    address: str | None,
    asked: tuple[float, float] | None,
    differences: Sequence[Difference],
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "what_if": {one: {"before": tape.value(one), "after": value} for one, value in changes.items()},
        "changed": [
            {"address": one.address, "before": one.before, "after": one.after, "change": one.change}
            for one in differences
        ],
    }
    if asked is None:
        return record
    before, after = asked
    return {"address": address, "before": before, "after": after, "change": after - before} | record


def _what_if_table(tape: Tape, changes: Mapping[str, float]) -> Any:
    result = table(_("what if"), _("was"), _("becomes"), numbers=(1, 2))
    for address, value in changes.items():
        result.add_row(address, shown(tape.value(address)), shown(value))
    return result


def _changes_table(differences: Sequence[Difference]) -> Any:
    result = table(_("address"), _("before"), _("after"), _("change"), numbers=(1, 2, 3))
    for one in differences:
        result.add_row(one.address, shown(one.before, 6), shown(one.after, 6), _change(one.change))
    return result


def _change(change: float) -> str:
    return f"{change:+.6g}" if change else "0"


def show_tape(output: Output, tape: Tape, words: Sequence[str]) -> None:
    """Shows a tape's modules, its totals, and a handful of addresses to go on with.

    Args:
        output: where to.
        tape: of a forward pass or a training step.
        words: of the command line that made it: the run or model, and options.
    """
    summary, addresses = tape.summary(), worth_trying(tape)
    if output.as_json:
        output.line({"modules": summary.rows, "operations": len(tape.operations), "addresses": addresses})
        return
    output.show(summary, "", _("Addresses worth trying:"), "")
    first, *options = map(_quoted, words)
    output.show(*(" ".join(["  dotbogi explain", first, _quoted(one), *options]) for one in addresses))
    if "loss" not in tape.names.given:
        words_of_a_step = " ".join(["  dotbogi explain", first, "--step train"])
        output.show("", _("{command}   loss, gradients, updated weights").format(command=words_of_a_step))


def _quoted(word: str) -> str:
    return f"'{word}'" if set(word) & set(" []#'\"$*?()") else word

"""Addresses: how a person names one number of a tape, ``[kind ]name[#call][:output][index][ @step]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dotbogi.errors import AddressError
from dotbogi.language import _

WORDS = ("pixel", "input", "logits", "loss")  # numbers of their own; they win over a module of that name
KINDS = ("gradient", "state", "update", "module", "parameter", "buffer", "op", "value")
EXAMPLES = "conv1[0,3,10,12], logits[0,7], loss, conv1.weight[3,0,1,1], gradient conv1[0,3,10,12], op 12[0,1]"

_PATTERN = re.compile(
    rf"\s*(?:(?P<kind>{'|'.join(KINDS)})\s+)?"
    r"(?P<name>[^\s\[\]#:@]+)"
    r"(?:#(?P<call>\d+))?"
    r"(?::(?P<output>\d+))?"
    r"(?:\s*\[(?P<index>[\d\s,]*)\])?"
    r"(?:\s*@\s*(?P<step>\d+))?\s*"
)


@dataclass(frozen=True)
class Address:
    """An address, taken apart.

    Args:
        text: as it was typed.
        kind: ``gradient``, ``state``, ``update``, ``module``, ``parameter``, ``buffer``, ``op``, ``value``, or empty.
        name: of a module, parameter, …; the number of an operation.
        call: of the module, or ``None`` where none was said.
        output: which of several results.
        index: of the element; ``None`` where none was said.
        step: of a training that the number is of; ``None`` where none was said.
    """

    text: str
    kind: str
    name: str
    call: int | None = None
    output: int = 0
    index: tuple[int, ...] | None = None
    step: int | None = None

    @property
    def within(self) -> str:
        """The address within its step."""
        return self.text if self.step is None else self.text.rpartition("@")[0].rstrip()


def parse_address(text: str) -> Address:
    """Takes an address apart.

    Args:
        text: such as ``conv1#1[0,3,10,12]`` or ``gradient conv1.weight[3,0,1,1]``; ``conv1.weight.grad[…]`` means
            the latter too. ``… @135`` is the same number at another step of the training.

    Raises:
        AddressError: it is none; the message shows where it goes wrong.
    """
    match = _PATTERN.match(text)
    if match is None or match.end() != len(text) or not _is_well_formed(match["index"]):
        raise _syntax_error(text, match)
    kind, name = match["kind"] or "", match["name"]
    if not kind and name.endswith(".grad"):
        kind, name = "gradient", name.removesuffix(".grad")
    call, step = (int(match[part]) if match[part] is not None else None for part in ("call", "step"))
    return Address(text, kind, name, call, int(match["output"] or 0), _index(match["index"]), step)


def _is_well_formed(index: str | None) -> bool:
    return index is None or not index.strip() or all(part.strip().isdecimal() for part in index.split(","))


def _index(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    return tuple(int(part) for part in text.split(",")) if text.strip() else ()


def _syntax_error(text: str, match: re.Match[str] | None) -> AddressError:
    where = match.end() if match is not None and match.end() < len(text) else 0
    if match is not None and match.end() == len(text):
        where = text.index("[") + 1
    mark = " " * where + "^"
    return AddressError(
        _("This is no address, from the mark on:\n  {text}\n  {mark}").format(text=text, mark=mark),
        fix=_("Addresses count from 0, such as: {examples}").format(examples=EXAMPLES),
    )


def shown_index(index: tuple[int, ...]) -> str:
    """Returns an index as it stands in an address: ``[0,3,10,12]``, nothing for a number without axes."""
    return f"[{','.join(map(str, index))}]" if index else ""

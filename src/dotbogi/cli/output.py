"""What a command says: JSON lines for programs, tables and text for people, errors for both."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO, cast

from dotbogi.errors import DotbogiError
from dotbogi.language import _
from dotbogi.training.events import Event, Notice

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Wide enough that nothing is cut or wrapped where a program reads.
WIDTH_OF_A_PIPE = 1000


class Output:
    """Where a command's results go.

    Args:
        as_json: JSON lines instead of text for people.
        results: standard output.
        messages: standard error.
    """

    def __init__(self, as_json: bool, results: TextIO, messages: TextIO) -> None:
        self.as_json = as_json
        self._results = results
        self.messages = messages

    @cached_property
    def console(self) -> Console:
        """Rich's console on standard output: colours on a terminal, plain text in a pipe."""
        return console_on(self._results)

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads along on standard output."""
        return self._results.isatty()

    @property
    def leaves_room_for_a_bar(self) -> bool:
        """Whether nothing else is written to the terminal while the work goes on."""
        return not (self.as_json and self.is_terminal)

    def line(self, record: Mapping[str, Any]) -> None:
        """Writes one JSON line to standard output, at once."""
        print(json_line(record), file=self._results, flush=True)

    def show(self, *parts: RenderableType) -> None:
        """Writes tables or text for people to standard output; words in brackets are no markup."""
        with self.console.capture() as capture:
            for part in parts:
                # A line of text is left whole: a path that is cut in two cannot be copied.
                self.console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))
        # Tables fill their last column with spaces.
        lines = (line.rstrip() for line in capture.get().splitlines())
        print("\n".join(lines), file=self._results, flush=True)

    def plain(self, text: str) -> None:
        """Writes a line to standard output as it is; Rich takes a hundred times as long."""
        print(text, file=self._results)

    def say(self, text: str) -> None:
        """Writes a message to standard error."""
        print(text, file=self.messages, flush=True)

    def tell(self, event: Event) -> None:
        """Says what a person should know of what a run or its folder tells."""
        if isinstance(event, Notice):
            self.say(event.text)

    def error(self, error: DotbogiError) -> None:
        """Says what went wrong and what to do, and with JSON once more as a line."""
        self.say(_("Error: {message}").format(message=error.message))
        if error.fix:
            self.say(error.fix)
        # The error may be that nothing can be written there.
        with contextlib.suppress(OSError):
            if self.as_json:
                self.line({"event": "error", "message": error.message, "fix": error.fix})


def console_on(stream: TextIO) -> Console:
    """Returns Rich's console on a stream; it asks ``NO_COLOR`` and the terminal what is possible."""
    from rich.console import Console

    of_its_own = stream.isatty() or "COLUMNS" in os.environ
    return Console(file=stream, soft_wrap=not of_its_own, width=None if of_its_own else WIDTH_OF_A_PIPE)


def json_line(record: Mapping[str, Any]) -> str:
    """Returns a record as one line of JSON: numbers in full, NaN and infinity as strings."""
    values = _without_special_numbers(record)
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, default=os.fspath)
    # A file name that is no text holds lone surrogates, which UTF-8 cannot carry but JSON's escapes can.
    return text if _is_encodable(text) else json.dumps(values, allow_nan=False, default=os.fspath)


def _without_special_numbers(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {str(key): _without_special_numbers(inner) for key, inner in items}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_special_numbers(inner) for inner in cast("Sequence[Any]", value)]
    return value


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def use_utf8() -> None:
    """Makes standard output and error UTF-8: a console in cp949 cannot print ×, ≈ or ━."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(encoding="utf-8", errors="replace")

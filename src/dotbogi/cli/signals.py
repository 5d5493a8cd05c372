"""Ctrl-C and SIGTERM: a training that has begun saves and ends; anything else ends at once."""

import contextlib
import os
import signal
import sys
from types import FrameType, TracebackType
from typing import Any, Self

from dotbogi.language import _

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 3


class Interrupted(KeyboardInterrupt):
    """A person, or the system, wants the program to end now.

    Args:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = exit_code(number)


def exit_code(number: int) -> int:
    """Returns the exit code after a signal, as shells have it: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + number


class StopRequest:
    """Within its block, a signal asks the training to save and end, instead of ending the program.

    Before ``saves`` is set there is nothing to save, and a signal ends the program at once. Afterwards the first
    signal is remembered for the training to ask after; the second says that saving is under way; the third ends
    the program: what is on disk is whole at any moment, only the steps since are lost.
    """

    def __init__(self) -> None:
        self.saves = False
        self.signal: int | None = None
        self._count = 0
        self._previous: list[Any] = []

    def __enter__(self) -> Self:
        self._previous = [signal.signal(number, self._asked) for number in SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in zip(SIGNALS, self._previous, strict=True):
            signal.signal(number, handler)

    def __call__(self) -> str | None:
        """Returns the name of the signal that came, such as ``"SIGINT"``, or nothing."""
        return signal.Signals(self.signal).name if self.signal else None

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if not self.saves or self._count >= PATIENCE:
            raise Interrupted(number)
        if self.signal is None:
            self.signal = number
            _say_at_once(_("Stopping: saving first …"))
        else:
            _say_at_once(_("Still saving; once more ends it at once and loses the steps since the last checkpoint."))


def _say_at_once(text: str) -> None:
    # A handler may run in the middle of a print, which may not be entered twice: past Python's buffers, then.
    with contextlib.suppress(OSError):
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"\n{text}\n".encode())

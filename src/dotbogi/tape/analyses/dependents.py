"""What depends on a number: which elements of the named values could change with it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dotbogi.language import _
from dotbogi.tape.analyses.reach import one_marked, sweep_forward
from dotbogi.tape.tape import Tape


@dataclass(frozen=True, eq=False)
class DependentValue:
    """The elements of one named value that depend on a number.

    Args:
        name: its address, without index.
        mask: bool, in its shape.
    """

    name: str
    mask: Tensor

    @property
    def count(self) -> int:
        """How many elements depend on the number."""
        return int(self.mask.sum())


@dataclass(frozen=True, eq=False)
class Dependents:
    """What depends on a number.

    Args:
        address: of the number.
        values: those named values of which any element depends on it.
    """

    address: str
    values: tuple[DependentValue, ...]

    def __str__(self) -> str:
        lines = [_("On {address} depend:").format(address=self.address)]
        for one in self.values:
            lines.append(
                _("  {name}: {count} of {total}").format(name=one.name, count=one.count, total=one.mask.numel())
            )
        return "\n".join(lines)


def dependents(tape: Tape, address: str) -> Dependents:
    """Returns which numbers of the named values depend on a number through the recorded operations.

    Args:
        tape: recorded.
        address: of any number.

    Raises:
        AddressError: no such number.
        TapeError: an operation on the way is not explained.
    """
    value, index = tape.locate(address)
    marks = one_marked(tape, value, index)
    sweep_forward(tape, marks)
    found: dict[int, DependentValue] = {}
    for name, named in tape.names.named_values():
        if marks.has(named) and named.id not in found:
            found[named.id] = DependentValue(name, marks.of(named).clone())
    return Dependents(address, tuple(one for one in found.values() if one.count))

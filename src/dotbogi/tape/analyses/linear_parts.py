"""A number of a piecewise-linear network as what it is at this input: an exact sum over the input's elements.

With the signs of the rectifiers and the winners of the pools as recorded, every operation is affine, and so is the
whole: logit = Σ slope · x + constant (Montúfar, Pascanu, Cho & Bengio 2014, arXiv:1402.1869).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.analyses.activity import CONSTANTS, active_places
from dotbogi.tape.analyses.affine import AFFINE
from dotbogi.tape.analyses.marks import Marks, Written
from dotbogi.tape.execution import Place, place_of
from dotbogi.tape.operation import Operation
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value, window


@dataclass(frozen=True, eq=False)
class LinearParts:
    """A number as a sum over the input.

    Args:
        address: of the number.
        slopes: float64, in the input's shape: how much the number changes with each element.
        inputs: float64, the elements.
        constant: what the biases and constants of the network add up to.
        recorded: the number.
    """

    address: str
    slopes: Tensor
    inputs: Tensor
    constant: float
    recorded: float

    @property
    def products(self) -> Tensor:
        """slope · x, in the input's shape."""
        return self.slopes * self.inputs

    @property
    def result(self) -> float:
        """Σ slope · x + constant, in float64."""
        return float(self.products.sum()) + self.constant

    @property
    def difference(self) -> float:
        """Recorded − result: rounding of the recording's arithmetic."""
        return self.recorded - self.result

    def __str__(self) -> str:
        return _("{address} = Σ slope·x + constant = {sum:.9g} + {constant:.9g} = {result:.9g}").format(
            address=self.address, sum=float(self.products.sum()), constant=self.constant, result=self.result
        ) + _("; recorded {recorded:.9g}, difference {difference:.3g}").format(
            recorded=self.recorded, difference=self.difference
        )


def linear_parts(tape: Tape, address: str, of: str = "input") -> LinearParts:
    """Returns a number as an exact sum of slope · element over the input, plus a constant.

    Args:
        tape: of a piecewise-linear network: convolutions, linear layers, ReLUs, pools, batch norm at evaluation, sums.
        address: of a number, such as ``logits[0,7]``.
        of: the input meant: ``input``, ``input:1``, … or ``pixel``; others count as constants.

    Raises:
        AddressError: no such number.
        TapeError: no such input, or an operation on the way that is not piecewise linear.
    """
    source = tape.names.given.get(of)
    if source is None:
        raise TapeError(_("This tape has no {name}.").format(name=of), fix=_("Ask for an input of the model."))
    value, index = tape.locate(address)
    marks = Marks(tape, torch.float64)
    one = torch.zeros(value.shape, dtype=torch.float64)
    one[index] = 1
    marks.put(value, one)
    constant = _Sweep(tape, source, marks).run(value)
    return LinearParts(address, marks.of(source).clone(), source.view().double().cpu(), constant, value.item(index))


class _Sweep:
    """The backward sweep: slopes with respect to everything that the input entered.

    Args:
        tape: recorded.
        source: the input.
        slopes: with respect to the number that is asked for.
    """

    def __init__(self, tape: Tape, source: Value, slopes: Marks) -> None:
        self._tape = tape
        self._active = active_places(tape, source)
        self._slopes = slopes
        self._source = place_of(source)

    def run(self, value: Value) -> float:
        """Sweeps back from a value; returns the constant."""
        constant = 0.0
        # By places, for a slope of 0 must not hide an operation that is not piecewise linear.
        reached = {place_of(value)} if value.memory is not None else set[Place]()
        values = {place_of(one): one for one in self._tape.values.values() if one.memory is not None}
        for operation in reversed(self._tape.operations):
            written = Written(operation)
            if any(place_of(one) == self._source for one in written.made):
                break  # what made the input itself
            wanted = [(one, self._slopes.of(one).clone()) for one in written.made if place_of(one) in reached]
            for before, after in written.steps:
                self._slopes.carry(after, before, written.overwritten(before[0]))
                reached |= {before} if after in reached else set()
            if wanted:
                constant += self._through(operation, wanted)
                reached |= {place_of(one) for one in self._active_operands(operation)}
            for before, _after in written.steps:
                constant += self._left_outside(before, values)
        return constant

    def _through(self, operation: Operation, wanted: list[tuple[Value, Tensor]]) -> float:
        """Passes slopes on to an operation's operands; returns what it adds to the constant."""
        if not self._active_operands(operation):
            return sum(float((slopes * value.view().double().cpu()).sum()) for value, slopes in wanted)
        leaves: dict[int, Tensor] = {}
        results = self._affine(operation, leaves)
        at_zero = sum(float((slopes * results[value.output].detach()).sum()) for value, slopes in wanted)
        pairs = [(results[value.output], slopes) for value, slopes in wanted if results[value.output].requires_grad]
        if pairs:
            with torch.enable_grad():
                # A scalar, for torch imports sympy (seconds) where it is given the gradients of its outputs.
                total = torch.stack([(result * slopes).sum() for result, slopes in pairs]).sum()
            found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
            operands = {value.id: value for value in operation.inputs}
            for number, slopes in zip(leaves, found, strict=True):
                if slopes is not None:  # pyright: ignore[reportUnnecessaryComparison]  # allow_unused
                    self._slopes.put(operands[number], slopes)
        return at_zero

    def _affine(self, operation: Operation, leaves: dict[int, Tensor]) -> list[Tensor]:
        """Returns an operation's results where everything that depends on the input is 0."""

        def of(value: Value) -> Tensor:
            if not self._is_active(value):
                return value.view().cpu() if not value.dtype.is_floating_point else value.view().double().cpu()
            if value.id not in leaves:
                leaves[value.id] = torch.zeros(value.shape, dtype=torch.float64, requires_grad=True)
            return leaves[value.id]

        function = AFFINE.get(operation.packet) or AFFINE.get(operation.packet.removesuffix("_"))
        with torch.enable_grad():
            results = function(operation, of) if function is not None else None
        if results is None:
            raise TapeError(
                _("{operation}, in {module}, is not piecewise linear: there is no such sum.").format(
                    operation=operation.name, module=operation.module or _("the model")
                ),
                fix=_("Ask for a number before it, or record the model in evaluation: model.eval()."),
            )
        return results

    def _active_operands(self, operation: Operation) -> list[Value]:
        return [] if operation.packet in CONSTANTS else [one for one in operation.inputs if self._is_active(one)]

    def _is_active(self, value: Value) -> bool:
        return value.memory is not None and place_of(value) in self._active

    def _left_outside(self, place: Place, values: dict[Place, Value]) -> float:
        """Returns what elements add that lay in a memory before anything of the input came into it."""
        slopes = self._slopes.places.get(place)
        if slopes is None or place in self._active or place == self._source:
            return 0.0
        del self._slopes.places[place]
        value = values[place]
        found = slopes.nonzero().squeeze(1)
        flat = window(value.view().untyped_storage(), value)
        numbers = flat.as_strided((int(found.max()) + 1,), (1,), 0)[found.to(flat.device)].double().cpu()
        return float((slopes[found] * numbers).sum())

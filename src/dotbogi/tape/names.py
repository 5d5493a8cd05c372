"""What the values of a tape are called, and which value a name means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from dotbogi.errors import AddressError
from dotbogi.language import _
from dotbogi.tape.address import WORDS, Address
from dotbogi.tape.modules import ModuleCall
from dotbogi.tape.operation import Operation
from dotbogi.tape.value import Value

SHOWN = 12


@dataclass
class Names:
    """The named values of a recording.

    Args:
        calls: of the modules, in order.
        modules: all paths, those too that were never called.
        types: the classes of the modules, by path.
        aliases: another path of a shared module → the one under which its calls are kept.
        given: values that have a name without a module, by address without index: ``input``, ``loss``,
            ``conv1.weight``, ``gradient conv1.weight``, ``state conv1.weight.exp_avg``, ``update conv1.weight``.
        numbers: names of what is a plain number, such as an optimizer's step counter.
        before: by the same addresses, the optimizer's state as it was before the step.
        earlier: of a step of a training, what the step before left, by addresses such as
            ``update conv1.weight @135`` (see :mod:`dotbogi.tape.past`).
    """

    calls: list[ModuleCall] = field(default_factory=list[ModuleCall])
    modules: list[str] = field(default_factory=list[str])
    types: dict[str, str] = field(default_factory=dict[str, str])
    aliases: dict[str, str] = field(default_factory=dict[str, str])
    given: dict[str, Value] = field(default_factory=dict[str, Value])
    numbers: dict[str, float] = field(default_factory=dict[str, float])
    parameters: list[str] = field(default_factory=list[str])
    buffers: list[str] = field(default_factory=list[str])
    before: dict[str, Value] = field(default_factory=dict[str, Value])
    earlier: dict[str, Value] = field(default_factory=dict[str, Value])

    def named_values(self) -> Iterator[tuple[str, Value]]:
        """Yields addresses without index and their values; of several names of a value the best one first."""
        first = ("pixel", "input")
        yield from ((name, value) for name, value in self.given.items() if name.split(":")[0] in first)
        yield from ((name, value) for name, value in self.given.items() if name in self._tensors)
        yield from self._module_values()
        yield from self.given.items()
        yield from self.earlier.items()

    @property
    def _tensors(self) -> set[str]:
        return {*self.parameters, *self.buffers}

    def _module_values(self) -> Iterator[tuple[str, Value]]:
        # The innermost module is the one that computed it: a container only passes it on.
        for call in sorted(self.calls, key=lambda call: -call.name.count(".") if call.name else 1):
            if call.name:
                for position, value in enumerate(call.outputs):
                    yield self.module_address(call, position), value
        for call in (call for call in self.calls if call.name):
            for position, value in call.gradients.items():
                yield f"gradient {self.module_address(call, position)}", value

    def module_address(self, call: ModuleCall, position: int) -> str:
        """Returns the address of a module's output, without index."""
        several = call.call > 0 or sum(one.name == call.name for one in self.calls) > 1
        word = "module " if call.name in WORDS or call.name in self._tensors else ""
        return f"{word}{call.name}" + (f"#{call.call}" if several else "") + (f":{position}" if position else "")

    def find(self, address: Address, operations: list[Operation]) -> Value | float:
        """Returns the value that an address means, or a plain number.

        Raises:
            AddressError: nothing has that name; with the nearest ones.
        """
        if address.step is not None:
            raise AddressError(
                _("{address} is a number of another step than this tape's.").format(address=address.text),
                fix=_("Ask the tape of that step: tape.at({step}).").format(step=address.step),
            )
        if address.kind in ("op", "value"):
            return self._numbered(address, operations)
        name = f"{address.name}:{address.output}" if address.output else address.name
        if not address.kind and address.name in WORDS:
            return self._of(name, name, address)
        if address.kind in ("parameter", "buffer"):
            return self._of(name, name, address)
        if address.kind in ("state", "update"):
            full = f"{address.kind} {name}"
            return self.numbers[full] if full in self.numbers else self._of(full, address.name, address)
        path = self.aliases.get(address.name, address.name)
        if address.kind == "gradient":
            known = self.given.get(f"gradient {name}")
            return known if known is not None else self._gradient_of(address, path)
        if address.kind != "module" and name in self.given:
            return self.given[name]
        return self._output_of(address, path)

    def _of(self, name: str, told: str, address: Address) -> Value:
        if name in self.given:
            return self.given[name]
        if not address.kind and address.name in WORDS and not address.output:
            raise self._absent(address.name)
        raise self._unknown(told, address)

    @staticmethod
    def _absent(word: str) -> AddressError:
        fixes = {
            "loss": _("Record a training step: record(model, (images, labels), loss=…); --step train."),
            "pixel": _("Replay a step or an image of a run: only there the model's input is made of stored pixels."),
        }
        fix = fixes.get(word, _("The model was not run to its end."))
        return AddressError(_("This tape has no {name}.").format(name=word), fix=fix)

    def _numbered(self, address: Address, operations: list[Operation]) -> Value:
        if not address.name.isdecimal():
            raise self._unknown(address.name, address)
        number = int(address.name)
        if address.kind == "value":
            found = next((v for op in operations for v in (*op.inputs, *op.outputs) if v.id == number), None)
        else:
            found = operations[number].output(address.output) if number < len(operations) else None
        if found is None:
            raise AddressError(
                _("There is no {address} on this tape of {count} operations.").format(
                    address=address.text, count=len(operations)
                ),
                fix=_("tape.operations lists them; the count begins at 0."),
            )
        return found

    def _call_of(self, address: Address, path: str) -> ModuleCall:
        if path not in self.modules:
            raise self._unknown(address.name, address)
        calls = [call for call in self.calls if call.name == path]
        if not calls:
            raise AddressError(
                _("The module {name} was never called in this recording.").format(name=path),
                fix=_("It has no output to explain."),
            )
        if address.call is None and len(calls) > 1:
            raise AddressError(
                _("The module {name} was called {count} times.").format(name=path, count=len(calls)),
                fix=_("Say which call: {name}#0 … {name}#{last}.").format(name=path, last=len(calls) - 1),
            )
        number = address.call or 0
        if number >= len(calls):
            raise AddressError(
                _("The module {name} was called {count} times; there is no call {call}.").format(
                    name=path, count=len(calls), call=number
                ),
                fix=_("Calls count from 0."),
            )
        return calls[number]

    def _output_of(self, address: Address, path: str) -> Value:
        call = self._call_of(address, path)
        if address.output >= len(call.outputs):
            raise AddressError(
                _("{name} returned {count} tensors; there is no output {output}.").format(
                    name=path, count=len(call.outputs), output=address.output
                ),
                fix=_("Outputs count from 0."),
            )
        return call.outputs[address.output]

    def _gradient_of(self, address: Address, path: str) -> Value:
        if path in self._tensors or path in WORDS:
            raise AddressError(
                _("{name} has no gradient in this recording.").format(name=path),
                fix=_(
                    "Ask for a parameter that requires a gradient, or a module's output, in a recorded training step."
                ),
            )
        call = self._call_of(address, path)
        if address.output not in call.gradients:
            raise AddressError(
                _("The output of {name} has no gradient in this recording.").format(name=path),
                fix=_("Record a training step, and see that the loss depends on that output."),
            )
        return call.gradients[address.output]

    def _unknown(self, name: str, address: Address) -> AddressError:
        known = [*WORDS, *self.modules, *self.parameters, *self.buffers]
        if address.kind in ("state", "update"):
            known = [key.partition(" ")[2] for key in (*self.given, *self.numbers) if key.startswith(address.kind)]
        close = get_close_matches(name, known, n=4, cutoff=0.5)
        listed = close or [one for one in known if one][:SHOWN]
        return AddressError(
            _("Nothing on this tape is called {name}.").format(name=repr(f"{address.kind} {name}".strip())),
            fix=_("Did you mean {names}?").format(names=", ".join(listed))
            if close
            else _("There are: {names}, …").format(names=", ".join(listed)),
        )

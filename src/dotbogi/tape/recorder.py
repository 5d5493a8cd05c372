"""The dispatch mode that writes a tape: every operation, its operands and its results, as they were then."""

# Which storage a tensor has, and which node of the graph is being run, torch tells by private names alone.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dotbogi.stages import BATCH, GRADIENT, MODEL, UPDATE, Stage
from dotbogi.tape.modules import ModulePath
from dotbogi.tape.operation import Operation, SourceLine
from dotbogi.tape.value import Key, Memory, Value, key_of

TORCH = str(Path(torch.__file__).parent) + os.sep  # torchvision's folder begins with the same letters
OWN = str(Path(__file__).parents[1])
ARCHITECTURES = str(Path(OWN, "models", "architectures"))
BEGINNING = str(Path(__file__).with_name("record.py"))
# Written without a word of it in the schema: the running statistics, in training.
HIDDEN_WRITES = {"native_batch_norm": (3, 4), "cudnn_batch_norm": (3, 4), "miopen_batch_norm": (3, 4)}
IGNORED_NAMESPACES = frozenset({"profiler", "prim"})


class Recorder(TorchDispatchMode):
    """Records what runs inside its block. All of its state is its own, so that two recordings do not mix.

    Args:
        path: which modules are being run.
        keeps: paths of the modules whose values are kept, or ``None`` to keep those of all.
    """

    def __init__(self, path: ModulePath, keeps: frozenset[str] | None = None) -> None:
        super().__init__()
        self.stage: Stage = MODEL
        self.operations: list[Operation] = []
        self.memories: dict[int, Memory] = {}
        self.path = path
        self._keeps = keeps
        self._count = 0
        self._forward_of: dict[int, Operation] = {}
        self.gradients: dict[int, Value] = {}
        self._wholes: dict[int, tuple[Tensor, Value]] = {}

    def enter(self, stage: Stage, parameters: Iterable[Tensor] = ()) -> None:
        """Says which stage begins.

        Args:
            stage: whose operations follow.
            parameters: whose gradients are kept as they are now, when the update begins: before they are clipped.
        """
        self.stage = stage
        if stage is UPDATE:
            self.gradients = {id(one): self.value_of(one.grad) for one in parameters if one.grad is not None}

    def value_of(self, tensor: Tensor) -> Value:
        """Returns the value that a tensor holds now."""
        if not _is_plain(tensor):
            return self._whole(tensor)
        memory = self._memory_of(tensor)
        key = key_of(memory.version, tensor)
        value = memory.values.get(key)
        return value if value is not None else self._new_value(memory, key, tensor)

    def _whole(self, tensor: Tensor) -> Value:
        known = self._wholes.get(tensor._cdata)
        if known is None:
            known = (tensor, Value(self._count, None, 0, tensor))  # with the tensor, whose address is thus not reused
            self._wholes[tensor._cdata] = known
            self._count += 1
        return known[1]

    def memories_of(self, tensors: Iterable[Tensor]) -> set[Memory]:
        """Returns the memories of those tensors that the recording has met."""
        places = (tensor.untyped_storage()._cdata for tensor in tensors if _is_plain(tensor))
        return {self.memories[place] for place in places if place in self.memories}

    def _memory_of(self, tensor: Tensor) -> Memory:
        storage = tensor.untyped_storage()
        memory = self.memories.get(storage._cdata)
        if memory is None:
            memory = self.memories[storage._cdata] = Memory(storage, len(self.memories))
        return memory

    def _new_value(self, memory: Memory, key: Key, tensor: Tensor) -> Value:
        value = memory.values[key] = Value(self._count, memory, key[0], tensor)
        self._count += 1
        return value

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Does without the wrapping that tells a compiler to stay out, which imports it: 3 s."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs an operation, and writes down what it did."""
        kwargs = kwargs or {}
        if func.namespace in IGNORED_NAMESPACES:
            return func(*args, **kwargs)
        operation = Operation(len(self.operations), func, (), {}, self.stage, line=_source_line(self.stage))
        self._place(operation)
        is_kept = self._is_kept(operation)
        inputs: list[Value] = []
        operation.arguments = tuple(self._seen(argument, inputs, is_kept) for argument in args)
        operation.keywords = {name: self._seen(argument, inputs, is_kept) for name, argument in kwargs.items()}
        operation.inputs = tuple(inputs)
        written = [tensor for tensor in written_arguments(func, args, kwargs) if _is_plain(tensor)]
        for memory in {id(memory): memory for memory in map(self._memory_of, written)}.values():
            memory.before_overwriting()
        result = func(*args, **kwargs)
        self.operations.append(operation)
        self._keep_results(operation, result, written, is_kept)
        return result

    def _seen(self, argument: Any, inputs: list[Value], is_kept: bool) -> Any:
        if isinstance(argument, Tensor):
            value = self.value_of(argument)
            if is_kept and value.memory is not None and not value.is_kept:
                value.memory.keep(argument.untyped_storage())
            inputs.append(value)
            return value
        if type(argument) in (list, tuple):
            return type(argument)([self._seen(item, inputs, is_kept) for item in argument])
        return argument

    def _place(self, operation: Operation) -> None:
        """Says which module an operation belongs to, and a backward operation to which forward one."""
        node = torch._C._current_autograd_node() if self.stage is GRADIENT else None
        operation.rerun = self.path.reruns
        if node is not None and not operation.rerun:
            operation.forward = self._forward_of.get(node._sequence_nr())
            if operation.forward is not None:
                operation.module, operation.call = operation.forward.module, operation.forward.call
            return
        if self.stage is MODEL or operation.rerun:
            operation.module, operation.call = self.path.current
        # The node of a forward operation has just been made: the number to come is one more than its own.
        self._forward_of.setdefault(torch.autograd._get_sequence_nr() - 1, operation)

    def _keep_results(self, operation: Operation, result: Any, written: list[Tensor], is_kept: bool) -> None:
        outputs: list[Value] = []
        results = list(result) if isinstance(result, (list, tuple)) else [result]
        results += [tensor for tensor in written if not any(tensor is part for part in results)]
        for position, part in enumerate(results):
            if isinstance(part, Tensor):
                is_written = any(part is tensor for tensor in written)
                outputs.append(self._result(operation, position, part, is_written, is_kept))
            elif isinstance(part, (bool, int, float)):
                operation.scalar = part
        operation.outputs = tuple(outputs)

    def _result(self, operation: Operation, position: int, tensor: Tensor, is_written: bool, is_kept: bool) -> Value:
        if not _is_plain(tensor):
            value = self._whole(tensor)
            value.operation, value.output = operation, position
            return value
        storage = tensor.untyped_storage()
        is_new = storage._cdata not in self.memories
        memory = self._memory_of(tensor)
        key = key_of(memory.version, tensor)
        if operation.plumbing and not is_new and key in memory.values:
            return memory.values[key]
        before = memory.values.get(key)
        value = self._new_value(memory, key, tensor)
        value.operation, value.output = operation, position
        if before is not None and not is_written:
            memory.values[key] = before  # the same window as before: later readers are told what it was first
        if is_new or is_written:
            memory.add_write(value, is_repeatable=is_repeatable(operation.overload))
            memory.keep(storage if is_kept and operation.packet not in EMPTY else None)
        if is_new:
            memory.begins_inside()
        return value

    def _is_kept(self, operation: Operation) -> bool:
        if self._keeps is None or operation.stage is BATCH or draws_at_random(operation.overload):
            return True
        return any(operation.module == name or operation.module.startswith(f"{name}.") for name in self._keeps)


EMPTY = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"})


# What takes long, or reads so much that running it again would: its results are copied before they are overwritten.
COSTLY = (
    "convolution",
    "mm",
    "addmm",
    "bmm",
    "baddbmm",
    "attention",
    "grid_sampler",
    "sort",
    "index",
    "scatter",
    "copy",
)


@cache
def is_repeatable(overload: Any) -> bool:
    """Whether running an operation again is cheaper than copying what it wrote."""
    packet = overload.overloadpacket.__name__
    if packet in EMPTY or draws_at_random(overload):
        return False
    return not any(packet.startswith(word) or f"_{word}" in packet for word in COSTLY)


def draws_at_random(overload: Any) -> bool:
    """Whether an operation may draw random numbers: what it drew cannot be computed again."""
    # random_ lacks the tag in torch 2.15.
    return torch.Tag.nondeterministic_seeded in overload.tags or overload.overloadpacket.__name__ == "random_"


@cache
def _written_positions(overload: Any) -> tuple[list[int], list[str]]:
    parameters = overload._schema.arguments
    writes = [one.alias_info is not None and one.alias_info.is_write for one in parameters]
    positions = [position for position, is_written in enumerate(writes) if is_written]
    return positions, [parameters[position].name for position in positions]


def _is_plain(tensor: Tensor) -> bool:
    """Whether it is a window on a storage: not sparse, not quantised."""
    return tensor.layout is torch.strided and not tensor.is_quantized


def written_arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    """Yields the arguments that an operation writes into, whatever stands for tensors there."""
    positions, names = _written_positions(func)
    for position, name in zip(positions, names, strict=True):
        argument = args[position] if position < len(args) else kwargs.get(name)
        yield from argument if isinstance(argument, (list, tuple)) else [argument] if argument is not None else []
    hidden = HIDDEN_WRITES.get(func.overloadpacket.__name__)
    if hidden and args[5]:  # in training
        yield from (args[position] for position in hidden if args[position] is not None)


@cache
def _is_of_interest(file: str, updates: bool) -> bool:
    """Whether a person would look for an operation in a file: not in torch's own, but for the optimizers."""
    if file.startswith(TORCH):
        return updates and file.startswith(f"{TORCH}optim{os.sep}") and not file.endswith("optimizer.py")
    return file.startswith(ARCHITECTURES) or not file.startswith((OWN, "<"))


def _source_line(stage: Stage) -> SourceLine | None:
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file == BEGINNING:  # what lies around the recording called none of its operations
            return None
        if _is_of_interest(file, stage is UPDATE):
            return SourceLine(file, frame.f_lineno)
        frame = frame.f_back
    return None

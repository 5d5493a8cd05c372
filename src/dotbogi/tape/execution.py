"""Runs recorded operations again, with other operands: the arithmetic as it was, and everything else as recorded.

It works by storages, as the recording did. An operation reads the new content of a memory at a version where there is
one, and the recorded content elsewhere; whatever writes into a tensor, writes into a private copy, through windows of
the recorded offset and strides. So views need not be run: they see what was written to what they are views of.

Random numbers are kept as they were drawn, and so are the numbers that Python read from tensors.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, UntypedStorage

from dotbogi.errors import TapeError
from dotbogi.language import _
from dotbogi.tape.operation import Operation, with_tensors
from dotbogi.tape.plain import plain_arithmetic
from dotbogi.tape.recorder import EMPTY, draws_at_random, written_arguments
from dotbogi.tape.value import Memory, Value, window

Place = tuple[int, int]
"""A memory's number, and one of its versions."""


class Execution:
    """What is different from a recording so far.

    Attributes:
        contents: of memories, by number and version.
        wholes: sparse and quantised tensors, by their values' ids.
    """

    def __init__(self) -> None:
        self.contents: dict[Place, UntypedStorage] = {}
        self.wholes: dict[int, Tensor] = {}

    def is_affected(self, operation: Operation) -> bool:
        """Whether an operation reads anything that is different."""
        return any(
            value.id in self.wholes if value.memory is None else place_of(value) in self.contents
            for value in operation.inputs
        )

    def run(self, operation: Operation) -> list[Place]:
        """Runs an operation again.

        Args:
            operation: whose operands are in ``contents`` where they are different, else as recorded.

        Returns:
            Which contents it wrote.

        Raises:
            TapeError: it draws random numbers that were not recorded, or would return another shape.
        """
        if operation.packet == "_local_scalar_dense":
            return []
        written = list(written_arguments(operation.overload, operation.arguments, operation.keywords))
        private = {value.memory.number: self._before(value).clone() for value in written if value.memory is not None}
        after = {(value.memory.number, value.version + 1) for value in written if value.memory is not None}
        if is_drawn(operation):
            _write_recorded(operation, private)
            results: list[Any] = []
        else:
            results = self._results(operation, private)
        self.contents.update({place: private[place[0]] for place in after})
        return [*after, *self._keep_new(operation, results, {*private, *_memories(operation.inputs)})]

    def _results(self, operation: Operation, private: Mapping[int, UntypedStorage]) -> list[Any]:
        def tensor_of(value: Value) -> Tensor:
            if value.memory is None:
                return self.wholes.get(value.id, value.view()).clone()
            storage = private.get(value.memory.number)
            return window(self._before(value) if storage is None else storage, value)

        arguments = with_tensors(operation.arguments, tensor_of)
        keywords = with_tensors(operation.keywords, tensor_of)
        if operation.packet == "native_dropout" and operation.argument("train") is not False:
            return _dropped_as_before(operation, arguments[0])
        result = operation.overload(*arguments, **keywords)
        return list(result) if isinstance(result, (list, tuple)) else [result]

    def _before(self, value: Value) -> UntypedStorage:
        """Returns the content that a value is a window on."""
        memory = value.memory
        assert memory is not None
        content = self.contents.get(place_of(value)) or memory.content(value.version)
        if content is not None:
            return content
        return _blank(memory, value) if is_unwritten(value) else value.view().untyped_storage()

    def _keep_new(self, operation: Operation, results: list[Any], known: set[int]) -> list[Place]:
        """Keeps the results that lie in storages of their own."""
        places: list[Place] = []
        for value in operation.outputs:
            if value.output >= len(results):
                continue
            if value.memory is None:
                self.wholes[value.id] = results[value.output]
            elif value.memory.number not in known:
                known.add(value.memory.number)
                self.contents[place_of(value)] = _laid_out(results[value.output], value, operation)
                places.append(place_of(value))
        return places


def place_of(value: Value) -> Place:
    """Returns the memory's number and the version that a value is a window on."""
    assert value.memory is not None
    return value.memory.number, value.version


def is_unwritten(value: Value) -> bool:
    """Whether a value is memory that nothing has been written to yet."""
    assert value.memory is not None
    made = [one.operation for one in value.memory.writes if one.version <= value.version]
    return bool(made) and all(operation is not None and operation.packet in EMPTY for operation in made)


def is_drawn(operation: Operation) -> bool:
    """Whether an operation's results are random numbers, to be kept as they were drawn.

    Raises:
        TapeError: it draws some on the way to its results.
    """
    if not draws_at_random(operation.overload) or operation.packet == "native_dropout":
        return False
    for name in ("dropout_p", "dropout", "training"):
        if name in operation.argument_names:
            if operation.argument(name):
                raise TapeError(
                    _("{operation} draws random numbers that cannot be seen, so it cannot be run again.").format(
                        operation=operation.name
                    ),
                    fix=_("Record the model without dropout there, or in evaluation: model.eval()."),
                )
            return False
    return True


def _write_recorded(operation: Operation, private: Mapping[int, UntypedStorage]) -> None:
    for value in operation.outputs:
        if value.memory is not None and value.memory.number in private:
            window(private[value.memory.number], value).copy_(value.view())


def _dropped_as_before(operation: Operation, images: Tensor) -> list[Tensor]:
    mask = operation.outputs[1].view()
    p = operation.argument("p")
    # As in aten/src/ATen/native/Dropout.cpp: the scale is 0 where everything is dropped.
    return [images.mul(mask).mul_(0.0 if p == 1 else 1.0 / (1.0 - p)), mask]


def _memories(values: Iterable[Value]) -> set[int]:
    return {value.memory.number for value in values if value.memory is not None}


def _blank(memory: Memory, value: Value) -> UntypedStorage:
    windows = [value, *memory.values.values()]
    size = max(_bytes_reached(one) for one in windows)
    return torch.zeros(size, dtype=torch.uint8, device=value.device).untyped_storage()


def _bytes_reached(value: Value) -> int:
    last = sum((size - 1) * step for size, step in zip(value.shape, value.stride, strict=True))
    return (value.offset + last + 1) * value.dtype.itemsize if value.numel() else 0


def _laid_out(tensor: Tensor, value: Value, operation: Operation) -> UntypedStorage:
    """Returns a result's storage, laid out as the recorded one's."""
    if tuple(tensor.shape) != value.shape:
        raise TapeError(
            _("{operation} would now return the shape {shape}; what follows was recorded for {recorded}.").format(
                operation=operation.name, shape=tuple(tensor.shape), recorded=value.shape
            ),
            fix=_("Change a number that does not decide how many others are chosen."),
        )
    if tensor.stride() == value.stride and tensor.storage_offset() == value.offset:
        return tensor.untyped_storage()
    assert value.memory is not None
    storage = _blank(value.memory, value)
    window(storage, value).copy_(tensor)
    return storage


def is_same(one: UntypedStorage, other: UntypedStorage | None) -> bool:
    """Whether two storages hold the same bits."""
    if other is None or one.nbytes() != other.nbytes():
        return False
    return torch.equal(_bits(one), _bits(other))


def _bits(storage: UntypedStorage) -> Tensor:
    dtype = torch.int64 if storage.nbytes() % 8 == 0 else torch.uint8
    return torch.empty(0, dtype=dtype, device=storage.device).set_(storage)


@contextmanager
def as_recorded(threads: int | None) -> Generator[None]:
    """Computes as a recording does: operation by operation, without gradients or autocast.

    Args:
        threads: of the recording, or ``None`` to leave them as they are.
    """
    before = torch.get_num_threads()
    differ = threads is not None and threads != before
    device = "cuda" if torch.cuda.is_initialized() else "cpu"
    no_autocast = torch.autocast("cpu", enabled=False), torch.autocast(device, enabled=False)
    with torch.no_grad(), no_autocast[0], no_autocast[1], plain_arithmetic(None):
        try:
            if differ:
                torch.set_num_threads(threads or before)
            yield
        finally:
            if differ:
                torch.set_num_threads(before)

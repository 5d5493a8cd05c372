"""What tensors held at a moment of a recording: immutable, whatever is written over them later.

A storage is a row of versions: whatever writes into it, through any of the tensors that share it,
makes the next one. A value is a window on one version. The newest version is the live storage
itself; a version is copied only when it is about to be overwritten, and not even then where the
operation that wrote it is easily run again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import torch
from torch import Tensor, UntypedStorage
from torch.multiprocessing.reductions import StorageWeakRef

from dotbogi.errors import TapeError
from dotbogi.language import _

if TYPE_CHECKING:
    from dotbogi.tape.operation import Operation

Key = tuple[int, int, tuple[int, ...], tuple[int, ...], torch.dtype]

MOST_SPARED = 8  # versions after each other that are computed again, one from the other


def lazy_clone(storage: UntypedStorage) -> UntypedStorage:
    """Returns a copy that is only made when somebody writes into it, or into what it is a copy of.

    Writing then moves a tensor's numbers to another place, so this is only done where nothing but the one tensor
    looks at the storage: no view, no NumPy array, no other process, no captured graph of a GPU.
    """
    if storage.device.type != "cpu" or storage.is_shared() or not _has_one_owner(storage):
        return storage.clone()
    content = torch.empty(0, dtype=torch.uint8).set_(storage)
    try:
        return torch._lazy_clone(content).untyped_storage()  # pyright: ignore[reportPrivateUsage]
    except (AttributeError, RuntimeError):  # an older torch, or memory that is not its own
        return storage.clone()


def _has_one_owner(storage: UntypedStorage) -> bool:
    count = getattr(torch._C, "_storage_Use_Count", None)  # pyright: ignore[reportPrivateUsage]
    # The tensor is one, and what stands for the storage in Python another.
    return count is not None and count(storage._cdata) <= 2  # pyright: ignore[reportPrivateUsage]


class Memory:
    """A storage through its versions.

    Args:
        storage: as the recording met it first.
        number: counts the storages of a recording.

    Attributes:
        version: of what lies in the live storage now.
        values: every value of any version, by version, offset, shape, strides and type. Like the writes these are
            weak references: operations and names hold the values, and a tape that is dropped is gone at once.
        outside: whether it was there before the recording.
        is_repeatable: whether what lies in the live storage is easily computed again, so that it need not be copied.
        recompute: returns the content at a version that was not kept, or ``None`` (see :mod:`dotbogi.tape.execution`).
    """

    __slots__ = (
        *("_anchor", "_found", "_live", "_past", "_spared", "_writes"),
        *("is_repeatable", "number", "outside", "recompute", "values", "version"),
    )

    def __init__(self, storage: UntypedStorage, number: int) -> None:
        self._live: UntypedStorage | None = storage
        self._found: UntypedStorage | None = storage
        self._past: dict[int, UntypedStorage] = {}
        # Holds the address, not the content: no other storage can be taken for this one.
        self._anchor = StorageWeakRef(storage)
        self.number = number
        self.version = 0
        self.values: WeakValueDictionary[Key, Value] = WeakValueDictionary()
        self._writes: list[weakref.ref[Value]] = []
        self.outside = True
        self.is_repeatable = False
        self._spared = 0
        self.recompute: Callable[[Memory, int], UntypedStorage] | None = None

    def begins_inside(self) -> None:
        """Says that the recording made it, so that nothing is to be put back."""
        self.outside = False
        self._found = None

    @property
    def writes(self) -> list[Value]:
        """The values that operations wrote, in their order; empty for what came from outside."""
        return [value for reference in self._writes if (value := reference()) is not None]

    @writes.setter
    def writes(self, values: Iterable[Value]) -> None:
        self._writes = [weakref.ref(value) for value in values]

    def add_write(self, value: Value, *, is_repeatable: bool) -> None:
        """Adds a value that an operation has just written.

        Args:
            value: of the live version.
            is_repeatable: whether the operation may be run again in place of a copy.
        """
        self._writes.append(weakref.ref(value))
        self.is_repeatable = is_repeatable

    def keep(self, storage: UntypedStorage | None) -> None:
        """Keeps the live version from now on, or does not keep it where ``None``."""
        self._live = storage

    def content(self, version: int) -> UntypedStorage | None:
        """Returns the storage as it was at a version, or ``None`` where that was not kept."""
        return self._live if version == self.version else self._past.get(version)

    def before_overwriting(self) -> None:
        """Copies the live version where it could not easily be computed again, and begins the next one."""
        spare = self.is_repeatable and self._spared < MOST_SPARED
        self._spared = self._spared + 1 if spare else 0
        if self._live is not None and not spare:
            self._past[self.version] = self._live.clone()
        self.version += 1

    def let_go(self, *, lazily: bool = False) -> None:
        """Takes a copy of the live version, so that nothing outside can change it any more.

        Args:
            lazily: copy only when somebody writes into the one or the other, where torch can do that.
        """
        self._found = None
        if self._live is not None:
            self._live = lazy_clone(self._live) if lazily else self._live.clone()

    def with_contents(self, contents: Mapping[int, UntypedStorage]) -> Memory:
        """Returns a memory of the same versions that shares the content of those that are not given."""
        twin: Memory = object.__new__(Memory)
        twin._anchor, twin._found, twin.recompute = self._anchor, None, None
        twin.number, twin.outside, twin.version = self.number, self.outside, self.version
        twin._past = {**self._past, **contents}
        twin._live = twin._past.pop(self.version, self._live)
        twin.values, twin._writes = WeakValueDictionary(), []
        twin.is_repeatable, twin._spared = False, 0
        return twin

    def put_back(self) -> None:
        """Writes the first version back into the live storage, and keeps a copy of what was there.

        What is easily computed again is not copied.
        """
        found, first = self._found, self._past.get(0)
        if found is not None and first is not None:
            if self.is_repeatable:
                self._live = self._found = None
            else:
                self.let_go()
            found.copy_(first)

    def owner(self, version: int, offset: int) -> Value | None:
        """Returns the value whose writing put the element there that lies at an offset at a version."""
        for reference in reversed(self._writes):
            value = reference()
            if value is not None and value.version <= version and value.index_at(offset) is not None:
                return value
        return None


class Value:
    """What a tensor held.

    Args:
        number: its id, counted over a recording.
        memory: where it lies; ``None`` for a sparse or quantised tensor, which is kept as it is.
        version: of that memory.
        tensor: gives shape, strides, offset, type and device.

    Attributes:
        whole: a sparse or quantised tensor itself, else ``None``.
        output: its position among what the operation returned.
    """

    __slots__ = (
        *("device", "dtype", "id", "memory", "offset", "output", "shape", "stride", "version", "whole"),
        *("__weakref__", "_operation"),
    )

    def __init__(self, number: int, memory: Memory | None, version: int, tensor: Tensor) -> None:
        self.id = number
        self.memory = memory
        self.version = version
        self.shape = tuple(tensor.shape)
        self.stride = tensor.stride() if memory else ()
        self.offset = int(tensor.storage_offset()) if memory else 0
        self.whole = None if memory else tensor.detach().clone()
        self.dtype = tensor.dtype
        self.device = tensor.device
        self._operation: weakref.ref[Operation] | None = None
        self.output = 0

    @property
    def operation(self) -> Operation | None:
        """What made it, or ``None`` where it came from outside or is another window on what was made."""
        return None if self._operation is None else self._operation()

    @operation.setter
    def operation(self, operation: Operation) -> None:
        self._operation = weakref.ref(operation)

    def tensor(self) -> Tensor:
        """Returns what it held, as a copy of its own."""
        return self.view().clone()

    def view(self) -> Tensor:
        """Returns what it held, for reading only: writing into it would change the tape."""
        if self.memory is None:
            assert self.whole is not None
            return self.whole
        content = self.memory.content(self.version)
        if content is None and self.memory.recompute is not None:
            content = self.memory.recompute(self.memory, self.version)
        if content is None:
            raise TapeError(
                _("The value of {operation} was not kept.").format(operation=self.operation or self),
                fix=_("Record its module too: record(…, modules=[…]), or leave modules out to keep everything."),
            )
        return window(content, self)

    @property
    def is_kept(self) -> bool:
        """Whether its numbers are there."""
        return self.memory is None or self.memory.content(self.version) is not None

    def item(self, index: tuple[int, ...]) -> float:
        """Returns one of its numbers, in float64."""
        return float(self.view()[index])

    def moved_to(self, memory: Memory | None) -> Value:
        """Returns the same window, under the same id, on a memory that was made from its own."""
        twin: Value = object.__new__(Value)
        for name in _COPIED:
            setattr(twin, name, getattr(self, name))
        twin.memory = memory
        if memory is not None:
            memory.values[self.version, self.offset, self.shape, self.stride, self.dtype] = twin
        return twin

    def numel(self) -> int:
        """Returns how many numbers it has."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    def offset_of(self, index: tuple[int, ...]) -> int:
        """Returns where in its memory an element lies, in elements."""
        return self.offset + sum(i * step for i, step in zip(index, self.stride, strict=True))

    def index_at(self, offset: int) -> tuple[int, ...] | None:
        """Returns which of its elements lies at an offset of its memory, or ``None``; of several one of them."""
        if 0 in self.shape:
            return None
        # From the longest stride to the shortest; an expanded axis (stride 0) is always taken at its beginning.
        axes = [axis for axis, size in enumerate(self.shape) if size > 1 and self.stride[axis]]
        axes.sort(key=lambda axis: -self.stride[axis])
        taken = _steps_to(offset - self.offset, [(self.shape[axis], self.stride[axis]) for axis in axes])
        if taken is None:
            return None
        index = [0] * len(self.shape)
        for axis, steps in zip(axes, taken, strict=True):
            index[axis] = steps
        return tuple(index)

    def __repr__(self) -> str:
        return f"<Value {self.id} {tuple(self.shape)} {str(self.dtype).removeprefix('torch.')}>"


def _steps_to(distance: int, axes: list[tuple[int, int]]) -> tuple[int, ...] | None:
    """Returns how many steps along each axis lead to a distance, or ``None``.

    Args:
        distance: in elements.
        axes: size and stride of each, the longest stride first; windows that overlap have several ways to an element.
    """
    if not axes:
        return () if distance == 0 else None
    (size, stride), *others = axes
    reach = sum((size - 1) * stride for size, stride in others)
    most = min(size - 1, distance // stride)
    for steps in range(most, max(0, -((reach - distance) // stride)) - 1, -1):
        rest = _steps_to(distance - steps * stride, others)
        if rest is not None:
            return (steps, *rest)
    return None


_COPIED = tuple(name for name in Value.__slots__ if name not in ("memory", "__weakref__"))


def key_of(version: int, tensor: Tensor) -> Key:
    """Returns by what a memory knows a tensor's value."""
    return version, int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride(), tensor.dtype


def window(storage: UntypedStorage, value: Value) -> Tensor:
    """Returns a storage seen as a value's shape, strides and type."""
    with torch.no_grad():
        empty = torch.empty(0, dtype=value.dtype, device=value.device)
        return empty.set_(storage, value.offset, value.shape, value.stride)

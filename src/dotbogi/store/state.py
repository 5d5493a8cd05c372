"""A checkpoint's state as bytes: what torch reads back without executing anything."""

import io
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from dotbogi.errors import CheckpointError
from dotbogi.language import _

# By exact type: numpy's float64 is a float to isinstance, but it is pickled as numpy's, which reading refuses.
PLAIN = (str, int, float, bool, type(None), Tensor, torch.nn.Parameter)


def to_bytes(state: Mapping[str, Any]) -> bytes:
    """Returns a state as bytes that :func:`from_bytes` reads.

    Args:
        state: dicts, lists, tuples, strings, numbers, booleans, ``None`` and tensors, nested as one likes.

    Raises:
        CheckpointError: a value of another type, which could be written but not read; the message says where it is.
    """
    for place, value in _strangers(state, "state"):
        raise CheckpointError(
            _("{place} is of type {type}, which a checkpoint cannot hold.").format(
                place=place, type=f"{type(value).__module__}.{type(value).__name__}"
            ),
            fix=_("Keep numbers, strings, lists, dicts or tensors instead."),
        )
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def from_bytes(content: bytes) -> dict[str, Any]:
    """Reads a state; tensors come to the CPU.

    Raises:
        CheckpointError: the bytes are no state: damaged, or a pickle that wants to execute something.
    """
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile file can fail in any way; none may pass as a traceback
        raise CheckpointError(
            _("This is no state that can be read without executing it: {error}").format(error=type(error).__name__),
            fix=_("Only checkpoints that dotbogi wrote are read; a pickle is never executed."),
        ) from error
    if not isinstance(state, dict):
        raise CheckpointError(_("The state is of type {type}, not a dict.").format(type=type(state).__name__))
    return cast(dict[str, Any], state)


def _strangers(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if type(value) in (dict, OrderedDict):
        for key, inner in cast(dict[Any, Any], value).items():
            yield from _strangers(key, f"{place}[{key!r}]")
            yield from _strangers(inner, f"{place}[{key!r}]")
    elif type(value) in (list, tuple):
        for index, inner in enumerate(cast(list[Any], value)):
            yield from _strangers(inner, f"{place}[{index}]")
    elif type(value) not in PLAIN:
        yield place, value

"""Weights as bytes: the safetensors format, and the one number that says whether two models are the same."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from dotbogi.errors import CheckpointError
from dotbogi.language import _


def weights_sha256(state_dict: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 over names, dtypes, shapes and values: equal where the weights are, bit for bit.

    In the order of the sorted names, for each tensor: its name, dtype (``float32``) and shape
    (``16,3,3,3``; a scalar's is empty), each as UTF-8 ended by one zero byte, then its
    values, contiguous and little-endian (as every machine that torch is built for keeps them).

    Args:
        state_dict: names and tensors of any shape, dtype, memory format and device.
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        tensor = state_dict[name].detach()
        shape = ",".join(map(str, tensor.shape))
        for word in (name, str(tensor.dtype).removeprefix("torch."), shape):
            digest.update(word.encode() + b"\0")
        # numpy has no bfloat16; bytes are bytes.
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def to_safetensors(weights: Mapping[str, Tensor]) -> bytes:
    """Returns the weights in the safetensors format.

    Values and shapes are what is kept: channels-last tensors are stored contiguous. Of names that
    share one tensor (tied weights) the first is stored. The format orders tensors its own way, so
    the names' order and the ties stand in its metadata.

    Raises:
        CheckpointError: something that is not a dense tensor, or a dtype that the format does not have.
    """
    try:
        ties = _ties(weights)
        stored = {name: _alone(weights[name]) for name in weights if name not in ties}
        metadata = {"format": "pt", "names": json.dumps(list(weights)), "ties": json.dumps(ties)}
        return safetensors.torch.save(stored, metadata)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(_("These weights cannot be saved: {error}").format(error=error)) from error


def from_safetensors(content: bytes) -> dict[str, Tensor]:
    """Reads weights, in the order in which they were given; tied names share one tensor again.

    Files that others wrote, without our metadata, are read too.

    Raises:
        CheckpointError: the bytes are not in the safetensors format, or their metadata contradicts them.
    """
    try:
        stored = safetensors.torch.load(content)
        metadata = _metadata(content)
        ties = cast(dict[str, str], json.loads(metadata.get("ties", "{}")))
        names = cast(list[str], json.loads(metadata["names"])) if "names" in metadata else [*stored, *ties]
        weights = {name: stored[ties.get(name, name)] for name in names}
    except Exception as error:  # a hostile file can fail in any way; none may pass as a traceback
        raise CheckpointError(
            _("This is no safetensors file: {error}").format(error=_short(error)),
            fix=_("Weights are read from safetensors files only; a pickle is never executed."),
        ) from error
    if len(weights) != len(stored) + len(ties):
        raise CheckpointError(_("The weights file contradicts itself: its list of names does not fit its tensors."))
    return weights


def _metadata(content: bytes) -> dict[str, str]:
    # safetensors.torch.load checks the header but hands out no metadata.
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    return header.get("__metadata__", {})


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _ties(weights: Mapping[str, Tensor]) -> dict[str, str]:
    seen: dict[tuple[Any, ...], str] = {}
    ties: dict[str, str] = {}
    for name, tensor in weights.items():
        if not isinstance(tensor, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]  # a model's extra state
            raise CheckpointError(
                _("{name} of the weights is no tensor but of type {type}.").format(
                    name=name, type=type(tensor).__name__
                ),
                fix=_("Keep it in a registered buffer, as a tensor."),
            )
        if tensor.numel() == 0:
            continue  # without memory there is nothing to share
        key = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if key in seen:
            ties[name] = seen[key]
        else:
            seen[key] = name
    return ties


def _alone(tensor: Tensor) -> Tensor:
    # A part of a larger storage would be refused, or drag the whole along.
    tensor = tensor.detach().cpu().contiguous()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()

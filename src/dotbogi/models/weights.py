"""Weights to start from: a safetensors file, read into a model."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dotbogi.errors import ModelError
from dotbogi.language import _

SHOWN = 3
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")  # torch.save's zip, and bare pickles


def load_weights(module: nn.Module, path: Path) -> None:
    """Reads every parameter and buffer of a model from a file; executes nothing.

    Args:
        module: changed in place, and not at all where something does not fit.
        path: a safetensors file with the names of ``module.state_dict()``; of tied tensors one name is enough.

    Raises:
        ModelError: the file is missing, a pickle, damaged, or its tensors are not the model's; names up to
            three that are missing, unexpected or of another shape.
    """
    tensors = _read(path)
    state: dict[str, Tensor] = module.state_dict()
    shapes = [
        _("{name} is {found} in the file and {expected} in the model").format(
            name=name, found=tuple(tensors[name].shape), expected=tuple(state[name].shape)
        )
        for name in state
        if name in tensors and tensors[name].shape != state[name].shape
    ]
    mistakes = {
        _("missing"): _missing(state, tensors),
        _("not the model's"): sorted(set(tensors) - set(state)),
        _("of another shape"): shapes,
    }
    if any(mistakes.values()):
        raise ModelError(
            _("The weights in {path} are not this model's: {mistakes}.").format(
                path=path, mistakes="; ".join(_listed(title, found) for title, found in mistakes.items() if found)
            ),
            fix=_("Take the model, the classes and the image size that the weights were trained with."),
        )
    with torch.no_grad():
        for name, tensor in tensors.items():
            state[name].copy_(tensor)  # the state dict's tensors are the model's own


def _missing(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    there = {_place(state[name]) for name in tensors if name in state}
    return [name for name in state if name not in tensors and _place(state[name]) not in there]


def _place(tensor: Tensor) -> tuple[int, ...]:
    """Where a tensor lies; tied tensors lie in the same place. An empty one lies nowhere."""
    return (tensor.data_ptr() or id(tensor), *tensor.shape)


def _listed(title: str, names: list[str]) -> str:
    more = f" … ({len(names)})" if len(names) > SHOWN else ""
    return f"{title}: {', '.join(names[:SHOWN])}{more}"


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            beginning = file.read(4)
        if beginning.startswith(PICKLES):
            raise ModelError(
                _("{path} is a pickle, which can execute anything; it was not opened.").format(path=path),
                fix=_("Save the weights with safetensors.torch.save_file(model.state_dict(), PATH)."),
            )
        return load_file(path)
    except OSError as error:
        raise ModelError(
            _("The weights {path} cannot be read: {error}.").format(path=path, error=error.strerror or error),
            fix=_("Check the path; --weights takes a safetensors file."),
        ) from None
    except SafetensorError as error:
        raise ModelError(
            _("{path} is no whole safetensors file: {error}.").format(path=path, error=error),
            fix=_("Copy or download it again."),
        ) from None

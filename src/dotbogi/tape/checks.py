"""What a recording refuses, and what it says of a model that raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dotbogi.errors import DotbogiError, ShapeError, TapeError
from dotbogi.language import _
from dotbogi.models.mismatch import Arrival, mismatch
from dotbogi.models.source_line import said, source_line
from dotbogi.tape.modules import ModulePath

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape


def check_model_and_images(model: nn.Module, images: list[Tensor]) -> None:
    """Refuses what could not be recorded, before anything runs.

    Raises:
        TapeError: a compiled or scripted module, integer images, images of another type or device than the weights.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise TapeError(
            _("The model is a scripted module: its operations run where they cannot be seen."),
            fix=_("Record the module that it was made from."),
        )
    if hasattr(model, "_orig_mod"):
        raise TapeError(
            _("The model is compiled: its operations are fused and cannot be seen one by one."),
            fix=_("Record the eager model: record(model._orig_mod, …)."),
        )
    if not images:
        raise TapeError(_("There is no tensor to give to the model."), fix=_("Give images (B, C, H, W)."))
    if not images[0].is_floating_point():
        raise TapeError(
            _("The images are {dtype}; a model takes floating point.").format(dtype=_plain(images[0].dtype)),
            fix=_("Give images.float() / 255, normalised as in the model's training."),
        )
    _refuse_other_place(model, images[0])


def _refuse_other_place(model: nn.Module, images: Tensor) -> None:
    parameter = next(model.parameters(), None)
    if parameter is None:
        return
    if parameter.device != images.device:
        raise TapeError(
            _("The model is on {model}, the images on {images}.").format(model=parameter.device, images=images.device),
            fix=_("Give images.to({device}).").format(device=repr(str(parameter.device))),
        )
    dtypes = {one.dtype for one in model.parameters() if one.is_floating_point()}
    if dtypes and images.dtype not in dtypes and not torch.is_autocast_enabled(images.device.type):
        raise TapeError(
            _("The model's weights are {model}, the images are {images}.").format(
                model=_plain(parameter.dtype), images=_plain(images.dtype)
            ),
            fix=_("Give images.to(torch.{dtype}).").format(dtype=_plain(parameter.dtype)),
        )


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def out_of_memory(error: BaseException, device: torch.device) -> TapeError:
    """Returns what to say when there is no memory for the recording."""
    return TapeError(
        _("The memory of {device} is full: {error}").format(device=device, error=said(error)),
        fix=_("Record fewer images, or only some modules: record(…, modules=['layer4'])."),
    )


def explained_failure(error: Exception, path: ModulePath, tape: Tape) -> DotbogiError:
    """Returns what to say when the model raised; the tape up to there is the error's ``tape``.

    Args:
        error: what was raised.
        path: which module was being run, and with what.
        tape: recorded so far.
    """
    explanation = _explained(error, path)
    explanation.tape = tape  # pyright: ignore[reportAttributeAccessIssue]
    return explanation


def _explained(error: Exception, path: ModulePath) -> DotbogiError:
    entered = path.innermost
    if entered is None:
        return TapeError(_("The step failed: {error}").format(error=said(error)), fix=_("See the traceback above."))
    module, call = entered
    shape = call.inputs[0].shape if call.inputs else ()
    found = mismatch(Arrival(call.name or type(module).__name__, module, shape, path.shape_before))
    if found is not None:
        return found
    where = source_line(error) or type(module).__name__
    return ShapeError(
        _("{where}, in {layer}, which got {shape}: {error}").format(
            where=where, layer=call.name or type(module).__name__, shape=shape, error=said(error)
        ),
        fix=_("The operations up to there are on the error's tape."),
    )

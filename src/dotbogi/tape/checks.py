"""What a recording refuses, and what it says of a model that raises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from dotbogi.errors import DotbogiError, ShapeError, TapeError
from dotbogi.language import _
from dotbogi.models.mismatch import Arrival, mismatch
from dotbogi.models.source_line import said, source_line
from dotbogi.tape.modules import ModulePath
from dotbogi.training.step import StepRules

if TYPE_CHECKING:
    from dotbogi.tape.tape import Tape


def check_request(
    model: Any, data: Any, loss: Any, optimizer: Any, modules: Iterable[str] | None, rules: StepRules
) -> None:
    """Refuses what does not go together; the arguments are those of :func:`dotbogi.tape.record.record`.

    Raises:
        TapeError: no module, labels without a loss, an optimizer over other parameters, an unknown module, a batch
            that cannot be accumulated in so many parts.
    """
    if not isinstance(model, nn.Module):
        raise TapeError(
            _("The model is {type}, not a torch.nn.Module.").format(type=type(model).__name__),
            fix=_("Give an instance, such as Net()."),
        )
    is_pair = isinstance(data, (tuple, list)) and len(cast(Sequence[Any], data)) == 2
    if loss is not None and not is_pair:
        raise TapeError(
            _("With a loss the data are images and labels; {type} came.").format(type=type(data).__name__),
            fix=_("Give record(model, (images, labels), loss=…)."),
        )
    if loss is None and is_pair and _takes_one_input(model):
        raise TapeError(_("Labels came, but no loss."), fix=_("Give loss='cross-entropy', or leave the labels out."))
    _refuse_other_optimizer(model, optimizer)
    _refuse_unknown_modules(model, modules)
    if loss is not None and isinstance(data[0], Tensor) and 0 < len(data[0]) < rules.accumulation:
        raise TapeError(
            _("{images} images cannot be accumulated in {parts} parts.").format(
                images=len(data[0]), parts=rules.accumulation
            ),
            fix=_("Give as many images as parts, or more."),
        )


def _takes_one_input(model: nn.Module) -> bool:
    parameters = signature(model.forward).parameters.values()
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL)
    positional = [parameter.kind for parameter in parameters if parameter.kind in kinds]
    return len(positional) == 1 and positional[0] is not Parameter.VAR_POSITIONAL


def _refuse_other_optimizer(model: nn.Module, optimizer: Any) -> None:
    if optimizer is None or isinstance(optimizer, str):
        return
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TapeError(
            _("The optimizer is {type}, not an instance of torch.optim.Optimizer.").format(
                type=getattr(optimizer, "__name__", type(optimizer).__name__)
            ),
            fix=_("Give an instance over model.parameters(), or a name such as 'adam'."),
        )
    if isinstance(optimizer, torch.optim.LBFGS):
        raise TapeError(
            _("LBFGS runs the model several times in one step, through a closure."),
            fix=_("Record a step with another optimizer."),
        )
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"]):
        raise TapeError(
            _("The optimizer updates none of the model's parameters."),
            fix=_("Make it of this very model: {name}(model.parameters()).").format(name=type(optimizer).__name__),
        )


def _refuse_unknown_modules(model: nn.Module, modules: Iterable[str] | None) -> None:
    known = [name for name, _module in model.named_modules() if name]
    for name in modules or ():
        if name not in known:
            close = get_close_matches(name, known, n=4, cutoff=0.5) or known[:12]
            raise TapeError(
                _("The model has no module {name}.").format(name=repr(name)),
                fix=_("There are: {names}, …").format(names=", ".join(close)),
            )


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


def explained_failure(error: Exception, path: ModulePath | None, tape: Tape) -> DotbogiError:
    """Returns what to say when the model raised; the tape up to there is the error's ``tape``.

    Args:
        error: what was raised.
        path: which module was being run, and with what; ``None`` after the forward pass.
        tape: recorded so far.
    """
    explanation = _explained(error, path)
    explanation.tape = tape  # pyright: ignore[reportAttributeAccessIssue]
    return explanation


def _explained(error: Exception, path: ModulePath | None) -> DotbogiError:
    entered = path.innermost if path is not None else None
    if path is None or entered is None:
        return TapeError(
            _("The step failed outside of the model's forward pass: {error}").format(error=said(error)),
            fix=_(
                "See that the loss takes these logits and labels, and that nothing it needs is overwritten in place."
            ),
        )
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

"""One forward pass before a training, so that a model that does not fit is known by its layer."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from dotbogi.errors import DotbogiError, ModelError, ShapeError
from dotbogi.language import _
from dotbogi.models.mismatch import Arrival, Shape, mismatch
from dotbogi.models.source_line import said, source_line, wants_network


def check_model(module: nn.Module, example_images: Tensor, num_classes: int) -> None:
    """Lets a few images through a model and sees that logits come out; leaves all as it was found.

    Buffers (batch norm's running statistics), the random state and the mode are as before. Only lazy layers
    are changed: they get their shapes.

    Args:
        module: on the images' device.
        example_images: (B, C, H, W) as a training gives them, B ≥ 2, or rows (B, F).
        num_classes: K; 0 where the number of outputs is not known.

    Raises:
        ShapeError: what came does not fit a layer, or the logits are not (B, K); says which, what came, what fits.
        ModelError: ``forward`` raised or returned no tensor; with the person's file and line.
    """
    path = _Path(tuple(example_images.shape))
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=_cuda_devices(example_images)))
        stack.enter_context(_buffers_kept(module))
        stack.enter_context(path.watching(module))
        try:
            logits = module(example_images)
        except DotbogiError:
            raise
        except Exception as error:
            raise _explained(error, path, type(module).__name__) from None
    _check_logits(logits, len(example_images), num_classes)
    if torch.is_grad_enabled() and not logits.requires_grad and any(one.requires_grad for one in module.parameters()):
        raise ModelError(
            _("The model's output has no gradient: it does not depend on its parameters, or was detached."),
            fix=_("Leave .detach(), .item(), .numpy() and torch.no_grad() out of forward."),
        )


def _cuda_devices(images: Tensor) -> list[int]:
    return [images.get_device()] if images.is_cuda else []


@contextmanager
def _buffers_kept(module: nn.Module) -> Generator[None]:
    kept = [
        (owner, name, buffer, buffer.detach().clone())
        for owner in module.modules()
        for name, buffer in owner.named_buffers(recurse=False)
        if not is_lazy(buffer)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for owner, name, buffer, values in kept:
                buffer.copy_(values)
                setattr(owner, name, buffer)  # a forward may have put another tensor in its place


class _Path:
    """The way of a forward pass through the layers: which are entered, and what the last one returned."""

    def __init__(self, images: Shape) -> None:
        self.inside: list[tuple[str, nn.Module, Shape]] = []
        self.before = images

    @contextmanager
    def watching(self, module: nn.Module) -> Generator[None]:
        with ExitStack() as hooks:
            for name, layer in module.named_modules():
                before = layer.register_forward_pre_hook(self._entering(name), with_kwargs=True)
                after = layer.register_forward_hook(self._leaving)
                hooks.callback(before.remove)
                hooks.callback(after.remove)
            yield

    def _entering(self, name: str) -> Any:
        def hook(layer: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
            self.inside.append((name, layer, _first_shape([*inputs, *keywords.values()])))

        return hook

    def _leaving(self, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # A forward that caught an exception leaves layers behind that were entered and never left.
        while self.inside and self.inside.pop()[1] is not layer:
            continue
        self.before = _first_shape([output]) or self.before

    def arrival(self) -> Arrival | None:
        """What came to the innermost layer that was entered and not left."""
        if not self.inside:
            return None
        name, layer, shape = self.inside[-1]
        return Arrival(name or type(layer).__name__, layer, shape, self.before)


def _first_shape(values: list[Any]) -> Shape:
    return next((tuple(value.shape) for value in values if isinstance(value, Tensor)), ())


def _explained(error: Exception, path: _Path, model: str) -> ModelError:
    arrival = path.arrival()
    explanation = mismatch(arrival) if arrival else None
    if explanation:
        return explanation
    where = source_line(error) or model
    if wants_network(error):
        return ModelError(
            _("{where}: the model wants a download, and there is no connection ({error}).").format(
                where=where, error=said(error)
            ),
            fix=_("Connect to the internet once, or build it without published weights."),
        )
    layer = arrival.name if arrival else model
    came = arrival.shape if arrival else ()
    message = _("{where}, in {layer}, which got {shape}: {error}").format(
        where=where, layer=layer, shape=came, error=said(error)
    )
    if "is invalid for input of size" in str(error):
        return ShapeError(message, fix=_("Fix: torch.flatten(x, 1) fits every image size."))
    return ModelError(message, fix=_("Mend forward at that line, or choose images of another size or channels."))


def _check_logits(logits: Any, images: int, num_classes: int) -> None:
    if not isinstance(logits, Tensor):
        raise ModelError(
            _("The model returned {type}, not one tensor of logits.").format(type=type(logits).__name__),
            fix=_("Let forward return the logits alone, (B, K)."),
        )
    shape = tuple(logits.shape)
    if shape and shape[0] != images:
        raise ShapeError(
            _("The model made {rows} rows of {images} images.").format(rows=shape[0], images=images),
            fix=_("Fix: torch.flatten(x, 1) instead of view(-1, N), which mixes images."),
        )
    if len(shape) != 2:
        raise ShapeError(
            _("The model returned {shape}, not logits (B, K).").format(shape=shape),
            fix=_("Fix: flatten and end with a linear layer."),
        )
    if num_classes and shape[1] != num_classes:
        raise ShapeError(
            _("The model gives {outputs} values per image, but the data has {classes} classes.").format(
                outputs=shape[1], classes=num_classes
            ),
            fix=_("Fix: {classes} outputs in the last layer, or let the factory take num_classes.").format(
                classes=num_classes
            ),
        )

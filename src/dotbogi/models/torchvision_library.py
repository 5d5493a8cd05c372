"""torchvision's classification models, fitted to the classes and channels at hand."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from torchvision import models

from dotbogi.models.model import Wants

# Built for one size, or drawing maps smaller than a kernel out of what is usual for small images.
SMALLEST_OF_ANY_SIZE = 33


def names() -> list[str]:
    """Returns the models' names, sorted."""
    return models.list_models(module=models)


def knows(name: str) -> bool:
    """Whether a model of that name can be built."""
    return name in names()


def wants(name: str) -> Wants:
    """Returns what a model needs: those that take no 33×33 image want the size of their published weights."""
    weights = _weights(name)
    smallest = max(weights.meta["min_size"])
    size = weights.transforms().crop_size[0]
    return Wants(image_size=(size, size) if smallest > SMALLEST_OF_ANY_SIZE else None, smallest_side=_smallest(name))


def _weights(name: str) -> Any:
    return cast(Any, models.get_model_weights(name)).DEFAULT


def _smallest(name: str) -> int:
    # Models of one size are built for another one where that is asked for: their least size is no limit.
    return 1 if _size_argument(name) or name.startswith("swin") else max(_weights(name).meta["min_size"])


def _size_argument(name: str) -> str:
    if name.startswith("vit_"):
        return "image_size"
    return "input_size" if name.startswith("maxvit") else ""


def build(name: str, *, num_classes: int, in_channels: int, image_size: tuple[int, int], pretrained: bool) -> nn.Module:
    """Builds a model for so many classes and channels.

    With published weights every layer that has as many outputs as they have classes (the classifier) is
    replaced by a new one. Where the channels are not three, the first convolution is replaced by one whose
    kernel is the old one's sum over its channels, spread evenly over the new ones: a grey image then gives
    what it gave as three equal channels.
    """
    options = _options(name, image_size, pretrained)
    if pretrained:
        weights = _weights(name)
        with _no_pickle():
            model = models.get_model(name, weights=weights, progress=False, **options)
        if name == "inception_v3":  # googlenet drops its own
            model.aux_logits, model.AuxLogits = cast(Any, (False, None))
        _replace_classifier(model, len(weights.meta["categories"]), num_classes)
    else:
        model = models.get_model(name, weights=None, num_classes=num_classes, **options)
    if in_channels != 3:
        _replace_first_convolution(model, in_channels)
    return model


def _options(name: str, image_size: tuple[int, int], pretrained: bool) -> dict[str, Any]:
    if name in ("googlenet", "inception_v3"):
        # Their side classifiers would make training return more than logits; published weights bring them along.
        return {} if pretrained else {"aux_logits": False, "init_weights": True}
    argument = _size_argument(name)
    if argument == "image_size":
        return {argument: image_size[0]}
    return {argument: image_size} if argument else {}


@contextmanager
def _no_pickle() -> Generator[None]:
    # torch.hub loads published weights with weights_only=False; the variable overrules it.
    variable = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(variable)
    os.environ[variable] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def _replace_classifier(model: nn.Module, published: int, num_classes: int) -> None:
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear) and layer.out_features == published:
            model.set_submodule(name, nn.Linear(layer.in_features, num_classes, bias=_has_bias(layer)))
        elif isinstance(layer, nn.Conv2d) and layer.out_channels == published:  # squeezenet's
            model.set_submodule(name, _convolution_like(layer, layer.in_channels, num_classes))


def _replace_first_convolution(model: nn.Module, in_channels: int) -> None:
    name, old = next((name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d))
    new = _convolution_like(old, in_channels, old.out_channels)
    with torch.no_grad():
        summed = old.weight.sum(1, keepdim=True)  # (D, 1, k, k)
        new.weight.copy_((summed / in_channels).expand_as(new.weight))
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    model.set_submodule(name, new)
    if getattr(model, "transform_input", False):  # googlenet and inception would pick three channels out
        model.transform_input = cast(Any, False)


def _convolution_like(layer: nn.Conv2d, in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels,
        out_channels,
        cast(tuple[int, int], layer.kernel_size),
        stride=cast(tuple[int, int], layer.stride),
        padding=cast(tuple[int, int], layer.padding),
        bias=_has_bias(layer),
    )


def _has_bias(layer: Any) -> bool:
    return layer.bias is not None

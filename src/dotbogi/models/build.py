"""From a model's name to the model."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from dotbogi import recipe as recipes
from dotbogi.errors import ModelError, ShapeError
from dotbogi.language import _, mark
from dotbogi.models.check import check_model
from dotbogi.models.library import LIBRARIES, find_library_model, is_library_model
from dotbogi.models.model import ModelEntry
from dotbogi.models.own import build_own_model, is_own_model, read_own_model
from dotbogi.models.weights import load_weights
from dotbogi.registry import MODELS, check_hyperparameters, nearest, unknown_name

__all__ = ["build_model", "check_model", "find_model", "parameter_count"]


def find_model(name: str) -> ModelEntry:
    """Finds a model by name; of a person's own file only the text is read.

    Args:
        name: a registered name, ``timm/NAME``, ``torchvision/NAME`` or ``path/to/file.py:factory``.

    Raises:
        UnknownNameError: there is none; with the nearest names.
        ModelError: the file cannot be read.
    """
    if is_own_model(name):
        own = read_own_model(name)
        return ModelEntry(
            title=own.factory_name,
            description=mark("A model of one's own."),
            factory=partial(build_own_model, own),
            own=own,
        )
    if is_library_model(name):
        return find_library_model(name)
    known = MODELS.names()
    if name not in known:
        others = [f"{library}/NAME" for library in LIBRARIES]
        raise unknown_name("model", name, nearest(name, known) or [*known, *others, "path/to/file.py:NAME"])
    return MODELS.load(name)


def build_model(
    recipe: recipes.Model,
    *,
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    seed: int,
    entry: ModelEntry | None = None,
) -> nn.Module:
    """Builds a model with seeded initial weights; the random state is left as it was.

    Args:
        recipe: which, with its hyperparameters, and what to start from.
        num_classes: K; for a regression the numbers to predict.
        in_channels: C; for a regression the features of a row.
        image_size: (H, W), in pixels.
        seed: the same seed gives the same weights.
        entry: the model's, where it has been found before; its text is then not read again.

    Returns:
        The model on the CPU, in training mode.

    Raises:
        ModelError: it cannot be built, or has no published weights; a person's own file with the line.
        ShapeError: the images are too small for it.
        RecipeError: a hyperparameter that it does not have.
        UnknownNameError: there is no such model.
    """
    entry = entry or find_model(recipe.name)
    arguments: dict[str, Any] = {
        "num_classes": num_classes,
        "in_channels": in_channels,
        "image_size": image_size,
        **check_hyperparameters(entry.hyperparameters, recipe.hyperparameters, "model"),
    }
    _refuse_small_images(recipe.name, entry, image_size)
    arguments |= _published_weights(recipe, entry)
    # Seeding makes no context on a GPU that nothing has used yet.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        module: nn.Module = entry.load_factory()(**arguments)
        if any(is_lazy(parameter) for parameter in module.parameters()):
            check_model(module, torch.zeros(2, in_channels, *image_size), num_classes)
    if recipe.weights:
        load_weights(module, Path(recipe.weights))
    return module.train()


def _published_weights(recipe: recipes.Model, entry: ModelEntry) -> dict[str, bool]:
    """Returns the argument of a factory that can load published weights; other factories have none."""
    if entry.has_published_weights:
        return {"pretrained": recipe.pretrained}
    if recipe.pretrained:
        raise ModelError(
            _("{model} has no published weights.").format(model=recipe.name),
            fix=_("Leave --pretrained out, or choose a model of a library, such as timm/resnet18."),
        )
    return {}


def _refuse_small_images(name: str, entry: ModelEntry, image_size: tuple[int, int]) -> None:
    smallest = entry.wants.smallest_side
    if min(image_size) < smallest:
        raise ShapeError(
            _("{model} needs images of at least {side}×{side} pixels, but these are {size}.").format(
                model=name, side=smallest, size="×".join(map(str, image_size))
            ),
            fix=_("Set data.image_size to {side} or more.").format(side=smallest),
        )


def parameter_count(module: nn.Module) -> int:
    """Returns the number of trainable values; tied ones count once."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)

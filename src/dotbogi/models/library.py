"""Every classification model of torchvision and timm, by ``torchvision/NAME`` and ``timm/NAME``."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Protocol, cast

from torch import nn

from dotbogi.errors import DotbogiError, ModelError
from dotbogi.language import _, mark
from dotbogi.models.model import ModelEntry, Wants
from dotbogi.models.source_line import said, wants_network
from dotbogi.registry import nearest, unknown_name

DESCRIPTIONS = {
    "timm": mark("A model of the library timm."),
    "torchvision": mark("A model of the library torchvision."),
}
LIBRARIES = tuple(DESCRIPTIONS)

# For a start from nothing; from published weights a tenth of the learning rate suits.
RECIPE: dict[str, Any] = {
    "data": {"normalisation": "standardise"},
    "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 0.05},
    "schedule": {"name": "cosine", "warmup": 0.1},
    "training": {"epochs": 10},
}


class Library(Protocol):
    """What a library of models can do; each is a module, since importing the libraries takes seconds."""

    def names(self) -> list[str]:
        """Returns the models' names, sorted."""
        ...

    def knows(self, name: str) -> bool:
        """Whether a model of that name can be built."""
        ...

    def wants(self, name: str) -> Wants:
        """Returns what a model needs."""
        ...

    def build(
        self, name: str, *, num_classes: int, in_channels: int, image_size: tuple[int, int], pretrained: bool
    ) -> nn.Module:
        """Builds a model for so many classes and channels."""
        ...


def _library(library: str) -> Library:
    return cast(Library, import_module(f"dotbogi.models.{library}_library"))


def is_library_model(name: str) -> bool:
    """Whether a recipe's model name begins with a library's."""
    return name.partition("/")[0] in LIBRARIES and "/" in name


def library_names(library: str) -> list[str]:
    """Returns the names of a library's classification models, sorted, without the ``timm/`` before them.

    Args:
        library: ``"timm"`` or ``"torchvision"``.
    """
    return _library(library).names()


def find_library_model(name: str) -> ModelEntry:
    """Finds a library's model; nothing is built or downloaded.

    Args:
        name: ``torchvision/resnet18``, ``timm/resnet18``, or with the weights' tag ``timm/resnet18.a1_in1k``.

    Raises:
        UnknownNameError: the library has none of that name; with the nearest.
    """
    library, _slash, inner = name.partition("/")
    models = _library(library)
    if not models.knows(inner):
        names = models.names()
        close = nearest(inner, names) or names[:3]
        raise unknown_name("model", name, [f"{library}/{known}" for known in close])
    return ModelEntry(
        title=inner,
        description=DESCRIPTIONS[library],
        factory=partial(_build, library, inner, models.build),
        wants=models.wants(inner),
        recipe=RECIPE,
        has_published_weights=True,
    )


def _build(library: str, name: str, build: Callable[..., nn.Module], **arguments: Any) -> nn.Module:
    try:
        return build(name, **arguments)
    except DotbogiError:
        raise
    except Exception as error:  # the libraries raise whatever they like
        if arguments["pretrained"]:
            raise _no_weights(library, name, error) from None
        raise ModelError(
            _("{model} cannot be built for {channels} channels and {size} pixels: {error}").format(
                model=f"{library}/{name}",
                channels=arguments["in_channels"],
                size="×".join(map(str, arguments["image_size"])),
                error=said(error),
            ),
            fix=_("Leave data.image_size and data.channels to the model, or choose another one."),
        ) from None


def _no_weights(library: str, name: str, error: Exception) -> ModelError:
    model = f"{library}/{name}"
    if wants_network(error):
        return no_connection(model)
    return ModelError(
        _("The published weights of {model} cannot be loaded: {error}").format(model=model, error=said(error)),
        fix=_("Train it from scratch (leave --pretrained out), or choose a model that has weights."),
    )


def no_connection(model: str) -> ModelError:
    """Returns the error for published weights that are not on this machine and cannot be fetched."""
    return ModelError(
        _("The published weights of {model} are not on this machine, and there is no connection.").format(model=model),
        fix=_(
            "Connect to the internet once, give a safetensors file with --weights, "
            "or train from scratch (leave --pretrained out)."
        ),
    )

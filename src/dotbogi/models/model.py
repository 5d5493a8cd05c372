"""What is known of a model before it is built; needs no torch."""

import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from dotbogi.registry import Hyperparameter


@dataclass(frozen=True)
class Wants:
    """What a model needs; None takes any.

    Args:
        data: the id of the data set it is for.
        channels: of an image.
        image_size: (height, width), in pixels.
        smallest_side: of an image, in pixels; below it nothing is left after the pooling.
    """

    data: str | None = None
    channels: int | None = None
    image_size: tuple[int, int] | None = None
    smallest_side: int = 1


@dataclass(frozen=True)
class OwnModel:
    """A person's own model as it was when a run began.

    Args:
        path: of the file, absolute.
        factory_name: what in it is called.
        text: of the file.
        sha256: of the file's bytes, hexadecimal.
    """

    path: str
    factory_name: str
    text: str
    sha256: str

    @property
    def name(self) -> str:
        """What a recipe calls it: ``path/to/file.py:factory``."""
        return f"{self.path}:{self.factory_name}"

    def to_dict(self) -> dict[str, str]:
        """Returns the fields, for JSON."""
        return asdict(self)


Factory = Callable[..., Any]


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be chosen by name.

    Args:
        title: its name in words, marked for translation.
        description: one sentence, marked for translation.
        factory: ``"module:Class"`` or a callable; takes ``num_classes``, ``in_channels`` (for a regression the
            number of features), ``image_size`` as (height, width), and the hyperparameters; returns an ``nn.Module``.
        wants: what it needs.
        recipe: keys, nested as in TOML, that suit it when nothing else is asked for.
        hyperparameters: further keys of the recipe's ``model`` table.
        has_published_weights: whether the factory also takes ``pretrained=True``.
        own: the file, where it is a person's own model.
    """

    title: str
    description: str
    factory: str | Factory
    wants: Wants = Wants()
    recipe: dict[str, Any] = field(default_factory=dict[str, Any])
    hyperparameters: tuple[Hyperparameter, ...] = ()
    has_published_weights: bool = False
    own: OwnModel | None = None

    def load_factory(self) -> Factory:
        """Returns the callable that builds the model."""
        if not isinstance(self.factory, str):
            return self.factory
        module, name = self.factory.split(":")
        return cast(Factory, getattr(importlib.import_module(module), name))

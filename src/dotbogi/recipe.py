"""The one description of a training: what is not in it cannot change a result.

A recipe is read from TOML, from the command line or from Python, and is checked
once, here, against what can be chosen by name. It is stored twice with a run:
*requested*, with only what a person said, and *resolved*, with every value that
the training really had.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from dotbogi.errors import RecipeError
from dotbogi.language import _
from dotbogi.recipe_mistakes import recipe_error
from dotbogi.registry import LOSSES, OPTIMIZERS, SCHEDULES, Registry, check_hyperparameters, unknown_key

SCHEMA_VERSION = 1

Table = dict[str, Any]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A table of the recipe; unknown keys and other types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NamedPart(Part):
    """A table whose ``name`` decides which further keys it takes: those of the entry of that name."""

    model_config = ConfigDict(extra="allow")
    name: str

    @property
    def hyperparameters(self) -> Table:
        """The keys that belong to the entry, with their values."""
        return dict(self.model_extra or {})


class Augmentation(Part):
    """How training images are varied, each sample by its own draws; all off where nothing is said.

    Args:
        crop: largest shift, in pixels, each way; what leaves the image is cut off, what enters is zero.
        flip: mirror left and right: ``random`` draws anew each epoch, ``alternating`` every second epoch
            from a random start per image.
        rotation: largest angle, in degrees, each way.
        scale: largest relative change of size, each way.
        erasing: probability that a rectangle is blanked.
        erasing_low, erasing_high: its area as a fraction of the image.
    """

    crop: Annotated[int, Field(ge=0)] = 0
    flip: Literal["none", "random", "alternating"] = "none"
    rotation: Annotated[float, Field(ge=0, le=180, allow_inf_nan=False)] = 0.0
    scale: Fraction = 0.0
    erasing: Probability = 0.0
    erasing_low: Fraction = 0.03
    erasing_high: Fraction = 0.2


class Data(Part):
    """Which images, and how they become batches.

    Args:
        source: a registered name or the path of a folder; ``auto`` is what the model wants, else the bundled sample.
        data_dir: where to look first for a data set that is known by name.
        validation: fraction of the training images that is held out, stratified and seeded.
        test: fraction that becomes the test set where the source brings none.
        image_size: side in pixels, ``[height, width]``, or ``auto``.
        channels: 1, 3, or ``auto`` (as the images, or as the model wants).
        fit: how an image of another shape is brought to the size.
        normalisation: ``unit`` 0…1, ``standardise`` by the training set's mean and deviation per channel,
            ``symmetric`` −1…1, ``none`` 0…255.
        skip_broken: leave out files that are no whole image, and count them.
        augmentation: how training images are varied.
    """

    source: str = "auto"
    data_dir: str = ""
    validation: Fraction = 0.1
    test: Fraction = 0.2
    image_size: Positive | Annotated[list[Positive], Field(min_length=2, max_length=2)] | Literal["auto"] = "auto"
    channels: Literal[1, 3, "auto"] = "auto"
    fit: Literal["crop", "pad", "squash"] = "crop"
    normalisation: Literal["unit", "standardise", "symmetric", "none"] = "unit"
    skip_broken: bool = False
    augmentation: Augmentation = Augmentation()


class Model(NamedPart):
    """Which network.

    Args:
        name: a registered name, ``timm/NAME``, ``torchvision/NAME`` or ``path/to/file.py:factory``;
            ``auto`` is ``simple-cnn`` for the bundled sample and ``small-cnn`` otherwise.
        pretrained: start from the library's published weights.
        weights: a safetensors file to start from.
    """

    name: str = "auto"
    pretrained: bool = False
    weights: str = ""


class Optimizer(NamedPart):
    """Which rule updates the weights; further keys are its hyperparameters (``lr``, ``momentum``, …).

    Args:
        form: how its arithmetic is carried out; ``auto`` takes the fastest that exists, ``single-tensor``
            under ``deterministic``.
        decay_one_dimensional: whether weight decay applies to biases and normalisation weights too.
    """

    name: str = "sgd"
    form: Literal["auto", "fused", "foreach", "single-tensor"] = "auto"
    decay_one_dimensional: bool = True


class Schedule(NamedPart):
    """How the learning rate changes over the steps; further keys are the schedule's hyperparameters.

    Args:
        warmup: fraction of all steps during which the learning rate rises linearly from 0.
    """

    name: str = "constant"
    warmup: Fraction = 0.0


class Loss(NamedPart):
    """Which loss; further keys are its hyperparameters (``label_smoothing``, …)."""

    name: str = "cross-entropy"


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _source(value: Any) -> Any:
    return {"source": value} if isinstance(value, str) else value


class Training(Part):
    """How long, how large, how precise.

    Args:
        loss: which loss.
        batch_size: images per forward pass; ``auto`` is 128, or all where there are fewer.
        epochs: passes over the training images.
        steps: stop after this many updates, in the middle of an epoch if need be; 0 for no limit.
        seed: what every random draw of the training depends on.
        precision: of the forward and backward pass; ``auto`` is measured on this machine.
        memory_format: order of a batch in memory; ``auto`` is measured on this machine.
        device: ``auto`` is CUDA, then MPS, then the CPU.
        threads: for one operation on the CPU; ``auto`` is measured on this machine.
        deterministic: same recipe, same machine, same threads, same weights, bit for bit.
        clip_norm: largest norm of all gradients together; 0 for no clipping.
        accumulation: forward passes whose gradients are averaged into one update.
        checkpoint_every_s: seconds between checkpoints inside an epoch; there is one after each epoch anyway.
        snapshots: steps before which everything is kept for looking back; ``auto`` is the first step of every
            epoch and the last step (of a large model the first and the last step).
    """

    loss: Annotated[Loss, BeforeValidator(_named)] = Loss()
    batch_size: Positive | Literal["auto"] = "auto"
    epochs: Positive = 5
    steps: Annotated[int, Field(ge=0)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    precision: Literal["auto", "fp32", "bf16", "fp16", "fp64"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels-last"] = "auto"
    device: str = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    deterministic: bool = False
    clip_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    accumulation: Positive = 1
    checkpoint_every_s: Annotated[float, Field(gt=0)] = 30.0
    snapshots: list[Annotated[int, Field(ge=0)]] | Literal["auto", "none"] = "auto"


class Recipe(Part):
    """The one description of a training.

    A table that is chosen by name may be given as that name alone:
    ``Recipe(data="sample", model="simple-cnn", optimizer={"name": "adam", "lr": 1e-3})``. Hyperparameters without
    a name are those of what the model suggests, and are checked when the recipe is completed.

    Raises:
        RecipeError: an unknown key (with the nearest), a value of another type or outside its range.
        UnknownNameError: an optimizer, schedule or loss that is not registered.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    data: Annotated[Data, BeforeValidator(_source)] = Data()
    model: Annotated[Model, BeforeValidator(_named)] = Model()
    optimizer: Annotated[Optimizer, BeforeValidator(_named)] = Optimizer()
    schedule: Annotated[Schedule, BeforeValidator(_named)] = Schedule()
    training: Training = Training()

    @model_validator(mode="wrap")
    @classmethod
    def _say_mistakes_in_our_words(cls, values: Any, handler: Callable[[Any], Self]) -> Self:
        try:
            recipe = handler(values)
        except ValidationError as error:
            raise recipe_error(error, _keys_beside) from None
        for part, registry, prefix in recipe._registered_parts():
            # Without a name the keys may be meant for what the model suggests: they are checked once that is known.
            if "name" in part.model_fields_set:
                check_hyperparameters(registry.load(part.name).hyperparameters, part.hyperparameters, prefix)
        if recipe.model.pretrained and recipe.model.weights:
            raise RecipeError(
                _("model.pretrained and model.weights both say where to start from."), fix=_("Give only one of them.")
            )
        if recipe.data.augmentation.erasing_low > recipe.data.augmentation.erasing_high:
            raise RecipeError(
                _("data.augmentation.erasing_low is larger than erasing_high."), fix=_("Exchange the two.")
            )
        return recipe

    def _registered_parts(self) -> list[tuple[NamedPart, Registry, str]]:
        return [
            (self.optimizer, OPTIMIZERS, "optimizer"),
            (self.schedule, SCHEDULES, "schedule"),
            (self.training.loss, LOSSES, "training.loss"),
        ]

    @classmethod
    def from_toml(cls, text: str, *, where: str = "") -> Self:
        """Reads a recipe.

        Args:
            text: TOML.
            where: the file's name, for messages.

        Raises:
            RecipeError: not TOML, or not a recipe; the message names the file and the key.
        """
        try:
            return cls(**tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(
                _("{where}: this is not TOML: {error}").format(where=where or _("The recipe"), error=error),
                fix=_('TOML has lines such as lr = 0.1 under a table such as [optimizer], and texts in "quotes".'),
            ) from None
        except RecipeError as error:
            if not where:
                raise
            raise RecipeError(f"{where}: {error.message}", fix=error.fix) from None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Reads a recipe from a TOML file; raises as :meth:`from_toml`."""
        try:
            text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
        except OSError as error:
            raise RecipeError(
                _("The recipe {path} cannot be read: {error}").format(path=path, error=error.strerror),
                fix=_("Check the path; dotbogi show RUN --toml prints the recipe of a run."),
            ) from None
        except UnicodeDecodeError:
            raise RecipeError(
                _("The recipe {path} is not UTF-8 text.").format(path=path), fix=_("Save it as UTF-8.")
            ) from None
        return cls.from_toml(text, where=str(path))

    def to_toml(self) -> str:
        """Returns the recipe as TOML, with the keys that were given and have a value."""
        return tomli_w.dumps(self.to_dict())

    def to_dict(self) -> Table:
        """Returns the keys that were given, nested as in TOML."""
        return self.model_dump(exclude_unset=True, exclude_none=True)

    def complete(self) -> Self:
        """Returns the same recipe with every default and every hyperparameter written out."""
        values = self.model_dump()
        for part, registry, prefix in self._registered_parts():
            declared = registry.load(part.name).hyperparameters
            table = _table_at(values, prefix)
            table.update(check_hyperparameters(declared, part.hyperparameters, prefix))
        return type(self)(**_without_none(values))

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """Returns a recipe in which some keys are replaced.

        Args:
            values: dotted keys and their values, such as ``{"optimizer.beta2": 0.95}``.

        Raises:
            RecipeError: a key that a recipe does not have, or a value outside its range.
        """
        changed = self.to_dict()
        for key, value in values.items():
            _set_dotted(changed, key, value)
        return type(self)(**changed)

    def over(self, suggestions: Mapping[str, Any]) -> Self:
        """Returns this recipe on top of another's keys: what was given here wins.

        A table that names another entry than the one suggested takes none of that
        suggestion's keys: a learning rate for Nesterov says nothing about Adam's.

        Args:
            suggestions: keys nested as in TOML, such as those that a model says suit it.
        """
        return type(self)(**_merged(dict(suggestions), self.to_dict()))


def _table_at(values: Table, prefix: str) -> Table:
    for word in prefix.split("."):
        values = values[word]
    return values


def _without_none(values: Table) -> Table:
    return {
        key: _without_none(cast(Table, value)) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }


def _set_dotted(values: Table, key: str, value: Any) -> None:
    *tables, last = key.split(".")
    for word in tables:
        inner = values.setdefault(word, {})
        if isinstance(inner, str):  # a table given as its name alone
            inner = values[word] = {"name": inner}
        if not isinstance(inner, dict):
            raise unknown_key(key, list(Recipe.model_fields))
        values = cast(Table, inner)
    values[last] = value


def _merged(below: Table, above: Table) -> Table:
    if "name" in above and below.get("name", above["name"]) != above["name"]:
        return above
    merged = dict(below)
    for key, value in above.items():
        lower = below.get(key)
        both = isinstance(lower, dict) and isinstance(value, dict)
        merged[key] = _merged(cast(Table, lower), cast(Table, value)) if both else value
    return merged


def _keys_beside(path: list[str]) -> list[str]:
    part: type[BaseModel] = Recipe
    for word in path[:-1]:
        inner = part.model_fields[word].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        part = inner
    return [".".join([*path[:-1], name]) for name in part.model_fields]

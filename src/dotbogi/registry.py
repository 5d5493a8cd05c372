"""What can be chosen by name: one file in a folder is one entry, and the file's name is its id.

Names are listed by scanning the folder, without importing the files; a file is
imported on use. Other packages add entries through entry points of the same
kind (group ``dotbogi.optimizers`` and so on).
"""

import builtins
import difflib
import importlib
import math
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from dotbogi.errors import RecipeError, UnknownNameError
from dotbogi.language import _

Value = bool | int | float | str | list[Any]


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Returns up to three of the names that are spelled most like the given one."""
    return difflib.get_close_matches(name, list(names), n=3, cutoff=0.5)


@dataclass(frozen=True)
class Hyperparameter:
    """A number or word that an entry can be set with.

    Args:
        name: the field's own term, as it stands in a recipe.
        default: the value where none is given; its type is the type that is asked for
            (a float takes an integer too; ``None`` stands for "none", and ``type`` then says what is taken).
        low, high: the range of a number.
        low_open, high_open: whether that end is excluded from the range.
        choices: the words that are taken.
        type: the type of the value; by default that of ``default``.
        text: what it does, marked for translation.
    """

    name: str
    default: Value | None
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    choices: tuple[str, ...] = ()
    type: builtins.type | None = None
    text: str = ""

    @property
    def kind(self) -> builtins.type:
        """The type of the value."""
        return self.type or type(self.default)

    @property
    def range(self) -> str:
        """The values that are taken, as mathematics writes them: ``(0, ∞)``, ``[0, 1)``, ``linear | cosine``."""
        if self.kind is bool:
            return "true | false"
        if self.choices:
            return " | ".join(self.choices)
        if self.kind not in (int, float):
            return ""
        left = "(" if self.low_open or self.low == -math.inf else "["
        right = ")" if self.high_open or self.high == math.inf else "]"
        return f"{left}{_bound(self.low)}, {_bound(self.high)}{right}"

    def check(self, value: Any, key: str) -> Value | None:
        """Returns the value in the type that is asked for.

        Raises:
            RecipeError: another type, or outside the range; the message names the key, the value and the range.
        """
        if value is None and self.default is None:
            return None
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind or not self._fits(value):
            raise RecipeError(
                _("{key} = {value} is not possible.").format(key=key, value=_shown(value)),
                fix=_("Give a value of type {type} in {range}.").format(type=self.kind.__name__, range=self.range)
                if self.range
                else _("Give a value of type {type}.").format(type=self.kind.__name__),
            )
        return value

    def _fits(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        if self.kind not in (int, float):
            return True
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below and math.isfinite(value)


def _bound(value: float) -> str:
    return {math.inf: "∞", -math.inf: "−∞"}.get(value, f"{value:g}")


def _shown(value: Any) -> str:
    return repr(value) if not isinstance(value, bool) else str(value).lower()


def check_hyperparameters(
    declared: tuple[Hyperparameter, ...], given: Mapping[str, Any], prefix: str
) -> dict[str, Value | None]:
    """Returns every declared hyperparameter with its given or default value.

    Args:
        declared: what the entry takes.
        given: names and values from a recipe.
        prefix: where they stand in the recipe, such as ``"optimizer"``.

    Raises:
        RecipeError: a name that is not declared (with the nearest), or a value outside its range.
    """
    names = [hyperparameter.name for hyperparameter in declared]
    for name in given:
        if name not in names:
            raise unknown_key(f"{prefix}.{name}", [f"{prefix}.{known}" for known in names])
    return {
        hyperparameter.name: hyperparameter.check(
            given.get(hyperparameter.name, hyperparameter.default), f"{prefix}.{hyperparameter.name}"
        )
        for hyperparameter in declared
    }


def unknown_key(key: str, known: Iterable[str]) -> RecipeError:
    """Returns the error for a key that a recipe does not have, with the nearest ones."""
    known = list(known)
    close = nearest(key, known)
    return RecipeError(
        _("A recipe has no key {key} here.").format(key=key),
        fix=_("Did you mean {names}?").format(names=", ".join(close))
        if close
        else _("Possible here: {names}.").format(names=", ".join(known) or "–"),
    )


@dataclass(frozen=True)
class Registry:
    """The entries of one kind.

    Args:
        kind: singular, such as ``"optimizer"``; the entry points' group is ``dotbogi.<kind>s``.
        package: the folder's import path.
        attribute: what a file calls its entry, such as ``"OPTIMIZER"``.
    """

    kind: str
    package: str
    attribute: str
    _loaded: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    def names(self) -> list[str]:
        """Returns the ids, sorted; nothing is imported but the folder's own package.

        Raises:
            RuntimeError: another package registers a name that is taken.
        """
        own, foreign = self._own_names(), self._entry_points()
        for name in foreign:
            if name in own:
                raise RuntimeError(
                    f"the entry point {foreign[name].value} registers {self.kind} {name}, which is taken"
                )
        return sorted([*own, *foreign])

    def load(self, name: str) -> Any:
        """Returns the entry of that id.

        Raises:
            UnknownNameError: there is none; the message has the nearest names.
        """
        if name not in self._loaded:
            self._loaded[name] = self._import(name)
        return self._loaded[name]

    def _import(self, name: str) -> Any:
        if name in self._own_names():
            module = importlib.import_module(f"{self.package}.{name.replace('-', '_')}")
            return getattr(module, self.attribute)
        foreign = self._entry_points()
        if name in foreign:
            return foreign[name].load()
        raise unknown_name(self.kind, name, self.names())

    def _own_names(self) -> list[str]:
        spec = find_spec(self.package)
        locations = spec.submodule_search_locations if spec else None
        return [
            module.name.replace("_", "-")
            for module in pkgutil.iter_modules(locations or [])
            if not module.name.startswith("_")
        ]

    def _entry_points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=f"dotbogi.{self.kind}s")}


def unknown_name(kind: str, name: str, names: Iterable[str]) -> UnknownNameError:
    """Returns the error for a name that nothing is registered under, with the nearest names."""
    names = list(names)
    return UnknownNameError(
        _("There is no {kind} {name}.").format(kind=kind_name(kind), name=repr(name)),
        fix=_("Did you mean {names}?").format(names=", ".join(nearest(name, names)))
        if nearest(name, names)
        else _("Possible: {names}.").format(names=", ".join(names)),
    )


def kind_name(kind: str) -> str:
    """Returns the kind's name in the language in force."""
    names = {
        "optimizer": _("optimizer"),
        "schedule": _("schedule"),
        "model": _("model"),
        "source": _("data set"),
        "loss": _("loss"),
    }
    return names.get(kind, kind)


OPTIMIZERS = Registry("optimizer", "dotbogi.optim.optimizers", "OPTIMIZER")
SCHEDULES = Registry("schedule", "dotbogi.optim.schedules", "SCHEDULE")
MODELS = Registry("model", "dotbogi.models.architectures", "MODEL")
SOURCES = Registry("source", "dotbogi.data.sources", "SOURCE")
LOSSES = Registry("loss", "dotbogi.training.losses", "LOSS")

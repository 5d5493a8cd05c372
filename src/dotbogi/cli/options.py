"""Options that several commands share, and the recipe that they make."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dotbogi.cli.command import Option
from dotbogi.errors import RecipeError
from dotbogi.language import _, mark

if TYPE_CHECKING:
    from dotbogi.recipe import Recipe

RUN = mark("RUN is an id, the beginning of one, a name, or `last`.")


def auto_or_integer(text: str) -> int | str:
    """Returns ``auto`` or a whole number."""
    return "auto" if text == "auto" else int(text)


def image_size(text: str) -> int | str | list[int]:
    """Returns ``auto``, a side in pixels, or ``[height, width]`` of ``224x160``."""
    if text == "auto":
        return "auto"
    words = text.lower().split("x")
    if len(words) > 2 or not all(word.isdecimal() for word in words):
        raise click.BadParameter(_("{text} is no image size; give 224 or 224x160.").format(text=repr(text)))
    sides = [int(word) for word in words]
    return sides if len(sides) == 2 else sides[0]


class OutputFile(click.Path):
    """A file to write: whether it can be written is seen before the work begins, not after."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Returns the path; refuses a folder, and a file in a folder that is missing or may not be written."""
        path = Path(str(super().convert(value, param, ctx)))
        folder = path.absolute().parent
        if not folder.is_dir():
            self.fail(_("There is no folder {path}.").format(path=folder), param, ctx)
        if not path.exists() and not os.access(folder, os.W_OK):
            self.fail(_("The folder {path} may not be written.").format(path=folder), param, ctx)
        return path


class RecipeOption(NamedTuple):
    """An option that sets one key of the recipe.

    Args:
        flag: as it is typed.
        key: dotted, as in ``--set``.
        type: what is typed becomes; ``bool`` is a flag without a value.
        help: one line, marked for translation.
        metavar: what stands for the value on the help page.
    """

    flag: str
    key: str
    type: Any
    help: str
    metavar: str | None = None

    @property
    def name(self) -> str:
        """What click calls the value."""
        return self.flag.removeprefix("--").replace("-", "_")


RECIPE_OPTIONS = (
    RecipeOption("--data", "data.source", str, mark("Data set by name, or a folder with one subfolder per class.")),
    RecipeOption("--data-dir", "data.data_dir", str, mark("Where to look first for a data set known by name."), "DIR"),
    RecipeOption("--image-size", "data.image_size", image_size, mark("Side of the images, in pixels."), "auto|N|HxW"),
    RecipeOption("--fit", "data.fit", str, mark("How other shapes become that size."), "crop|pad|squash"),
    RecipeOption(
        "--normalisation",
        "data.normalisation",
        str,
        mark("How pixels become numbers."),
        "unit|standardise|symmetric|none",
    ),
    RecipeOption("--validation", "data.validation", float, mark("Fraction of the training images held out.")),
    RecipeOption("--skip-broken", "data.skip_broken", bool, mark("Leave out files that are no whole image.")),
    RecipeOption("--model", "model.name", str, mark("By name, timm/NAME, torchvision/NAME, or FILE.py:FACTORY.")),
    RecipeOption("--pretrained", "model.pretrained", bool, mark("Start from the library's published weights.")),
    RecipeOption("--weights", "model.weights", str, mark("Start from a safetensors file."), "FILE"),
    RecipeOption("--optimizer", "optimizer.name", str, mark("The rule that updates the weights.")),
    RecipeOption("--lr", "optimizer.lr", float, mark("Learning rate.")),
    RecipeOption("--schedule", "schedule.name", str, mark("How the learning rate changes over the steps.")),
    RecipeOption("--warmup", "schedule.warmup", float, mark("Fraction of the steps in which it rises from 0.")),
    RecipeOption("--loss", "training.loss.name", str, mark("The loss.")),
    RecipeOption("--batch-size", "training.batch_size", auto_or_integer, mark("Images per step."), "auto|N"),
    RecipeOption("--epochs", "training.epochs", int, mark("Passes over the training images.")),
    RecipeOption("--steps", "training.steps", int, mark("Stop after so many steps; 0 for no limit.")),
    RecipeOption("--seed", "training.seed", int, mark("What every random draw depends on.")),
    RecipeOption("--precision", "training.precision", str, mark("Of the arithmetic."), "auto|fp32|bf16|fp16|fp64"),
    RecipeOption("--device", "training.device", str, mark("Such as cpu, cuda, cuda:1, mps."), "auto|DEVICE"),
    RecipeOption("--threads", "training.threads", auto_or_integer, mark("Threads of the CPU."), "auto|N"),
    RecipeOption("--deterministic", "training.deterministic", bool, mark("Same recipe, same weights, bit for bit.")),
)


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the recipe's argument and options; it gets them as ``recipe_file`` and by their names."""
    add = click.option(
        "--set",
        "settings",
        metavar="KEY=VALUE",
        multiple=True,
        cls=Option,
        help=mark("Any key of the recipe, such as optimizer.beta2=.95; may be repeated."),
    )
    add(function)
    for option in reversed(RECIPE_OPTIONS):
        typed: dict[str, Any] = {"is_flag": True, "default": None} if option.type is bool else {"type": option.type}
        click.option(option.flag, cls=Option, metavar=option.metavar, help=option.help, **typed)(function)
    click.argument("recipe_file", metavar="[RECIPE.toml]", required=False, type=click.Path(path_type=Path))(function)
    return function


def runs_dir_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command ``--runs-dir``."""
    return click.option(
        "--runs-dir",
        cls=Option,
        type=click.Path(path_type=Path),
        envvar="DOTBOGI_RUNS_DIR",
        metavar="DIR",
        help=mark("Where runs lie (DOTBOGI_RUNS_DIR; else runs/ here)."),
    )(function)


def model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command ``--model`` for runs whose model is a file that is elsewhere now."""
    return click.option(
        "--model",
        cls=Option,
        metavar="FILE.py:FACTORY",
        help=mark("The file of the run's own model, where it is now."),
    )(function)


def recipe_from(recipe_file: Path | None, options: Mapping[str, Any], settings: tuple[str, ...]) -> Recipe:
    """Makes a recipe: ``--set`` wins over the other options, and these over the file.

    A file's table for another optimizer, schedule, loss or model than the one that is asked for is left out
    as a whole: a learning rate for SGD says nothing about Adam's.

    Args:
        recipe_file: a TOML file, or none.
        options: values by the options' names; ``None`` where nothing was said.
        settings: ``KEY=VALUE``, as typed.

    Raises:
        RecipeError: a setting without ``=``, an unknown key, or a value outside its range.
    """
    from dotbogi.recipe import Recipe

    values = {option.key: options[option.name] for option in RECIPE_OPTIONS if options.get(option.name) is not None}
    values |= dict(_setting(text) for text in settings)
    names = {key: value for key, value in values.items() if key.endswith(".name")}
    recipe = Recipe.from_file(recipe_file) if recipe_file else Recipe()
    if names:
        recipe = Recipe().with_values(names).over(recipe.to_dict())
    return recipe.with_values(values) if values else recipe


def _setting(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise RecipeError(
            _("--set {text} has no key and value.").format(text=text),
            fix=_("Write it as --set optimizer.momentum=.9"),
        )
    return key.strip(), parse_value(value.strip())


def parse_value(text: str) -> Any:
    """Returns what the text says as a TOML value, else as a number such as ``.95``, else the text itself."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return _number_or_text(text)
    value = table.pop("value")
    # A line break that smuggles in a second key, or a date, is meant as text.
    return value if not table and isinstance(value, bool | int | float | str | list | dict) else text


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

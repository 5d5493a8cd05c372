"""``dotbogi train``."""

from pathlib import Path
from typing import Any

import click

from dotbogi.cli.command import Option, as_command
from dotbogi.cli.options import recipe_from, recipe_options, runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.language import mark


@as_command(
    mark("Train a classifier."),
    mark(
        "Without anything, a small CNN learns the bundled sample. What is not said comes from RECIPE.toml, then from "
        "what suits the model. `dotbogi list` shows what can be chosen by name."
    ),
    examples=(
        "dotbogi train",
        "dotbogi train --data photos/ --epochs 10",
        "dotbogi train --data fashion-mnist --model small-cnn",
        "dotbogi train --optimizer adam --lr .001 --schedule cosine",
        "dotbogi train --set data.augmentation.flip=random",
    ),
)
@recipe_options
@click.option("--name", cls=Option, default="", help=mark("A name for the run, beside its id."))
@runs_dir_option
def command(
    output: Output,
    recipe_file: Path | None,
    settings: tuple[str, ...],
    name: str,
    runs_dir: Path | None,
    **options: Any,
) -> int:
    """Trains as the recipe file, the options and the settings say."""
    from dotbogi.cli.following import follow

    recipe = recipe_from(recipe_file, options, settings)

    from dotbogi.runs.train import train

    return follow(
        output, lambda listener, stop: train(recipe, runs_dir=runs_dir, name=name, listener=listener, stop=stop)
    )

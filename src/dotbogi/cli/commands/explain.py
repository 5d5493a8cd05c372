"""``dotbogi explain``."""

from __future__ import annotations

from pathlib import Path

import click

from dotbogi.cli.command import Option, as_command
from dotbogi.cli.options import RUN, model_option, runs_dir_option
from dotbogi.cli.output import Output
from dotbogi.language import mark


@as_command(
    mark("Open any number of a forward pass or a training step: the arithmetic behind it."),
    mark(
        "MODEL is what `dotbogi train --model` takes, here with its initial weights and a bundled image. "
        "Without an ADDRESS: the modules, and addresses worth trying."
    ),
    RUN,
    mark("An ADDRESS is a name and an index from 0: conv1[0,3,10,12], 'gradient conv1.weight[3,0,1,1]'."),
    examples=(
        "dotbogi explain simple-cnn",
        "dotbogi explain last 'conv1[0,3,10,12]' --image test:17",
        "dotbogi explain last 'update conv1.weight[0,0,1,1]' --expand 2",
        "dotbogi explain simple-cnn 'logits[0,7]' --what-if 'conv1.weight[3,0,1,1]=0.5'",
    ),
)
@click.argument("word", metavar="RUN|MODEL")
@click.argument("address", required=False)
@click.option("--image", cls=Option, metavar="test:N|FILE", help=mark("Which image: of the data, or a file."))
@click.option(
    "--step",
    cls=Option,
    type=click.Choice(["forward", "train"]),
    help=mark("A forward pass or a training step; else what the address needs."),
)
@click.option(
    "--epoch",
    cls=Option,
    metavar="N",
    type=click.IntRange(min=0),
    help=mark("At the beginning of a run's epoch, from 0."),
)
@click.option("--at", cls=Option, metavar="N", type=click.IntRange(min=0), help=mark("At a run's step, from 0."))
@click.option(
    "--expand",
    cls=Option,
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help=mark("Open the terms, so many deep."),
)
@click.option("--top", cls=Option, metavar="N", type=click.IntRange(min=1), help=mark("How many terms, the largest."))
@click.option(
    "--what-if", "what_if", cls=Option, metavar="ADDRESS=VALUE", multiple=True, help=mark("Change a number, and see.")
)
@model_option
@runs_dir_option
def command(
    output: Output,
    word: str,
    address: str | None,
    image: str | None,
    step: str | None,
    epoch: int | None,
    at: int | None,
    expand: int,
    top: int | None,
    what_if: tuple[str, ...],
    model: str | None,
    runs_dir: Path | None,
) -> int:
    """Records the pass, and shows what is asked for; 1 where an explanation does not agree with the record."""
    from dotbogi.cli.explaining import show_explanation, show_tape, show_what_if
    from dotbogi.cli.progress import Progress
    from dotbogi.cli.recording import Moment, recorded, what_if_changes

    changes = what_if_changes(what_if)
    addresses = [*([address] if address else []), *changes]
    moment = Moment(image or "", step or "", epoch, at)
    with Progress(output.messages, bar=output.leaves_room_for_a_bar) as progress:
        tape = recorded(word, addresses, moment, runs_dir=runs_dir, model=model or "", listener=progress)
    if changes:
        show_what_if(output, tape, tape.what_if(changes), changes, address)
        return 0
    if address is None:
        show_tape(output, tape, [word, *moment.options()])
        return 0
    explanation = tape.explain(address)
    show_explanation(output, explanation, expand, top)
    return 0 if explanation.agrees else 1

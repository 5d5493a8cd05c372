"""``dotbogi list``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dotbogi.cli.command import Option, as_command
from dotbogi.cli.output import Output
from dotbogi.errors import RecipeError
from dotbogi.language import _, mark

if TYPE_CHECKING:
    from dotbogi.registry import Registry

KINDS = ("optimizers", "schedules", "models", "data", "losses")


@as_command(
    mark("List what can be chosen by name."),
    mark("With NAME, all there is to know of it."),
    examples=(
        "dotbogi list optimizers",
        "dotbogi list optimizers adam",
        "dotbogi list schedules one-cycle --plot",
        "dotbogi list models --library timm --search resnet",
    ),
)
@click.argument("kind", type=click.Choice(KINDS), required=False)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--plot", cls=Option, is_flag=True, help=mark("Schedules: draw how the learning rate changes."))
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    cls=Option,
    help=mark("Schedules: draw with these values, such as schedule.warmup=.1"),
)
@click.option(
    "--output",
    "file",
    cls=Option,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=mark("Schedules: draw into a file, .html or .png"),
)
@click.option(
    "--library",
    cls=Option,
    type=click.Choice(["timm", "torchvision"]),
    help=mark("Models: those of a library."),
)
@click.option("--search", cls=Option, metavar="TEXT", help=mark("Only names that contain the text."))
def command(
    output: Output,
    kind: str | None,
    names: tuple[str, ...],
    plot: bool,
    settings: tuple[str, ...],
    file: Path | None,
    library: str | None,
    search: str | None,
) -> None:
    """Lists entries, or shows one, or draws schedules."""
    if library:
        _list_library(output, kind, library, search or "")
        return
    draws = plot or file is not None
    if draws and kind != "schedules":
        raise RecipeError(_("Only schedules can be drawn."), fix=_("Write: dotbogi list schedules --plot"))
    for chosen in [kind] if kind else KINDS:
        registry = _registry(chosen)
        ids = list(names) or [name for name in registry.names() if (search or "") in name]
        if draws:
            _draw(output, ids, settings, file)
        else:
            _list(output, chosen, registry, ids, detailed=bool(names), short=kind is None)


def _registry(kind: str) -> Registry:
    from dotbogi import registry

    registries = (registry.OPTIMIZERS, registry.SCHEDULES, registry.MODELS, registry.SOURCES, registry.LOSSES)
    return registries[KINDS.index(kind)]


def _list(output: Output, kind: str, registry: Registry, ids: list[str], *, detailed: bool, short: bool) -> None:
    from dotbogi.cli import entries

    if output.as_json:
        for name in ids:
            output.line(entries.entry_record(kind, name, registry.load(name)))
    elif detailed:
        for name in ids:
            output.show(*entries.entry_page(name, registry.load(name)), "")
    elif short:
        output.show(f"{kind}:", "  " + ", ".join(ids), "")
    else:
        output.show(entries.entries_table(kind, {name: registry.load(name) for name in ids}))


def _list_library(output: Output, kind: str | None, library: str, search: str) -> None:
    from dotbogi.models.library import library_names

    if kind not in (None, "models"):
        raise RecipeError(_("Only models come from a library."), fix=_("Write: dotbogi list models --library timm"))
    for name in library_names(library):
        if search not in name:
            continue
        full = f"{library}/{name.removeprefix(f'{library}/')}"
        if output.as_json:
            output.line({"kind": "models", "id": full})
        else:
            output.show(full)


def _draw(output: Output, ids: list[str], settings: tuple[str, ...], file: Path | None) -> None:
    from dotbogi.cli import curves

    drawn = {name: curves.schedule_curve(name, settings) for name in ids}
    if output.as_json:
        for name, factors in drawn.items():
            output.line({"kind": "schedules", "id": name, "factors": factors})
    if file:
        curves.write_curves(drawn, file)
        output.say(_("Written: {path}").format(path=file))
    elif not output.as_json:
        for name, factors in drawn.items():
            output.show(name, curves.terminal_curve(factors), "")

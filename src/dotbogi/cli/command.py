"""What all commands have in common: their texts in the language in force, ``--json``, ``--lang``, ``--debug``."""

import contextlib
import copy
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from dotbogi.cli.formatter import WideContext
from dotbogi.language import LANGUAGES, _, mark


class Option(click.Option):
    """An option whose help is marked for translation and translated when it is shown.

    Texts are written when a module is imported, and one process may speak both languages (tests do).
    """

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        shown = copy.copy(self)
        shown.help = _translated(self.help)
        return super(Option, shown).get_help_record(ctx)


class Command(click.Command):
    """A command with the options that all have; under ``--json`` nothing but JSON reaches standard output."""

    context_class = WideContext

    def __init__(
        self, *arguments: Any, paragraphs: Sequence[str] = (), examples: Sequence[str] = (), **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings, add_help_option=False)
        self.paragraphs = paragraphs
        self.examples = examples
        self.params += [
            Option(["--json"], is_flag=True, expose_value=False, help=mark("Print JSON lines for programs.")),
            *common_options(),
        ]

    def get_short_help_str(self, limit: int = 45) -> str:
        return _(self.paragraphs[0])

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_paragraphs(self.paragraphs, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section(_("Examples")):
                formatter.write("".join(f"  {example}\n" for example in self.examples))

    def invoke(self, ctx: click.Context) -> Any:
        # A user's model file or a library may print: beside JSON lines that goes to standard error.
        diverted = contextlib.redirect_stdout(sys.stderr) if ctx.obj.as_json else contextlib.nullcontext()
        with diverted:
            return super().invoke(ctx)


def common_options() -> list[click.Parameter]:
    """Returns the options that the program and each of its commands take."""
    return [
        Option(
            ["--lang"],
            type=click.Choice(LANGUAGES),
            expose_value=False,
            help=mark("Language of what people read (DOTBOGI_LANG; else the system's)."),
        ),
        Option(["--debug"], is_flag=True, expose_value=False, help=mark("Show the traceback of an error.")),
        Option(
            ["-h", "--help"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_help,
            help=mark("Show this help."),
        ),
    ]


def as_command(*paragraphs: str, examples: Sequence[str] = ()) -> Callable[[Callable[..., Any]], Command]:
    """Makes a function a command; it gets the ``Output`` first, and may return an exit code.

    Args:
        paragraphs: what ``--help`` says, marked for translation; the first is one line, shown among the commands too.
        examples: whole command lines.
    """

    def decorate(function: Callable[..., Any]) -> Command:
        decorator = click.command(cls=Command, paragraphs=paragraphs, examples=examples)
        return decorator(click.pass_obj(function))

    return decorate


def write_paragraphs(paragraphs: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Writes texts, translated, into a help page."""
    for text in paragraphs:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_(text))


def _translated(text: str | None) -> str | None:
    # The empty message is the catalogue's header.
    return _(text) if text else text


def _show_help(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(ctx.get_help())
        ctx.exit()

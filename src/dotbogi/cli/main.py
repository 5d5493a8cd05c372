"""The program: finds the language, loads the one command that is asked for, and says what went wrong."""

import importlib
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from dotbogi.cli import commands
from dotbogi.cli.command import Option, common_options, write_paragraphs
from dotbogi.cli.formatter import WideContext
from dotbogi.cli.output import Output, use_utf8
from dotbogi.cli.signals import Interrupted, exit_code
from dotbogi.errors import DotbogiError
from dotbogi.language import _, detect_language, mark, set_language

PARAGRAPHS = (
    mark("Train an image classifier you can see into."),
    mark("Start with `dotbogi train`: a small CNN learns a bundled sample of images, in well under a minute."),
    mark("`dotbogi train --data FOLDER` trains on photos of your own, one subfolder per class."),
    mark("`dotbogi COMMAND --help` says more about a command."),
)


class UsageError(DotbogiError):
    """Words on the command line that make no command."""


class UnexpectedError(DotbogiError):
    """A mistake of ours."""

    exit_code = 1


class Program(click.Group):
    """The group of all commands, found by the names of their files and imported on use."""

    context_class = WideContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        return importlib.import_module(f"{commands.__name__}.{cmd_name.replace('-', '_')}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            from dotbogi.registry import nearest

            close = nearest(args[0], known)
            raise UsageError(
                _("There is no command {name}.").format(name=repr(args[0])),
                fix=_("Did you mean {names}?").format(names=", ".join(close)) if close else _help_hint("dotbogi"),
            )
        return super().resolve_command(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_paragraphs(PARAGRAPHS, formatter)

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, *positional: Any, **extra: Any
    ) -> NoReturn:
        """Runs the words of the command line and exits with the code that contract.md of the project names."""
        words = list(sys.argv[1:] if args is None else args)
        set_language(detect_language(words, os.environ))
        output = Output("--json" in _own_words(words), sys.stdout, sys.stderr)
        debug = "--debug" in _own_words(words) or bool(os.environ.get("DOTBOGI_DEBUG"))
        sys.exit(self._exit_code(words, output, debug))

    def _exit_code(self, words: list[str], output: Output, debug: bool) -> int:
        try:
            return super().main(words, "dotbogi", standalone_mode=False, obj=output) or 0
        except click.Abort as abort:  # what click makes of a KeyboardInterrupt
            output.say(_("Stopped."))
            cause = abort.__cause__
            return cause.exit_code if isinstance(cause, Interrupted) else exit_code(signal.SIGINT)
        except Exception as error:
            if debug:
                traceback.print_exc(file=output.messages)
            explained = _explained(error)
            output.error(explained)
            return explained.exit_code


def _own_words(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _explained(error: Exception) -> DotbogiError:
    """Returns the error as one message for people, whatever it was."""
    match error:
        case DotbogiError():
            return error
        case click.ClickException():
            context = error.ctx if isinstance(error, click.UsageError) else None
            return UsageError(error.format_message(), fix=_help_hint(context.command_path if context else "dotbogi"))
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return UsageError(f"{where}{error.strerror or error}")
        case MemoryError():
            return UsageError(
                _("There is too little memory for this."),
                fix=_("Try a smaller --image-size or --batch-size."),
            )
        case _:
            return UnexpectedError(
                _("Something went wrong inside dotbogi: {kind}: {text}").format(kind=type(error).__name__, text=error),
                fix=_("Please report it with what the same command says with --debug."),
            )


def _help_hint(command: str) -> str:
    return _("`{command} --help` says what is possible.").format(command=command)


def _show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"dotbogi {version('dotbogi')}")
        ctx.exit()


@click.command(
    cls=Program,
    invoke_without_command=True,
    add_help_option=False,
    params=[
        Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help=mark("Show the version."),
        ),
        *common_options(),
    ],
)
@click.pass_context
def program(ctx: click.Context) -> None:
    """Without a command: the help page."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _terminated(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def main() -> None:
    """The entry point ``dotbogi``."""
    use_utf8()
    signal.signal(signal.SIGTERM, _terminated)
    program.main()

"""Which line of a person's code an error comes from, and what it was after."""

import traceback
from pathlib import Path

import torch

from dotbogi.language import _

TORCH_FOLDER = Path(torch.__file__).parent
NETWORK_PACKAGES = ("httpx", "requests", "urllib3", "huggingface_hub")


def source_line(error: BaseException, file: Path | None = None) -> str:
    """Says where an error was raised, as ``model.py, line 12``.

    Args:
        error: caught by our own code, whose frame stands first in the traceback and is left out.
        file: the innermost line of this file, where it took part; else the innermost line outside torch.

    Returns:
        File and line; empty where only torch took part.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return _place(error.filename, error.lineno)
    frames = traceback.extract_tb(error.__traceback__)[1:]
    of_file = [frame for frame in frames if file is not None and Path(frame.filename) == file]
    others = [frame for frame in frames if not _is_machinery(frame.filename)]
    innermost = (of_file or others)[-1:]
    return _place(innermost[0].filename, innermost[0].lineno) if innermost else ""


def _place(filename: str, line: int | None) -> str:
    return _("{file}, line {line}").format(file=filename, line=line)


def _is_machinery(filename: str) -> bool:
    return Path(filename).is_relative_to(TORCH_FOLDER) or filename.startswith("<frozen importlib")


def said(error: BaseException) -> str:
    """Returns an error as Python prints its last line: ``ValueError: no such width``."""
    return traceback.format_exception_only(error)[-1].strip()


def wants_network(error: BaseException) -> bool:
    """Whether an error, or one that it follows from, is a download that found no connection."""
    seen: BaseException | None = error
    while seen is not None:
        package = type(seen).__module__.split(".")[0]
        # urllib's URLError, a refused connection and an unknown host are all in these.
        if package in NETWORK_PACKAGES or type(seen).__name__ in ("URLError", "gaierror", "HTTPError"):
            return True
        if isinstance(seen, ConnectionError | TimeoutError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False

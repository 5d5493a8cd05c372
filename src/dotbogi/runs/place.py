"""Where runs lie, and which computer they come from."""

import os
import secrets
from pathlib import Path

from dotbogi.data.cache import cache_folder

DEFAULT_FOLDER = "runs"


def runs_folder(given: Path | str | None = None) -> Path:
    """Returns the folder of runs: the one given, else ``DOTBOGI_RUNS_DIR``, else ``runs`` in the working directory."""
    return Path(given or os.environ.get("DOTBOGI_RUNS_DIR") or DEFAULT_FOLDER)


def runs_dir_words(folder: Path) -> str:
    """Returns what a command has to say to find that folder of runs: nothing where it would look there anyway."""
    if folder.absolute() == runs_folder().absolute():
        return ""
    return f' --runs-dir "{folder}"' if " " in str(folder) else f" --runs-dir {folder}"


def origin() -> str:
    """Returns a word that only this user's cache folder knows.

    A run that carries another one came from elsewhere, and what it names as its
    model's file is not executed.
    """
    path = cache_folder() / "origin"
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(16), encoding="ascii")
        return path.read_text(encoding="ascii")

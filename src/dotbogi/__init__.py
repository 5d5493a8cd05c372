"""dotbogi (돋보기, a magnifying glass): a glass-box trainer for image classifiers.

Names are resolved on use, so that ``import dotbogi`` loads none of torch's weight.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dotbogi.errors import DotbogiError
    from dotbogi.recipe import Recipe
    from dotbogi.runs.run import Run, open_run
    from dotbogi.runs.train import train
    from dotbogi.tape.explanation import Explanation, Term
    from dotbogi.tape.record import record
    from dotbogi.tape.tape import Tape

_PLACES = {
    "DotbogiError": "dotbogi.errors",
    "Explanation": "dotbogi.tape.explanation",
    "Recipe": "dotbogi.recipe",
    "Run": "dotbogi.runs.run",
    "Tape": "dotbogi.tape.tape",
    "Term": "dotbogi.tape.explanation",
    "open_run": "dotbogi.runs.run",
    "record": "dotbogi.tape.record",
    "train": "dotbogi.runs.train",
}

__all__ = ["DotbogiError", "Explanation", "Recipe", "Run", "Tape", "Term", "open_run", "record", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("dotbogi")
    if name not in _PLACES:
        raise AttributeError(f"module 'dotbogi' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

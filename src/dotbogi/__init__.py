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

_PLACES = {
    "DotbogiError": "dotbogi.errors",
    "Recipe": "dotbogi.recipe",
    "Run": "dotbogi.runs.run",
    "open_run": "dotbogi.runs.run",
    "train": "dotbogi.runs.train",
}

__all__ = ["DotbogiError", "Recipe", "Run", "open_run", "train"]


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

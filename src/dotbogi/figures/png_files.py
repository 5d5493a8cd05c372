"""Figures as PNG files, drawn by a Chromium through kaleido."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotbogi.errors import DotbogiError
from dotbogi.language import _

if TYPE_CHECKING:
    from plotly.graph_objs import Figure

WIDTH, HEIGHT, SCALE = 800, 500, 2


def write_png_files(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Writes figures as PNG files; nothing is loaded from the network.

    Args:
        figures: by the name of their file, without ``.png``; 1600×1000 pixels where a figure has no size of its own.
        folder: is made where it is not there.

    Raises:
        DotbogiError: kaleido or a Chromium is missing, or the folder cannot be written.
    """
    try:
        import kaleido
        from choreographer.errors import ChromeNotFoundError
    except ImportError:
        raise DotbogiError(
            _("PNG figures need the package kaleido, which is not installed."),
            fix=_("Write: pip install 'dotbogi[png]', and install Chrome or Chromium; or take --html."),
        ) from None
    paths = {name: folder / f"{name}.png" for name in figures}
    drawn = [{"fig": figures[name], "path": str(paths[name]), "opts": _size(figures[name])} for name in figures]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # MathJax would come from the network, and our formulas are plain texts.
        offline = {"page_generator": kaleido.PageGenerator(mathjax=False)}
        kaleido.write_fig_from_object_sync(drawn, kopts=offline, cancel_on_error=True)
    except ChromeNotFoundError:
        raise DotbogiError(
            _("PNG figures need Chrome or Chromium, which was not found."),
            fix=_("Install one (kaleido_get_chrome does), or name it in BROWSER_PATH; or take --html."),
        ) from None
    except OSError as error:
        raise DotbogiError(
            _("The figures cannot be written to {path}: {reason}.").format(path=folder, reason=error.strerror or error),
            fix=_("Choose another folder with --output."),
        ) from error
    return list(paths.values())


def _size(figure: Figure) -> dict[str, Any]:
    layout: Any = figure.layout
    return {"format": "png", "width": layout.width or WIDTH, "height": layout.height or HEIGHT, "scale": SCALE}

"""A run as a page to read and as figures to paste."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dotbogi.errors import DotbogiError, RunError
from dotbogi.figures.confusion import confusion_figure
from dotbogi.figures.images import image_grid
from dotbogi.figures.page import page
from dotbogi.figures.png_files import write_png_files
from dotbogi.language import _
from dotbogi.language.wording import status_title
from dotbogi.runs.report_facts import Facts
from dotbogi.runs.report_mistakes import mistaken_images
from dotbogi.runs.report_sections import class_names, epoch_figures, sections_of, step_figures
from dotbogi.runs.run import Run

if TYPE_CHECKING:
    from plotly.graph_objs import Figure

PAGE = "report.html"


def write_report(run: Run, folder: Path) -> Path:
    """Writes a run as one HTML page that needs nothing else, neither files nor a network.

    Args:
        run: in any state; what it does not have yet is left out.
        folder: where ``report.html`` goes; made where it is not there.

    Returns:
        The page's path.

    Raises:
        RunError: the folder cannot be written.
    """
    text = page(run.name or run.id, _subtitle(run), sections_of(run, *Facts.read(run.facts)))
    path = folder / PAGE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A lone surrogate, which JSON can hold and UTF-8 cannot, becomes a question mark.
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise RunError(
            _("The page cannot be written to {path}: {reason}.").format(path=path, reason=error.strerror or error),
            fix=_("Choose another folder with --output."),
        ) from error
    return path


def write_figures(run: Run, folder: Path) -> list[Path]:
    """Writes a run's figures as PNG files.

    Args:
        run: in any state; what it does not have yet is left out.
        folder: where the files go; made where it is not there.

    Returns:
        The files' paths.

    Raises:
        DotbogiError: kaleido or a Chromium is missing, or the folder cannot be written.
    """
    facts, _damaged = Facts.read(run.facts)
    figures = {**epoch_figures(run), **step_figures(run)}
    if facts.confusion:
        figures["confusion-matrix"] = confusion_figure(facts.confusion, class_names(facts))
    mistakes = _mistakes_figure(run, facts)
    if mistakes:
        figures["worst-mistakes"] = mistakes
    return write_png_files(figures, folder)


def _mistakes_figure(run: Run, facts: Facts) -> Figure | None:
    """Returns the worst mistakes as a figure, or nothing where their images are gone."""
    import numpy as np

    try:
        mistaken = mistaken_images(run, facts) if facts.worst_mistakes else []
    except DotbogiError:
        return None
    captions = [f"{one.what}\n{one.how_surely}" for one in mistaken]
    return image_grid(np.stack([one.image for one in mistaken]), captions, _("Worst mistakes")) if mistaken else None


def _subtitle(run: Run) -> str:
    name = [run.id] if run.name else []
    return " · ".join([*name, status_title(run.status), *_created(run), str(run.path)])


def _created(run: Run) -> list[str]:
    try:
        return [f"{datetime.fromisoformat(run.stored.created).astimezone():%Y-%m-%d %H:%M}"]
    except (ValueError, OverflowError):
        return []

"""A run: what a training left behind, opened again."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dotbogi.errors import DataError, RunError
from dotbogi.language import _
from dotbogi.runs.listening import notices_as_warnings, tell_notices
from dotbogi.runs.opened import OpenedRun
from dotbogi.runs.place import runs_folder
from dotbogi.store.runs_folder import RunsFolder
from dotbogi.training.events import Listener

if TYPE_CHECKING:
    from torch import nn

    from dotbogi.runs.predict import Broken, Prediction


class Run(OpenedRun):
    """What a training left behind, with its model."""

    def model(self, which: str = "last") -> nn.Module:
        """Returns the trained module, on the CPU, in evaluation mode.

        Args:
            which: ``last``, or ``best`` on the validation images.

        Raises:
            ModelError: the model's file is gone, has changed, or came from another computer.
        """
        from dotbogi.runs.reopen import reopened_model

        return reopened_model(self, which)

    def evaluate(self, data: Any = None, *, which: str = "last") -> dict[str, Any]:
        """Evaluates the run's model.

        Args:
            data: a name, a path, tensors or a ``Dataset``; by default the run's own test images.
            which: ``last``, or ``best`` on the validation images.

        Returns:
            ``run``, ``images``, ``metrics``, ``per_class``.
        """
        from dotbogi.runs.evaluate import evaluate

        return evaluate(self, data, which=which)

    def predict(self, paths: str | Path | Iterable[str | Path], *, top: int = 5) -> Iterator[Prediction | Broken]:
        """Yields a prediction for each image file, folder or pattern, in their order.

        Args:
            paths: a file, folder or pattern such as ``photos/*.jpg``, or several of them.
            top: how many of the most probable classes are told.
        """
        from dotbogi.runs.predict import predict

        words = [paths] if isinstance(paths, (str, Path)) else list(paths)
        for word in words:
            if not isinstance(cast(object, word), (str, Path)):
                raise DataError(
                    _("Paths of images are expected, not {type}.").format(type=type(word).__name__),
                    fix=_("Give files, folders or patterns; run.model() takes tensors."),
                )
        return predict(self, [str(path) for path in words], top=top)


def open_run(
    word: str = "last",
    *,
    runs_dir: Path | str | None = None,
    model_file: str = "",
    listener: Listener = notices_as_warnings,
) -> Run:
    """Opens a run.

    Args:
        word: an id, a unique beginning of one, a name, or ``last``.
        runs_dir: where runs lie; else ``DOTBOGI_RUNS_DIR``, else ``runs``.
        model_file: ``path/to/file.py:factory``, where the run's own model file is gone or came from elsewhere.
        listener: is told what a person should know; by default as warnings.

    Raises:
        RunError: there is none, or the beginning is not unique.
    """
    if not isinstance(cast(object, word), str):
        raise RunError(
            _("A run is asked for by text, not by {type}.").format(type=type(word).__name__),
            fix=_("Give an id, the beginning of one, a name, or 'last'."),
        )
    with _told(runs_dir, listener) as folder:
        return Run(folder.find(word), model_file=model_file, listener=listener)


def list_runs(runs_dir: Path | str | None = None, listener: Listener = notices_as_warnings) -> list[Run]:
    """Returns all runs, the oldest first."""
    with _told(runs_dir, listener) as folder:
        return [Run(stored, listener=listener) for stored in folder.runs()]


def remove_run(word: str, runs_dir: Path | str | None = None, listener: Listener = notices_as_warnings) -> str:
    """Removes a run and everything in its folder; returns its id.

    Raises:
        RunError: there is none, or another process is writing it.
    """
    with _told(runs_dir, listener) as folder:
        stored = folder.find(word)
        folder.remove(stored)
        return stored.id


@contextmanager
def _told(runs_dir: Path | str | None, listener: Listener) -> Generator[RunsFolder]:
    """Opens the folder of runs, and tells afterwards what it has to say: a rebuilt database, a run left out."""
    folder = RunsFolder(runs_folder(runs_dir))
    try:
        yield folder
    finally:
        tell_notices(folder, listener)

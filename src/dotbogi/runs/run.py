"""A run: what a training left behind, opened again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotbogi.errors import RunError
from dotbogi.language import _
from dotbogi.recipe import Recipe
from dotbogi.runs.objects import NO_OBJECTS, Objects
from dotbogi.runs.place import runs_folder
from dotbogi.store.runs_folder import RunsFolder, StoredRun

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dotbogi.data.normalise import Preprocessing
    from dotbogi.runs.predict import Broken, Prediction


class Run:
    """What a training left behind.

    Args:
        stored: where it lies.
        model: the trained module where it is at hand.
        objects: what was taken from Python.
        model_file: ``path/to/file.py:factory`` in place of the file that the run names.
    """

    def __init__(
        self, stored: StoredRun, *, model: nn.Module | None = None, objects: Objects = NO_OBJECTS, model_file: str = ""
    ) -> None:
        self.stored = stored
        self.objects = objects
        self.model_file = model_file
        self._model = model

    @property
    def id(self) -> str:
        """By which the run is found; any unique beginning of it will do."""
        return self.stored.id

    @property
    def name(self) -> str:
        """The name given to it, or an empty text."""
        return self.stored.name

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.stored.path

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``interrupted`` or ``failed``."""
        return self.stored.status

    @property
    def requested(self) -> Recipe:
        """What was asked for."""
        return self.stored.requested

    @property
    def recipe(self) -> Recipe:
        """Every value that the training really had."""
        return self.stored.resolved or self.stored.requested

    @property
    def metrics(self) -> dict[str, float]:
        """What the evaluation at its end found: ``accuracy``, ``loss``, …; empty before."""
        return self.stored.metrics

    @property
    def per_class(self) -> list[dict[str, Any]]:
        """``{name, images, precision, recall, f1}`` of each class; empty before the end."""
        return self.facts.get("per_class", [])

    @property
    def weights_sha256(self) -> str:
        """Identifies the last weights bit for bit; empty before the end."""
        return self.stored.weights_sha256

    @property
    def facts(self) -> dict[str, Any]:
        """System, sizes, preprocessing, confusion matrix, worst mistakes."""
        return self.stored.facts

    @property
    def preprocessing(self) -> Preprocessing:
        """What turns a photo into the model's input."""
        from dotbogi.data.normalise import Preprocessing

        if "preprocessing" not in self.facts:
            raise RunError(_("The run {run} has no preprocessing stored with it.").format(run=self.id))
        return Preprocessing.from_dict(self.facts["preprocessing"])

    def history(self) -> list[dict[str, Any]]:
        """Returns one row per epoch: averages of the training images, validation, learning rate, speed."""
        return self.stored.history()

    def steps(self) -> list[dict[str, Any]]:
        """Returns one row per step: ``step``, ``epoch``, ``loss``, ``lr``."""
        return self.stored.steps()

    def summary(self) -> dict[str, Any]:
        """Returns what the command line shows at the end of a training."""
        history = self.history()
        return {
            "name": self.name,
            "epochs": len(history),
            "steps": history[-1]["step"] if history else 0,
            "elapsed_s": sum(row["elapsed_s"] for row in history),
            "images_per_second": history[-1]["images_per_second"] if history else 0.0,
            "weights_sha256": self.weights_sha256,
            "metrics": self.metrics,
            "evaluated_on": self.facts.get("evaluated_on", ""),
            "per_class": self.per_class,
        }

    def state_dict(self, which: str = "last") -> dict[str, Tensor]:
        """Returns the weights by name.

        Args:
            which: ``last``, or ``best`` on the validation images.

        Raises:
            CheckpointError: none is whole.
        """
        folder = self.stored.checkpoints
        return (folder.read_best() if which == "best" else folder.read_last()).weights

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

    def predict(self, paths: Iterable[str | Path], *, top: int = 5) -> Iterator[Prediction | Broken]:
        """Yields a prediction for each image file, folder or pattern, in their order.

        Args:
            paths: files, folders, or patterns such as ``photos/*.jpg``.
            top: how many of the most probable classes are told.
        """
        from dotbogi.runs.predict import predict

        return predict(self, [str(path) for path in paths], top=top)

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.status} {self.metrics}>"


def open_run(word: str = "last", *, runs_dir: Path | str | None = None, model_file: str = "") -> Run:
    """Opens a run.

    Args:
        word: an id, a unique beginning of one, a name, or ``last``.
        runs_dir: where runs lie; else ``DOTBOGI_RUNS_DIR``, else ``runs``.
        model_file: ``path/to/file.py:factory``, where the run's own model file is gone or came from elsewhere.

    Raises:
        RunError: there is none, or the beginning is not unique.
    """
    return Run(RunsFolder(runs_folder(runs_dir)).find(word), model_file=model_file)


def list_runs(runs_dir: Path | str | None = None) -> list[Run]:
    """Returns all runs, the oldest first."""
    return [Run(stored) for stored in RunsFolder(runs_folder(runs_dir)).runs()]


def remove_run(word: str, runs_dir: Path | str | None = None) -> str:
    """Removes a run and everything in its folder; returns its id.

    Raises:
        RunError: there is none, or another process is writing it.
    """
    folder = RunsFolder(runs_folder(runs_dir))
    stored = folder.find(word)
    with stored.lock():
        pass
    folder.remove(stored)
    return stored.id

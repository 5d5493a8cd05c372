"""What a run tells: everything of it that can be read without building its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotbogi.errors import RunError
from dotbogi.language import _
from dotbogi.recipe import Recipe
from dotbogi.runs.listening import notices_as_warnings
from dotbogi.runs.objects import NO_OBJECTS, Objects
from dotbogi.runs.place import runs_dir_words
from dotbogi.store.runs_folder import StoredRun
from dotbogi.training.events import Listener, Notice

if TYPE_CHECKING:
    from torch import Tensor

    from dotbogi.data.normalise import Preprocessing


class OpenedRun:
    """A run as it lies on the disk.

    Args:
        stored: where it lies.
        objects: what was taken from Python.
        model_file: ``path/to/file.py:factory`` in place of the file that the run names.
        listener: is told what a person should know, such as that an older checkpoint was used.
    """

    def __init__(
        self,
        stored: StoredRun,
        *,
        objects: Objects = NO_OBJECTS,
        model_file: str = "",
        listener: Listener = notices_as_warnings,
    ) -> None:
        self.stored = stored
        self.objects = objects
        self.model_file = model_file
        self.listener = listener

    @property
    def id(self) -> str:
        """By which the run is found; any unique beginning of it will do."""
        return self.stored.id

    @property
    def name(self) -> str:
        """The name given to it, or an empty text."""
        return self.stored.name

    @property
    def argument(self) -> str:
        """What names the run on the command line: its id, and ``--runs-dir`` where it lies elsewhere."""
        return self.id + runs_dir_words(self.path.parent)

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
            raise RunError(
                _("The run {run} has no preprocessing stored with it.").format(run=self.id),
                fix=_("Train its recipe again: dotbogi show {run} --toml prints it.").format(run=self.argument),
            )
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
        if which not in ("last", "best"):
            raise RunError(_("There are no weights {which}.").format(which=repr(which)), fix=_("Ask for last or best."))
        folder = self.stored.checkpoints
        checkpoint = folder.read_best() if which == "best" else folder.read_last()
        for text in checkpoint.skipped:
            self.listener(Notice(text))
        if checkpoint.skipped:
            self.listener(Notice(_("The weights of step {step} are used.").format(step=checkpoint.step)))
        return checkpoint.weights

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status} {self.metrics}>"

"""What a training tells whoever listens: typed, in order, to a callable.

Nothing in ``training`` knows who listens: the store, a progress bar, a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from dotbogi.training.state import TrainingState


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Working(Event):
    """Work before or after the training proper: decoding, downloading, measuring.

    Args:
        task: what is being done, already translated.
        done, total: how far it is; ``total`` is 0 where it is not known.
    """

    task: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Notice(Event):
    """Something a person should know, already translated: files skipped, an older checkpoint used."""

    text: str


@dataclass(frozen=True)
class RunStarted(Event):
    """A run exists, and a checkpoint of it: from here on it can be resumed.

    Args:
        run: its id.
        path: its folder.
        facts: what a person may want to see at the start: ``model``, ``parameters``, ``data``, ``classes``,
            ``training_images``, ``validation_images``, ``test_images``, ``image_size``, ``channels``, ``device``,
            ``precision``, ``memory_format``, ``threads``, ``optimizer``, ``lr``, ``batch_size``, ``epochs``, ``steps``.
        step: updates done before (0 but for a resumed run).
    """

    run: str
    path: str
    facts: Mapping[str, Any]
    step: int = 0


@dataclass(frozen=True)
class StepDone(Event):
    """One update.

    Args:
        step: updates done so far, 1 after the first.
        steps: updates of the whole training.
        epoch: which epoch the update belongs to, from 0.
        images: images seen in this update.
        loss: the batch's loss.
        lr: the learning rate of the update.
    """

    step: int
    steps: int
    epoch: int
    images: int
    loss: float
    lr: float


@dataclass(frozen=True)
class EpochDone(Event):
    """One pass over the training images.

    Args:
        epoch: which, from 0.
        epochs: how many there will be.
        step: updates done so far.
        row: the epoch's row of the history: ``epoch``, ``step``, ``lr``, ``training_loss``, ``training_accuracy``,
            ``validation_loss``, ``validation_accuracy`` (those that exist), ``elapsed_s``, ``images_per_second``.
    """

    epoch: int
    epochs: int
    step: int
    row: Mapping[str, Any]


@dataclass(frozen=True)
class CheckpointDue(Event):
    """Everything that the next step depends on should be kept now; all steps and epochs so far were told.

    Args:
        state: what to keep, as it is now.
        best: whether it is the best so far on the validation images, and to be kept as such too.
    """

    state: TrainingState
    best: bool = False


@dataclass(frozen=True)
class SnapshotDue(Event):
    """A step is about to be made that should be kept for looking back.

    Args:
        state: everything that the step depends on, as it is now.
        indices: (B,) int64, which training images the step sees.
    """

    state: TrainingState
    indices: Tensor


@dataclass(frozen=True)
class SnapshotStepped(Event):
    """The step of the last snapshot was made: the state now is what a replay of it must arrive at."""

    state: TrainingState


@dataclass(frozen=True)
class RunFinished(Event):
    """The training is over and evaluated.

    Args:
        run, path: as in :class:`RunStarted`.
        summary: ``epochs``, ``steps``, ``elapsed_s``, ``images_per_second``, ``weights_sha256``, ``metrics``
            (``accuracy``, ``loss``, …), ``per_class`` (a list of ``{name, images, precision, recall, f1}``).
    """

    run: str
    path: str
    summary: Mapping[str, Any] = field(default_factory=dict[str, Any])


Listener = Callable[[Event], None]

"""The loop around the step: epochs, schedule, running averages, and what is told to whoever listens."""

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from dotbogi.data.batches import Batches
from dotbogi.data.randomness import key
from dotbogi.errors import NonFiniteLossError
from dotbogi.language import _
from dotbogi.optim.schedule import apply_schedule
from dotbogi.training.events import CheckpointDue, EpochDone, Listener, SnapshotDue, SnapshotStepped, StepDone
from dotbogi.training.state import RunningSums, TrainingState
from dotbogi.training.step import LossFunction, StepRules, training_step

STEPS_READ_TOGETHER = 16


@dataclass
class Training:
    """What a training needs.

    Args:
        state: where it begins.
        loss_function: of logits and labels.
        batches: of the training images.
        rules: accumulation, clipping, precision.
        steps: updates in all.
        epochs: of all the steps, the last perhaps incomplete.
        seed: what every random draw depends on.
        classifies: whether labels are classes, and so accuracy is defined.
        usual_lr: what the optimizer's learning rate is where nobody says one, for advice.
        validate: gives ``{"validation_loss": …, …}`` at an epoch's end, or ``None``.
        snapshots: steps before which everything is kept.
        checkpoint_every_s: seconds between checkpoints inside an epoch.
        listener: is told every event.
        stop: names the signal that asks to stop, or ``None``.
    """

    state: TrainingState
    loss_function: LossFunction
    batches: Batches
    rules: StepRules
    steps: int
    epochs: int
    seed: int
    classifies: bool
    listener: Listener
    usual_lr: float = math.inf
    validate: Callable[[], dict[str, float]] | None = None
    snapshots: Collection[int] = ()
    checkpoint_every_s: float = math.inf
    stop: Callable[[], str | None] = lambda: None


@dataclass
class Pace:
    """How fast an epoch goes, measured on its steps alone.

    The first steps of a process set things up (kernels are chosen, memory is
    taken), so they do not count where there are others.
    """

    setting_up: int = 3
    started: float = field(default_factory=time.perf_counter)
    images: int = 0
    steps: int = 0
    set_up: tuple[int, float] | None = None

    def add(self, images: int) -> None:
        """Counts one step, just made."""
        self.steps += 1
        self.images += images
        if self.steps == self.setting_up:
            self.set_up = (self.images, time.perf_counter())

    @property
    def images_per_second(self) -> float:
        """Images per second so far."""
        images, since = self.set_up if self.set_up and self.steps > self.setting_up else (0, self.started)
        return (self.images - images) / max(time.perf_counter() - since, 1e-9)


def train_loop(training: Training) -> str | None:
    """Makes the steps that are left.

    Returns:
        The name of the signal that stopped it, or ``None`` where all steps were made.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite; the checkpoint before it stands.
    """
    state, batches = training.state, training.batches
    state.model.train()
    per_epoch = len(batches)
    reader = _Reader(training)
    pace, began, saved_at = Pace(), time.perf_counter(), time.perf_counter()
    while state.step < training.steps:
        signal = training.stop()
        if signal:
            reader.read()
            training.listener(CheckpointDue(state))
            return signal
        epoch, position = divmod(state.step, per_epoch)
        _make_step(training, reader, pace, epoch, position)
        if position == per_epoch - 1 or state.step == training.steps:
            reader.read()
            _end_epoch(training, epoch, pace, began)
            pace, began, saved_at = Pace(setting_up=0), time.perf_counter(), time.perf_counter()
        elif time.perf_counter() - saved_at > training.checkpoint_every_s:
            reader.read()
            training.listener(CheckpointDue(state))
            saved_at = time.perf_counter()
    return None


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """Seeds what a model draws in a step (dropout and the like), so that the step can be made again alone.

    Args:
        seed: of the training.
        step: number of the update, from 0.
        device: where the model lies.
    """
    number = key(seed, "step", step)
    # torch.manual_seed would also queue a seeding of every GPU there is, with a stack trace each time.
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def _make_step(training: Training, reader: "_Reader", pace: Pace, epoch: int, position: int) -> None:
    state = training.state
    batch = training.batches.batch(epoch, position)
    lr = apply_schedule(state.optimizer, state.schedule.factor(state.step))
    kept = state.step in training.snapshots
    if kept:
        reader.read()
        training.listener(SnapshotDue(state, batch.indices))
    seed_step(training.seed, state.step, batch.images.device)
    logits, loss = training_step(
        state.model, training.loss_function, state.optimizer, batch.images, batch.labels, rules=training.rules
    )
    state.step += 1
    pace.add(len(batch.images))
    reader.add(epoch, len(batch.images), loss, logits, batch.labels, lr)
    if kept:
        reader.read()
        training.listener(SnapshotStepped(state))


class _Reader:
    """Reads losses and hits back from the device, adds them to the running sums, and tells of the steps.

    A loss is read at once on the CPU, and for several steps together on a GPU, which
    would have to wait for each. Hits are counted for several steps together everywhere:
    three small operations after each step would take a hundredth of it.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        self.losses: list[tuple[StepDone, Tensor]] = []
        self.answers: list[tuple[Tensor, Tensor]] = []
        self.waits = next(training.state.model.parameters()).device.type != "cpu"

    def add(self, epoch: int, images: int, loss: Tensor, logits: Tensor, labels: Tensor, lr: float) -> None:
        done = StepDone(self.training.state.step, self.training.steps, epoch, images, math.nan, lr)
        self.losses.append((done, loss))
        self.answers.append((logits, labels))
        if len(self.answers) >= STEPS_READ_TOGETHER:
            self.read()
        elif not self.waits:
            self._read_losses()

    def read(self) -> None:
        """Reads everything that waits."""
        self._read_losses()
        answers, self.answers = self.answers, []
        if self.training.classifies and answers:
            logits = torch.cat([logits for logits, _labels in answers])  # (steps · B, K)
            labels = torch.cat([labels for _logits, labels in answers])  # (steps · B,)
            self.training.state.sums.correct += int((logits.argmax(1) == labels).sum())

    def _read_losses(self) -> None:
        losses, self.losses = self.losses, []
        for done, loss_tensor in losses:
            loss = float(loss_tensor)
            if not math.isfinite(loss):
                raise _non_finite(done, loss, self.training)
            self.training.state.sums.add(done.images, loss)
            self.training.listener(replace(done, loss=loss))


def lr_to_try(training: Training) -> float:
    """Returns a learning rate to advise where the training's own was too large."""
    return min(training.state.optimizer.param_groups[0]["initial_lr"] / 10, training.usual_lr)


def _non_finite(done: StepDone, loss: float, training: Training) -> NonFiniteLossError:
    return NonFiniteLossError(
        _("The loss became {loss} at step {step} (epoch {epoch}, learning rate {lr:g}): the training stopped.").format(
            loss=loss, step=done.step, epoch=done.epoch + 1, lr=done.lr
        ),
        fix=_("Try --lr {lr:g}, or --set training.clip_norm=1. The checkpoint before it is kept.").format(
            lr=lr_to_try(training)
        ),
    )


def _end_epoch(training: Training, epoch: int, pace: Pace, began: float) -> None:
    state = training.state
    images_per_second = pace.images_per_second
    row = _averages(state, training.classifies)
    if training.validate:
        row |= training.validate()
    whole = state.step % len(training.batches) == 0
    if whole:
        state.schedule.observe(row.get("validation_loss", row["training_loss"]))
    best = training.validate is not None and _is_best(state, row)
    state.sums = RunningSums()
    row = {
        "epoch": epoch,
        "step": state.step,
        "lr": float(state.optimizer.param_groups[0]["lr"]),
        **row,
        "elapsed_s": time.perf_counter() - began,
        "images_per_second": images_per_second,
    }
    training.listener(EpochDone(epoch, training.epochs, state.step, row))
    training.listener(CheckpointDue(state, best))


def _averages(state: TrainingState, classifies: bool) -> dict[str, Any]:
    images = max(state.sums.images, 1)
    averages = {"training_loss": state.sums.loss / images}
    return averages | ({"training_accuracy": state.sums.correct / images} if classifies else {})


def _is_best(state: TrainingState, row: dict[str, Any]) -> bool:
    score = row.get("validation_accuracy", -row["validation_loss"])
    if score <= state.best.score:
        return False
    state.best.score, state.best.step = score, state.step
    return True

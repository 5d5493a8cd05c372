"""dotbogi's trainings, as its users run them, and the bare steps beside them."""

import io
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import dotbogi
from dotbogi import Recipe, Run
from dotbogi.cli.progress import Progress
from dotbogi.runs.listening import nobody_listens
from dotbogi.training.events import EpochDone, Event, Listener
from dotbogi.training.precision import MEMORY_FORMATS, Setting
from fashion_mnist import few_images

WARM_UP_STEPS = 5


class Terminal(io.StringIO):
    """A terminal that nobody looks at: a progress bar is drawn on it as on a real one."""

    def isatty(self) -> bool:
        """Says yes."""
        return True


class EpochClock:
    """Keeps when each epoch ended, and passes every event on.

    Args:
        listener: who hears everything too.
        at_epoch_end: called at the same moments.
    """

    def __init__(self, listener: Listener, at_epoch_end: Callable[[], None]) -> None:
        self.listener = listener
        self.at_epoch_end = at_epoch_end
        self.ends: list[float] = []

    def __call__(self, event: Event) -> None:
        """Takes an event of the training."""
        self.listener(event)
        if isinstance(event, EpochDone):
            self.ends.append(time.perf_counter())
            self.at_epoch_end()


@dataclass(frozen=True)
class Trained:
    """What came of a training; its folder is gone.

    Args:
        run: with its recipe and metrics.
        history: one row per epoch.
        epoch_s: seconds of every epoch but the first, from one row to the next, with all that lies between.
        total_s: seconds of the whole call: data opened, setting measured, trained, evaluated.
    """

    run: Run
    history: list[dict[str, Any]]
    epoch_s: list[float]
    total_s: float

    @property
    def images_per_second(self) -> float:
        """Of the last epoch, as its row says."""
        return self.history[-1]["images_per_second"]

    @property
    def training_s(self) -> float:
        """Seconds of all epochs, without what comes before and after."""
        return sum(row["elapsed_s"] for row in self.history)

    @property
    def setting(self) -> Setting:
        """The precision, memory format and threads that it had."""
        training = self.run.recipe.training
        assert isinstance(training.threads, int)
        return Setting(training.precision, training.memory_format, training.threads)

    @property
    def setting_text(self) -> str:
        """The setting in words."""
        setting = self.setting
        return f"{setting.precision} {setting.memory_format}, threads: {setting.threads}"


@contextmanager
def all_threads() -> Generator[None]:
    """Puts the number of threads back: a training of dotbogi sets what it found fastest."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def empty_cache() -> Generator[Path]:
    """Makes dotbogi decode and measure anew: what it remembered may be from a busy moment of the machine."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, DOTBOGI_CACHE_DIR=folder):
        yield Path(folder)


def nothing() -> None:
    """Does nothing."""


def train(
    recipe: Recipe, *, quick: bool = False, progress: bool = True, at_epoch_end: Callable[[], None] = nothing
) -> Trained:
    """Trains with everything on: database, checkpoints, snapshots, and a progress bar where it is wanted.

    Args:
        recipe: what to train; where it is to be quick, on a few images in place of its data.
        quick: a few images.
        progress: draw the bar on a terminal in memory.
        at_epoch_end: called whenever an epoch has its row.
    """
    data = few_images() if quick else None
    bar = Progress(Terminal()) if progress else nullcontext(nobody_listens)
    with all_threads(), tempfile.TemporaryDirectory() as folder, bar as shown:
        clock, began = EpochClock(shown, at_epoch_end), time.perf_counter()
        run = dotbogi.train(recipe, data=data, runs_dir=folder, listener=clock)
        total_s = time.perf_counter() - began
        epoch_s = [end - begin for begin, end in itertools.pairwise(clock.ends)]
        return Trained(run, run.history(), epoch_s, total_s)


def plain_step(model: nn.Module, setting: Setting, images: Tensor, labels: Tensor, **sgd: Any) -> Callable[[], None]:
    """Returns one training step on a resident batch, written plainly.

    Args:
        model: is placed as the setting says.
        setting: precision, memory format, threads.
        images, labels: float32 (B, C, H, W) and int64 (B,).
        sgd: hyperparameters of ``torch.optim.SGD``, which is fused.
    """
    torch.set_num_threads(setting.threads)
    memory_format = MEMORY_FORMATS[setting.memory_format]
    model = model.to(memory_format=memory_format).train()
    images = images.contiguous(memory_format=memory_format)
    optimizer = torch.optim.SGD(model.parameters(), fused=True, **sgd)
    bf16 = setting.precision == "bf16"

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def compute_limit(
    model: nn.Module, setting: Setting, images: Tensor, labels: Tensor, *, steps: int, **sgd: Any
) -> float:
    """Returns images per second of nothing but steps on one resident batch.

    Args:
        model, setting, images, labels, sgd: as in :func:`plain_step`.
        steps: how many are timed.
    """
    with all_threads():
        step = plain_step(model, setting, images, labels, **sgd)
        for _ in range(WARM_UP_STEPS):
            step()
        began = time.perf_counter()
        for _ in range(steps):
            step()
        return steps * len(labels) / (time.perf_counter() - began)

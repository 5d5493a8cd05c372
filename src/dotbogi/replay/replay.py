"""Puts a step of a run on a tape."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from dotbogi.language import _
from dotbogi.replay.moments import chosen_step, weights_after
from dotbogi.replay.origins import tell_beginning, tell_images, tell_preparation
from dotbogi.replay.reassemble import begins_as_built, objects_for, reassembled
from dotbogi.replay.rerun import Rerun
from dotbogi.replay.step import difference_from, recorded_step
from dotbogi.runs.listening import notices_as_warnings
from dotbogi.runs.objects import Objects
from dotbogi.runs.opened import OpenedRun
from dotbogi.runs.surroundings import torch_set_for
from dotbogi.store.facts import system_facts
from dotbogi.tape.past import place_in_training
from dotbogi.tape.tape import Tape
from dotbogi.training.events import Listener, Notice
from dotbogi.training.step import LossFunction

KEPT_TAPES = 4


def replay(
    run: OpenedRun,
    *,
    step: int | None = None,
    epoch: int | None = None,
    model: nn.Module | None = None,
    data: Any = None,
    loss: LossFunction | None = None,
    modules: Iterable[str] | None = None,
    listener: Listener = notices_as_warnings,
) -> Tape:
    """Makes a step of a run again, and records it from the stored pixels to the updated weights.

    Of a deterministic run any step can be opened: the training is made again from the nearest stored moment before
    it, bit for bit, and what is there before the step is explained by the step before, back to the initial weights.
    Of any other run only the steps with a snapshot.

    Args:
        run: that was trained, or stopped in the middle of it.
        step: number of the update, from 0.
        epoch: whose first step is recorded, from 0; by default the step of the last snapshot.
        model, data, loss: the objects that the training was given from Python, again.
        modules: paths of the modules whose numbers are kept, to save memory; by default those of all.
        listener: is told of decoding.

    Returns:
        The tape; its ``replay_difference`` is the largest absolute difference of the updated weights from those that
        the run stored, or ``None`` where it stored none after this step.

    Raises:
        RunError: no such step or epoch, or one that cannot be made again; the nearest snapshots are named.
        CheckpointError: the snapshot is damaged.
        DataError: the data have changed since the run began.
        ModelError: the model's file is gone or has changed.
    """
    step = chosen_step(run, step, epoch)
    return Replay(run, objects_for(run, model, data, loss), modules, listener).tape(step)


class Replay:
    """A run's training, any step of which can be put on a tape.

    Args:
        run: that was trained.
        objects: what it was trained with.
        modules: whose numbers are kept; ``None`` for all.
        listener: is told of decoding.
    """

    def __init__(self, run: OpenedRun, objects: Objects, modules: Iterable[str] | None, listener: Listener) -> None:
        self._run = run
        self._objects = objects
        self._listener = listener
        self._modules = None if modules is None else tuple(modules)
        self._tapes: OrderedDict[int, Tape] = OrderedDict()
        self._deterministic = run.recipe.training.deterministic
        self._tell_other_torch()
        with torch_set_for(self._deterministic):
            self._assembly = reassembled(run, objects, listener)
            self._rerun = Rerun(run, self._assembly, begins_as_built=begins_as_built(run, objects))

    def tape(self, step: int) -> Tape:
        """Returns the tape of a step, counted from 0."""
        if step not in self._tapes:
            self._tapes[step] = self._recorded(step)
        self._tapes.move_to_end(step)
        while len(self._tapes) > KEPT_TAPES:
            self._tapes.popitem(last=False)
        return self._tapes[step]

    def tape_from_another(self, step: int) -> Tape:
        """Returns the tape of a step, whose addresses name the step, since another's lead to it."""
        tape = self.tape(chosen_step(self._run, step, None))
        tape.tells_step = True
        return tape

    def module_before(self, step: int) -> nn.Module:
        """Returns the module as it was before a step; going to another step changes it."""
        with torch_set_for(self._deterministic):
            torch.set_num_threads(self._assembly.setting.threads)
            self._rerun.go_to(step)
        return self._assembly.state.model

    def _recorded(self, step: int) -> Tape:
        assembly = self._assembly
        epoch = step // len(assembly.batches)
        with torch_set_for(self._deterministic):
            torch.set_num_threads(assembly.setting.threads)
            self._rerun.go_to(step)
            indices = self._rerun.indices
            assert indices is not None
            draws = assembly.batches.draws(indices, epoch)
            tape = recorded_step(assembly, indices, draws, self._modules)
        tell_images(tape, assembly.dataset.train, "train", indices)
        tell_preparation(tape, assembly.recipe, epoch, indices, draws)
        tell_beginning(tape, self._run, self._objects, step)
        place_in_training(tape, step, self.tape_from_another, follows=self._deterministic)
        stored = weights_after(self._run, step)
        tape.replay_difference = None if stored is None else difference_from(tape, stored)
        if tape.replay_difference and self._deterministic:
            text = _("Step {step}, made again, differs from the stored one by up to {difference:.3g}.")
            self._listener(Notice(text.format(step=step, difference=tape.replay_difference)))
        return tape

    def _tell_other_torch(self) -> None:
        then = self._run.facts.get("versions", {}).get("torch")
        now = system_facts()["versions"]["torch"]
        if self._deterministic and then != now:
            text = _("The run was trained with torch {then}: with torch {now} a step may come out differently.")
            self._listener(Notice(text.format(then=then, now=now)))

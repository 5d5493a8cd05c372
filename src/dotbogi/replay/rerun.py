"""A run's training brought to the beginning of a step: from a stored moment, by making the steps between again."""

import copy
import math
from dataclasses import replace
from typing import Any

from torch import Tensor

from dotbogi.errors import ModelError, RunError
from dotbogi.language import _
from dotbogi.optim.schedule import ClosedForm
from dotbogi.replay.moments import kept_moment, moment_before
from dotbogi.runs.assemble import Assembly
from dotbogi.runs.carry_out import training_of
from dotbogi.runs.listening import nobody_listens
from dotbogi.runs.opened import OpenedRun
from dotbogi.training.loop import Training, train_loop

KEPT_BYTES = 2**27  # of moments that were passed: whoever goes back a step finds them

Moment = tuple[dict[str, Tensor], dict[str, Any]]  # weights, and the rest of the state


class Rerun:
    """Goes to any step of a run.

    Args:
        run: that was trained.
        assembly: its training at step 0; its state is what goes to a step.
        begins_as_built: whether the state that it has now is the one that the training began with.

    Attributes:
        indices: (B,) int64, which images the step sees that the state stands before.
    """

    def __init__(self, run: OpenedRun, assembly: Assembly, *, begins_as_built: bool) -> None:
        self._run = run
        self._assembly = assembly
        self._deterministic = run.recipe.training.deterministic
        self._passed: dict[int, Moment] = {}
        self._beginning = self._copied() if begins_as_built and self._deterministic else None
        self.indices: Tensor | None = None

    def go_to(self, step: int) -> None:
        """Brings the state to what it was before a step.

        Raises:
            RunError: nothing is stored from which it could be reached.
            CheckpointError: the snapshot is damaged.
            ModelError: the model is not the run's.
        """
        self.indices = None
        if self._deterministic:
            self._begin_before(step)
            self._run_until(step)
        else:
            moment = kept_moment(self._run, step)
            self._restore((moment.weights, moment.state))
        if self.indices is None:
            self.indices = self._assembly.batches.indices(*divmod(step, len(self._assembly.batches)))

    def _begin_before(self, step: int) -> None:
        passed = max((known for known in self._passed if known <= step), default=-1)
        if passed == step:
            return self._restore(copy.deepcopy(self._passed[step]))
        stored = moment_before(self._run, step)
        if stored is not None and stored.step > passed:
            self.indices = stored.state.get("indices") if stored.step == step else None
            return self._restore((stored.weights, stored.state))
        if passed >= 0:
            return self._restore(copy.deepcopy(self._passed[passed]))
        if self._beginning is None:
            raise RunError(
                _("The run {run} has no whole snapshot or checkpoint before step {step}.").format(
                    run=self._run.id, step=step
                ),
                fix=_("Ask for a later step, or train anew with training.snapshots set to the steps to be kept."),
            )
        return self._restore(copy.deepcopy(self._beginning))

    def _restore(self, moment: Moment) -> None:
        try:
            self._assembly.state.restore(*moment)
        except (RuntimeError, ValueError, KeyError) as error:
            raise ModelError(
                _("The model is not that of the run {run}: {error}").format(run=self._run.id, error=error),
                fix=_("Give the model that the run began with, with the same layers frozen."),
            ) from None

    def _copied(self) -> Moment:
        state = self._assembly.state
        return copy.deepcopy((state.weights(), state.rest()))

    def _run_until(self, step: int) -> None:
        state = self._assembly.state
        if state.step == step:
            return
        size = 3 * sum(tensor.nbytes for tensor in state.weights().values())  # with two numbers of state for each
        room = max(1, KEPT_BYTES // max(size, 1))
        self._passed = {}

        def stop() -> str | None:
            if step - state.step <= room:
                self._passed[state.step] = self._copied()
            return "replay" if state.step == step else None

        train_loop(_training(self._assembly, stop))


def _training(assembly: Assembly, stop: Any) -> Training:
    """Returns the training as it was, but for what no weight depends on."""
    training = training_of(assembly, nobody_listens, stop)
    ignores_loss = isinstance(assembly.state.schedule.course, ClosedForm)
    validate = None if ignores_loss else training.validate
    return replace(training, validate=validate, snapshots=(), checkpoint_every_s=math.inf)

"""Which steps of a run there are, and where their beginnings are stored."""

from collections.abc import Callable

from torch import Tensor

from dotbogi.errors import CheckpointError, RunError
from dotbogi.language import _
from dotbogi.runs.opened import OpenedRun
from dotbogi.runs.reopen import run_setting
from dotbogi.store.checkpoints import Checkpoint, CheckpointFolder
from dotbogi.training.events import Notice


def steps_made(run: OpenedRun) -> int:
    """Returns how many steps a run has made that can be looked back at.

    Of a training that failed these are all that were planned: its last rows were not kept.
    """
    if run.status == "failed":
        return run.facts["steps"]
    rows = run.steps()
    snapshots = run.stored.checkpoints.snapshots()
    return max(rows[-1]["step"] if rows else 0, snapshots[-1] + 1 if snapshots else 0)


def chosen_step(run: OpenedRun, step: int | None, epoch: int | None) -> int:
    """Returns which step is meant.

    Args:
        run: has made steps.
        step: number of the update, from 0.
        epoch: whose first step is meant, from 0; where neither is given, that of the last snapshot.

    Raises:
        RunError: the run stopped before it had begun, has no such step or epoch, or has one that cannot be made again;
            the nearest snapshots are named.
    """
    run_setting(run)
    made = steps_made(run)
    if not made:
        raise RunError(
            _("The run {run} has made no step yet.").format(run=run.id),
            fix=_("Go on with it: dotbogi resume {run}").format(run=run.argument),
        )
    if step is not None and epoch is not None:
        raise RunError(
            _("Both a step and an epoch were asked for: {step} and {epoch}.").format(step=step, epoch=epoch),
            fix=_("Ask for one of them."),
        )
    if epoch is not None:
        step = _first_of(epoch, run, made)
    snapshots = run.stored.checkpoints.snapshots()
    if step is None:
        step = snapshots[-1] if snapshots else made - 1
    if not 0 <= step < made:
        raise RunError(
            _("The run {run} has no step {step}.").format(run=run.id, step=step),
            fix=_("Its steps are 0 to {last}.").format(last=made - 1),
        )
    if step not in snapshots and not run.recipe.training.deterministic:
        raise RunError(
            _(
                "Nothing was kept of step {step}, and the run {run} was not deterministic: making its steps again "
                "would give other numbers."
            ).format(step=step, run=run.id),
            fix=_others(snapshots, step),
        )
    return step


def _first_of(epoch: int, run: OpenedRun, made: int) -> int:
    per_epoch = run.facts["steps_per_epoch"]
    if not 0 <= epoch * per_epoch < made:
        raise RunError(
            _("The run {run} has no epoch {epoch}.").format(run=run.id, epoch=epoch),
            fix=_("Its epochs are 0 to {last}.").format(last=(made - 1) // per_epoch),
        )
    return epoch * per_epoch


def kept_moment(run: OpenedRun, step: int) -> Checkpoint:
    """Returns the snapshot before exactly that step.

    Raises:
        CheckpointError: it is damaged; the nearest others are named.
    """
    folder = run.stored.checkpoints
    try:
        return folder.read_snapshot(step)
    except CheckpointError as error:
        others = [other for other in folder.snapshots() if other != step]
        raise CheckpointError(error.message, fix=error.fix or _others(others, step)) from error


def _others(steps: list[int], step: int) -> str:
    if not steps:
        return _("Train with --deterministic: of such a run every step can be opened.")
    nearest = sorted(sorted(steps, key=lambda other: abs(other - step))[:2])
    return _("Ask for a step with a snapshot, the nearest are: {steps}; or train with --deterministic.").format(
        steps=", ".join(map(str, nearest))
    )


def moment_before(run: OpenedRun, step: int) -> Checkpoint | None:
    """Returns the latest stored moment from which a step can be reached, or ``None``.

    A snapshot or checkpoint that is damaged is passed over, with a notice.
    """
    folder = run.stored.checkpoints
    snapshot = _latest_whole_snapshot(run, folder, step)
    if snapshot is not None and snapshot.step == step:
        return snapshot
    checkpoints = [_whole(read) for read in (folder.read_last, folder.read_best)]
    moments = [moment for moment in (*checkpoints, snapshot) if moment is not None and moment.step <= step]
    return max(moments, key=lambda moment: moment.step, default=None)


def _latest_whole_snapshot(run: OpenedRun, folder: CheckpointFolder, step: int) -> Checkpoint | None:
    for kept in reversed([kept for kept in folder.snapshots() if kept <= step]):
        try:
            return folder.read_snapshot(kept)
        except CheckpointError as error:
            run.listener(Notice(error.message))
    return None


def _whole(read: Callable[[], Checkpoint]) -> Checkpoint | None:
    try:
        return read()
    except CheckpointError:
        return None


def weights_after(run: OpenedRun, step: int) -> dict[str, Tensor] | None:
    """Returns the weights that a run stored after a step, or ``None`` where it stored none."""
    folder = run.stored.checkpoints
    snapshots = folder.snapshots()
    if step in snapshots:
        snapshot = _whole(lambda: folder.read_snapshot(step))
        if snapshot is not None and snapshot.next_weights is not None:
            return snapshot.next_weights
    readers: list[Callable[[], Checkpoint]] = [folder.read_last, folder.read_best]
    if step + 1 in snapshots:
        readers.append(lambda: folder.read_snapshot(step + 1))
    moments = [_whole(read) for read in readers]
    return next((moment.weights for moment in moments if moment is not None and moment.step == step + 1), None)

"""Writes what a training tells into its run: metric rows, checkpoints, snapshots."""

from typing import Any

from dotbogi.store.runs_folder import StoredRun
from dotbogi.training.events import CheckpointDue, EpochDone, Event, SnapshotDue, SnapshotStepped, StepDone


class Keeper:
    """A listener that writes into a run, which must be locked.

    The rows of the steps are written together with the checkpoint after them:
    a row without its checkpoint would be replaced on resuming anyway.

    Args:
        run: where to write.
    """

    def __init__(self, run: StoredRun) -> None:
        self.run = run
        self._rows: list[dict[str, Any]] = []

    def __call__(self, event: Event) -> None:
        """Writes what the event asks for."""
        if isinstance(event, StepDone):
            self._rows.append({"step": event.step, "epoch": event.epoch, "loss": event.loss, "lr": event.lr})
        elif isinstance(event, EpochDone):
            self.run.add_epoch(dict(event.row))
        elif isinstance(event, CheckpointDue):
            self._keep(event)
        elif isinstance(event, SnapshotDue):
            rest = {**event.state.rest(), "indices": event.indices}
            self.run.checkpoints.write("snapshot", event.state.step, event.state.weights(), rest)
        elif isinstance(event, SnapshotStepped):
            self.run.checkpoints.add_next_weights(event.state.step - 1, event.state.weights())

    def flush(self) -> None:
        """Writes the rows that wait."""
        rows, self._rows = self._rows, []
        if rows:
            self.run.add_steps(rows)

    def _keep(self, event: CheckpointDue) -> None:
        self.flush()
        state = event.state
        if event.best:
            self.run.checkpoints.write("best", state.step, state.weights(), state.rest())
        self.run.checkpoints.write("last", state.step, state.weights(), state.rest())

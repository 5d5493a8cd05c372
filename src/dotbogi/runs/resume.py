"""Goes on with a training that was interrupted, bit for bit as if it had not been."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from dotbogi.errors import ModelError, RunError
from dotbogi.language import _
from dotbogi.models.build import find_model
from dotbogi.runs.assemble import Assembly, assemble
from dotbogi.runs.carry_out import carry_out
from dotbogi.runs.choose import ANY_MODEL
from dotbogi.runs.listening import nobody_stops, notices_as_warnings
from dotbogi.runs.objects import Objects
from dotbogi.runs.reopen import buildable_recipe, refuse_changed_data
from dotbogi.runs.run import Run, open_run
from dotbogi.runs.surroundings import torch_set_for
from dotbogi.training.events import Listener, Notice, RunFinished, RunStarted
from dotbogi.training.step import LossFunction


def resume(
    word: str = "last",
    *,
    runs_dir: Path | str | None = None,
    model_file: str = "",
    model: nn.Module | None = None,
    data: Any = None,
    loss: LossFunction | None = None,
    listener: Listener = notices_as_warnings,
    stop: Callable[[], str | None] = nobody_stops,
) -> Run:
    """Goes on with a training from its last whole checkpoint.

    Args:
        word: an id, a unique beginning of one, a name, or ``last``.
        runs_dir: where runs lie; else ``DOTBOGI_RUNS_DIR``, else ``runs``.
        model_file: ``path/to/file.py:factory`` in place of the file that the run names.
        model, data, loss: the objects that the training was given from Python, again.
        listener: is told every event.
        stop: asked before every step.

    Returns:
        The run; one that was finished is returned as it is, with a notice.

    Raises:
        DotbogiError: the run is in use, its data or model's file has changed, or no checkpoint is whole.
    """
    run = open_run(word, runs_dir=runs_dir, model_file=model_file, listener=listener)
    objects = Objects(model, data, loss)
    if run.status == "finished":
        listener(Notice(_("The run {run} is finished; there is nothing to resume.").format(run=run.id)))
        listener(RunStarted(run.id, str(run.path), {}, run.summary()["steps"]))
        listener(RunFinished(run.id, str(run.path), run.summary()))
        return run
    _refuse_missing_objects(run, objects)
    _refuse_further_objects(run, objects)
    with run.stored.lock(), torch_set_for(run.recipe.training.deterministic):
        recipe = run.recipe if model is not None else buildable_recipe(run)
        entry = ANY_MODEL if model is not None else find_model(recipe.model.name)
        assembly = assemble(recipe, entry, objects, listener)
        refuse_changed_data(run, assembly.dataset)
        _restore(run, assembly, listener)
        run.stored.update(status="running")
        return carry_out(assembly, run.stored, objects, listener, stop)


def _refuse_missing_objects(run: Run, objects: Objects) -> None:
    missing = [name for name in run.facts.get("objects", []) if name not in objects.names]
    if missing:
        raise RunError(
            _("The run {run} was trained with objects from Python: {names}.").format(
                run=run.id, names=", ".join(missing)
            ),
            fix=_("Resume it from Python: dotbogi.runs.resume.resume({run}, {arguments}).").format(
                run=repr(run.id), arguments=", ".join(f"{name}=…" for name in missing)
            ),
        )


def _refuse_further_objects(run: Run, objects: Objects) -> None:
    further = [name for name in objects.names if name not in run.facts.get("objects", [])]
    if further:
        raise RunError(
            _("The run {run} did not begin with these objects: {names}.").format(run=run.id, names=", ".join(further)),
            fix=_("Resume it without them, or train anew with them."),
        )


def _restore(run: Run, assembly: Assembly, listener: Listener) -> None:
    checkpoint = run.stored.checkpoints.read_last()
    for text in checkpoint.skipped:
        listener(Notice(text))
    try:
        assembly.state.restore(checkpoint.weights, checkpoint.state)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            _("The model is not that of the run {run}: {error}").format(run=run.id, error=error),
            fix=_("Give the model that the run began with, with the same layers frozen."),
        ) from None
    run.stored.truncate_after(assembly.state.step)

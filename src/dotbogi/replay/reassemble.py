"""A run's training made ready again, as it was: model, optimizer, schedule, data and precision."""

import copy
from dataclasses import replace
from typing import Any

from torch import nn

from dotbogi.errors import RunError
from dotbogi.language import _
from dotbogi.models.build import find_model
from dotbogi.optim.optimizer import SINGLE_TENSOR
from dotbogi.runs.assemble import Assembly, assemble
from dotbogi.runs.choose import ANY_MODEL
from dotbogi.runs.objects import Objects
from dotbogi.runs.opened import OpenedRun
from dotbogi.runs.reopen import buildable_recipe, refuse_changed_data
from dotbogi.training.events import Event, Listener, Notice
from dotbogi.training.step import LossFunction


def merged_objects(
    run: OpenedRun, model: nn.Module | None = None, data: Any = None, loss: LossFunction | None = None
) -> Objects:
    """Returns the objects given, and in the place of those not given what the run still has of its training."""
    kept = run.objects
    return Objects(
        kept.model if model is None else model, kept.data if data is None else data, kept.loss if loss is None else loss
    )


def objects_for(
    run: OpenedRun, model: nn.Module | None = None, data: Any = None, loss: LossFunction | None = None
) -> Objects:
    """Returns the objects from Python that a run was trained with: those given, else those that it still has.

    Raises:
        RunError: one is missing, or the run did not begin with it.
    """
    given = merged_objects(run, model, data, loss)
    began_with: list[str] = run.facts.get("objects", [])
    missing = [name for name in began_with if name not in given.names and not (name == "model" and run.model_file)]
    if missing:
        raise RunError(
            _("The run {run} was trained with objects from Python: {names}.").format(
                run=run.id, names=", ".join(missing)
            ),
            fix=_("Give them again, from Python: {arguments}.").format(
                arguments=", ".join(f"{name}=…" for name in missing)
            ),
        )
    further = [name for name in given.names if name not in began_with]
    if further:
        raise RunError(
            _("The run {run} did not begin with these objects: {names}.").format(run=run.id, names=", ".join(further)),
            fix=_("Leave them out: what the run's recipe names is opened."),
        )
    return given


def reassembled(run: OpenedRun, objects: Objects, listener: Listener) -> Assembly:
    """Returns a run's training at step 0, with the optimizer in the form that is recorded.

    Weights that a training began with are not fetched again: a snapshot has them.

    Args:
        run: that was trained.
        objects: what it was trained with; the module is copied, never changed.
        listener: is told of decoding.

    Raises:
        ModelError: the model's file is gone or has changed, or came from another computer.
        DataError: the data have changed.
    """
    recipe = run.recipe if objects.model is not None else buildable_recipe(run)
    entry = ANY_MODEL if objects.model is not None else find_model(recipe.model.name)
    values = {"optimizer.form": SINGLE_TENSOR, "model.pretrained": False, "model.weights": ""}
    objects = replace(objects, model=copy.deepcopy(objects.model))

    def told(event: Event) -> None:
        if not isinstance(event, Notice):  # what there was to notice was said when the training began
            listener(event)

    assembly = assemble(recipe.with_values(values), entry, objects, told)
    refuse_changed_data(run, assembly.dataset)
    return assembly


def begins_as_built(run: OpenedRun, objects: Objects) -> bool:
    """Whether the initial weights follow from the recipe alone, and so need no snapshot."""
    recipe = run.recipe.model
    return objects.model is None and not run.model_file and not recipe.pretrained and not recipe.weights

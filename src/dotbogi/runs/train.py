"""Trains a classifier as a recipe says, and keeps the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dotbogi.errors import ModelError, RecipeError
from dotbogi.language import _
from dotbogi.models.build import parameter_count
from dotbogi.models.model import ModelEntry
from dotbogi.optim.optimizer import muon_split
from dotbogi.recipe import Recipe
from dotbogi.runs.assemble import Assembly, assemble
from dotbogi.runs.carry_out import carry_out
from dotbogi.runs.choose import chosen_recipe
from dotbogi.runs.listening import nobody_stops, notices_as_warnings, tell_notices
from dotbogi.runs.objects import Objects
from dotbogi.runs.place import origin, runs_folder
from dotbogi.runs.reopen import MODEL_COPY
from dotbogi.runs.run import Run
from dotbogi.runs.surroundings import torch_set_for
from dotbogi.store.facts import system_facts
from dotbogi.store.runs_folder import RunsFolder, StoredRun
from dotbogi.training.events import Listener, Notice
from dotbogi.training.step import LossFunction


def train(
    recipe: Recipe | None = None,
    *,
    model: nn.Module | None = None,
    data: Any = None,
    loss: LossFunction | str | None = None,
    runs_dir: Path | str | None = None,
    name: str = "",
    listener: Listener = notices_as_warnings,
    stop: Callable[[], str | None] = nobody_stops,
) -> Run:
    """Trains a classifier, and keeps everything of it in a run.

    Args:
        recipe: what to train; without one, the lecture's CNN on the bundled sample.
        model: a module in place of the recipe's; it is trained in place.
        data: a name or a folder, as in the recipe; or tensors ``(images, labels)``, a ``Dataset``, or
            ``{"train": …, "validation": …, "test": …}`` of these.
        loss: a callable of logits and labels, or a loss's name, in place of the recipe's.
        runs_dir: where runs lie; else ``DOTBOGI_RUNS_DIR``, else ``runs``.
        name: by which the run can be found, beside its id.
        listener: is told every event (:mod:`dotbogi.training.events`); by default notices become warnings.
        stop: asked before every step; names a signal to stop at, or ``None``.

    Returns:
        The run, finished, or interrupted where ``stop`` asked for it.

    Raises:
        DotbogiError: something in the recipe, data or model cannot be trained; or the loss became NaN or infinite.
    """
    requested, objects = _asked(recipe, model, data, loss)
    folder = RunsFolder(runs_folder(runs_dir))
    if name:
        folder.check_name(name)
    tell_notices(folder, listener)
    chosen, entry = chosen_recipe(requested, objects)
    with torch_set_for(chosen.training.deterministic):
        assembly = assemble(chosen, entry, objects, listener)
        _tell_split(assembly, listener)
        stored = folder.create(name, requested, run_facts(assembly, entry, objects), resolved=assembly.recipe)
        with stored.lock():
            _keep_model_file(stored, entry)
            return carry_out(assembly, stored, objects, listener, stop)


def _asked(recipe: Any, model: Any, data: Any, loss: Any) -> tuple[Recipe, Objects]:
    """Returns the recipe, in which what was given by name has its place, and the objects."""
    requested = Recipe() if recipe is None else recipe
    if not isinstance(requested, Recipe):
        raise RecipeError(
            _("A recipe is expected, not {type}.").format(type=type(requested).__name__),
            fix=_("Give dotbogi.Recipe(…), or Recipe.from_file(path)."),
        )
    if model is not None and not isinstance(model, nn.Module):
        raise ModelError(
            _("The model is {type}, not a torch.nn.Module.").format(type=type(model).__name__),
            fix=_("Give an instance, such as Net(), or a name in the recipe: Recipe(model=…)."),
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            _("The model is a scripted module, which cannot be trained here."),
            fix=_("Give the module that it was made from."),
        )
    if model is not None and any(parameter.is_meta for parameter in model.parameters()):
        raise ModelError(
            _("The model has parameters on the device meta, which have no values."),
            fix=_("Give them values first: model.to_empty(device='cpu'), then initialise them."),
        )
    if isinstance(data, (str, Path)):
        requested, data = requested.with_values({"data.source": str(data)}), None
    if isinstance(loss, str):
        requested, loss = requested.with_values({"training.loss": {"name": loss}}), None
    return requested, Objects(model, data, loss)


def run_facts(assembly: Assembly, entry: ModelEntry, objects: Objects) -> dict[str, Any]:
    """Returns what is kept of a run beside its recipe: system, sizes, preprocessing, and what its model's file was."""
    dataset, recipe = assembly.dataset, assembly.recipe
    return {
        **system_facts(),
        "origin": origin(),
        "objects": objects.names,
        "model": recipe.model.name,
        "own_model": _own_facts(entry),
        "parameters": parameter_count(assembly.state.model),
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "classes": list(dataset.classes),
        "training_images": len(dataset.train.labels),
        "validation_images": len(dataset.validation.labels) if dataset.validation else 0,
        "test_images": len(dataset.test.labels) if dataset.test else 0,
        "preprocessing": assembly.preprocessing.to_dict(),
        "steps": assembly.steps,
        "steps_per_epoch": len(assembly.batches),
    }


def _tell_split(assembly: Assembly, listener: Listener) -> None:
    if assembly.recipe.optimizer.name == "muon":
        split = muon_split(assembly.state.optimizer)
        text = _("Muon's own rule updates {share:.0%} of the weights of this model, AdamW the others.")
        listener(Notice(text.format(share=split.share)))


def _own_facts(entry: ModelEntry) -> dict[str, str] | None:
    own = entry.own
    return {"path": own.path, "factory_name": own.factory_name, "sha256": own.sha256} if own else None


def _keep_model_file(stored: StoredRun, entry: ModelEntry) -> None:
    if entry.own:
        (stored.path / MODEL_COPY).write_text(entry.own.text, encoding="utf-8")

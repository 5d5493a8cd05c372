"""Builds a stored run's model again, and never executes a file that the run has no right to name."""

import copy

import torch
from torch import nn

from dotbogi.data.dataset import Dataset
from dotbogi.errors import DataError, ModelError, RunError
from dotbogi.language import _
from dotbogi.models.build import build_model
from dotbogi.models.model import OwnModel
from dotbogi.models.own import reopen_own_model
from dotbogi.recipe import Recipe
from dotbogi.runs.opened import OpenedRun
from dotbogi.runs.place import origin
from dotbogi.training.loss import build_loss
from dotbogi.training.precision import Setting
from dotbogi.training.step import LossFunction

MODEL_COPY = "model.py.txt"  # not .py, so that nothing imports it by mistake


def buildable_recipe(run: OpenedRun) -> Recipe:
    """Returns the run's recipe with a model name that can be built here and now.

    Raises:
        ModelError: the model's file is gone, has changed, or came from another computer, and no other was named.
    """
    if run.model_file:
        return run.recipe.with_values({"model.name": run.model_file})
    own = run.facts.get("own_model")
    if not own:
        return run.recipe
    if run.facts.get("origin") != origin():
        raise ModelError(
            _("The run {run} came from elsewhere, so the model file that it names is not executed.").format(run=run.id),
            fix=_("Read {copy}, and name the file with --model path/to/file.py:factory.").format(
                copy=run.path / MODEL_COPY
            ),
        )
    return run.recipe.with_values({"model.name": reopen_own_model(_own_model(own)).name})


def _own_model(stored: dict[str, str]) -> OwnModel:
    return OwnModel(stored["path"], stored["factory_name"], "", stored["sha256"])


def reopened_model(run: OpenedRun, which: str) -> nn.Module:
    """Returns the run's module with its trained weights, on the CPU, in evaluation mode."""
    # A person's own module stays as it is: what is handed out is a copy, as of a model that was named.
    module = copy.deepcopy(run.objects.model) if run.objects.model is not None else _built(run)
    weights = run.state_dict(which)
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            _("The model that was built has other weights than the run {run}: {error}").format(run=run.id, error=error),
            fix=_("Name the file that the run was trained with: --model path/to/file.py:factory"),
        ) from None
    return module.eval()


def _built(run: OpenedRun) -> nn.Module:
    if "model" in run.facts.get("objects", []) and not run.model_file:
        raise RunError(
            _("The model of the run {run} was an object from Python, so it cannot be built here.").format(run=run.id),
            fix=_("Name a file with it: --model path/to/file.py:factory"),
        )
    preprocessing = run.preprocessing
    recipe = buildable_recipe(run)
    # The weights come from the run's checkpoint: nothing is downloaded or read for them.
    model = recipe.model.model_copy(update={"pretrained": False, "weights": ""})
    return build_model(
        model,
        num_classes=len(preprocessing.classes) or 1,
        in_channels=preprocessing.channels,
        image_size=preprocessing.image_size,
        seed=0,
    ).to(run_setting(run).dtype)


def refuse_changed_data(run: OpenedRun, dataset: Dataset) -> None:
    """Sees that the data are those that the run was trained on.

    Raises:
        DataError: they are not.
    """
    if dataset.fingerprint != run.facts["data_fingerprint"]:
        objects = "data" in run.facts.get("objects", [])
        raise DataError(
            _("The data {data} have changed since the run {run} began.").format(data=dataset.name, run=run.id),
            fix=_("Give the data that the run began with, or train anew.")
            if objects
            else _("Put the old images back, or train anew: dotbogi train --data {data}").format(
                data=run.recipe.data.source
            ),
        )


def run_setting(run: OpenedRun) -> Setting:
    """Returns how the run's steps were computed.

    Raises:
        RunError: the run's recipe was never resolved.
    """
    training = run.recipe.training
    if training.precision == "auto" or training.memory_format == "auto" or training.threads == "auto":
        raise RunError(
            _("The run {run} stopped before it had begun, so there is no model in it.").format(run=run.id),
            fix=_("Train its recipe again: dotbogi show {run} --toml prints it.").format(run=run.argument),
        )
    return Setting(training.precision, training.memory_format, training.threads)


def run_loss(run: OpenedRun, device: torch.device) -> LossFunction:
    """Returns the run's loss function: the object that it was given, or what the recipe names."""
    if run.objects.loss is not None:
        return run.objects.loss
    classes = len(run.preprocessing.classes)
    return build_loss(run.recipe.training.loss, num_classes=classes, device=device, dtype=run_setting(run).dtype)

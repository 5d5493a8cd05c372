"""Evaluates a run's model on its own or on other images."""

from typing import Any

from dotbogi.data.dataset import Dataset, Split
from dotbogi.errors import DataError, RunError
from dotbogi.language import _
from dotbogi.recipe import Recipe
from dotbogi.runs.assemble import evaluation_batches, find_device, open_recipe_data
from dotbogi.runs.choose import ANY_MODEL
from dotbogi.runs.listening import notices_as_warnings
from dotbogi.runs.objects import Objects
from dotbogi.runs.opened import OpenedRun
from dotbogi.runs.reopen import refuse_changed_data, reopened_model, run_loss, run_setting
from dotbogi.runs.surroundings import plain_torch
from dotbogi.training.events import Listener, Working
from dotbogi.training.metrics import evaluate_model


def evaluate(
    run: OpenedRun, data: Any = None, *, which: str = "last", listener: Listener = notices_as_warnings
) -> dict[str, Any]:
    """Evaluates a run's model.

    Args:
        run: trained.
        data: a name, a path, tensors or a ``Dataset``; by default the run's own test images.
        which: ``last``, or ``best`` on the validation images.
        listener: is told how far it is.

    Returns:
        ``run``, ``images``, ``evaluated_on``, ``metrics``, ``per_class``, ``confusion``.

    Raises:
        DataError: the data have other classes than the run, or the run's own have changed.
    """
    with plain_torch():
        return _evaluate(run, data, which, listener)


def _evaluate(run: OpenedRun, data: Any, which: str, listener: Listener) -> dict[str, Any]:
    preprocessing, setting = run.preprocessing, run_setting(run)
    name, split, dataset = _images(run, data, listener)
    _refuse_other_classes(run, dataset)
    device = find_device(run.recipe.training.device)
    model = setting.place(reopened_model(run, which), device)
    total = len(split.labels)
    evaluation = evaluate_model(
        model,
        evaluation_batches(split, preprocessing, device, setting),
        run_loss(run, device),
        setting.rules(run.recipe.training, device),
        classes=len(preprocessing.classes),
        progress=lambda done: listener(Working(_("Evaluating"), done, total)),
    )
    return {
        "run": run.id,
        "images": evaluation.images,
        "evaluated_on": name,
        "metrics": evaluation.metrics,
        "per_class": evaluation.per_class(preprocessing.classes) if preprocessing.classes else [],
        "confusion": evaluation.confusion,
    }


def _images(run: OpenedRun, data: Any, listener: Listener) -> tuple[str, Split, Dataset]:
    """Returns what to evaluate on: the run's own test images, or all of the other data that are not for training."""
    if data is None and "data" in run.facts.get("objects", []) and run.objects.data is None:
        raise RunError(
            _("The run {run} was trained on objects from Python, which are not kept with it.").format(run=run.id),
            fix=_("Name what to evaluate on: --data FOLDER, or run.evaluate((images, labels))."),
        )
    if data is None:
        dataset = open_recipe_data(run.recipe, ANY_MODEL, run.objects, listener)
        refuse_changed_data(run, dataset)
        return *dataset.judged_by, dataset
    recipe = _recipe_for(run, data)
    objects = Objects() if isinstance(data, str) else Objects(data=data)
    dataset = open_recipe_data(recipe, ANY_MODEL, objects, listener)
    if dataset.test:
        return "test", dataset.test, dataset
    return dataset.name, dataset.train, dataset


def _recipe_for(run: OpenedRun, data: Any) -> Recipe:
    """Returns the run's recipe for other data, none of which is held out."""
    values: dict[str, Any] = {"data.test": 0.0, "data.validation": 0.0}
    return run.recipe.with_values(values | ({"data.source": data} if isinstance(data, str) else {}))


def _refuse_other_classes(run: OpenedRun, dataset: Dataset) -> None:
    trained = run.preprocessing.classes
    if dataset.classes != trained:
        raise DataError(
            _("The data {data} have the classes {found}, the run was trained on {trained}.").format(
                data=dataset.name, found=_shown(dataset.classes), trained=_shown(trained)
            ),
            fix=_("Evaluate on data with the same class names."),
        )


def _shown(classes: tuple[str, ...], most: int = 6) -> str:
    more = [f"… ({len(classes)})"] if len(classes) > most else []
    return ", ".join([*(" ".join(name.split()) for name in classes[:most]), *more]) or "–"

"""The part that a new and a resumed training share: the loop, what is kept of it, and the evaluation at its end."""

import math
from collections.abc import Callable
from typing import Any

import torch

from dotbogi.data.dataset import Split
from dotbogi.errors import DotbogiError, NonFiniteLossError, TrainingError
from dotbogi.language import _
from dotbogi.models.source_line import said, source_line
from dotbogi.optim.optimizer import state_floats_per_parameter
from dotbogi.registry import OPTIMIZERS
from dotbogi.runs.assemble import Assembly
from dotbogi.runs.keep import Keeper
from dotbogi.runs.objects import Objects
from dotbogi.runs.run import Run
from dotbogi.store.runs_folder import StoredRun
from dotbogi.store.weights import weights_sha256
from dotbogi.training.events import CheckpointDue, Event, Listener, RunFinished, RunStarted, Working
from dotbogi.training.loop import Training, lr_to_try, train_loop
from dotbogi.training.metrics import Evaluation, evaluate_model, running_validation

WORST_MISTAKES = 25


def carry_out(
    assembly: Assembly, stored: StoredRun, objects: Objects, listener: Listener, stop: Callable[[], str | None]
) -> Run:
    """Makes the steps that are left, evaluates, and keeps it all in the run.

    Args:
        assembly: its state is where the training begins.
        stored: the run, locked.
        objects: what was taken from Python.
        listener: is told every event.
        stop: asked before every step.
    """
    keeper = Keeper(stored)
    if assembly.state.step == 0:
        keeper(CheckpointDue(assembly.state))

    def everybody(event: Event) -> None:
        keeper(event)
        listener(event)

    try:
        listener(RunStarted(stored.id, str(stored.path), started_facts(assembly, stored), assembly.state.step))
        training = training_of(assembly, everybody, stop)
        signal = train_loop(training)
        if not signal:
            _finish(assembly, training, stored, listener)
    except KeyboardInterrupt:
        stored.update(status="interrupted")
        raise
    except NonFiniteLossError:
        stored.update(status="failed")
        if objects.model is not None:  # a person's own module is not left with NaN
            assembly.state.model.load_state_dict(stored.checkpoints.read_last().weights)
        raise
    except DotbogiError:
        stored.update(status="failed")
        raise
    except Exception as error:
        stored.update(status="failed")
        raise _stopped(error, assembly) from error
    if signal:
        stored.update(status="interrupted")
    run = Run(stored, objects=objects)
    if not signal:
        listener(RunFinished(stored.id, str(stored.path), run.summary()))
    return run


def _stopped(error: Exception, assembly: Assembly) -> TrainingError:
    """Returns what to say of an error that comes from a person's model, loss or data, or from torch."""
    if isinstance(error, torch.OutOfMemoryError):
        size = assembly.recipe.training.batch_size
        return TrainingError(
            _("The memory of {device} is full with batches of {size}.").format(device=assembly.device, size=size),
            fix=_("Try --batch-size with a smaller number; training.accumulation keeps the update's size."),
        )
    return TrainingError(
        _("Step {step} failed ({where}): {error}").format(
            step=assembly.state.step + 1, where=source_line(error), error=said(error)
        ),
        fix=_("The checkpoint before it is kept; --debug shows the whole traceback."),
    )


def started_facts(assembly: Assembly, stored: StoredRun) -> dict[str, Any]:
    """Returns what a person may want to see when a training starts (see :class:`RunStarted`)."""
    recipe = assembly.recipe
    names = ("model", "parameters", "data", "classes", "training_images", "validation_images", "test_images")
    return {name: stored.facts[name] for name in names} | {
        "image_size": list(assembly.dataset.image_size),
        "channels": assembly.dataset.channels,
        "device": str(assembly.device),
        "precision": assembly.setting.precision,
        "memory_format": assembly.setting.memory_format,
        "threads": assembly.setting.threads,
        "optimizer": recipe.optimizer.name,
        "lr": recipe.optimizer.hyperparameters["lr"],
        "batch_size": recipe.training.batch_size,
        "epochs": assembly.epochs,
        "steps": assembly.steps,
        "name": stored.name,
    }


def training_of(assembly: Assembly, listener: Listener, stop: Callable[[], str | None]) -> Training:
    """Returns the training that an assembly describes.

    Args:
        assembly: its state is where the training begins.
        listener: is told every event.
        stop: asked before every step.
    """
    dataset, recipe = assembly.dataset, assembly.recipe
    classifies = dataset.is_classification
    validation = assembly.evaluation_batches(dataset.validation) if dataset.validation else None

    def validate() -> dict[str, float]:
        assert validation is not None
        return running_validation(assembly.state.model, validation, assembly.loss_function, assembly.rules, classifies)

    return Training(
        state=assembly.state,
        loss_function=assembly.loss_function,
        batches=assembly.batches,
        rules=assembly.rules,
        steps=assembly.steps,
        epochs=assembly.epochs,
        seed=recipe.training.seed,
        classifies=classifies,
        listener=listener,
        usual_lr=_usual_lr(recipe.optimizer.name),
        validate=validate if validation else None,
        snapshots=assembly.snapshots,
        checkpoint_every_s=recipe.training.checkpoint_every_s,
        stop=stop,
    )


def _usual_lr(optimizer: str) -> float:
    declared = OPTIMIZERS.load(optimizer).hyperparameters
    return next(float(one.default) for one in declared if one.name == "lr")


def _finish(assembly: Assembly, training: Training, stored: StoredRun, listener: Listener) -> None:
    name, split = assembly.dataset.judged_by
    total = len(split.labels)
    evaluation = evaluate_model(
        assembly.state.model,
        assembly.evaluation_batches(split),
        assembly.loss_function,
        assembly.rules,
        classes=assembly.classes,
        progress=lambda done: listener(Working(_("Evaluating"), done, total)),
    )
    facts = {
        "evaluated_on": name,
        "per_class": evaluation.per_class(assembly.dataset.classes) if assembly.classes else [],
        "confusion": evaluation.confusion,
        "worst_mistakes": worst_mistakes(evaluation, split),
        "optimizer_state_per_parameter": state_floats_per_parameter(assembly.state.optimizer),
    }
    loss = evaluation.metrics["loss"]
    stored.update(
        status="finished" if math.isfinite(loss) else "failed",
        metrics=evaluation.metrics,
        weights_sha256=weights_sha256(assembly.state.weights()),
        facts={**stored.facts, **facts},
    )
    if not math.isfinite(loss):
        raise NonFiniteLossError(
            _("The training went through, but the loss of its evaluation is {loss}.").format(loss=loss),
            fix=_("Try --lr {lr:g}, or --set training.clip_norm=1.").format(lr=lr_to_try(training)),
        )


def worst_mistakes(evaluation: Evaluation, split: Split) -> list[dict[str, Any]]:
    """Returns the wrongly classified images of the largest cross entropy, the worst first."""
    if not len(evaluation.losses):
        return []
    wrong = (evaluation.predictions != split.labels).nonzero().flatten()
    order = wrong[evaluation.losses[wrong].argsort(descending=True, stable=True)][:WORST_MISTAKES]
    return [
        {
            "index": index,
            "label": int(split.labels[index]),
            "prediction": int(evaluation.predictions[index]),
            "probability": float(evaluation.probabilities[index]),
            "loss": float(evaluation.losses[index]),
        }
        for index in order.tolist()
    ]

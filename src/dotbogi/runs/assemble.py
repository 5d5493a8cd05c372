"""From a recipe to everything that a training, a resumed training or an evaluation needs."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from dotbogi.data.batches import Batches, automatic_batch_size
from dotbogi.data.cache import cache_folder
from dotbogi.data.dataset import Dataset, Split
from dotbogi.data.normalise import Preprocessing, normalisation_for
from dotbogi.data.objects import dataset_from_objects
from dotbogi.data.open import open_dataset
from dotbogi.data.randomness import key
from dotbogi.errors import RecipeError
from dotbogi.language import _
from dotbogi.models.build import build_model, check_model
from dotbogi.models.model import ModelEntry
from dotbogi.optim.optimizer import build_optimizer, resolved_form
from dotbogi.optim.schedule import build_schedule
from dotbogi.recipe import Recipe
from dotbogi.runs.objects import Objects
from dotbogi.training.events import Listener, Notice, Working
from dotbogi.training.loss import build_loss
from dotbogi.training.loss_check import check_loss
from dotbogi.training.precision import MEMORY_FORMATS, Setting, fastest_setting, fixed_setting
from dotbogi.training.state import TrainingState
from dotbogi.training.step import LossFunction, StepRules

SNAPSHOT_BYTES = 64_000_000  # of all snapshots that "auto" keeps of one run
EVALUATION_BATCH = 500


@dataclass
class Assembly:
    """A recipe made real.

    Args:
        recipe: resolved; nothing in it is ``auto``.
        dataset: decoded and split.
        preprocessing: what turns a photo into the model's input.
        loss_function: of logits and labels.
        device: where the model lies.
        setting: precision, memory format, threads.
        rules: of a step.
        state: model, optimizer, schedule, at step 0.
        batches: of the training images.
        steps: updates in all.
    """

    recipe: Recipe
    dataset: Dataset
    preprocessing: Preprocessing
    loss_function: LossFunction
    device: torch.device
    setting: Setting
    rules: StepRules
    state: TrainingState
    batches: Batches
    steps: int

    @property
    def epochs(self) -> int:
        """Passes over the training images, the last perhaps incomplete."""
        return math.ceil(self.steps / len(self.batches))

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a regression."""
        return len(self.dataset.classes)

    def evaluation_batches(self, split: Split) -> Batches:
        """Returns batches of a split in the order of its images, unvaried."""
        return evaluation_batches(split, self.preprocessing, self.device, self.setting)

    @property
    def snapshots(self) -> frozenset[int]:
        """The steps before which everything is kept."""
        asked = self.recipe.training.snapshots
        return frozenset(asked if isinstance(asked, list) else ())


def evaluation_batches(split: Split, preprocessing: Preprocessing, device: torch.device, setting: Setting) -> Batches:
    """Returns batches of a split in the order of its images, unvaried."""
    return Batches(
        split,
        preprocessing.normalisation,
        batch_size=min(EVALUATION_BATCH, len(split.labels)) or 1,  # of predict, no file of a chunk may be an image
        seed=0,
        shuffle=False,
        device=device,
        dtype=setting.dtype,
        memory_format=MEMORY_FORMATS[setting.memory_format],
    )


def _automatic_snapshots(model: nn.Module, per_epoch: int, steps: int) -> list[int]:
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    room = max(2, SNAPSHOT_BYTES // (4 * max(weights, 1)))  # weights, two values of state, weights after the step
    starts = list(range(0, steps, per_epoch))
    every = math.ceil(len(starts) / (room - 1))
    return sorted({*starts[::every], steps - 1})


def find_device(name: str) -> torch.device:
    """Returns the device of that name.

    Args:
        name: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Raises:
        RecipeError: no such device here.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or not there.get(device.type, False):
        raise RecipeError(
            _("There is no device {name} here.").format(name=repr(name)),
            fix=_("Possible: {names}.").format(names=", ".join(["auto", *(kind for kind in there if there[kind])])),
        )
    return device


def open_recipe_data(recipe: Recipe, entry: ModelEntry, objects: Objects, listener: Listener) -> Dataset:
    """Opens the data of a recipe, with progress and notices told to the listener."""
    open_it = partial(dataset_from_objects, objects.data) if objects.data is not None else open_dataset
    dataset = open_it(
        recipe.data,
        wants_channels=entry.wants.channels,
        wants_image_size=entry.wants.image_size,
        seed=recipe.training.seed,
        listener=lambda task, done, total: listener(Working(task, done, total)),
    )
    for text in dataset.notices:
        listener(Notice(text))
    return dataset


def assemble(recipe: Recipe, entry: ModelEntry, objects: Objects, listener: Listener) -> Assembly:
    """Makes a recipe real: opens the data, builds the model, and measures what the recipe leaves open.

    Args:
        recipe: as :func:`dotbogi.runs.choose.chosen_recipe` returns it, or resolved.
        entry: the model's.
        objects: what is taken from Python.
        listener: is told of decoding and measuring.

    Raises:
        DotbogiError: data, model and recipe do not go together; the message says what and how to mend it.
    """
    device = find_device(recipe.training.device)
    dataset = open_recipe_data(recipe, entry, objects, listener)
    _refuse_mismatch(recipe, dataset, objects)
    recipe = _with_what_the_data_decides(recipe, dataset, device)
    preprocessing = _preprocessing(recipe, dataset)
    model = _model(recipe, entry, dataset, objects)
    loss_function = _loss(recipe, dataset, objects, device)
    _tell_untrained(loss_function, listener)
    setting = _setting(recipe, dataset, preprocessing, model, loss_function, device, listener)
    recipe = recipe.with_values(
        {
            "training.precision": setting.precision,
            "training.memory_format": setting.memory_format,
            "training.threads": setting.threads,
        }
    )
    torch.set_num_threads(setting.threads)
    setting.place(model, device)
    batches = _training_batches(recipe, dataset, preprocessing, device, setting)
    return _ready(recipe, dataset, preprocessing, model, loss_function, device, setting, batches)


def _ready(
    recipe: Recipe,
    dataset: Dataset,
    preprocessing: Preprocessing,
    model: nn.Module,
    loss_function: LossFunction,
    device: torch.device,
    setting: Setting,
    batches: Batches,
) -> Assembly:
    steps = recipe.training.epochs * len(batches)
    if recipe.training.steps:
        steps = min(steps, recipe.training.steps)
    if recipe.training.snapshots == "auto":
        recipe = recipe.with_values({"training.snapshots": _automatic_snapshots(model, len(batches), steps)})
    rules = setting.rules(recipe.training, device)
    optimizer = build_optimizer(recipe.optimizer, model, device)
    schedule = build_schedule(recipe.schedule, steps=steps, steps_per_epoch=len(batches))
    state = TrainingState(model, optimizer, schedule, rules.scaler)
    return Assembly(recipe, dataset, preprocessing, loss_function, device, setting, rules, state, batches, steps)


def _refuse_mismatch(recipe: Recipe, dataset: Dataset, objects: Objects) -> None:
    if not dataset.is_classification and objects.loss is None and recipe.training.loss.name == "cross-entropy":
        raise RecipeError(
            _("{data} has numbers to predict, not classes, so cross entropy is not defined.").format(data=dataset.name),
            fix=_("Set training.loss to mse, or give labels of type int64."),
        )


def _with_what_the_data_decides(recipe: Recipe, dataset: Dataset, device: torch.device) -> Recipe:
    training = recipe.training
    values: dict[str, Any] = {
        "training.device": str(device),
        "optimizer.form": resolved_form(recipe.optimizer, device, deterministic=training.deterministic),
    }
    if training.batch_size == "auto":
        images = len(dataset.train.labels) // training.accumulation
        values["training.batch_size"] = automatic_batch_size(max(1, images))
    if dataset.is_classification:
        values |= {"data.channels": dataset.channels, "data.image_size": list(dataset.image_size)}
    return recipe.with_values(values)


def _preprocessing(recipe: Recipe, dataset: Dataset) -> Preprocessing:
    normalisation = normalisation_for(recipe.data.normalisation, dataset.train)
    return Preprocessing(dataset.classes, dataset.channels, dataset.image_size, recipe.data.fit, normalisation)


def _model(recipe: Recipe, entry: ModelEntry, dataset: Dataset, objects: Objects) -> nn.Module:
    if objects.model is not None:
        return objects.model
    return build_model(
        recipe.model,
        num_classes=len(dataset.classes) or dataset.train.labels.shape[1],
        in_channels=dataset.channels,
        image_size=dataset.image_size,
        seed=key(recipe.training.seed, "model"),
        entry=entry,
    )


def _loss(recipe: Recipe, dataset: Dataset, objects: Objects, device: torch.device) -> LossFunction:
    dtype = torch.float64 if recipe.training.precision == "fp64" else torch.float32
    if objects.loss is not None:
        return objects.loss.to(device, dtype) if isinstance(objects.loss, nn.Module) else objects.loss
    return build_loss(recipe.training.loss, num_classes=len(dataset.classes), device=device, dtype=dtype)


def _tell_untrained(loss_function: LossFunction, listener: Listener) -> None:
    parameters = list(loss_function.parameters()) if isinstance(loss_function, nn.Module) else []
    count = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    if count:
        text = _("The loss has {count} parameters of its own; only the model's are trained.")
        listener(Notice(text.format(count=count)))


def _setting(
    recipe: Recipe,
    dataset: Dataset,
    preprocessing: Preprocessing,
    model: nn.Module,
    loss_function: LossFunction,
    device: torch.device,
    listener: Listener,
) -> Setting:
    """Checks the model with two of its images, and measures what the recipe leaves open."""
    fixed = fixed_setting(recipe.training, model)
    example = _training_batches(recipe, dataset, preprocessing, device, fixed).batch(0, 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(recipe.training.seed, "model"))  # lazy layers take their weights now
        check_model(fixed.place(model, device), example.images[:2], len(dataset.classes))
    check_loss(loss_function, len(dataset.classes) or example.labels.shape[1], example.labels[:2])
    if recipe.training.deterministic:
        return fixed
    return fastest_setting(
        recipe.training,
        model,
        loss_function,
        lambda copied: build_optimizer(recipe.optimizer, copied, device),
        example.images,
        example.labels,
        cache=cache_folder() / "fastest-setting.json",
        progress=lambda done, total: listener(Working(_("Measuring what is fastest here"), done, total)),
    )


def _training_batches(
    recipe: Recipe, dataset: Dataset, preprocessing: Preprocessing, device: torch.device, setting: Setting
) -> Batches:
    batch_size = recipe.training.batch_size
    assert batch_size != "auto"
    return Batches(
        dataset.train,
        preprocessing.normalisation,
        batch_size=batch_size * recipe.training.accumulation,
        seed=recipe.training.seed,
        shuffle=True,
        augmentation=recipe.data.augmentation,
        device=device,
        dtype=setting.dtype,
        memory_format=MEMORY_FORMATS[setting.memory_format],
    )

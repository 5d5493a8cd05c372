"""Puts a model that no run has trained on a tape, with seeded initial weights and a bundled image."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dotbogi.data.bundled import SAMPLE
from dotbogi.data.chunk import Target, decode_chunk
from dotbogi.data.dataset import Dataset, Split
from dotbogi.data.normalise import Preprocessing, normalisation_for
from dotbogi.data.randomness import key
from dotbogi.errors import BrokenImagesError, DataError
from dotbogi.language import _
from dotbogi.models.build import build_model
from dotbogi.models.library import is_library_model
from dotbogi.optim.optimizer import SINGLE_TENSOR, build_optimizer
from dotbogi.recipe import Recipe
from dotbogi.replay.origins import tell_images, tell_preparation
from dotbogi.runs.assemble import evaluation_batches, open_recipe_data
from dotbogi.runs.choose import chosen_recipe
from dotbogi.runs.listening import notices_as_warnings
from dotbogi.runs.objects import NO_OBJECTS
from dotbogi.runs.surroundings import torch_set_for
from dotbogi.tape.record import record
from dotbogi.training.loop import seed_step
from dotbogi.training.loss import build_loss
from dotbogi.training.precision import fixed_setting

if TYPE_CHECKING:
    from dotbogi.models.model import ModelEntry
    from dotbogi.tape.tape import Tape
    from dotbogi.training.events import Listener

PHOTO = SAMPLE.parent / "chelsea.jpg"
PHOTO_SIDE = 224  # of the libraries' models, unless they want another
PHOTO_CLASSES = 1000  # of ImageNet, for which these models were made
PLACE = re.compile(r"(train|training|validation|test):(\d+)")


@dataclass(frozen=True)
class _Images:
    """What a model is shown.

    Args:
        split: of which the images are.
        name: of the split; empty for a file.
        positions: (B,) int64, which of its images.
        preprocessing: what turns them into the model's input.
        outputs: of the model.
    """

    split: Split
    name: str
    positions: Tensor
    preprocessing: Preprocessing
    outputs: int


def record_untrained(
    name: str,
    image: str = "",
    *,
    training: bool = False,
    modules: Iterable[str] | None = None,
    listener: Listener = notices_as_warnings,
) -> Tape:
    """Records what a model computes before any training.

    Args:
        name: whatever a recipe's model may be called.
        image: ``test:17`` of the data that the model is trained on by default, or an image file; by default an image
            of that data, and of a library's model the bundled photo.
        training: record a whole training step with the model's own loss and optimizer, of that image and the next;
            of a file and its mirror image, with the labels 0 and 1.
        modules: paths of the modules whose numbers are kept; by default those of all.
        listener: is told of decoding.

    Raises:
        UnknownNameError: no such model.
        DataError: no such image, or one that cannot be read.
        ModelError: the model cannot be built or run.
    """
    requested = Recipe(model=name, training={"deterministic": True})  # pyright: ignore[reportArgumentType]
    recipe, entry = chosen_recipe(requested, NO_OBJECTS)
    with torch_set_for(False):
        images = _images(recipe, entry, image, training, listener)
        model = _model(recipe, entry, images)
        tape = _recorded(recipe, model, images, training, modules)
    tell_images(tape, images.split, images.name, images.positions)
    tell_preparation(tape, recipe, 0, images.positions, None)
    text = _("an initial weight: the model was built with the seed {seed}").format(seed=recipe.training.seed)
    for one in (*tape.names.parameters, *tape.names.buffers):
        tape.origins.setdefault(tape.names.given[one].id, lambda _index: text)
    return tape


def _model(recipe: Recipe, entry: ModelEntry, images: _Images) -> nn.Module:
    preprocessing = images.preprocessing
    return build_model(
        recipe.model,
        num_classes=images.outputs,
        in_channels=preprocessing.channels,
        image_size=preprocessing.image_size,
        seed=key(recipe.training.seed, "model"),
        entry=entry,
    )


def _recorded(recipe: Recipe, model: nn.Module, images: _Images, training: bool, modules: Iterable[str] | None) -> Tape:
    device, setting = torch.device("cpu"), fixed_setting(recipe.training, model)
    setting.place(model, device).train(training)
    batches = evaluation_batches(images.split, images.preprocessing, device, setting)
    stored = images.split.images.index_select(0, images.positions)  # (B, C, H, W)
    is_numbers = stored.is_floating_point()  # a regression's numbers are the input as they are
    data = batches.prepare(stored) if is_numbers else stored
    prepare = None if is_numbers else batches.prepare
    if not training:
        return record(model, data, prepare=prepare, modules=modules)
    labels = images.split.labels.index_select(0, images.positions)
    labels = labels.to(setting.dtype) if labels.is_floating_point() else labels
    classes = 0 if is_numbers else images.outputs
    loss = build_loss(recipe.training.loss, num_classes=classes, device=device, dtype=setting.dtype)
    optimizer = build_optimizer(recipe.optimizer.model_copy(update={"form": SINGLE_TENSOR}), model, device)
    seed_step(recipe.training.seed, 0, device)
    rules = setting.rules(recipe.training, device)
    return record(model, (data, labels), loss=loss, optimizer=optimizer, rules=rules, prepare=prepare, modules=modules)


def _images(recipe: Recipe, entry: ModelEntry, image: str, training: bool, listener: Listener) -> _Images:
    place = PLACE.fullmatch(image)
    if place is None and is_library_model(recipe.model.name):
        side = (PHOTO_SIDE, PHOTO_SIDE)
        target = Target(entry.wants.channels or 3, entry.wants.image_size or side, recipe.data.fit)
        return _file(recipe, image or str(PHOTO), target, PHOTO_CLASSES, training)
    dataset = open_recipe_data(recipe, entry, NO_OBJECTS, listener)
    outputs = len(dataset.classes) or dataset.train.labels.shape[-1]
    if image and place is None:
        return _file(recipe, image, Target(dataset.channels, dataset.image_size, recipe.data.fit), outputs, training)
    split, name, position = _chosen(dataset, image)
    normalisation = normalisation_for(recipe.data.normalisation, dataset.train)
    preprocessing = Preprocessing(dataset.classes, dataset.channels, dataset.image_size, recipe.data.fit, normalisation)
    count = min(2, len(split)) if training else 1
    positions = torch.arange(position, position + count) % len(split)  # (B,)
    return _Images(split, name, positions, preprocessing, outputs)


def _chosen(dataset: Dataset, image: str) -> tuple[Split, str, int]:
    if not image:
        name, split = dataset.judged_by
        return split, name, 0
    name, position = image.split(":")
    split: Split | None = getattr(dataset, "train" if name == "training" else name)
    if split is None or int(position) >= len(split):
        last = ", ".join(
            f"{other}:{len(there) - 1}"
            for other in ("train", "validation", "test")
            if (there := getattr(dataset, other)) is not None
        )
        raise DataError(
            _("There is no image {image}.").format(image=image),
            fix=_("The last ones of the data {data} are {images}.").format(data=dataset.name, images=last),
        )
    return split, name, int(position)


def _file(recipe: Recipe, path: str, target: Target, outputs: int, training: bool) -> _Images:
    decoded = decode_chunk([path], target)
    if decoded.broken:
        raise BrokenImagesError(
            _("{path} cannot be read: {reason}").format(path=path, reason=decoded.broken[0].reason),
            fix=_("Give a whole image file, or an image of the data, such as test:17."),
        )
    pixels = torch.from_numpy(decoded.images)  # (1, C, H, W)
    batch = torch.cat([pixels, pixels.flip(-1)]) if training else pixels
    split = Split(batch, torch.arange(len(batch)) % max(outputs, 1), [path] * len(batch))
    normalisation = normalisation_for(recipe.data.normalisation, split)
    preprocessing = Preprocessing((), target.channels, target.image_size, recipe.data.fit, normalisation)  # pyright: ignore[reportArgumentType]
    return _Images(split, "", torch.arange(len(batch)), preprocessing, outputs)

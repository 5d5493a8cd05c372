"""Puts the forward pass of one image through a run's model on a tape, in evaluation mode."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import nn

from dotbogi.data.chunk import Target, decode_chunk
from dotbogi.data.dataset import Split
from dotbogi.data.paths import image_paths
from dotbogi.errors import BrokenImagesError, DataError
from dotbogi.language import _
from dotbogi.replay.moments import chosen_step
from dotbogi.replay.origins import tell_beginning, tell_images
from dotbogi.replay.reassemble import merged_objects, objects_for
from dotbogi.replay.replay import Replay
from dotbogi.runs.assemble import evaluation_batches, find_device, open_recipe_data
from dotbogi.runs.choose import ANY_MODEL
from dotbogi.runs.listening import notices_as_warnings
from dotbogi.runs.opened import OpenedRun
from dotbogi.runs.reopen import refuse_changed_data, reopened_model, run_setting
from dotbogi.runs.surroundings import plain_torch
from dotbogi.tape.past import place_in_training
from dotbogi.tape.record import record
from dotbogi.tape.tape import Tape
from dotbogi.training.events import Listener

SPLITS = ("train", "validation", "test")
_PLACE = re.compile(rf"({'|'.join(SPLITS)}):(\d+)")


class Chosen(NamedTuple):
    """An image.

    Args:
        split: that it is of.
        name: of the split; empty where the image is a file.
        position: of the image in the split, from 0.
    """

    split: Split
    name: str
    position: int


def record_image(
    run: OpenedRun,
    image: str,
    *,
    step: int | None = None,
    epoch: int | None = None,
    model: nn.Module | None = None,
    data: Any = None,
    modules: Iterable[str] | None = None,
    listener: Listener = notices_as_warnings,
) -> Tape:
    """Records what a run's model computes of one image, from the stored pixels to the logits.

    Args:
        run: that was trained.
        image: ``test:17``, ``train:5`` or ``validation:3`` of the run's own images, counted from 0; or an image file,
            which is prepared as for a prediction.
        step, epoch: before which step, or at the beginning of which epoch, the weights are those of; from 0. By
            default the last weights.
        model, data: the objects that the training was given from Python, again.
        modules: paths of the modules whose numbers are kept; by default those of all.
        listener: is told of decoding.

    Raises:
        DataError: no such image, or one that cannot be read; or the run's data have changed.
        RunError: no such step or epoch, or one that cannot be reached; or the run stopped before it had begun.
        ModelError: the model's file is gone or has changed.
    """
    run_setting(run)  # refuses a run that stopped before it had begun
    objects = merged_objects(run, model, data)
    run = OpenedRun(run.stored, objects=objects, model_file=run.model_file, listener=run.listener)

    @cache
    def training() -> Replay:
        return Replay(run, objects_for(run), modules, listener)

    if step is None and epoch is None:
        done, module = run.stored.checkpoints.read_last().step, reopened_model(run, "last")
    else:
        done = chosen_step(run, step, epoch)
        module = training().module_before(done)
    chosen = _file(run, image) if _PLACE.fullmatch(image) is None else _own_image(run, image, listener)
    tape = _recorded(run, module, chosen, modules)
    tell_images(tape, chosen.split, chosen.name, torch.tensor([chosen.position]))
    tell_beginning(tape, run, objects, done)
    deterministic = run.recipe.training.deterministic
    place_in_training(tape, done, lambda other: training().tape_from_another(other), follows=deterministic)
    return tape


def _recorded(run: OpenedRun, module: nn.Module, chosen: Chosen, modules: Iterable[str] | None) -> Tape:
    setting, device = run_setting(run), find_device(run.recipe.training.device)
    with plain_torch():
        module = setting.place(module, device).eval()
        stored = chosen.split.images[chosen.position : chosen.position + 1].clone()  # (1, C, H, W)
        batches = evaluation_batches(chosen.split, run.preprocessing, device, setting)
        rules = setting.rules(run.recipe.training, device)
        if stored.is_floating_point():  # a regression's numbers are the input as they are
            return record(module, batches.prepare(stored), rules=rules, modules=modules)
        return record(module, stored, rules=rules, prepare=batches.prepare, modules=modules)


def _own_image(run: OpenedRun, image: str, listener: Listener) -> Chosen:
    """Returns one of the run's own images."""
    name, position = image.split(":")
    with plain_torch():
        dataset = open_recipe_data(run.recipe, ANY_MODEL, objects_for(run), listener)
    refuse_changed_data(run, dataset)
    split: Split | None = getattr(dataset, name)
    if split is None:
        there = [other for other in SPLITS if getattr(dataset, other) is not None]
        raise DataError(
            _("The data {data} have no {split} images.").format(data=dataset.name, split=name),
            fix=_("There are: {names}.").format(names=", ".join(there)),
        )
    if int(position) >= len(split.labels):
        raise DataError(
            _("There is no image {image}.").format(image=image),
            fix=_("The last one is {image}.").format(image=f"{name}:{len(split.labels) - 1}"),
        )
    return Chosen(split, name, int(position))


def _file(run: OpenedRun, image: str) -> Chosen:
    """Returns an image file, decoded as for a prediction."""
    preprocessing = run.preprocessing
    if not preprocessing.classes:
        raise DataError(
            _("The run {run} takes numbers, not images.").format(run=run.id),
            fix=_("Name one of its own samples, such as train:0."),
        )
    paths = image_paths([image])
    if len(paths) > 1:
        raise DataError(
            _("{path} stands for {count} images.").format(path=image, count=len(paths)),
            fix=_("Name one of them, such as {path}.").format(path=paths[0]),
        )
    decoded = decode_chunk(paths, Target(preprocessing.channels, preprocessing.image_size, preprocessing.fit))
    if decoded.broken:
        raise BrokenImagesError(
            _("{path} cannot be read: {reason}").format(path=paths[0], reason=decoded.broken[0].reason),
            fix=_("Give a whole image file, or one of the run's own images, such as test:17."),
        )
    return Chosen(Split(torch.from_numpy(decoded.images), torch.zeros(1, dtype=torch.int64), paths), "", 0)

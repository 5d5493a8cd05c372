"""Where the numbers come from that a replayed step is given: which file, which key, which snapshot."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dotbogi.data.augment import Draws
from dotbogi.data.dataset import Split
from dotbogi.language import _
from dotbogi.recipe import Recipe
from dotbogi.replay.reassemble import begins_as_built
from dotbogi.runs.objects import Objects
from dotbogi.runs.opened import OpenedRun
from dotbogi.stages import BATCH, LOSS, MODEL
from dotbogi.tape.tape import Tape
from dotbogi.tape.value import Value

Origin = Callable[[tuple[int, ...]], str]


def tell_images(tape: Tape, split: Split, name: str, indices: Tensor) -> None:
    """Tells of each pixel and label which image of the data it belongs to.

    Args:
        tape: of a step or of a forward pass.
        split: that the images are of.
        name: of the split; empty where the image is a file.
        indices: (B,) int64, the images' positions in it.
    """
    pixels = tape.names.given.get("pixel") or tape.names.given["input"]
    if pixels.operation is None:
        tape.origins[pixels.id] = lambda index: _("a number of {image}, as it is stored").format(
            image=_image(split, name, int(indices[index[0]]))
        )
    labels = split.labels.index_select(0, indices)  # (B,)
    for value in _given_values(tape):
        alike = value.is_kept and value.shape == tuple(labels.shape) and value.id != pixels.id
        if alike and torch.equal(value.view().cpu().double(), labels.double()):
            tape.origins[value.id] = lambda index: _("the label of {image}").format(
                image=_image(split, name, int(indices[index[0]]))
            )


def _image(split: Split, name: str, position: int) -> str:
    path = split.paths[position] if split.paths else ""
    place = f"{name}:{position}" if name else ""
    return f"{place} ({path})" if path and place else path or place


def tell_preparation(tape: Tape, recipe: Recipe, epoch: int, indices: Tensor, draws: Draws | None) -> None:
    """Tells of the numbers that prepare pixels: the mean and deviation, and what was drawn from which key.

    Args:
        tape: of a training step.
        recipe: of the training.
        epoch: of the step, from 0.
        indices: (B,) int64, the images' positions in the training images.
        draws: of these, or ``None``.
    """
    constants = {"sub": _("the mean of channel {channel}"), "div_": _("the deviation of channel {channel}")}
    for operation in (operation for operation in tape.operations if operation.stage is BATCH):
        for value in (value for value in operation.inputs if _is_unknown(tape, value)):
            text = constants.get(operation.packet)
            if text is not None and len(value.shape) == 3:
                tape.origins[value.id] = _normalisation(text, recipe)
            elif draws is not None:
                tape.origins[value.id] = _drawn(value, draws, recipe.training.seed, epoch, indices)


def _normalisation(text: str, recipe: Recipe) -> Origin:
    named = _("{number}, data.normalisation = {name}")
    name = recipe.data.normalisation
    return lambda index: named.format(number=text.format(channel=index[0]), name=name)


def _drawn(value: Value, draws: Draws, seed: int, epoch: int, indices: Tensor) -> Origin:
    """Whatever is made of the draws lists the images one after the other, along its first axis."""

    def origin(index: tuple[int, ...]) -> str:
        sample = index[0] * len(indices) // value.shape[0] if index else 0
        return _("from the augmentation drawn by the key (seed {seed}, epoch {epoch}, image {image}): {drawn}").format(
            seed=seed, epoch=epoch, image=int(indices[sample]), drawn=_shown(draws, sample)
        )

    return origin


def _shown(draws: Draws, sample: int) -> str:
    drawn = {
        "flip": draws.flip,
        "down, right": draws.shift,
        "rotation": draws.rotation,
        "scale": draws.scale,
        "erased": draws.erased,
    }
    return "; ".join(f"{name} = {values[sample].tolist()}" for name, values in drawn.items() if values is not None)


def tell_beginning(tape: Tape, run: OpenedRun, objects: Objects, step: int) -> None:
    """Tells of each parameter and buffer before the step where it comes from.

    Args:
        tape: whose numbers before the step have no past on other tapes.
        run: that the step is of.
        objects: that it was trained with.
        step: number of the update, from 0.
    """
    text = _initial(run, objects) if step == 0 else _("as the run stored it; updates so far: {step}").format(step=step)
    for name in (*tape.names.parameters, *tape.names.buffers):
        tape.origins.setdefault(tape.names.given[name].id, lambda _index: text)


def _initial(run: OpenedRun, objects: Objects) -> str:
    recipe = run.recipe
    if begins_as_built(run, objects):
        return _("an initial weight: the model was built with the seed {seed}").format(seed=recipe.training.seed)
    if objects.model is not None:
        return _("an initial weight, of the module that was given from Python")
    if recipe.model.weights:
        return _("an initial weight, from {file}").format(file=recipe.model.weights)
    if recipe.model.pretrained:
        return _("an initial weight, of the published weights")
    return _("an initial weight of the model")


def _given_values(tape: Tape) -> Iterator[Value]:
    """Yields what a forward pass and the loss were given: accumulation splits the labels before the model runs."""
    for operation in (operation for operation in tape.operations if operation.stage in (MODEL, LOSS)):
        yield from (value for value in operation.inputs if value.operation is None)


def _is_unknown(tape: Tape, value: Value) -> bool:
    known = tape.names.given.get("pixel")
    return value.operation is None and value.id not in tape.origins and (known is None or known.id != value.id)

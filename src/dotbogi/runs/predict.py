"""Classifies image files with a run's model: decoded ahead in parallel, prepared as in training."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dotbogi.data.dataset import Split
from dotbogi.data.decode import Broken, Decoded, decode_stream
from dotbogi.data.paths import image_paths
from dotbogi.errors import DataError, RecipeError
from dotbogi.language import _
from dotbogi.runs.assemble import evaluation_batches, find_device
from dotbogi.runs.opened import OpenedRun
from dotbogi.runs.reopen import reopened_model, run_setting
from dotbogi.runs.surroundings import plain_torch
from dotbogi.training.metrics import model_outputs

__all__ = ["Broken", "Prediction", "predict"]

CHUNK = 256  # files decoded by one thread at a time, and images of one forward pass


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Args:
        path: of the file.
        label: the most probable class.
        probability: of that class, 0…1.
        top: the most probable classes with their probabilities, the first first.
    """

    path: str
    label: str
    probability: float
    top: list[tuple[str, float]]


def predict(run: OpenedRun, paths: list[str], *, top: int = 5, which: str = "last") -> Iterator[Prediction | Broken]:
    """Yields what the run's model says of each image, in the order of the files.

    Args:
        run: trained, of a classifier.
        paths: files, folders, or patterns such as ``photos/*.jpg``.
        top: how many of the most probable classes are told.
        which: ``last``, or ``best`` on the validation images.

    Raises:
        DataError: no such file, or the run is a regression.
    """
    if top < 1:
        raise RecipeError(_("top = {top} is not possible.").format(top=top), fix=_("Ask for one class or more."))
    files = image_paths(paths)
    preprocessing = run.preprocessing
    if not preprocessing.classes:
        raise DataError(
            _("The run {run} predicts numbers, not classes of images.").format(run=run.id),
            fix=_("Call run.model() from Python with your own numbers."),
        )
    setting, device = run_setting(run), find_device(run.recipe.training.device)
    model = setting.place(reopened_model(run, which), device)
    rules = setting.rules(run.recipe.training, device)
    stream = decode_stream(
        files,
        channels=preprocessing.channels,
        image_size=preprocessing.image_size,
        fit=preprocessing.fit,
        chunk=CHUNK,
    )
    top = min(top, len(preprocessing.classes))
    start = 0
    for decoded in stream:
        stop = start + len(decoded.indices) + len(decoded.broken)
        split = Split(torch.from_numpy(decoded.images), torch.zeros(len(decoded.images), dtype=torch.int64))
        with plain_torch():
            outputs = model_outputs(model, evaluation_batches(split, preprocessing, device, setting), rules)
            rows = _most_probable(outputs, top)
        yield from _in_order(files[start:stop], start, decoded, rows, preprocessing.classes)
        start = stop


def _most_probable(outputs: Iterator[tuple[Tensor, Tensor]], top: int) -> list[tuple[list[float], list[int]]]:
    """Returns the largest probabilities and their classes of each image."""
    rows: list[tuple[list[float], list[int]]] = []
    for logits, _labels in outputs:
        probabilities, classes = logits.softmax(1).topk(top)  # (B, top)
        rows += zip(probabilities.tolist(), classes.tolist(), strict=True)
    return rows


def _in_order(
    files: list[str], start: int, decoded: Decoded, rows: list[tuple[list[float], list[int]]], classes: tuple[str, ...]
) -> Iterator[Prediction | Broken]:
    """Yields predictions and broken files in the order of the files, the first of which has the index ``start``."""
    broken = {file.path: file for file in decoded.broken}
    probable = dict(zip(decoded.indices, rows, strict=True))
    for index, path in enumerate(files, start):
        if index in probable:
            top = [(classes[label], probability) for probability, label in zip(*probable[index], strict=True)]
            yield Prediction(path, *top[0], top)
        else:
            yield broken[path]

"""The images that a run's model was most wrong about, found again in the data that it was evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dotbogi.errors import DataError
from dotbogi.language import _
from dotbogi.language.wording import percent
from dotbogi.runs.assemble import open_recipe_data
from dotbogi.runs.choose import ANY_MODEL
from dotbogi.runs.listening import nobody_listens
from dotbogi.runs.reopen import refuse_changed_data
from dotbogi.runs.report_facts import Facts, Mistake
from dotbogi.runs.run import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dotbogi.data.dataset import Split


@dataclass(frozen=True)
class Mistaken:
    """A wrongly classified image with its words.

    Args:
        image: (C, H, W) uint8.
        what: ``label → prediction``.
        how_surely: the probability that the model gave its prediction.
        where: the image's position in its split, and its file where it has one.
    """

    image: NDArray[np.uint8]
    what: str
    how_surely: str
    where: str


def mistaken_images(run: Run, facts: Facts) -> list[Mistaken]:
    """Returns a run's worst mistakes, the worst first.

    Raises:
        DotbogiError: the data are gone, have changed, or were objects from Python.
    """
    split = _split(run, facts)
    if any(not _is_there(split, mistake) for mistake in facts.worst_mistakes):
        raise DataError(
            _("The stored mistakes are of other images than those of the data."),
            fix=_("Put the old images back, or train anew: dotbogi train --data {data}").format(
                data=run.recipe.data.source
            ),
        )
    return [
        Mistaken(
            split.images[mistake.index].numpy(),
            taken_for(facts, mistake),
            how_surely(mistake),
            _where(split, mistake.index),
        )
        for mistake in facts.worst_mistakes
    ]


def taken_for(facts: Facts, mistake: Mistake) -> str:
    """Returns ``label → prediction``."""
    return f"{facts.class_name(mistake.label)} → {facts.class_name(mistake.prediction)}"


def how_surely(mistake: Mistake) -> str:
    """Returns how sure the model was of its wrong prediction."""
    return _("{probability} sure").format(probability=percent(mistake.probability))


def _split(run: Run, facts: Facts) -> Split:
    if "data" in facts.objects and run.objects.data is None:
        raise DataError(_("The data of the run {run} were objects from Python.").format(run=run.id))
    try:
        dataset = open_recipe_data(run.recipe, ANY_MODEL, run.objects, nobody_listens)
    except OSError as error:
        raise DataError(
            _("The data {data} cannot be read: {error}").format(data=run.recipe.data.source, error=error)
        ) from error
    refuse_changed_data(run, dataset)
    return dataset.judged_by[1]


def _is_there(split: Split, mistake: Mistake) -> bool:
    return mistake.index < len(split) and int(split.labels[mistake.index]) == mistake.label


def _where(split: Split, index: int) -> str:
    if split.paths is None:
        return _("image {index}").format(index=index)
    return Path(split.paths[index]).name

"""From the words of ``dotbogi explain`` to a tape: of a run, or of a model that was never trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dotbogi.errors import AddressError, DotbogiError, RecipeError, RunError, UnknownNameError
from dotbogi.language import _

if TYPE_CHECKING:
    from dotbogi.runs.run import Run
    from dotbogi.tape.tape import Tape
    from dotbogi.training.events import Listener

OF_A_STEP = ("gradient", "state", "update")


@dataclass(frozen=True)
class Moment:
    """Which pass is to be recorded.

    Args:
        image: ``test:17``, a file, or empty.
        step: ``forward``, ``train``, or empty where the addresses decide.
        epoch: of a run, or ``None``.
        at: number of a run's update, or ``None``.
    """

    image: str = ""
    step: str = ""
    epoch: int | None = None
    at: int | None = None

    def options(self) -> list[str]:
        """Returns the words of the command line that say the same."""
        said = {"--image": self.image, "--step": self.step, "--epoch": self.epoch, "--at": self.at}
        return [word for option, value in said.items() if value not in ("", None) for word in (option, str(value))]

    def is_training(self, addresses: Sequence[str]) -> bool:
        """Whether a whole training step is wanted: said so, or since an address is of one."""
        if self.step:
            return self.step == "train"
        return any(_is_of_a_step(address) for address in addresses)


def _is_of_a_step(text: str) -> bool:
    from dotbogi.tape.address import parse_address

    address = parse_address(text)
    return address.kind in OF_A_STEP or (address.name == "loss" and not address.kind)


def recorded(
    word: str,
    addresses: Sequence[str],
    moment: Moment,
    *,
    runs_dir: Path | None,
    model: str,
    listener: Listener,
) -> Tape:
    """Records what a word of the command line means; where it could be both, a run wins.

    Args:
        word: a run's id, the beginning of one, its name or ``last``; or a model's name.
        addresses: that will be asked for.
        moment: which pass.
        runs_dir: where runs lie.
        model: the file of a run's own model, or empty.
        listener: is told of what takes long.

    Raises:
        UnknownNameError: neither a run nor a model.
        RecipeError: options that do not go together.
    """
    if moment.epoch is not None and moment.at is not None:
        raise RecipeError(_("--epoch and --at name two moments."), fix=_("Leave one of them out."))
    run = _run(word, runs_dir, model, listener)
    training = moment.is_training(addresses)
    if run is not None:
        return _of_run(run, moment, training, listener)
    _refuse_moment_of_a_model(word, moment)
    from dotbogi.replay.untrained import record_untrained

    return record_untrained(word, moment.image, training=training, listener=listener)


def _of_run(run: Run, moment: Moment, training: bool, listener: Listener) -> Tape:
    if training and moment.image:
        raise RecipeError(
            _("A run's training step has images of its own; --image {image} is none of them.").format(
                image=moment.image
            ),
            fix=_("Leave --image out, or ask for --step forward."),
        )
    if training:
        from dotbogi.replay.replay import replay

        return replay(run, step=moment.at, epoch=moment.epoch, listener=listener)
    from dotbogi.replay.image import record_image

    image = moment.image or f"{run.facts.get('evaluated_on') or 'train'}:0"
    return record_image(run, image, step=moment.at, epoch=moment.epoch, listener=listener)


def _refuse_moment_of_a_model(word: str, moment: Moment) -> None:
    if moment.epoch is None and moment.at is None:
        return
    raise RecipeError(
        _("{model} is a model that was not trained: it has no epochs and no steps.").format(model=word),
        fix=_("Name a run (dotbogi runs lists them), or leave --epoch and --at out."),
    )


def _run(word: str, runs_dir: Path | None, model: str, listener: Listener) -> Run | None:
    """Returns the run that a word means, or ``None`` where it is a model's name.

    Raises:
        UnknownNameError: it is neither.
    """
    from dotbogi.runs.run import open_run

    try:
        return open_run(word, runs_dir=runs_dir, model_file=model, listener=listener)
    except RunError as no_run:
        no_model = _why_no_model(word)
        if no_model is None:
            return None
        if word == "last" or _may_mean_several(word, runs_dir, listener):
            raise
        raise UnknownNameError(
            _("{word} is neither a run nor a model.").format(word=repr(word)),
            fix="\n".join(part for part in (no_run.fix, no_model.fix) if part),
        ) from None


def _may_mean_several(word: str, runs_dir: Path | None, listener: Listener) -> bool:
    from dotbogi.runs.run import list_runs

    return any(run.id.startswith(word) for run in list_runs(runs_dir, listener))


def _why_no_model(word: str) -> DotbogiError | None:
    from dotbogi.models.build import find_model

    try:
        find_model(word)
    except UnknownNameError as error:
        return error
    except DotbogiError:
        return None  # it is meant as a model: what is wrong with its file is said when it is built
    return None


def what_if_changes(texts: Sequence[str]) -> dict[str, float]:
    """Reads ``ADDRESS=VALUE``.

    Raises:
        AddressError: there is no ``=``, or no number behind it.
    """
    changes: dict[str, float] = {}
    for text in texts:
        address, equals, number = text.rpartition("=")
        try:
            changes[address.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals or not address.strip():
            raise AddressError(
                _("--what-if {text} has no address and number.").format(text=text),
                fix=_("Write it as --what-if 'conv1.weight[3,0,1,1]=0.5'"),
            )
    return changes

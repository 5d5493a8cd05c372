"""Checkpoints, to go on from, and snapshots, to look back at: folders that are there whole or not at all.

Each holds ``weights.safetensors``, ``state.pt`` and ``checkpoint.json`` with the sizes and
SHA-256 of the two. It is written beside its place, brought to the disk, and renamed::

    <run>/checkpoints/last-00000469/    the two newest are kept
    <run>/checkpoints/best-00000469/    the two newest are kept
    <run>/snapshots/step-00000123/      all are kept; next.safetensors are the weights after the step

One process writes at a time (it holds the run's lock); any number may read.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from torch import Tensor

from dotbogi.errors import CheckpointError
from dotbogi.language import _
from dotbogi.store import state as state_format
from dotbogi.store.atomic import (
    discard_folder,
    discard_remains,
    replace_file,
    storage_errors,
    write_folder,
)
from dotbogi.store.weights import from_safetensors, to_safetensors

Kind = Literal["last", "best", "snapshot"]

FORMAT = 1
WEIGHTS, STATE, NEXT, MANIFEST = "weights.safetensors", "state.pt", "next.safetensors", "checkpoint.json"
PREFIXES: dict[Kind, str] = {"last": "last", "best": "best", "snapshot": "step"}
KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Everything that the next step depends on.

    Args:
        step: updates done before.
        weights: the model's state dict, on the CPU, contiguous, in their own order.
        state: what else was given: optimizer, schedule, position in the epoch, …; a snapshot's has ``indices``.
        path: the folder it was read from.
        next_weights: a snapshot's weights after the step, where they were added.
        skipped: why newer checkpoints were passed over, one text each, already translated.
    """

    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]
    path: Path
    next_weights: dict[str, Tensor] | None = None
    skipped: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, order=True)
class _Place:
    """A checkpoint's folder; the newest is the largest. Writing a step again makes a new generation of it."""

    step: int
    generation: int
    path: Path = field(compare=False)


class CheckpointFolder:
    """The checkpoints and snapshots of one run.

    Args:
        path: the run's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, kind: Kind, step: int, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
        """Writes a checkpoint; a kill at any moment leaves it whole or absent, and those before it as they were.

        Metric rows come first: what a checkpoint's step has seen must be stored when the checkpoint is.

        Args:
            kind: ``last`` and ``best`` keep their two newest, ``snapshot`` keeps all steps.
            step: updates done before, ≥ 0.
            weights: the model's state dict.
            state: dicts, lists, tuples, strings, numbers, booleans, ``None`` and tensors.

        Returns:
            The checkpoint's folder.

        Raises:
            CheckpointError: a value that could not be read again.
            RunError: the disk is full, or writing is not allowed.
        """
        contents = {WEIGHTS: to_safetensors(weights), STATE: state_format.to_bytes(state)}
        contents[MANIFEST] = _manifest(kind, step, {name: _sum(content) for name, content in contents.items()})
        folder = self._folder(kind)
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            discard_remains(folder)
            path = folder / self._free_place(kind, step)
            write_folder(path, contents)
        self._prune(kind)
        return path

    def add_next_weights(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Adds to the snapshot of a step the weights after that step, so that a replay can be compared with them.

        Raises:
            CheckpointError: there is no whole snapshot of the step.
            RunError: the disk is full, or writing is not allowed.
        """
        place = self._snapshot_place(step)
        manifest = _read_manifest(place)
        content = to_safetensors(weights)
        sums = {**manifest["files"], NEXT: _sum(content)}
        with storage_errors(place.path):
            # The list of files is replaced last: until then the addition does not count.
            replace_file(place.path / NEXT, content)
            replace_file(place.path / MANIFEST, _manifest("snapshot", step, sums))

    def read_last(self) -> Checkpoint:
        """Returns the newest whole checkpoint; what was passed over stands in its ``skipped``.

        Raises:
            CheckpointError: there is none.
        """
        return self._read_newest("last")

    def read_best(self) -> Checkpoint:
        """Returns the newest whole checkpoint of kind ``best``; raises as :meth:`read_last`."""
        return self._read_newest("best")

    def snapshots(self) -> list[int]:
        """Returns the steps before which there is a snapshot, in order."""
        return sorted({place.step for place in self._places("snapshot")})

    def read_snapshot(self, step: int) -> Checkpoint:
        """Returns the snapshot before a step.

        Raises:
            CheckpointError: there is none (the fix names those there are), or it is damaged.
        """
        return _read(self._snapshot_place(step))

    def truncate_after(self, step: int) -> None:
        """Removes every checkpoint and snapshot of a later step, for a run that goes on from this one."""
        with storage_errors(self.path):
            for kind in PREFIXES:
                discard_remains(self._folder(kind))
                for place in self._places(kind):
                    if place.step > step:
                        discard_folder(place.path)

    def _folder(self, kind: Kind) -> Path:
        return self.path / ("snapshots" if kind == "snapshot" else "checkpoints")

    def _places(self, kind: Kind) -> list[_Place]:
        """The folders of a kind, newest first."""
        pattern = re.compile(rf"{PREFIXES[kind]}-(\d{{8,18}})(?:-(\d{{1,9}}))?")
        with storage_errors(self._folder(kind)):
            paths = list(self._folder(kind).glob(f"{PREFIXES[kind]}-*"))
        matches = [(path, pattern.fullmatch(path.name)) for path in paths]
        places = [_Place(int(match[1]), int(match[2] or 1), path) for path, match in matches if match]
        return sorted(places, reverse=True)

    def _free_place(self, kind: Kind, step: int) -> str:
        taken = [place.generation for place in self._places(kind) if place.step == step]
        return f"{PREFIXES[kind]}-{step:08d}" + (f"-{max(taken) + 1}" if taken else "")

    def _snapshot_place(self, step: int) -> _Place:
        for place in self._places("snapshot"):
            if place.step == step:
                return place
        steps = self.snapshots()
        raise CheckpointError(
            _("There is no snapshot of step {step}.").format(step=step),
            fix=_("There are snapshots of the steps {steps}.").format(steps=", ".join(map(str, steps)))
            if steps
            else _("Set training.snapshots to the steps that are to be kept."),
        )

    def _prune(self, kind: Kind) -> None:
        seen: set[int] = set()
        for place in self._places(kind):
            if place.step in seen or (kind != "snapshot" and len(seen) == KEPT):
                with suppress(OSError):  # a reader on Windows holds it: the next pruning removes it
                    discard_folder(place.path)
            seen.add(place.step)

    def _read_newest(self, kind: Kind) -> Checkpoint:
        skipped: list[str] = []
        for place in self._places(kind):
            try:
                return replace(_read(place), skipped=skipped)
            except CheckpointError as error:
                skipped.append(error.message)
        raise CheckpointError(
            "\n".join([_("There is no whole checkpoint in {path}.").format(path=self._folder(kind)), *skipped]),
            fix=_("Train the recipe again: dotbogi show RUN --toml prints it."),
        )


def _sum(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _manifest(kind: Kind, step: int, files: Mapping[str, Any]) -> bytes:
    return json.dumps({"format": FORMAT, "kind": kind, "step": step, "files": files}, indent=1).encode()


def _read(place: _Place) -> Checkpoint:
    try:
        manifest = _read_manifest(place)
        weights = from_safetensors(_whole(place.path, manifest, WEIGHTS))
        state = state_format.from_bytes(_whole(place.path, manifest, STATE))
        after = from_safetensors(_whole(place.path, manifest, NEXT)) if NEXT in manifest["files"] else None
    except CheckpointError as error:
        raise CheckpointError(f"{place.path.name}: {error.message}", fix=error.fix) from error
    return Checkpoint(place.step, weights, state, place.path, after)


def _read_manifest(place: _Place) -> dict[str, Any]:
    try:
        manifest = json.loads((place.path / MANIFEST).read_bytes())
        version, step, files = manifest["format"], manifest["step"], manifest["files"]
        sums = {name: {"bytes": int(sums["bytes"]), "sha256": str(sums["sha256"])} for name, sums in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(_("checkpoint.json is missing or damaged.")) from None
    if version != FORMAT:
        raise CheckpointError(
            _("It is of format {version}; this version reads format {format}.").format(version=version, format=FORMAT),
            fix=_("Install the newer version of dotbogi."),
        )
    if step != place.step:
        raise CheckpointError(_("checkpoint.json speaks of step {step}.").format(step=step))
    return {"files": sums}


def _whole(folder: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    expected = cast(dict[str, dict[str, Any]], manifest["files"]).get(name)
    try:
        size = (folder / name).stat().st_size
        if expected is None or size != expected["bytes"]:
            raise CheckpointError(
                _("{file} has {size} bytes instead of {expected}: it is cut or was changed.").format(
                    file=name, size=size, expected=expected and expected["bytes"]
                )
            )
        content = (folder / name).read_bytes()
    except OSError as error:
        raise CheckpointError(
            _("{file} cannot be read: {reason}").format(file=name, reason=error.strerror or error)
        ) from error
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise CheckpointError(_("{file} is not what was written: its SHA-256 differs.").format(file=name))
    return content

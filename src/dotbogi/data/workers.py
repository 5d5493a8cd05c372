"""Processes that decode files.

Plain child processes over pipes rather than ``multiprocessing``: that would run a person's own
script once more in each of them, where it has no ``if __name__ == "__main__"``.
"""

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

import dotbogi
from dotbogi.data.chunk import Broken, Decoded, Target, decode_chunk
from dotbogi.language import current_language, set_language


class WorkerPool:
    """Worker processes beside this one, which takes part: it works while the others still start.

    Args:
        target: what files are decoded to.
        count: how many processes, with this one.
    """

    def __init__(self, target: Target, count: int) -> None:
        self._target = target
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        self._started = [_start(target) for _worker in range(count - 1)]
        for worker in (None, *self._started):
            self._idle.put(worker)

    def decode(self, paths: Sequence[str | Path]) -> Decoded:
        """Decodes files in whichever process is idle; in this one in place of one that has died."""
        worker = self._idle.get()
        try:
            if worker:
                try:
                    return _ask(worker, paths, self._target)
                except (OSError, ValueError):  # it has died
                    worker = None
            return decode_chunk(paths, self._target)
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """Ends the processes."""
        for worker in self._started:
            if worker:
                worker.kill()
                worker.communicate()


def _start(target: Target) -> "subprocess.Popen[bytes] | None":
    settings = [target.channels, target.image_size, target.fit, current_language()]
    package_folder = str(Path(dotbogi.__file__).parents[1])
    search = os.pathsep.join([package_folder, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "dotbogi.data.workers", json.dumps(settings)],  # -P: not the folder we are in
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": search, "OPENBLAS_NUM_THREADS": "1"},
        )
    except (OSError, TypeError):  # an interpreter inside another program has no executable
        return None


def _ask(worker: "subprocess.Popen[bytes]", paths: Sequence[str | Path], target: Target) -> Decoded:
    questions, answers = cast(IO[bytes], worker.stdin), cast(IO[bytes], worker.stdout)
    questions.write(json.dumps([str(path) for path in paths]).encode("ascii") + b"\n")
    questions.flush()
    facts: dict[str, Any] = json.loads(answers.readline())
    shape = (len(facts["indices"]), target.channels, *target.image_size)
    content = answers.read(int(np.prod(shape)))
    images = np.frombuffer(content, np.uint8).reshape(shape)  # (n, C, H, W)
    return Decoded(images, facts["indices"], [Broken(*file) for file in facts["broken"]], facts["coloured"])


def _serve(settings: str, questions: IO[bytes], answers: IO[bytes]) -> None:
    channels, image_size, fit, language = json.loads(settings)
    set_language(language)
    target = Target(channels, (image_size[0], image_size[1]), fit)
    for question in questions:  # until whoever asks is gone
        part = decode_chunk(json.loads(question), target)
        broken = [(file.path, file.reason) for file in part.broken]
        facts = {"indices": part.indices, "broken": broken, "coloured": part.coloured}
        answers.write(json.dumps(facts).encode("ascii") + b"\n")
        answers.write(part.images.tobytes())
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asks
    _serve(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer)

"""What logging, progress, metrics and checkpoints together cost, as a share of an epoch.

Everything is on: database, checkpoints, snapshots, running loss and accuracy, progress bar on a terminal. In the
very same epochs a stopwatch runs around each batch and each step: what is left of an epoch is the overhead. So
the machine's pace, which varies more than the overhead, is the same for both.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from dotbogi import Recipe
from dotbogi.data.batches import Batches
from dotbogi.training import loop
from measuring import Results, options, print_head, print_table, say
from throughput import recipe
from trainings import empty_cache, train

WHOLE, WORK = "everything on", "batches and steps"


class Stopwatch:
    """Adds up the seconds that functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function, timed."""

        def timed(*arguments: Any, **keywords: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                self.seconds += time.perf_counter() - began

        return timed

    @contextmanager
    def of_the_loop(self) -> Generator[None]:
        """Times every batch and step that the loop makes, and nothing that validation does."""
        step = self.around(loop.training_step)
        batch = self.around(Batches.batch)
        with mock.patch.object(loop, "training_step", step), mock.patch.object(Batches, "batch", batch):
            yield


def task(model: str, epochs: int) -> Recipe:
    """Returns the recipe of the throughput benchmark for a network, with its own augmentation."""
    return recipe(epochs, **{"model.name": model})


def measure_round(results: Results, model: str, epochs: int, quick: bool) -> None:
    """Adds the seconds of an epoch with everything on, and what its batches and steps took of it."""
    stopwatch = Stopwatch()
    work_s: list[float] = []

    def at_epoch_end() -> None:
        work_s.append(stopwatch.seconds)

    with stopwatch.of_the_loop():
        trained = train(task(model, epochs + 1), quick=quick, at_epoch_end=at_epoch_end)
    work = [after - before for before, after in itertools.pairwise(work_s)]  # the first does not count
    shares = [1 - inside / whole for inside, whole in zip(work, trained.epoch_s, strict=True)]
    results.add(f"{model}, {WHOLE}", statistics.median(trained.epoch_s), "s per epoch", 3)
    results.add(f"{model}, {WORK}", statistics.median(work), "s per epoch", 3)
    results.add(f"{model}, overhead", 100 * statistics.median(shares), "% of an epoch", 2)
    results.notes.setdefault(model, []).append(trained.setting_text)


def print_overhead(results: Results, models: list[str]) -> None:
    """Prints the share of an epoch that is neither batches nor steps."""
    rows: list[list[str]] = []
    for model in models:
        medians = [f"{results.median(f'{model}, {name}'):.3f}" for name in (WHOLE, WORK)]
        shares = results.values[f"{model}, overhead"]
        rows.append([model, *medians, f"{statistics.median(shares):.1f}%", f"{min(shares):.1f}%…{max(shares):.1f}%"])
    print_table(["seconds per epoch", WHOLE, WORK, "share of the rest", "min…max"], rows)
    for model in models:
        print(f"\n{model}: {', '.join(dict.fromkeys(results.notes[model]))}")


def arguments() -> argparse.ArgumentParser:
    """Returns the options."""
    parser = options(__doc__ or "", rounds=5)
    # The shorter a step, the larger the share: of the two, the lecture's CNN is the harder one.
    parser.add_argument("--models", nargs="+", default=["simple-cnn"], help="such as small-cnn (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="timed per round (default: %(default)s)")
    return parser


def main() -> None:
    """Measures and prints."""
    given = arguments().parse_args()
    results = Results("Logging, progress, metrics and checkpoints: their share of an epoch")
    with empty_cache():
        for number in range(1 if given.quick else given.rounds):
            say(f"round {number + 1}")
            for model in given.models:
                measure_round(results, model, 1 if given.quick else given.epochs, given.quick)
    print_head(results.title)
    print_overhead(results, given.models)
    results.write(given.json)


if __name__ == "__main__":
    main()

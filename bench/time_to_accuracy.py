"""Seconds to 92 % test accuracy on the full Fashion-MNIST, each with the recipe its users would take.

dotbogi: ``small-cnn`` as it comes, with fewer epochs. fastai: xresnet18 with ``fit_one_cycle(5, 3e-3)``, as its book
trains a network from scratch (chapter 7), on images that lie ready as tensors, its fastest way.
fastai's time ends with the first epoch that reaches the accuracy, its validation aside; dotbogi's with its last.
"""

import argparse
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from dotbogi import Recipe
from fashion_mnist import FULL, training_and_test, unit_range
from measuring import Results, in_own_process, options, print_head, print_table, say, seconds_of
from peers import training_stopwatch, unseen_output
from trainings import empty_cache, train

SMALL_CNN, XRESNET = "dotbogi small-cnn", "fastai xresnet18"
FASTAI_LR = 3e-3


@dataclass(frozen=True)
class Course:
    """How the accuracy rose.

    Args:
        elapsed_s: seconds of training until the end of each epoch that was evaluated.
        accuracy: on the test images then, 0…1.
        total_s: seconds of the whole call.
    """

    elapsed_s: list[float]
    accuracy: list[float]
    total_s: float

    def seconds_to(self, target: float) -> float:
        """Returns when the accuracy was first reached; infinity where it was not."""
        reached = (s for s, accuracy in zip(self.elapsed_s, self.accuracy, strict=True) if accuracy >= target)
        return next(reached, float("inf"))


def small_cnn(epochs: int, seed: int, quick: bool) -> Course:
    """Trains ``small-cnn`` with its own recipe on all training images."""
    recipe = Recipe(data=FULL, model="small-cnn", training={"epochs": epochs, "seed": seed})
    trained = train(recipe, quick=quick)
    return Course([trained.training_s], [trained.run.metrics["accuracy"]], trained.total_s)


def xresnet18(quick: bool, epochs: int, batch_size: int, seed: int) -> Course:
    """Trains fastai's xresnet18 for one channel with one cycle, and evaluates it after each epoch."""
    from fastai.callback import progress, schedule  # noqa: F401  they add the progress bar and fit_one_cycle
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat
    from fastai.metrics import accuracy
    from fastai.vision.models.xresnet import xresnet18 as network
    from torch.utils.data import TensorDataset

    training, test = training_and_test(quick)
    torch.manual_seed(seed)
    loaders: Any = DataLoaders.from_dsets(
        TensorDataset(*unit_range(training)),
        TensorDataset(*unit_range(test)),
        bs=batch_size,
        num_workers=0,
        device=torch.device("cpu"),
    )
    stopwatch = training_stopwatch()
    model = network(c_in=1, n_out=10)
    learner = Learner(loaders, model, loss_func=CrossEntropyLossFlat(), metrics=accuracy, cbs=stopwatch)
    with unseen_output():
        total_s = seconds_of(lambda: learner.fit_one_cycle(epochs, FASTAI_LR))
    elapsed_s = torch.tensor(stopwatch.epoch_s).cumsum(0).tolist()
    return Course(elapsed_s, [values[-1] for values in learner.recorder.values], total_s)


def keep(results: Results, name: str, course: Course, target: float) -> None:
    """Adds a training's time, and says how it went."""
    pairs = zip(course.elapsed_s, course.accuracy, strict=True)
    say(f"{name}: " + ", ".join(f"{accuracy:.2%} at {seconds:.1f} s" for seconds, accuracy in pairs))
    results.notes.setdefault(name, []).append(vars(course))
    results.add(name, course.seconds_to(target), f"s to {target:.1%}", 1)


def print_times(results: Results, target: float) -> None:
    """Prints the seconds, and how many times sooner dotbogi was."""
    rows: list[list[str]] = []
    for name, seconds in results.values.items():
        courses = results.notes[name]
        final = sum(course["accuracy"][-1] for course in courses) / len(courses)
        total_s = sorted(course["total_s"] for course in courses)[len(courses) // 2]
        ratio = f"{results.ratio(name, SMALL_CNN):.1f}"
        rows.append(
            [name, f"{results.median(name):.1f}", results.spread(name, 1), ratio, f"{final:.2%}", f"{total_s:.1f}"]
        )
        assert len(seconds) == len(courses)
    heads = [f"seconds to {target:.1%}", "median", "min…max", f"÷ {SMALL_CNN}", "final accuracy", "whole call, s"]
    print_table(heads, rows)


def arguments() -> argparse.ArgumentParser:
    """Returns the options."""
    parser = options(__doc__ or "", rounds=1)
    parser.add_argument("--target", type=float, default=0.92, help="test accuracy, 0…1 (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="of small-cnn (default: %(default)s)")
    parser.add_argument("--fastai-epochs", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--fastai-batch", type=int, default=128, help="images per step (default: %(default)s)")
    return parser


def main() -> None:
    """Measures and prints."""
    given = arguments().parse_args()
    quick = given.quick
    target = 0.0 if quick else given.target
    results = Results(f"Seconds to {target:.1%} test accuracy on Fashion-MNIST")
    with empty_cache():
        for seed in range(1 if quick else given.rounds):
            keep(results, SMALL_CNN, small_cnn(1 if quick else given.epochs, seed, quick), target)
            if find_spec("fastai"):
                epochs = 1 if quick else given.fastai_epochs
                keep(results, XRESNET, in_own_process(xresnet18, quick, epochs, given.fastai_batch, seed), target)
    print_head(results.title)
    print_times(results, target)
    results.write(given.json)


if __name__ == "__main__":
    main()

"""Steady training throughput of the lecture's 16/32-channel CNN: the compute limit, dotbogi, and others.

Everybody trains the same network on the same 60,000 images of Fashion-MNIST with batches of 128 and SGD with
momentum. The compute limit is the same step on one resident batch. ``--accuracy`` compares what is learned, too.
"""

import argparse
import statistics
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from dotbogi import Recipe
from dotbogi.models.architectures.simple_cnn import SimpleCNN
from dotbogi.training.precision import Setting
from fashion_mnist import FULL, first, unit_range
from measuring import Results, in_own_process, options, print_head, print_table, say
from peers import LECTURE, MOMENTUM, Task, available, numbers
from trainings import compute_limit, empty_cache, train

BATCH, LR = 128, 0.05
AUTO, PLAIN = "dotbogi auto", "dotbogi auto, no progress bar"
FP32, VARIED = "dotbogi fp32, fastest format", "dotbogi auto, crop + flip"
LIMIT, LIMIT_FP32 = "compute limit, auto's setting", "compute limit, fp32 contiguous"
VALUES: dict[str, dict[str, Any]] = {
    AUTO: {},
    PLAIN: {},
    FP32: {"training.precision": "fp32"},
    VARIED: {"data.augmentation": {"crop": 2, "flip": "random"}},
}


def lecture_cnn() -> nn.Module:
    """Returns the lecture's CNN for 1×28×28 images."""
    return SimpleCNN(10, 1, (28, 28))


def recipe(epochs: int, seed: int = 0, **values: Any) -> Recipe:
    """Returns the recipe that is the peers' task.

    Args:
        epochs, seed: of the training.
        values: dotted keys on top.
    """
    plain = Recipe(
        data={"source": FULL, "validation": 0.0},
        model="simple-cnn",
        optimizer={"name": "momentum", "lr": LR, "momentum": MOMENTUM},
        schedule="constant",
        training={"epochs": epochs, "batch_size": BATCH, "seed": seed},
    )
    return plain.with_values(values)


def measure_round(results: Results, task: Task, peers: list[str]) -> None:
    """Adds one number for everybody."""
    for name, values in VALUES.items():
        trained = train(recipe(task.epochs, **values), quick=task.quick, progress=name != PLAIN)
        results.add(name, trained.images_per_second, "images/s")
        results.notes.setdefault(name, []).append(trained.setting_text)
        if name == AUTO:
            results.add(LIMIT, limit(task, trained.setting), "images/s")
    results.add(LIMIT_FP32, limit(task, Setting("fp32", "contiguous", torch.get_num_threads())), "images/s")
    for name in peers:
        images_per_second, _accuracy = in_own_process(numbers, name, task)
        results.add(name, images_per_second, "images/s")


def limit(task: Task, setting: Setting) -> float:
    """Returns images per second of as many steps on one resident batch as an epoch has."""
    images, labels = unit_range(first(task.training, BATCH))
    steps = len(task.training.labels) // BATCH
    # Learning rate 0: a batch that is learnt by heart has gradients that vanish into subnormal numbers,
    # with which processors compute several times more slowly.
    return compute_limit(task.seeded_model(), setting, images, labels, steps=steps, lr=0.0, momentum=MOMENTUM)


def print_throughput(results: Results, peers: list[str]) -> None:
    """Prints images per second, and beside it how that compares to the limits and to the others."""
    fastest_peer = max(peers, key=results.median)
    references = list(dict.fromkeys([LIMIT, LIMIT_FP32, fastest_peer, LECTURE]))
    heads = ["", "images/s", "min…max", *(f"÷ {name}" for name in references)]
    names = [LIMIT, LIMIT_FP32, *VALUES, *peers]
    rows = [
        [name, f"{results.median(name):,.0f}", results.spread(name)]
        + [f"{results.ratio(name, other):.2f}" for other in references]
        for name in names
    ]
    print_table(heads, rows)
    for name in VALUES:
        chosen = results.notes[name]
        print(f"\n{name}: {'; '.join(dict.fromkeys(chosen))}", flush=True)


def measure_accuracy(results: Results, task: Task, peers: list[str]) -> None:
    """Adds everybody's test accuracy after equal epochs with one seed."""
    for name in (AUTO, FP32):
        trained = train(recipe(task.epochs, task.seed, **VALUES[name]), quick=task.quick)
        results.add(name, trained.run.metrics["accuracy"], digits=4)
    for name in peers:
        _images_per_second, accuracy = in_own_process(numbers, name, task)
        results.add(name, accuracy, digits=4)


def print_accuracy(results: Results, epochs: int) -> None:
    """Prints the mean, smallest and largest test accuracy."""
    rows = [
        [name, f"{statistics.mean(values):.2%}", f"{min(values):.2%}", f"{max(values):.2%}"]
        for name, values in results.values.items()
    ]
    print()
    print_table([f"test accuracy after {epochs} epochs", "mean", "min", "max"], rows)


def arguments() -> argparse.ArgumentParser:
    """Returns the options."""
    parser = options(__doc__ or "")
    parser.add_argument("--accuracy", action="store_true", help="also the test accuracy after equal epochs")
    parser.add_argument("--accuracy-epochs", type=int, default=5, help="of those (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="of the accuracy (default: %(default)s)")
    return parser


def main() -> None:
    """Measures and prints."""
    given = arguments().parse_args()
    quick = given.quick
    peers = list(available())
    results = Results("Steady training throughput, 16/32-channel CNN, batches of 128")
    task = Task(lecture_cnn, epochs=2, batch_size=BATCH, lr=LR, quick=quick)
    for number in range(1 if quick else given.rounds):
        say(f"round {number + 1}")
        with empty_cache():
            measure_round(results, task, peers)
    print_head(results.title)
    print_throughput(results, peers)
    if given.accuracy:
        learned = Results("test accuracy")
        task = replace(task, epochs=1 if quick else given.accuracy_epochs)
        for seed in range(1 if quick else given.seeds):
            measure_accuracy(learned, replace(task, seed=seed), peers)
        print_accuracy(learned, task.epochs)
        results.notes["accuracy"] = learned.values
    results.write(given.json)


if __name__ == "__main__":
    main()

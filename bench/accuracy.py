"""Test accuracy on the full Fashion-MNIST, final weights, with the recipes that the networks bring.

All 60,000 training images, nothing held out, nothing chosen on the test images, no averaging over augmented views.
"""

import argparse
import statistics

from dotbogi import Recipe
from fashion_mnist import FULL
from measuring import Results, options, print_head, print_table, say
from trainings import empty_cache, train

TRAININGS = (("simple-cnn", 5), ("small-cnn", 6), ("small-cnn", 18))


def label(model: str, epochs: int) -> str:
    """Returns what a training is called in the table."""
    return f"{model}, {epochs} epochs"


def recipe(model: str, epochs: int, seed: int) -> Recipe:
    """Returns a network's own recipe with another number of epochs, on all training images."""
    return Recipe(data={"source": FULL, "validation": 0.0}, model=model, training={"epochs": epochs, "seed": seed})


def measure(results: Results, model: str, epochs: int, seed: int, quick: bool) -> None:
    """Adds the accuracy and the seconds of one training."""
    name = label(model, epochs)
    trained = train(recipe(model, 1 if quick else epochs, seed), quick=quick)
    results.add(name, trained.run.metrics["accuracy"], f"with seed {seed}", 4)
    results.add(f"{name}, seconds", trained.training_s, "s", 1)
    results.notes.setdefault(name, []).append(trained.setting_text)


def print_accuracy(results: Results, trainings: list[tuple[str, int]]) -> None:
    """Prints the mean, smallest and largest accuracy over the seeds, and the time of training."""
    rows: list[list[str]] = []
    seeds = 0
    for name in (label(*training) for training in trainings):
        values = results.values[name]
        seeds = len(values)
        setting = statistics.mode(results.notes[name])
        shares = [f"{value:.2%}" for value in (statistics.mean(values), min(values), max(values))]
        rows.append([name, *shares, results.spread(f"{name}, seconds", 1), setting])
    print_table([f"test accuracy, seeds: {seeds}", "mean", "min", "max", "training, s", "setting"], rows)


def arguments() -> argparse.ArgumentParser:
    """Returns the options."""
    parser = options(__doc__ or "")
    parser.add_argument("--model", action="append", help="only this network; may be given more than once")
    parser.add_argument("--epochs", type=int, action="append", help="only this many; may be given more than once")
    return parser


def main() -> None:
    """Trains with one seed after another, so that a run that is cut short has something of everything."""
    given = arguments().parse_args()
    trainings = [
        (model, epochs)
        for model, epochs in TRAININGS
        if model in (given.model or [model]) and epochs in (given.epochs or [epochs])
    ]
    results = Results("Test accuracy on Fashion-MNIST, final weights")
    with empty_cache():
        for seed in range(1 if given.quick else given.rounds):
            say(f"seed {seed}")
            for model, epochs in trainings:
                measure(results, model, epochs, seed, given.quick)
    print_head(results.title)
    print_accuracy(results, trainings)
    results.write(given.json)


if __name__ == "__main__":
    main()

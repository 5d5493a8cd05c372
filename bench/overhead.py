"""What logging, progress, metrics and checkpoints together cost, as a share of an epoch.

An epoch with everything on, from one row of the history to the next (database, checkpoints, snapshot, running
loss and accuracy, progress bar on a terminal), beside the bare steps over the very same batches in the same setting.
"""

import argparse
import statistics
from collections.abc import Callable

from dotbogi import Recipe
from dotbogi.data.batches import Batches
from dotbogi.data.dataset import Split
from dotbogi.data.normalise import normalisation_for
from dotbogi.models.build import build_model, find_model
from dotbogi.optim.optimizer import build_optimizer
from dotbogi.training.loss import build_loss
from dotbogi.training.precision import MEMORY_FORMATS, Setting
from dotbogi.training.step import training_step
from fashion_mnist import training_and_test
from measuring import Results, options, print_head, print_table, say, seconds_of
from throughput import recipe
from trainings import all_threads, empty_cache, train

WHOLE, BARE = "everything on", "bare steps"


def task(model: str, epochs: int) -> Recipe:
    """Returns the recipe of the throughput benchmark for a network, with its own augmentation."""
    return recipe(epochs, **{"model.name": model})


def bare_epochs(resolved: Recipe, setting: Setting, training: Split) -> Callable[[int], None]:
    """Returns a function that makes an epoch's steps over a run's own batches, and nothing else.

    Args:
        resolved: the run's recipe.
        setting: the run's precision, memory format and threads.
        training: the run's images.
    """
    import torch

    device = torch.device("cpu")
    torch.set_num_threads(setting.threads)
    entry = find_model(resolved.model.name)
    model = build_model(resolved.model, num_classes=10, in_channels=1, image_size=(28, 28), seed=0, entry=entry)
    model = setting.place(model, device).train()
    optimizer = build_optimizer(resolved.optimizer, model, device)
    loss_function = build_loss(resolved.training.loss, num_classes=10, device=device, dtype=torch.float32)
    rules = setting.rules(resolved.training, device)
    batch_size = resolved.training.batch_size
    assert isinstance(batch_size, int)
    batches = Batches(
        training,
        normalisation_for(resolved.data.normalisation, training),
        batch_size=batch_size,
        shuffle=True,
        augmentation=resolved.data.augmentation,
        memory_format=MEMORY_FORMATS[setting.memory_format],
    )

    def epoch(number: int) -> None:
        for position in range(len(batches)):
            batch = batches.batch(number, position)
            training_step(model, loss_function, optimizer, batch.images, batch.labels, rules=rules)

    return epoch


def measure_round(results: Results, model: str, training: Split, epochs: int, quick: bool) -> None:
    """Adds the seconds of an epoch with everything on, and of its bare steps before and after."""
    trained = train(task(model, epochs + 1), quick=quick)  # its first epoch does not count
    with all_threads():
        epoch = bare_epochs(trained.run.recipe, trained.setting, training)
        epoch(0)
        bare_s = [seconds_of(lambda number=number: epoch(number)) for number in range(1, epochs + 1)]
    results.add(f"{model}, {WHOLE}", statistics.median(trained.epoch_s), "s per epoch", 3)
    results.add(f"{model}, {BARE}", statistics.median(bare_s), "s per epoch", 3)
    results.notes.setdefault(model, []).append(trained.setting_text)


def print_overhead(results: Results, models: list[str]) -> None:
    """Prints the share of an epoch that is not steps."""
    rows: list[list[str]] = []
    for model in models:
        whole, bare = f"{model}, {WHOLE}", f"{model}, {BARE}"
        shares = [1 - b / w for w, b in zip(results.values[whole], results.values[bare], strict=True)]
        medians = [f"{results.median(name):.3f}" for name in (whole, bare)]
        rows.append([model, *medians, f"{statistics.median(shares):.1%}", f"{min(shares):.1%}…{max(shares):.1%}"])
    print_table(["seconds per epoch", WHOLE, BARE, "share of an epoch", "min…max"], rows)
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
    training, _test = training_and_test(given.quick)
    results = Results("Logging, progress, metrics and checkpoints: their share of an epoch")
    with empty_cache():
        for number in range(1 if given.quick else given.rounds):
            say(f"round {number + 1}")
            for model in given.models:
                measure_round(results, model, training, 1 if given.quick else given.epochs, given.quick)
    print_head(results.title)
    print_overhead(results, given.models)
    results.write(given.json)


if __name__ == "__main__":
    main()

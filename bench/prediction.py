"""How many small image files per second ``predict`` classifies with the lecture's CNN, decoding included.

Through ``Run.predict`` in this process, and through ``dotbogi predict --json`` from its start to its end.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import dotbogi
from dotbogi import Recipe, Run
from fashion_mnist import training_and_test, write_files
from measuring import Results, options, print_head, print_table, say, seconds_of

SUFFIXES = (".jpg", ".png")


def trained_run(runs_dir: Path) -> Run:
    """Returns the lecture's CNN after a few steps on the bundled images: how well it predicts is not the question."""
    return dotbogi.train(Recipe(model="simple-cnn", training={"steps": 20}), runs_dir=runs_dir)


def predict_here(run: Run, folder: Path) -> int:
    """Classifies all images with ``Run.predict``; returns how many."""
    return sum(1 for _prediction in run.predict([folder]))


def predict_by_command(run: Run, folder: Path) -> int:
    """Classifies all images with ``dotbogi predict --json``; returns how many."""
    runs_dir = run.path.parent
    command = [sys.executable, "-m", "dotbogi", "predict", run.id, str(folder), "--json", "--runs-dir", str(runs_dir)]
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return lines.count(b"\n")


WAYS = {"Run.predict": predict_here, "dotbogi predict --json": predict_by_command}


def measure_round(results: Results, run: Run, folders: dict[str, Path], images: int) -> None:
    """Adds images per second of every way with every kind of file."""
    for suffix, folder in folders.items():
        for name, predict in WAYS.items():
            counts: list[int] = []
            seconds = seconds_of(lambda p=predict, f=folder, c=counts: c.append(p(run, f)))
            assert counts == [images], f"{counts} predictions of {images} images"
            results.add(f"{name}, {suffix}", images / seconds, "images/s")


def arguments() -> argparse.ArgumentParser:
    """Returns the options."""
    parser = options(__doc__ or "")
    parser.add_argument("--images", type=int, default=20_000, help="files of each kind (default: %(default)s)")
    return parser


def main() -> None:
    """Measures and prints."""
    given = arguments().parse_args()
    training, _test = training_and_test(given.quick)
    images = min(given.images, len(training.labels))
    results = Results("Prediction with the lecture's CNN, decoding included")
    with tempfile.TemporaryDirectory() as temporary:
        say("writing the files")
        folders = {suffix: Path(temporary) / suffix[1:] for suffix in SUFFIXES}
        for suffix, folder in folders.items():
            write_files(folder, training, images, suffix)
        run = trained_run(Path(temporary) / "runs")
        results.notes["setting"] = run.recipe.training.model_dump(include={"precision", "memory_format", "threads"})
        for number in range(1 if given.quick else given.rounds):
            say(f"round {number + 1}")
            measure_round(results, run, folders, images)
    print_head(f"{results.title}: {images:,} files of 28×28 pixels")
    rows = [[name, f"{results.median(name):,.0f}", results.spread(name)] for name in results.values]
    print_table(["", "images/s", "min…max"], rows)
    results.write(given.json)


if __name__ == "__main__":
    main()

"""Decoding 60,000 small JPEGs in class folders once, beside Pillow on all cores; and how soon a second start trains.

The raw decoder's processes have started before they are timed, and they keep nothing. dotbogi's time is that of its
first opening of the folder: listing, looking at headers, starting workers, decoding, hashing, writing the cache.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dotbogi.data.open import open_dataset
from dotbogi.recipe import Data
from fashion_mnist import training_and_test, write_files
from measuring import Results, options, print_head, print_table, say, seconds_of
from raw_decoder import RawDecoder
from trainings import empty_cache

PROCESSES, THREADS = "Pillow, processes", "Pillow, threads"
OPENED, AGAIN = "dotbogi, first opening", "dotbogi, second opening"
NAMED, PROBED = "first step, setting named", "first step, setting measured"


def open_folder(folder: Path) -> None:
    """Opens a folder's images as a training does."""
    open_dataset(Data(source=str(folder)))


def measure_round(results: Results, decoder: RawDecoder, folder: Path, paths: list[str]) -> None:
    """Adds everybody's images per second, and the seconds of a second opening."""
    results.add(PROCESSES, decoder.images_per_second(paths), "images/s")
    results.add(THREADS, decoder.images_per_second(paths, threads=True), "images/s")
    with empty_cache():
        results.add(OPENED, len(paths) / seconds_of(lambda: open_folder(folder)), "images/s")
        results.add(AGAIN, seconds_of(lambda: open_folder(folder)), "s", 3)
        for name, options_ in ((NAMED, []), (PROBED, ["--probe"])):
            first_step_s(folder, options_)  # brings what it imports into memory, and remembers the fastest format
            results.add(name, first_step_s(folder, options_), "s after import torch", 3)


def first_step_s(folder: Path, options_: list[str]) -> float:
    """Returns the seconds from ``import torch`` to the first step of a new process."""
    script = Path(__file__).with_name("first_step.py")
    with tempfile.TemporaryDirectory() as runs_dir:
        command = [sys.executable, str(script), str(folder), runs_dir, *options_]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    return float(done.stdout)


def print_decoding(results: Results) -> None:
    """Prints images per second and seconds."""
    rows = [
        [name, f"{results.median(name):,.0f}", results.spread(name), f"{results.ratio(name, PROCESSES):.2f}"]
        for name in (PROCESSES, THREADS, OPENED)
    ]
    print_table(["decoding", "images/s", "min…max", f"÷ {PROCESSES}"], rows)
    print()
    rows = [[name, f"{results.median(name):.2f}", results.spread(name, 2)] for name in (AGAIN, NAMED, PROBED)]
    print_table(["when decoded before", "seconds", "min…max"], rows)


def arguments() -> argparse.ArgumentParser:
    """Returns the options."""
    parser = options(__doc__ or "")
    parser.add_argument("--images", type=int, default=60_000, help="files (default: %(default)s)")
    return parser


def main() -> None:
    """Measures and prints."""
    given = arguments().parse_args()
    training, _test = training_and_test(given.quick)
    results = Results("Decoding small JPEGs in class folders")
    with tempfile.TemporaryDirectory() as temporary, RawDecoder() as decoder:
        folder = Path(temporary)
        say("writing the files")
        paths = write_files(folder, training, given.images)
        results.notes["files"] = len(paths)
        decoder.warm_up(paths)
        for number in range(1 if given.quick else given.rounds):
            say(f"round {number + 1}")
            measure_round(results, decoder, folder, paths)
    print_head(f"{results.title}: {len(paths):,} of 28×28 pixels")
    print_decoding(results)
    results.write(given.json)


if __name__ == "__main__":
    main()

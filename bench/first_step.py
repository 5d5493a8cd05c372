"""Trains on a folder, and prints the seconds from the end of ``import torch`` to the first step.

Started by ``decoding.py`` in a process of its own: ``python bench/first_step.py FOLDER RUNS_DIR [--probe]``.
"""

import argparse
import os
import time

import torch

IMPORTED = time.perf_counter()


def main() -> None:
    """Trains for one step."""
    from dotbogi import Recipe
    from dotbogi.runs.train import train
    from dotbogi.training.events import Event, StepDone

    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("runs_dir")
    parser.add_argument("--probe", action="store_true", help="measure which setting is fastest, as usual")
    given = parser.parse_args()
    named = {"precision": "fp32", "memory_format": "channels-last", "threads": torch.get_num_threads()}

    def listen(event: Event) -> None:
        if isinstance(event, StepDone):
            print(time.perf_counter() - IMPORTED, flush=True)
            os._exit(0)  # the evaluation after it is not asked for

    training = {"steps": 1, **({} if given.probe else named)}
    train(Recipe(data=given.folder, model="simple-cnn", training=training), runs_dir=given.runs_dir, listener=listen)


if __name__ == "__main__":
    main()

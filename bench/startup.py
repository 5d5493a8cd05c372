"""What starting costs: CPU seconds of short commands, and the peak memory of a training beside its data.

Linux and macOS. This script imports nothing heavy: on Linux a process begins with the peak memory of its parent.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from measuring import Results, options, print_head, print_table, say

COMMANDS = {
    "dotbogi --help": ["--help"],
    "dotbogi list optimizers": ["list", "optimizers"],
    "python -c pass": [],
}
TRAINING = "dotbogi train, simple-cnn, 1 epoch"
IMAGES = {"fashion-mnist": 70_000, "sample": 12_000}
PIXELS = 28 * 28
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Used:
    """What a process used.

    Args:
        cpu_s: seconds in user and system mode.
        peak_bytes: largest resident set.
    """

    cpu_s: float
    peak_bytes: int


def used_by(command: list[str]) -> Used:
    """Runs a command and returns what it used, with the children that it waited for."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def command_line(words: list[str]) -> list[str]:
    """Returns dotbogi's command as it is installed beside this Python; of no words, Python's own start."""
    return [str(Path(sys.executable).parent / "dotbogi"), *words] if words else [sys.executable, "-c", "pass"]


def training_command(data: str, runs_dir: str) -> list[str]:
    """Returns the command that trains the lecture's CNN."""
    words = ["train", "--model", "simple-cnn", "--data", data, "--epochs", "1", "--runs-dir", runs_dir]
    return command_line(words)


def measure_round(results: Results, data: str) -> None:
    """Adds the CPU seconds of the short commands, and the peak memory of a training."""
    for name, words in COMMANDS.items():
        results.add(name, used_by(command_line(words)).cpu_s, "s of CPU", 3)
    with tempfile.TemporaryDirectory() as runs_dir:
        used = used_by(training_command(data, runs_dir))
    results.add(TRAINING, used.peak_bytes / MEBIBYTE, "MiB at most", 0)


def arguments() -> argparse.ArgumentParser:
    """Returns the options."""
    return options(__doc__ or "", rounds=5)


def main() -> None:
    """Measures and prints."""
    given = arguments().parse_args()
    data = "sample" if given.quick else "fashion-mnist"
    results = Results("Starting, and memory")
    for command in COMMANDS.values():
        used_by(command_line(command))  # brings the files into memory
    for number in range(1 if given.quick else given.rounds):
        say(f"round {number + 1}")
        measure_round(results, data)
    print_head(results.title)
    rows = [[name, f"{results.median(name):.3f}", results.spread(name, 3)] for name in COMMANDS]
    print_table(["", "CPU seconds", "min…max"], rows)
    of_data = IMAGES[data] * PIXELS / MEBIBYTE
    peak = results.median(TRAINING)
    print()
    numbers = [f"{peak:,.0f}", results.spread(TRAINING), f"{of_data:,.0f}", f"{peak - of_data:,.0f}"]
    print_table([f"MiB, on {data}", "peak", "min…max", "data", "peak − data"], [[TRAINING, *numbers]])
    results.write(given.json)


if __name__ == "__main__":
    main()

"""What every benchmark shares: its options, the machine's name, rounds, medians and the table."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

PACKAGES = ("dotbogi", "torch", "torchvision", "numpy", "pillow", "skorch", "fastai")


def options(description: str, *, rounds: int = 3) -> argparse.ArgumentParser:
    """Returns a parser of the options that all benchmarks have.

    Args:
        description: of the benchmark; its first line is shown.
        rounds: how many by default.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="interleaved rounds (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny setting that only shows that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measured number there")
    return parser


def processors() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Returns what the numbers depend on: processor, its features that matter here, system, versions."""
    return {
        "processor": _processor_name(),
        "features": _features(),
        "cores": processors(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _processor_name() -> str:
    cpuinfo = _cpuinfo()
    if cpuinfo.get("model name"):
        # A virtual machine may hide the model's name, but family and model say which generation it is.
        numbers = f"family {cpuinfo.get('cpu family', '?')} model {cpuinfo.get('model', '?')}"
        return f"{cpuinfo['model name']} ({numbers})"
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        return asked.stdout.strip()
    return platform.processor() or platform.machine()


def _features() -> list[str]:
    flags = _cpuinfo().get("flags", "").split()
    return [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _colon, value in pairs}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@dataclass
class Results:
    """Numbers by name, several of each, in the order in which the names came.

    Args:
        title: of the benchmark.
        values: one number per round.
        notes: whatever else should be kept with the numbers.
    """

    title: str
    values: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def add(self, name: str, value: float, unit: str = "", digits: int = 0) -> None:
        """Keeps a number, and says it at once, so that a run that is cut short was not in vain."""
        self.values.setdefault(name, []).append(value)
        say(f"[{time.perf_counter() - self.started:5.0f} s] {name}: {value:,.{digits}f} {unit}".rstrip())

    def median(self, name: str) -> float:
        """Returns the median over the rounds."""
        return statistics.median(self.values[name])

    def ratio(self, name: str, to: str) -> float:
        """Returns the median of the ratios within each round: a slow moment of the machine meets both alike."""
        return statistics.median(a / b for a, b in zip(self.values[name], self.values[to], strict=False))

    def spread(self, name: str, digits: int = 0) -> str:
        """Returns the smallest and the largest number."""
        low, high = min(self.values[name]), max(self.values[name])
        return f"{low:,.{digits}f}…{high:,.{digits}f}"

    def write(self, file: Path | None) -> None:
        """Writes everything as JSON, where that is asked for."""
        if file:
            content = {"title": self.title, "machine": machine(), "notes": self.notes, "values": self.values}
            file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def say(text: str) -> None:
    """Says how far it is, on standard error."""
    print(text, file=sys.stderr, flush=True)


def print_head(title: str) -> None:
    """Prints a Markdown heading and what the machine is."""
    facts = machine()
    versions = ", ".join(f"{name} {facts[name]}" for name in ("python", *PACKAGES) if name in facts)
    features = f" with {', '.join(facts['features'])}" if facts["features"] else ""
    print(f"\n## {title}\n\n{facts['processor']}{features}, {facts['cores']} cores, {facts['system']}; {versions}.\n")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table: the first column of words, the others of numbers."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    print("\n".join([line(heads), line(rule), *map(line, rows)]), flush=True)


def seconds_of(work: Callable[[], object]) -> float:
    """Returns how long one call takes, in seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_own_process(work: Callable[..., Result], *arguments: Any) -> Result:
    """Returns what a function returns in a fresh process.

    A library is measured as its users have it, not with what another one set for the whole process
    (dotbogi: how the C library hands memory back; fastai: methods of tensors).

    Args:
        work: a function of a module.
        arguments: small and picklable.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()

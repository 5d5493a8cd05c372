"""What a run ran on and with: versions, hardware, the state of the working directory."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

GIT_TIMEOUT_S = 0.5
NVIDIA_FOLDER = Path("/proc/driver/nvidia/gpus")


def system_facts() -> dict[str, Any]:
    """Returns what a result may depend on beside its recipe; takes a few milliseconds and imports no torch.

    Returns:
        ``versions`` (``python``, ``torch``, ``dotbogi``), ``platform``, ``hardware`` (``cpu``, ``cores``,
        ``usable_cores``, ``memory_bytes``, ``gpus``; ``None`` where the system does not say) and ``git``
        (``commit``, ``dirty``; ``None`` outside a repository).
    """
    return {
        "versions": {
            "python": platform.python_version(),
            "torch": _version("torch"),
            "dotbogi": _version("dotbogi"),
        },
        "platform": platform.platform(),
        "hardware": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "usable_cores": _usable_cores(),
            "memory_bytes": _memory_bytes(),
            "gpus": _gpus(),
        },
        "git": _git(Path.cwd()),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str | None:
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or None
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _usable_cores() -> int | None:
    # Containers and batch systems often give fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _gpus() -> list[str]:
    # Asking torch would start CUDA, a fifth of a second, also for a training on the CPU.
    texts: list[str] = []
    for path in sorted(NVIDIA_FOLDER.glob("*/information")):
        found = re.search(r"^Model:\s*(.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        texts.append(found[1].strip() if found else "NVIDIA")
    torch = sys.modules.get("torch")
    if not texts and torch is not None and torch.cuda.is_initialized():
        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return texts


def _git(folder: Path) -> dict[str, Any] | None:
    # Tracked files only: looking for new ones reads the whole tree.
    status = _output(
        "git",
        "-C",
        str(folder),
        "-c",
        "core.fsmonitor=false",
        "status",
        "--porcelain=v2",
        "--branch",
        "--untracked-files=no",
    )
    found = re.search(r"^# branch\.oid ([0-9a-f]{40,64})$", status or "", re.MULTILINE)
    if not found or status is None:
        return None
    return {"commit": found[1], "dirty": any(not line.startswith("#") for line in status.splitlines())}


def _output(*command: str) -> str | None:
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.decode(errors="replace").strip()

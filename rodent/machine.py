"""What machine a figure was measured on."""

from __future__ import annotations

import platform
import resource
from importlib.metadata import version
from pathlib import Path

from rodent.engine import available_cores

_GENERATION = {"cpu family": "family", "model": "model", "stepping": "stepping"}  # in /proc/cpuinfo


def describe_machine() -> dict[str, str | int | float]:
    """Processor, cores, memory (GiB), operating system and the versions that speed depends on."""
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **name_versions(),
    }


def name_versions() -> dict[str, str]:
    """Of the packages that decide, with the machine, to the bit what a simulated network does."""
    return {name.replace("-", "_"): version(name) for name in ("mujoco", "dm-control", "torch", "numpy")}


def name_machine() -> str:
    """In one line, what decides to the bit what a network computes."""
    return f"{_processor()}, {available_cores()} cores"


def peak_memory_gib() -> float:
    """The most resident memory this process and the largest of those that it waited for have held, GiB.

    It is their sum, though the two need not have held it at once, so that it errs to the high side; of several at a
    time, only the largest is told. One that never held more than this process is left out: Linux counts what this
    process held when it began the other as the other's, so that how little it took is not told. 0 where the system does
    not tell.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    own = int(line.split()[1])
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB on Linux, which alone has the file above
    return (own + (others if others > own else 0)) / 2**20


def _processor() -> str:
    """The processor's name, and what tells apart the generations that makers sell under one name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        first = cpuinfo.read_text().split("\n\n")[0]
        facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
        if name := facts.get("model name"):
            told = [f"{word} {facts[key]}" for key, word in _GENERATION.items() if key in facts]
            return f"{name} ({', '.join(told)})" if told else name
    return platform.processor() or platform.machine()


def memory_bytes() -> int:
    """Memory of the machine, bytes (0 where the system does not tell)."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return 0
    return int(meminfo.read_text().split("MemTotal:")[1].split()[0]) * 1024

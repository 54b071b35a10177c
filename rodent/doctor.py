"""What this computer has and what it lacks, for `rodent doctor` and for bug reports."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import imageio_ffmpeg
import torch

from rodent.machine import describe_machine
from rodent.rendering import probe
from rodent.viewer import display

_PACKAGES = ("mujoco", "dm-control", "mujoco-warp", "warp-lang", "torch", "gymnasium", "numpy", "imageio-ffmpeg")
_SOFTWARE_OPENGL = ("llvmpipe", "softpipe", "swrast", "software")
_INSTALL_OPENGL = "apt-get install libegl1 libgl1-mesa-dri (EGL), or apt-get install libosmesa6 (OSMesa)"


def report() -> dict[str, Any]:
    """Everything that `format_report` prints, ready for JSON. Takes a few seconds: renderers are tried out."""
    backend = probe()
    facts: dict[str, Any] = {
        "machine": describe_machine(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "rendering": {
            "chosen": backend.name,
            "gl_renderer": backend.gl_renderer,
            "tried": [{"name": name, "outcome": outcome} for name, outcome in backend.tried],
            "mujoco_gl": os.environ.get("MUJOCO_GL"),
            "display": display(),
            "ffmpeg": _ffmpeg(),
        },
        "torch": {
            "threads": torch.get_num_threads(),
            "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
        },
    }
    return {**facts, "advice": _advice(facts)}


def format_report(report: dict[str, Any]) -> str:
    """The report as text, one fact a line, advice last."""
    machine, rendering, brain = report["machine"], report["rendering"], report["torch"]
    lines = [
        "machine",
        f"  Python {machine['python']}, {machine['system']}",
        f"  {machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB of memory",
        "packages",
        *(f"  {name:15} {version or 'missing'}" for name, version in report["packages"].items()),
        "rendering",
        f"  chosen, for films and the rats' eyes: {rendering['chosen']}",
        *([f"  OpenGL's own name: {rendering['gl_renderer']}"] if rendering["gl_renderer"] else []),
        *(f"    {trial['name']}: {trial['outcome']}" for trial in rendering["tried"]),
        f"  display: {rendering['display'] or 'none (films yes, `rodent view` no)'}",
        f"  ffmpeg: {rendering['ffmpeg'] or 'missing'}",
        "torch",
        f"  {brain['threads']} threads, GPU: {brain['cuda'] or 'none'}, OMP_WAIT_POLICY={brain['omp_wait_policy']}",
        "advice",
        *(f"  - {line}" for line in report["advice"] or ["none: all is well"]),
    ]
    return "\n".join(lines)


def _advice(facts: dict[str, Any]) -> list[str]:
    advice = []
    rendering, brain = facts["rendering"], facts["torch"]
    missing = [name for name, version in facts["packages"].items() if version is None]
    if missing:
        advice.append(f"missing packages: pip install {' '.join(missing)}")
    if rendering["chosen"] in ("warp", "none") and platform.system() == "Linux":
        advice.append(f"no OpenGL; for faster pictures of full quality: {_INSTALL_OPENGL}")
    if rendering["chosen"] == "none":
        advice.append("nothing can draw: pip install mujoco-warp gives a renderer that needs no OpenGL")
    if any(name in rendering["gl_renderer"].lower() for name in _SOFTWARE_OPENGL):
        advice.append("OpenGL runs in software; with a GPU, install its driver's EGL library for faster pictures")
    if rendering["ffmpeg"] is None:
        advice.append("no ffmpeg, so no films: pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE")
    if (brain["omp_wait_policy"] or "").upper() != "PASSIVE":
        advice.append("idle torch threads steal time from the simulation: export OMP_WAIT_POLICY=PASSIVE")
    return advice


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _ffmpeg() -> str | None:
    try:
        return f"{imageio_ffmpeg.get_ffmpeg_version()} at {imageio_ffmpeg.get_ffmpeg_exe()}"
    except RuntimeError:
        return None

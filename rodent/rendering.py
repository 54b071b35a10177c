"""Which renderer this computer has, and pictures of a world by it.

OpenGL is tried first (EGL, then OSMesa; on macOS CGL, then GLFW). Where there is none, MuJoCo Warp's ray tracer draws
the same cameras on a plain CPU. `MUJOCO_GL` decides if it is set; `MUJOCO_GL=disabled` means the ray tracer.
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import mujoco

from rodent.cameras import view_from
from rodent.errors import UsageError
from rodent.gl_painter import OpenGLPainter
from rodent.painting import Painter, Picture
from rodent.warp_painter import WarpPainter, import_warp

_PROBE_SECONDS = 30.0
_DISABLED = ("disabled", "disable", "off", "false", "0")
_AUTOMATIC = ("", "enabled", "enable", "on", "true", "1")
_OPENGL = ("egl", "osmesa", "cgl", "glfw")


@dataclass(frozen=True)
class Backend:
    """The renderer that was chosen, and why."""

    name: str  # "egl", "osmesa", "cgl", "glfw", "warp" or "none"
    gl_renderer: str = ""  # OpenGL's own GL_RENDERER string, e.g. "llvmpipe (LLVM 15.0.6, 256 bits)"
    tried: tuple[tuple[str, str], ...] = ()  # (name, outcome in words), in the order of trial

    @property
    def is_opengl(self) -> bool:
        return self.name in _OPENGL

    def describe(self, width: int, height: int, shadows: bool, antialias: bool) -> dict[str, Any]:
        """What made a picture, ready for JSON."""
        return {
            "renderer": self.name,
            "gl_renderer": self.gl_renderer,
            "width": width,
            "height": height,
            "shadows": shadows,
            "antialias": antialias,
        }


def probe() -> Backend:
    """The best renderer that works here. The first call takes a second or two, later ones nothing.

    Each kind of OpenGL is tried in a process of its own with a time limit, since a broken driver may crash or hang.

    Raises:
        UsageError: `MUJOCO_GL` is set to something unknown.
    """
    return _probe(os.environ.get("MUJOCO_GL", "").lower().strip())


@functools.cache
def _probe(setting: str) -> Backend:
    tried: list[tuple[str, str]] = []
    for name in _candidates(setting):
        gl_renderer, failure = _try_opengl(name)
        if not failure:
            return Backend(name, gl_renderer, (*tried, (name, f"works: {gl_renderer}")))
        tried.append((name, failure))
    if setting in _DISABLED:
        tried.append(("OpenGL", f"not tried: MUJOCO_GL={setting}"))
    try:
        import_warp()
    except Exception as error:
        return Backend("none", tried=(*tried, ("warp", _one_line(error))))
    return Backend("warp", tried=(*tried, ("warp", "works: the ray tracer of MuJoCo Warp, which needs no OpenGL")))


def _candidates(setting: str) -> tuple[str, ...]:
    """The kinds of OpenGL to try, given the value of `MUJOCO_GL`."""
    if setting in _DISABLED:
        return ()
    if setting in _AUTOMATIC:
        return ("cgl", "glfw") if platform.system() == "Darwin" else ("egl", "osmesa")
    if setting in _OPENGL:
        return (setting,)
    raise UsageError(f"unknown MUJOCO_GL={setting!r}: choose one of {', '.join(_OPENGL)}, disabled, or leave it unset")


def _try_opengl(name: str) -> tuple[str, str]:
    """Draw a tiny scene in a process of its own; returns (GL_RENDERER, "") or ("", what failed)."""
    environment = {**os.environ, "MUJOCO_GL": name, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", f"from rodent.gl_painter import draw_probe; print(draw_probe({name!r}))"]
    try:
        process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {_PROBE_SECONDS:.0f} s"
    except OSError as error:
        return "", f"could not start a process: {_one_line(error)}"
    if process.returncode < 0:
        return "", f"crashed (signal {-process.returncode})"
    if process.returncode > 0:
        return "", (process.stderr.strip().splitlines() or ["failed without a word"])[-1]
    return process.stdout.strip().splitlines()[-1], ""


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


class Renderer:
    """Draws one model at one size, by OpenGL or by ray tracing, whichever this computer has.

    Args:
        model: the world; a model with one rat named `walker`.
        width: pixels.
        height: pixels.
        backend: which renderer; None for the one that `probe` chooses.
        shadows: whether lights cast shadows. Pictures without them are made several times faster.
        antialias: whether edges are smoothed. Pictures without it are made several times faster.

    Raises:
        UsageError: a size below 1, or this computer has no renderer at all.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        width: int,
        height: int,
        backend: Backend | None = None,
        *,
        shadows: bool = True,
        antialias: bool = True,
    ) -> None:
        if width < 1 or height < 1:
            raise UsageError(f"a picture needs a width and a height of at least 1 pixel, not {width}x{height}")
        self.model = model
        self.backend = backend or probe()
        self.description = self.backend.describe(width, height, shadows, antialias)
        self._painter: Painter
        if self.backend.is_opengl:
            self._painter = OpenGLPainter(model, width, height, self.backend.name, shadows, antialias)
        elif self.backend.name == "warp":
            self._painter = WarpPainter(model, width, height, shadows, antialias)
        else:
            raise UsageError("nothing here can draw: install OpenGL or mujoco_warp (`rodent doctor` says how)")

    def render(self, data: mujoco.MjData, camera: str | mujoco.MjvCamera) -> Picture:
        """A picture (height, width, 3), uint8 RGB, that depends on `data` and `camera` alone.

        Args:
            data: with positions up to date (`mj_forward`, or `update_positions`).
            camera: one of `CAMERAS`, the name of a camera of the model, or a camera such as `Follower` gives.
                "egocentric" is the rat's eye as dm_control draws it, its own body hidden.

        Raises:
            UsageError: there is no such camera.
        """
        return self._painter.paint(data, view_from(self.model, data, camera))

    def read_height_field(self, i: int) -> None:
        """Draw the model's height field `i` as its `hfield_data` now is; all else is read anew for each picture."""
        self._painter.read_height_field(i)

    def close(self) -> None:
        """Free the renderer's memory."""
        self._painter.close()

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

"""What MuJoCo and dm_control are told about OpenGL, in the environment variable `MUJOCO_GL`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def opengl_kind(kind: str) -> Iterator[None]:
    """Let `MUJOCO_GL` name a kind of OpenGL for a while, or "disabled"; then put back what was there."""
    before = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = kind
    try:
        yield
    finally:
        if before is None:
            del os.environ["MUJOCO_GL"]
        else:
            os.environ["MUJOCO_GL"] = before


@contextmanager
def without_opengl(even_if_chosen: bool = False) -> Iterator[None]:
    """Let MuJoCo and dm_control be imported where no OpenGL is: they open it at import unless told not to.

    Args:
        even_if_chosen: also where the user has chosen an OpenGL in `MUJOCO_GL`, which otherwise stands. Our renderers
            open OpenGL by themselves, and still see that choice.
    """
    if "MUJOCO_GL" in os.environ and not even_if_chosen:
        yield
        return
    with opengl_kind("disabled"):
        yield

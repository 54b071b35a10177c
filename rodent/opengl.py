"""Importing MuJoCo and dm_control where no OpenGL is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_opengl(even_if_chosen: bool = False) -> Iterator[None]:
    """Let MuJoCo and dm_control be imported where no OpenGL is: they open it at import unless told not to.

    Args:
        even_if_chosen: also where the user has chosen an OpenGL in `MUJOCO_GL`, which otherwise stands. Our renderers
            open OpenGL by themselves, and still see that choice.
    """
    chosen = os.environ.get("MUJOCO_GL")
    if chosen is not None and not even_if_chosen:
        yield
        return
    os.environ["MUJOCO_GL"] = "disabled"
    try:
        yield
    finally:
        if chosen is None:
            del os.environ["MUJOCO_GL"]
        else:
            os.environ["MUJOCO_GL"] = chosen

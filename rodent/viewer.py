"""A window in which the rat is watched live."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.body import TORSO
from rodent.errors import UsageError
from rodent.painting import update_positions
from rodent.physics import CONTROL_TIMESTEP


def display() -> str | None:
    """The display that windows open on, in words; None if there is none."""
    if platform.system() in ("Darwin", "Windows"):
        return platform.system()
    for variable in ("WAYLAND_DISPLAY", "DISPLAY"):
        if os.environ.get(variable):
            return f"{variable}={os.environ[variable]}"
    return None


def view(model: mujoco.MjModel, states: Iterable[NDArray[np.floating[Any]]]) -> None:
    """Show states in MuJoCo's viewer in real time, until they end or the window is closed.

    Args:
        model: the world to show.
        states: qpos (nq,) of one control step after another; a generator may simulate as it goes.

    Raises:
        UsageError: there is no display, or the viewer cannot be opened on it.
    """
    if display() is None:
        raise UsageError("no display: a window cannot be opened here; use `rodent render` to make a film instead")
    import mujoco.viewer

    data = mujoco.MjData(model)
    try:
        window = mujoco.viewer.launch_passive(model, data, show_left_ui=False, show_right_ui=False)
    except RuntimeError as error:  # e.g. macOS wants to be started by `mjpython`
        raise UsageError(f"the viewer cannot be opened: {error}; use `rodent render` to make a film instead") from error
    with window:
        window.cam.type = mujoco.mjtCamera.mjCAMERA_TRACKING
        window.cam.trackbodyid = model.body(TORSO).id
        window.cam.distance = 0.8
        due = time.monotonic()
        for qpos in states:
            if not window.is_running():
                return
            with window.lock():
                data.qpos[:] = qpos
                update_positions(model, data)
            window.sync()
            due = max(due + CONTROL_TIMESTEP, time.monotonic() - CONTROL_TIMESTEP)  # never hurry to catch up
            time.sleep(max(0.0, due - time.monotonic()))

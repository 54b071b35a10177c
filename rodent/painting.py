"""What is drawn, whoever draws it: MuJoCo's abstract scene, and what a painter must be able to do."""

from __future__ import annotations

from typing import Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.cameras import View

Picture = NDArray[np.uint8]  # (height, width, 3), RGB

_COLLISION_GROUP = 2  # geom group of the rat's collision shapes
_OWN_BODY_GROUPS = (1, 2)  # geom groups that dm_control hides from the rat's own eye


class Painter(Protocol):
    """One way to draw one model at one size."""

    def paint(self, data: mujoco.MjData, view: View) -> Picture: ...

    def read_height_field(self, i: int) -> None: ...

    def close(self) -> None: ...


class Scene:
    """MuJoCo's abstract scene (no OpenGL): the camera's place, the rat's skin, and what OpenGL will draw."""

    def __init__(self, model: mujoco.MjModel, shadows: bool) -> None:
        self.model = model
        self.scene = mujoco.MjvScene(model, maxgeom=4 * model.ngeom + 1000)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._shadows = shadows
        self._option = mujoco.MjvOption()

    def update(self, data: mujoco.MjData, view: View) -> mujoco.MjvScene:
        self._option.geomgroup[list(_OWN_BODY_GROUPS)] = True
        self._option.geomgroup[list(hidden_groups(self.model, view))] = False
        # Bending the skin takes most of the time here. dm_control does so for the rat's own eye, too, to which the skin
        # shows its back, that is nothing, but whose shadow it sees.
        self._option.flags[mujoco.mjtVisFlag.mjVIS_SKIN] = view.own_body or self._shadows
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self.model, data, self._option, None, view.camera, everything, self.scene)
        return self.scene


def hidden_groups(model: mujoco.MjModel, view: View) -> tuple[int, ...]:
    """Groups of geoms that a view leaves out."""
    if not view.own_body:
        return _OWN_BODY_GROUPS
    # Seen from outside, the skin is the rat; its collision shapes would poke through.
    return (_COLLISION_GROUP,) if view.ruler and model.nskin else ()


def update_positions(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Bring all that a picture needs up to date with `data.qpos`, without the cost of `mj_forward`."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    mujoco.mj_tendon(model, data)

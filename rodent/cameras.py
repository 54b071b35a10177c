"""Where the cameras stand that watch the rat, and what they see of it."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.body import EGOCENTRIC_CAMERA, TORSO
from rodent.errors import UsageError

VISIBLE_GROUPS = 3  # geom groups 0, 1 and 2 are drawn, as in MuJoCo's viewer; the corridor's side planes are in 3
_STEEPEST = -75.0  # deg; how steeply a camera may look down to see over an obstacle


@dataclass(frozen=True)
class _Shot:
    """Where a camera stands that watches the rat from outside."""

    bearing: float | None  # deg, from the rat's heading to the direction of view; None: the picture's up is world y
    elevation: float  # deg, negative looks down
    distance: float  # m


_SHOTS = {
    "side": _Shot(bearing=90.0, elevation=-14.0, distance=0.62),
    "back": _Shot(bearing=0.0, elevation=-28.0, distance=0.66),
    "top": _Shot(bearing=None, elevation=-90.0, distance=0.9),
}
CAMERAS: tuple[str, ...] = (*_SHOTS, "egocentric")


class Follower:
    """A camera that goes with the rat without the shaking of its gait.

    Args:
        model: a model with one rat named `walker`.
        shot: "side" (from the rat's right), "back" (from behind and above) or "top".

    Raises:
        UsageError: there is no such camera.
    """

    # Time constants, s: a camera must not lag behind a gallop, but neither bob nor swing with it.
    _HORIZONTAL, _VERTICAL, _TURNING = 0.05, 0.3, 0.5

    def __init__(self, model: mujoco.MjModel, shot: str) -> None:
        if shot not in _SHOTS:
            raise UsageError(f"unknown follow camera {shot!r}: choose one of {', '.join(_SHOTS)}")
        self._model = model
        self._shot = _SHOTS[shot]
        self._torso = model.body(TORSO).id
        self._constants = np.array([self._HORIZONTAL] * 2 + [self._VERTICAL] + [self._TURNING] * 3)
        self._state: NDArray[np.float64] | None = None  # target (3), heading as a vector (2), elevation (1)

    def follow(self, data: mujoco.MjData, seconds: float = 0.0) -> mujoco.MjvCamera:
        """The camera for the next picture; at the first call it stands right where the rat is.

        Args:
            data: with positions up to date (`mj_kinematics`).
            seconds: time since the last call.
        """
        wanted = self._wanted(data)
        if self._state is None:
            self._state = wanted
        self._state = self._state + (1 - np.exp(-seconds / self._constants)) * (wanted - self._state)
        return self._camera(self._state)

    def _wanted(self, data: mujoco.MjData) -> NDArray[np.float64]:
        forward = data.xmat[self._torso].reshape(3, 3)[:, 0]
        state = np.array([*data.xpos[self._torso], forward[0], forward[1], self._shot.elevation])
        while state[5] > _STEEPEST and self._is_blocked(data, self._camera(state)):
            state[5] -= 15.0
        return state

    def _camera(self, state: NDArray[np.float64]) -> mujoco.MjvCamera:
        camera = mujoco.MjvCamera()
        camera.lookat[:] = state[:3]
        camera.distance = self._shot.distance
        camera.elevation = state[5]
        heading = np.degrees(np.arctan2(state[4], state[3]))
        camera.azimuth = 90.0 if self._shot.bearing is None else heading + self._shot.bearing
        return camera

    def _is_blocked(self, data: mujoco.MjData, camera: mujoco.MjvCamera) -> bool:
        """Whether something else is in sight between the camera and the rat, e.g. a wall of the maze."""
        azimuth, elevation = np.radians([camera.azimuth, camera.elevation])
        level = np.cos(elevation)
        view = np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])
        groups = (np.arange(mujoco.mjNGROUP) < VISIBLE_GROUPS).astype(np.uint8)
        hit = np.full(1, -1, np.int32)
        eye = camera.lookat - camera.distance * view
        distance = mujoco.mj_ray(self._model, data, eye, view, groups, True, -1, hit)
        if hit[0] < 0 or distance > camera.distance:
            return False
        root = self._model.body_rootid
        return bool(root[self._model.geom_bodyid[hit[0]]] != root[self._torso])


@dataclass(frozen=True)
class View:
    """What is to be painted."""

    camera: mujoco.MjvCamera
    own_body: bool = True  # whether the rat is seen
    ruler: bool = False  # whether lines are drawn on a plain floor, without which no one sees the rat move


def view_from(model: mujoco.MjModel, data: mujoco.MjData, camera: str | mujoco.MjvCamera) -> View:
    if isinstance(camera, mujoco.MjvCamera):
        return View(camera, ruler=camera.type != mujoco.mjtCamera.mjCAMERA_FIXED)
    if camera in _SHOTS:
        return View(Follower(model, camera).follow(data), ruler=True)
    if camera == "egocentric":
        return View(_fixed_camera(model, EGOCENTRIC_CAMERA), own_body=False)
    return View(_fixed_camera(model, camera))


def _fixed_camera(model: mujoco.MjModel, name: str) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
    camera.fixedcamid = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
    if camera.fixedcamid < 0:
        raise UsageError(f"unknown camera {name!r}: choose one of {', '.join(CAMERAS)}")
    return camera

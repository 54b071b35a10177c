"""Pictures of a world: which renderer this computer has, where the cameras stand, and two ways to draw.

OpenGL is tried first (EGL, then OSMesa; on macOS CGL, then GLFW). Where there is none, MuJoCo Warp's ray tracer draws
the same cameras on a plain CPU. `MUJOCO_GL` decides if it is set; `MUJOCO_GL=disabled` means the ray tracer.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.body import EGOCENTRIC_CAMERA, TORSO
from rodent.errors import UsageError
from rodent.opengl import opengl_kind

Picture = NDArray[np.uint8]  # (height, width, 3), RGB

_COLLISION_GROUP = 2  # geom group of the rat's collision shapes
_OWN_BODY_GROUPS = (1, 2)  # geom groups that dm_control hides from the rat's own eye
_VISIBLE_GROUPS = 3  # geom groups 0, 1 and 2 are drawn, as in MuJoCo's viewer; the corridor's side planes are in 3


# --- which renderer ---------------------------------------------------------------------------------------------------

_PROBE_SECONDS = 30.0
_DISABLED = ("disabled", "disable", "off", "false", "0")
_AUTOMATIC = ("", "enabled", "enable", "on", "true", "1")
_OPENGL = ("egl", "osmesa", "cgl", "glfw")
_PROBE_MODEL = """
<mujoco><worldbody><light pos="0 0 3"/><geom size=".5" rgba="1 0 0 1"/></worldbody></mujoco>
"""


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
        _import_warp()
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
    command = [sys.executable, "-c", f"from rodent.rendering import draw_probe; print(draw_probe({name!r}))"]
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


def draw_probe(name: str) -> str:
    """Draw a red sphere with the OpenGL called `name`; returns its GL_RENDERER string.

    Raises:
        RuntimeError: the picture came out wrong. Whatever a missing or broken driver raises is let through.
    """
    model = mujoco.MjModel.from_xml_string(_PROBE_MODEL)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = mujoco.MjvCamera()
    camera.distance = 2.0
    painter = _OpenGLPainter(model, 32, 32, name, shadows=False, antialias=False)
    red, _, blue = painter.paint(data, _View(camera))[16, 16]
    if red < blue + 50:
        raise RuntimeError("draws, but the picture is wrong")
    opengl = importlib.import_module("OpenGL.GL")
    return opengl.glGetString(opengl.GL_RENDERER).decode()


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


# --- where the cameras stand ------------------------------------------------------------------------------------------


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

_STEEPEST = -75.0  # deg; how steeply a camera may look down to see over an obstacle


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
        groups = (np.arange(mujoco.mjNGROUP) < _VISIBLE_GROUPS).astype(np.uint8)
        hit = np.full(1, -1, np.int32)
        eye = camera.lookat - camera.distance * view
        distance = mujoco.mj_ray(self._model, data, eye, view, groups, True, -1, hit)
        if hit[0] < 0 or distance > camera.distance:
            return False
        root = self._model.body_rootid
        return bool(root[self._model.geom_bodyid[hit[0]]] != root[self._torso])


def _fixed_camera(model: mujoco.MjModel, name: str) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
    camera.fixedcamid = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
    if camera.fixedcamid < 0:
        raise UsageError(f"unknown camera {name!r}: choose one of {', '.join(CAMERAS)}")
    return camera


@dataclass(frozen=True)
class _View:
    """What is to be painted."""

    camera: mujoco.MjvCamera
    own_body: bool = True  # whether the rat is seen
    ruler: bool = False  # whether lines are drawn on a plain floor, without which no one sees the rat move


def _view(model: mujoco.MjModel, data: mujoco.MjData, camera: str | mujoco.MjvCamera) -> _View:
    if isinstance(camera, mujoco.MjvCamera):
        return _View(camera, ruler=camera.type != mujoco.mjtCamera.mjCAMERA_FIXED)
    if camera in _SHOTS:
        return _View(Follower(model, camera).follow(data), ruler=True)
    if camera == "egocentric":
        return _View(_fixed_camera(model, EGOCENTRIC_CAMERA), own_body=False)
    return _View(_fixed_camera(model, camera))


# --- lines on a plain floor -------------------------------------------------------------------------------------------

_RULER_STEP = 0.25  # m
_RULER_REACH = 16  # lines on each side of where the camera looks
_RULER_METRE, _RULER_QUARTER = 0.012, 0.004  # m, widths of the lines at whole and at quarter metres
_RULER_SHADE = 0.54  # of the floor's own colour


def _plain_floor(model: mujoco.MjModel) -> int | None:
    """The id of a visible level plane without a material, if there is one."""
    for i in range(model.ngeom):
        is_plane = model.geom_type[i] == mujoco.mjtGeom.mjGEOM_PLANE and model.geom_bodyid[i] == 0
        is_level = abs(model.geom_quat[i, 0]) > 0.999
        if is_plane and is_level and model.geom_group[i] < _VISIBLE_GROUPS and model.geom_matid[i] < 0:
            return i
    return None


def _ruler_boxes(
    model: mujoco.MjModel, floor: int, around: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Centre and half-size, m, of the flat boxes that mark every quarter of a metre of the floor near a point."""
    centre, extent = model.geom_pos[floor], model.geom_size[floor, :2]
    extent = np.where(extent > 0, extent, 100.0)  # a plane of size 0 is infinite
    boxes = []
    for axis in (0, 1):
        nearest = round(around[axis] / _RULER_STEP)
        for k in range(nearest - _RULER_REACH, nearest + _RULER_REACH + 1):
            at = k * _RULER_STEP
            if abs(at - centre[axis]) > extent[axis]:
                continue
            position, half = centre.copy(), np.full(3, 0.0004)
            position[axis] = at
            half[axis] = (_RULER_METRE if at == round(at) else _RULER_QUARTER) / 2
            half[1 - axis] = extent[1 - axis]
            boxes.append((position, half))
    return boxes


def _ruler_tile() -> Picture:
    """The same lines as a texture of one square metre, 2 mm a pixel."""
    pixels = 500
    tile = np.full((pixels, pixels, 3), 255, np.uint8)
    for k in range(round(1 / _RULER_STEP)):
        width = _RULER_METRE if k == 0 else _RULER_QUARTER
        rows = np.arange(round(-width / 2 * pixels), round(width / 2 * pixels)) + round(k * _RULER_STEP * pixels)
        tile[rows % pixels] = tile[:, rows % pixels] = round(255 * _RULER_SHADE)
    return tile


# --- drawing ----------------------------------------------------------------------------------------------------------


class _Painter(Protocol):
    """One way to draw one model at one size."""

    def paint(self, data: mujoco.MjData, view: _View) -> Picture: ...

    def read_height_field(self, i: int) -> None: ...

    def close(self) -> None: ...


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
        self._painter: _Painter
        if self.backend.is_opengl:
            self._painter = _OpenGLPainter(model, width, height, self.backend.name, shadows, antialias)
        elif self.backend.name == "warp":
            self._painter = _WarpPainter(model, width, height, shadows, antialias)
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
        return self._painter.paint(data, _view(self.model, data, camera))

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


def update_positions(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Bring all that a picture needs up to date with `data.qpos`, without the cost of `mj_forward`."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)
    mujoco.mj_tendon(model, data)


def _hidden_groups(model: mujoco.MjModel, view: _View) -> tuple[int, ...]:
    if not view.own_body:
        return _OWN_BODY_GROUPS
    # Seen from outside, the skin is the rat; its collision shapes would poke through.
    return (_COLLISION_GROUP,) if view.ruler and model.nskin else ()


class _Scene:
    """MuJoCo's abstract scene (no OpenGL): the camera's place, the rat's skin, and what OpenGL will draw."""

    def __init__(self, model: mujoco.MjModel, shadows: bool) -> None:
        self.model = model
        self.scene = mujoco.MjvScene(model, maxgeom=4 * model.ngeom + 1000)
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._shadows = shadows
        self._option = mujoco.MjvOption()

    def update(self, data: mujoco.MjData, view: _View) -> mujoco.MjvScene:
        self._option.geomgroup[list(_OWN_BODY_GROUPS)] = True
        self._option.geomgroup[list(_hidden_groups(self.model, view))] = False
        # Bending the skin takes most of the time here. dm_control does so for the rat's own eye, too, to which the skin
        # shows its back, that is nothing, but whose shadow it sees.
        self._option.flags[mujoco.mjtVisFlag.mjVIS_SKIN] = view.own_body or self._shadows
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self.model, data, self._option, None, view.camera, everything, self.scene)
        return self.scene


class _OpenGLPainter:
    """MuJoCo's own renderer.

    MuJoCo chooses its OpenGL when it is imported; this one is chosen afterwards, so that a process that imported
    MuJoCo with `MUJOCO_GL=disabled` can draw.
    """

    def __init__(
        self, model: mujoco.MjModel, width: int, height: int, name: str, shadows: bool, antialias: bool
    ) -> None:
        self._scene = _Scene(model, shadows)
        self._floor = _plain_floor(model)
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        with opengl_kind(name):  # MuJoCo's C code reads it to find the OpenGL library
            self._window = importlib.import_module(f"mujoco.{name}").GLContext(width, height)
            self._window.make_current()
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        # A renderer that nobody closes is released when the interpreter ends, just before OpenGL itself, which was
        # registered for it earlier.
        self._release = functools.partial(_release_opengl, self._window, self._context)
        atexit.register(self._release)
        if not antialias:
            self._context.offSamples = 0
        mujoco.mjr_resizeOffscreen(width, height, self._context)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)

    def paint(self, data: mujoco.MjData, view: _View) -> Picture:
        scene = self._scene.update(data, view)
        if view.ruler and self._floor is not None:
            self._draw_ruler(scene, self._floor, view.camera.lookat)
        self._window.make_current()
        picture = np.empty((self._rectangle.height, self._rectangle.width, 3), np.uint8)
        mujoco.mjr_render(self._rectangle, scene, self._context)
        mujoco.mjr_readPixels(picture, None, self._rectangle, self._context)
        return np.ascontiguousarray(picture[::-1])  # OpenGL's first row is the lowest

    def read_height_field(self, i: int) -> None:
        self._window.make_current()
        mujoco.mjr_uploadHField(self._scene.model, self._context, i)

    def _draw_ruler(self, scene: mujoco.MjvScene, floor: int, around: NDArray[np.float64]) -> None:
        model = self._scene.model
        rgba = model.geom_rgba[floor] * np.array([_RULER_SHADE] * 3 + [1.0], np.float32)
        for centre, half in _ruler_boxes(model, floor, around):
            box = scene.geoms[scene.ngeom]
            mujoco.mjv_initGeom(box, mujoco.mjtGeom.mjGEOM_BOX, half, centre, np.eye(3).ravel(), rgba)
            scene.ngeom += 1

    def close(self) -> None:
        atexit.unregister(self._release)
        self._release()


def _release_opengl(window: Any, context: mujoco.MjrContext) -> None:
    window.make_current()
    context.free()
    window.free()


_COMPILING = "compiling the ray tracer for this kind of world (some seconds, once on this computer) ..."


class _WarpPainter:
    """MuJoCo Warp's ray tracer, drawing a *stage*: a model that holds only what is to be seen, where `data` has it.

    The ray tracer knows no skins and cannot be handed extra geoms, so the stage has each skin as a mesh, whose vertices
    are moved at each picture, and the ruler as a texture. Nothing is ever simulated in Warp. It draws on the CPU even
    where there is a GPU, so that a picture does not depend on the computer.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int, shadows: bool, antialias: bool) -> None:
        self._warp, self._mjw = _import_warp()
        self._scene = _Scene(model, shadows)
        self._floor = _plain_floor(model)
        self._geoms = np.flatnonzero(model.geom_group < _VISIBLE_GROUPS)
        stage = _build_stage(model, self._geoms)
        skins = slice(len(self._geoms), None)
        self._skin_sizes, self._skin_data = stage.geom_size[skins].copy(), stage.geom_dataid[skins].copy()
        self._ruler = (stage.mat_texid[-1:].copy(), stage.mat_texrepeat[-1:].copy(), stage.mat_rgba[-1:].copy())
        self._shape = (height, width)
        self._samples = 2 if antialias else 1  # per pixel, along each axis
        with self._warp.ScopedDevice("cpu"), _notice_if_slow(_COMPILING):
            self._model = self._mjw.put_model(stage)
            self._data = self._mjw.make_data(stage, nworld=1, nconmax=1, njmax=1)
            self._context = self._mjw.create_render_context(
                stage,
                cam_res=(width * self._samples, height * self._samples),
                render_rgb=True,
                use_shadows=shadows,
                use_precomputed_rays=False,  # so that each picture may have its own angle of view
                render_skybox=True,
                enable_specular=False,  # it burns out the floor under a lamp, which OpenGL's coarse planes do not
            )
        self._is_compiled = False  # the kernel that draws is compiled with the first picture
        self._skins = list(self._context.mesh_registry.values())

    def paint(self, data: mujoco.MjData, view: _View) -> Picture:
        with self._warp.ScopedDevice("cpu"), nullcontext() if self._is_compiled else _notice_if_slow(_COMPILING):
            self._place(data, self._scene.update(data, view), view)
            self._mjw.refit_bvh(self._model, self._data, self._context)
            self._context.bvh.rebuild()  # things go far from where the tree was built
            self._mjw.render(self._model, self._data, self._context)
        self._is_compiled = True
        height, width = self._shape
        n = self._samples
        packed = self._context.rgb_data.numpy()[0].reshape(height, n, width, n)
        picture = np.stack([(packed >> shift) & 255 for shift in (16, 8, 0)], axis=-1)
        return picture.mean(axis=(1, 3)).round().astype(np.uint8)

    def _place(self, data: mujoco.MjData, scene: mujoco.MjvScene, view: _View) -> None:
        """Copy to the stage where everything is, and from where it is seen."""
        model = self._scene.model
        identity = np.broadcast_to(np.eye(3), (model.nskin, 3, 3))
        skins = self._place_skins(scene) if view.own_body else np.zeros((model.nskin, 3))
        position = np.concatenate([data.geom_xpos[self._geoms], skins])
        hidden = np.isin(model.geom_group[self._geoms], _hidden_groups(model, view)) | self._invisible()
        position[np.concatenate([hidden, np.full(model.nskin, not view.own_body)])] = _OUT_OF_SIGHT
        _assign(self._data.geom_xpos, position)
        _assign(self._data.geom_xmat, np.concatenate([data.geom_xmat[self._geoms].reshape(-1, 3, 3), identity]))
        self._dress(view)
        _assign(self._data.light_xpos, data.light_xpos)
        _assign(self._data.light_xdir, data.light_xdir)
        eye = scene.camera[0]
        forward, up = np.array(eye.forward), np.array(eye.up)
        _assign(self._data.cam_xpos, (np.array(eye.pos) + np.array(scene.camera[1].pos))[None] / 2)
        _assign(self._data.cam_xmat, np.stack([np.cross(forward, up), up, -forward], axis=1)[None])
        _assign(self._model.cam_fovy, np.degrees(2 * np.arctan2([eye.frustum_top], eye.frustum_near)))

    def _dress(self, view: _View) -> None:
        """Copy to the stage how everything looks, which may have changed since the last picture."""
        model, texid, texrepeat, rgba = self._scene.model, *self._ruler
        materials = np.concatenate([model.geom_matid[self._geoms], np.full(model.nskin, -1)]).astype(np.int32)
        if self._floor is not None:
            materials[: len(self._geoms)][self._geoms == self._floor] = model.nmat if view.ruler else -1
        shapes = np.concatenate([model.geom_dataid[self._geoms], self._skin_data]).astype(np.int32)
        self._model.geom_matid.assign(materials[None])
        self._model.geom_dataid.assign(shapes[None])
        self._model.mat_texid.assign(np.concatenate([model.mat_texid, texid])[None])
        _assign(self._model.mat_texrepeat, np.concatenate([model.mat_texrepeat, texrepeat]))
        _assign(self._model.mat_rgba, np.concatenate([model.mat_rgba, rgba]))
        _assign(self._model.geom_rgba, np.concatenate([model.geom_rgba[self._geoms], model.skin_rgba]))
        _assign(self._model.geom_size, np.concatenate([model.geom_size[self._geoms], self._skin_sizes]))
        _assign(self._model.light_diffuse, model.light_diffuse)

    def _invisible(self) -> NDArray[np.bool_]:
        """Which geoms have an alpha of 0, their own or, where they have the default colour, their material's."""
        model = self._scene.model
        rgba, material = model.geom_rgba[self._geoms], model.geom_matid[self._geoms]
        alpha = rgba[:, 3].copy()
        theirs = (material >= 0) & (rgba == np.array([0.5, 0.5, 0.5, 1.0], np.float32)).all(1)
        alpha[theirs] = model.mat_rgba[material[theirs], 3]
        return alpha == 0

    def read_height_field(self, i: int) -> None:
        from mujoco_warp._src.bvh import build_hfield_bvh

        ids = self._context.hfield_bvh_id.numpy()  # of an array on the CPU: a view
        with self._warp.ScopedDevice("cpu"):
            mesh, self._context.hfield_bounds_size.numpy()[i] = build_hfield_bvh(self._scene.model, i)
        self._context.hfield_registry.pop(int(ids[i]), None)  # which keeps the meshes alive
        self._context.hfield_registry[mesh.id] = mesh
        ids[i] = mesh.id

    def _place_skins(self, scene: mujoco.MjvScene) -> NDArray[np.float64]:
        """Move the skins' vertices; returns the centres about which they now stand, (skins, 3)."""
        model = self._scene.model
        centres, bounds = np.zeros((model.nskin, 3)), np.zeros((model.nskin, 3))
        for i, mesh in enumerate(self._skins):
            start = model.skin_vertadr[i]
            vertices = scene.skinvert.reshape(-1, 3)[start : start + model.skin_vertnum[i]]
            low, high = vertices.min(axis=0), vertices.max(axis=0)
            centres[i], bounds[i] = (low + high) / 2, (high - low) / 2
            mesh.points.assign(vertices - centres[i].astype(np.float32))
            mesh.refit()
        if self._skins:
            self._model.mesh_normal.assign(scene.skinnormal.reshape(-1, 3))
            self._context.mesh_bounds_size.assign(bounds)
        return centres

    def close(self) -> None:
        self._skins.clear()
        del self._model, self._data, self._context


_OUT_OF_SIGHT = (0.0, 0.0, -1000.0)  # m; what is far off costs the ray tracer less than what is transparent


def _assign(array: Any, values: NDArray[Any]) -> None:
    """Fill a Warp array, whose first axis is the one world, with float32 copies of `values`."""
    array.assign(np.ascontiguousarray(values, np.float32)[None])


def _build_stage(model: mujoco.MjModel, geoms: NDArray[np.intp]) -> mujoco.MjModel:
    """A model without physics that looks like `model`: its `geoms`, then its skins, its lights, and one camera.

    Its materials are those of `model` and, last, the ruler.

    Raises:
        UsageError: a geom is a mesh, which no world of this project has.
    """
    spec = mujoco.MjSpec()
    spec.visual.map.znear, spec.visual.map.zfar = model.vis.map.znear, model.vis.map.zfar
    spec.stat.extent = model.stat.extent
    for part in ("active", "ambient", "diffuse", "specular"):
        setattr(spec.visual.headlight, part, getattr(model.vis.headlight, part))
    _copy_surfaces(model, spec)
    for i in geoms:
        _copy_geom(model, spec, int(i))
    for i in range(model.nskin):
        _copy_skin(model, spec, i)
    for i in range(model.nlight):
        light = spec.worldbody.add_light(type=mujoco.mjtLightType(model.light_type[i]), dir=[0, 0, -1])
        for part in ("ambient", "diffuse", "specular", "attenuation", "cutoff", "exponent", "castshadow", "active"):
            setattr(light, part, getattr(model, f"light_{part}")[i])
    spec.worldbody.add_camera()
    return spec.compile()


def _copy_surfaces(model: mujoco.MjModel, spec: mujoco.MjSpec) -> None:
    """Copy textures, materials and height fields under the names "0", "1", ..., their ids in `model`."""
    for i in range(model.ntex):
        height, width, channels = model.tex_height[i], model.tex_width[i], model.tex_nchannel[i]
        start = model.tex_adr[i]
        texture = spec.add_texture(name=str(i), type=mujoco.mjtTexture(model.tex_type[i]))
        texture.width, texture.height, texture.nchannel = width, height, channels
        texture.data = model.tex_data[start : start + height * width * channels].tobytes()
    for i in range(model.nmat):
        material = spec.add_material(name=str(i))
        for part in ("rgba", "texrepeat", "texuniform", "emission", "specular", "shininess"):
            setattr(material, part, getattr(model, f"mat_{part}")[i])
        colour = mujoco.mjtTextureRole.mjTEXROLE_RGB
        if model.mat_texid[i, colour] >= 0:
            material.textures[colour] = str(model.mat_texid[i, colour])
    _add_ruler(spec)
    for i in range(model.nhfield):
        rows, columns, start = model.hfield_nrow[i], model.hfield_ncol[i], model.hfield_adr[i]
        heights = model.hfield_data[start : start + rows * columns]
        spec.add_hfield(name=str(i), size=model.hfield_size[i], nrow=rows, ncol=columns, userdata=heights.tolist())


def _add_ruler(spec: mujoco.MjSpec) -> None:
    tile = _ruler_tile()
    texture = spec.add_texture(name="ruler", type=mujoco.mjtTexture.mjTEXTURE_2D)
    texture.height, texture.width, texture.nchannel = tile.shape
    texture.data = tile.tobytes()
    # A "uniform" repeat of 2 lays one tile on each metre.
    material = spec.add_material(name="ruler", texuniform=True, texrepeat=[2, 2], rgba=[0.5, 0.5, 0.5, 1])
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture.name


def _copy_geom(model: mujoco.MjModel, spec: mujoco.MjSpec, i: int) -> None:
    kind = mujoco.mjtGeom(model.geom_type[i])
    if kind in (mujoco.mjtGeom.mjGEOM_MESH, mujoco.mjtGeom.mjGEOM_SDF):
        raise UsageError("the ray tracer draws no meshes here: use OpenGL (`rodent doctor` says what to install)")
    geom = spec.worldbody.add_geom(type=kind, size=model.geom_size[i], rgba=model.geom_rgba[i])
    if model.geom_matid[i] >= 0:
        geom.material = str(model.geom_matid[i])
    if kind == mujoco.mjtGeom.mjGEOM_HFIELD:
        geom.hfieldname = str(model.geom_dataid[i])


def _copy_skin(model: mujoco.MjModel, spec: mujoco.MjSpec, i: int) -> None:
    # With one normal a vertex and faces kept in order, MuJoCo's skinning fits the compiled mesh entry by entry.
    vertices = slice(model.skin_vertadr[i], model.skin_vertadr[i] + model.skin_vertnum[i])
    faces = slice(model.skin_faceadr[i], model.skin_faceadr[i] + model.skin_facenum[i])
    mesh = spec.add_mesh(name=f"skin{i}", inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    mesh.uservert = model.skin_vert[vertices].ravel().tolist()
    mesh.userface = model.skin_face[faces].ravel().tolist()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh.name)


def _import_warp() -> tuple[Any, Any]:
    """`warp` and `mujoco_warp`, told to keep their notes off standard output."""
    import warp

    warp.config.log_level = warp.LOG_ERROR
    import mujoco_warp

    return warp, mujoco_warp


@contextmanager
def _notice_if_slow(notice: str) -> Iterator[None]:
    """Say on standard error what is going on, if it takes longer than a second."""
    timer = threading.Timer(1.0, lambda: print(notice, file=sys.stderr, flush=True))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

"""Pictures by OpenGL: MuJoCo's own renderer."""

from __future__ import annotations

import atexit
import functools
import importlib
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.cameras import View
from rodent.opengl import opengl_kind
from rodent.painting import Picture, Scene
from rodent.ruler import RULER_SHADE, plain_floor, ruler_boxes

_PROBE_MODEL = """
<mujoco><worldbody><light pos="0 0 3"/><geom size=".5" rgba="1 0 0 1"/></worldbody></mujoco>
"""


class OpenGLPainter:
    """MuJoCo's own renderer.

    MuJoCo chooses its OpenGL when it is imported; this one is chosen afterwards, so that a process that imported
    MuJoCo with `MUJOCO_GL=disabled` can draw.
    """

    def __init__(
        self, model: mujoco.MjModel, width: int, height: int, name: str, shadows: bool, antialias: bool
    ) -> None:
        self._scene = Scene(model, shadows)
        self._floor = plain_floor(model)
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

    def paint(self, data: mujoco.MjData, view: View) -> Picture:
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
        rgba = model.geom_rgba[floor] * np.array([RULER_SHADE] * 3 + [1.0], np.float32)
        for centre, half in ruler_boxes(model, floor, around):
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
    painter = OpenGLPainter(model, 32, 32, name, shadows=False, antialias=False)
    red, _, blue = painter.paint(data, View(camera))[16, 16]
    if red < blue + 50:
        raise RuntimeError("draws, but the picture is wrong")
    opengl = importlib.import_module("OpenGL.GL")
    return opengl.glGetString(opengl.GL_RENDERER).decode()

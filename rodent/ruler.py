"""Lines on a plain floor, without which no one sees the rat move."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.cameras import VISIBLE_GROUPS

_RULER_STEP = 0.25  # m
_RULER_REACH = 16  # lines on each side of where the camera looks
_RULER_METRE, _RULER_QUARTER = 0.012, 0.004  # m, widths of the lines at whole and at quarter metres
RULER_SHADE = 0.54  # of the floor's own colour


def plain_floor(model: mujoco.MjModel) -> int | None:
    """The id of a visible level plane without a material, if there is one."""
    for i in range(model.ngeom):
        is_plane = model.geom_type[i] == mujoco.mjtGeom.mjGEOM_PLANE and model.geom_bodyid[i] == 0
        is_level = abs(model.geom_quat[i, 0]) > 0.999
        if is_plane and is_level and model.geom_group[i] < VISIBLE_GROUPS and model.geom_matid[i] < 0:
            return i
    return None


def ruler_boxes(
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


def ruler_tile() -> NDArray[np.uint8]:
    """The same lines as a texture of one square metre, 2 mm a pixel."""
    pixels = 500
    tile = np.full((pixels, pixels, 3), 255, np.uint8)
    for k in range(round(1 / _RULER_STEP)):
        width = _RULER_METRE if k == 0 else _RULER_QUARTER
        rows = np.arange(round(-width / 2 * pixels), round(width / 2 * pixels)) + round(k * _RULER_STEP * pixels)
        tile[rows % pixels] = tile[:, rows % pixels] = round(255 * RULER_SHADE)
    return tile

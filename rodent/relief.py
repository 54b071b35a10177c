"""The shape of the ground around the rat as numbers: heights at a grid of points that turns with its heading."""

from __future__ import annotations

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rodent.body import Body
from rodent.engine import State

AHEAD = 0.06 * torch.arange(-2, 9, dtype=torch.float64)  # m, from the torso along the heading
ACROSS = 0.08 * torch.arange(-3, 4, dtype=torch.float64)  # m, to the left
POINTS = len(AHEAD) * len(ACROSS)


def elevations(model: mujoco.MjModel) -> NDArray[np.float16]:
    """Heights (rows, columns) of a world's only height field along world y and x, m, to 0.3 mm."""
    shape = (int(model.hfield_nrow[0]), int(model.hfield_ncol[0]))
    heights = model.hfield_data[: shape[0] * shape[1]].reshape(shape) * model.hfield_size[0, 2]
    heights += model.geom_pos[model.geom_type == mujoco.mjtGeom.mjGEOM_HFIELD, 2]
    return heights.astype(np.float16)  # half of what every environment would keep otherwise


def heights_around(terrain: Tensor, half_side: float, state: State, body: Body) -> Tensor:
    """How high the ground lies above the torso (negative: below) at the grid's points, from right to left, m.

    Args:
        terrain: (envs, rows, columns), of `elevations`.
        half_side: m; half of the height field's side, whose middle is the world's origin.
        state: where the rats are.
        body: tables of the rat.

    Returns:
        (envs, POINTS), the points across in turn and of each those ahead.
    """
    torso = state.xpos[:, body.torso]
    heading = state.xmat[:, body.torso, [0, 3]]  # the torso's x axis, along the ground
    forward = heading / heading.norm(dim=1, keepdim=True).clamp(min=1e-6)
    left = torch.stack([-forward[:, 1], forward[:, 0]], dim=1)
    offsets = AHEAD[None, None, :, None] * forward[:, None, None] + ACROSS[None, :, None, None] * left[:, None, None]
    points = (torso[:, None, None, :2] + offsets).flatten(1, 2)  # (envs, POINTS, 2)
    return field_at(points, terrain, half_side) - torso[:, 2:]


def field_at(points: Tensor, field: Tensor, half_side: float) -> Tensor:
    """What a field over the ground is (envs, n) at points (envs, n, 2) of world x and y, m, linear between its places.

    `field` is (envs, rows, columns), from one side of the ground to the other.
    torch's own `grid_sample` wants whole fields in the precision of the points, a copy of every one at each step.
    """
    rows, columns = field.shape[1:]
    last = torch.tensor([columns - 1, rows - 1], dtype=points.dtype)
    places = torch.minimum(((points / half_side + 1) / 2 * last).clamp(min=0), last)
    low = torch.minimum(places.floor(), last - 1)
    share_x, share_y = (places - low).unbind(-1)
    column, row = low.long().unbind(-1)
    at = row * columns + column
    corners = [field.flatten(1).gather(1, at + step).to(points.dtype) for step in (0, 1, columns, columns + 1)]
    lower = corners[0] + share_x * (corners[1] - corners[0])
    upper = corners[2] + share_x * (corners[3] - corners[2])
    return lower + share_y * (upper - lower)

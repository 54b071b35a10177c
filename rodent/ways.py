"""The easiest ways off bumpy ground: how toilsome the rest of the way is from each place, and where it becomes less."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from torch import Tensor

from rodent.relief import field_at

EVERY = 2  # of the ground's elevations along each side, one is a place: 12 cm apart, half a rat's length
STEEP = math.tan(math.radians(20))  # a slope on which a way counts twice
_MOVES = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))  # rows, columns; and back
_ABOUT = 0.12  # m, to each side of the rat: over this the toil's slope is taken


def toil(elevations: NDArray[np.floating], half_side: float) -> NDArray[np.float16]:
    """How toilsome the easiest way off the ground is from each place, in m of level ground.

    A metre on a slope counts `1 + (slope / STEEP)^2`, in whichever direction it leads: who walks along a slope slips,
    too. By Dijkstra's algorithm from a circle that touches the ground's sides.

    Args:
        elevations: (n, n) along world y and x, m.
        half_side: m; half of the ground's side, whose middle is the world's origin.

    Returns:
        (m, m), of every `EVERY`th elevation; to 0.5 % at worst.
    """
    side = len(elevations[::EVERY])
    spacing = 2 * half_side / (side - 1)
    here, there, lengths = _moves(elevations.astype(np.float64), spacing)
    from_middle = np.hypot(*np.ogrid[-half_side : half_side : side * 1j, -half_side : half_side : side * 1j])
    goals = np.flatnonzero(from_middle > half_side - spacing)
    graph = sparse.csr_array((lengths, (here, there)), shape=(side * side,) * 2)
    toils = csgraph.dijkstra(graph, directed=False, indices=goals, min_only=True).reshape(side, side)
    return toils.astype(np.float16)  # half of what every environment would keep otherwise


def easing(points: Tensor, toils: Tensor, half_side: float) -> Tensor:
    """By how much less toilsome the way becomes along world x and y (envs, 2), per m, at points (envs, 2) in m.

    Args:
        points: on the ground or beside it.
        toils: (envs, m, m), of `toil`.
        half_side: m; half of the ground's side.
    """
    aside = _ABOUT * torch.tensor([[1, 0], [-1, 0], [0, 1], [0, -1]], dtype=points.dtype)
    right, left, up, down = field_at(points[:, None] + aside, toils, half_side).unbind(1)
    return torch.stack([left - right, down - up], 1) / (2 * _ABOUT)


def _moves(
    elevations: NDArray[np.float64], spacing: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All moves between places, one way: from which, to which, and how toilsome they are."""
    slopes = ndimage.gaussian_filter(np.hypot(*np.gradient(elevations, spacing / EVERY)), 1)  # a rat is no point
    steepness = slopes[::EVERY, ::EVERY].ravel()
    side = len(elevations[::EVERY])
    places = np.arange(side * side).reshape(side, side)
    here = [places[: side - down, max(0, -right) : side - max(0, right)].ravel() for down, right in _MOVES]
    there = [places[down:, max(0, right) : side + min(0, right)].ravel() for down, right in _MOVES]
    straight = np.repeat([spacing * math.hypot(*move) for move in _MOVES], [len(each) for each in here])
    start, end = np.concatenate(here), np.concatenate(there)
    return start, end, straight * (1 + ((steepness[start] + steepness[end]) / 2 / STEEP) ** 2)

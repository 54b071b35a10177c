"""The easiest ways off bumpy ground: from every place, where to go next so as to leave it without steep slopes."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from torch import Tensor

EVERY = 2  # of the ground's elevations along each side, one is a place: 12 cm apart, half a rat's length
STEEP = math.tan(math.radians(20))  # a slope that makes a way twice as long; gentler ones hardly count
_POWER = 4  # and steeper ones so much that the way leads round them
_MOVES = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))  # rows, columns; and back
_AHEAD = 2  # moves from a place to the next


def easiest_ways(elevations: NDArray[np.floating], half_side: float) -> NDArray[np.int8]:
    """Where the easiest way off the ground leads next from each place.

    By Dijkstra's algorithm from a circle that touches the ground's sides, on which and beyond which no way leads on.

    Args:
        elevations: (n, n) along world y and x, m.
        half_side: m; half of the ground's side, whose middle is the world's origin.

    Returns:
        (m, m, 2), of every `EVERY`th elevation: the next place, as columns and rows from there.
    """
    places = np.arange(len(elevations[::EVERY]) ** 2).reshape(len(elevations[::EVERY]), -1)
    side, spacing = len(places), 2 * half_side / (len(places) - 1)
    here, there, lengths = _moves(elevations.astype(np.float64), spacing)
    from_middle = np.hypot(*np.ogrid[-half_side : half_side : side * 1j, -half_side : half_side : side * 1j])
    border, outside = np.flatnonzero(from_middle > half_side - spacing), places.size
    here, there = np.append(here, np.full(len(border), outside)), np.append(there, border)
    lengths = np.append(lengths, np.full(len(border), spacing))
    graph = sparse.csr_array((np.tile(lengths, 2), (np.append(here, there), np.append(there, here))))
    _, towards = csgraph.dijkstra(graph, indices=outside, return_predecessors=True)
    towards[border] = border
    goal = places
    for _ in range(_AHEAD):
        goal = towards[goal]
    return np.stack([goal % side - places % side, goal // side - places // side], -1).astype(np.int8)


def next_place(points: Tensor, ways: Tensor, half_side: float) -> Tensor:
    """Where the easiest way leads next (envs, 2) from points (envs, 2), all world x and y in m.

    Args:
        points: on the ground or beside it.
        ways: (envs, rows, columns, 2), of `easiest_ways`.
        half_side: m; half of the ground's side.
    """
    last = ways.shape[1] - 1
    here = ((points / half_side + 1) / 2 * last).round().clamp(0, last)
    column, row = here.long().unbind(1)
    goal = here + ways[torch.arange(len(ways)), row, column]
    return (2 * goal / last - 1) * half_side


def _moves(
    elevations: NDArray[np.float64], spacing: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All moves, one way: from which place, to which, and how long they are, a steep one longer than it is."""
    slopes = np.hypot(*np.gradient(elevations, spacing / EVERY))  # in any direction: who walks along a slope slips, too
    steepness = ndimage.gaussian_filter(slopes, 1)[::EVERY, ::EVERY].ravel()  # a rat is no point
    side = len(elevations[::EVERY])
    places = np.arange(side * side).reshape(side, side)
    here = [places[: side - down, max(0, -right) : side - max(0, right)].ravel() for down, right in _MOVES]
    there = [places[down:, max(0, right) : side + min(0, right)].ravel() for down, right in _MOVES]
    straight = np.repeat([spacing * math.hypot(*move) for move in _MOVES], [len(each) for each in here])
    start, end = np.concatenate(here), np.concatenate(there)
    return start, end, straight * (1 + ((steepness[start] + steepness[end]) / 2 / STEEP) ** _POWER)

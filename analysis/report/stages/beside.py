"""What a network's layers stand beside: the senses and the joints, from which what a layer does may be inherited."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.report.source import Source

BESIDE = ("senses", "joint angles")


def recorded(source: Source, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
    """(n, columns) at these steps of a layer, of the senses in units of their spreads, or of the joint angles, rad."""
    if name in source.layers:
        return source.layer(name, rows)
    if name == "joint angles":
        return source.series("joint_angles")[rows]
    senses = source.senses[rows]
    spread = senses.std(axis=0)
    return senses / np.where(spread > 0, spread, 1.0)

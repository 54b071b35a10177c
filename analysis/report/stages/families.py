"""Families of features that units may encode and layers may tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.inputs import Array
from analysis.report.findings import Arrays
from analysis.report.source import Source, reduced

_FELT = ("accelerometer", "gyro", "velocimeter", "touch", "world_zaxis")


def families(
    source: Source, behaviour: Arrays, rows: NDArray[np.int64], components: int
) -> tuple[dict[str, Array], dict[str, str]]:
    """Features (rows, at most components) by the family's name, and why a family is missing, by name.

    Args:
        source: the session.
        behaviour: what the stage of that name left.
        rows: steps.
        components: principal components of each family.
    """
    raw: dict[str, NDArray] = {
        "joint angles": source.series("joint_angles"),
        "joint velocities": source.series("joint_velocities"),
        "forces": source.series("actuator_force"),
        "pose": source.posture,
        "vestibular and touch": _felt(source),
        "fast kinematics (5 to 25 Hz)": _spectral(behaviour["features.fast"]),
        "slow kinematics (0.3 to 5 Hz)": _spectral(behaviour["features.slow"]),
    }
    found, missing = {}, {}
    for name, values in raw.items():
        part = np.asarray(values[rows], dtype=np.float64)
        if not np.isfinite(part).all():
            missing[name] = "episodes shorter than the slowest period, or postures of too low a rank"
        elif not np.ptp(part, axis=0).any():
            missing[name] = "constant"
        else:
            spread = part.std(axis=0)
            found[name] = reduced((part - part.mean(axis=0)) / np.where(spread > 0, spread, 1.0), components)
    return found, missing


def _felt(source: Source) -> Array:
    names = [name for name in source.session.behaviour if name.startswith("sense.") and name.endswith(_FELT)]
    return np.concatenate([source.series(name) for name in names], axis=1)


def _spectral(features: NDArray) -> NDArray:
    """The amplitudes among the paper's features, without the postures."""
    quarter = features.shape[1] // 4
    return np.concatenate([features[:, quarter : 2 * quarter], features[:, 3 * quarter :]], axis=1)

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
    if source.sight is None:
        missing["vision"] = "the network sees nothing"
    else:
        raw["vision"] = source.sight
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


def behaviour_family(
    behaviour: Arrays, rows: NDArray[np.int64], components: int
) -> tuple[dict[str, Array], dict[str, str]]:
    """Which behaviour a step is in, as `families` gives the others: leading components of a column for each behaviour.

    A step that has none is zero throughout. Layers are asked for it by classification instead (`decoding`).
    """
    labels = behaviour["labels"][rows]
    present = np.unique(labels[labels >= 0])
    if len(present) < 2:
        return {}, {"behaviour": f"{len(present)} behaviours; needs 2"}
    columns = (labels[:, None] == present).astype(np.float64)
    return {"behaviour": reduced(columns - columns.mean(axis=0), components)}, {}


def _felt(source: Source) -> Array:
    names = [name for name in source.session.behaviour if name.startswith("sense.") and name.endswith(_FELT)]
    return np.concatenate([source.series(name) for name in names], axis=1)


def _spectral(features: NDArray) -> NDArray:
    """The amplitudes among the paper's features, without the postures."""
    quarter = features.shape[1] // 4
    return np.concatenate([features[:, quarter : 2 * quarter], features[:, 3 * quarter :]], axis=1)

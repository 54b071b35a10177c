"""The virtual rodent paper's features of behaviour: postures and their spectra, 60 a step, in each of its bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA

from analysis.drawing import axes_or_new
from analysis.inputs import Array, codes, first_reason, matrix, same_length
from analysis.wavelets import BANDS, morlet


@dataclass(frozen=True)
class BehaviouralFeatures:
    """Features of one band, to embed, cluster or compare with activity.

    Attributes:
        values: (steps, 4 * components): principal components of angles, those of their Morlet amplitudes, and the same
            of positions. NaN in steps whose episode is shorter than the slowest period, and everywhere where there is
            a reason.
        names: of the columns.
        reason: why there are none; empty where there are.
    """

    values: Array
    names: tuple[str, ...]
    reason: str = ""


def behavioural_features(
    angles: ArrayLike, positions: ArrayLike, episodes: ArrayLike, timestep: float, band: str, components: int = 15
) -> BehaviouralFeatures:
    """Postures and how they change in one of the bands "fast", "intermediate" and "slow" (Merel et al. 2020).

    Args:
        angles: (steps, joints) in radians.
        positions: (steps, coordinates) of joints in the torso's frame, m.
        episodes: (steps,) labels.
        timestep: s.
        band: a name in `wavelets.BANDS`.
        components: of each of the four sets.

    Raises:
        UsageError: where shapes do not fit or the band needs a finer timestep.
    """
    sets = {"angles": matrix(angles, "angles"), "positions": matrix(positions, "positions")}
    steps = same_length(**sets)
    codes(episodes, steps, "episodes")
    columns, names = [], []
    for name, values in sets.items():
        if reason := _reason(values, components):
            return _none(steps, components, f"{name}: {reason}")
        scores = PCA(components, random_state=0).fit_transform(values)
        amplitudes = morlet(scores, episodes, timestep, BANDS[band]).amplitudes.reshape(steps, -1)
        known = np.isfinite(amplitudes).all(axis=1)
        if reason := _reason(amplitudes[known], components):
            return _none(steps, components, f"amplitudes of {name}: {reason}")
        spectral = np.full((steps, components), np.nan)
        spectral[known] = PCA(components, random_state=0).fit_transform(amplitudes[known])
        columns += [scores, spectral]
        names += [f"{name} {i}" for i in range(components)] + [f"{name}, {band} {i}" for i in range(components)]
    return BehaviouralFeatures(np.concatenate(columns, axis=1), tuple(names))


def plot_behavioural_features(result: BehaviouralFeatures, ax: Axes | None = None) -> Axes:
    """All features over time, each over its own spread."""
    ax = axes_or_new(ax, (6.0, 4.0))
    spread = np.nanstd(result.values, axis=0)
    ax.imshow((result.values / np.where(spread > 0, spread, 1.0)).T, aspect="auto", vmin=-3, vmax=3, cmap="RdBu_r")
    ax.set_xlabel("step")
    ax.set_ylabel("feature")
    return ax


def _reason(values: Array, components: int) -> str:
    if reason := first_reason(values, components + 1):
        return reason
    rank = np.linalg.matrix_rank(values - values.mean(axis=0))
    return "" if rank >= components else f"rank {rank}; needs {components} for as many components"


def _none(steps: int, components: int, reason: str) -> BehaviouralFeatures:
    return BehaviouralFeatures(np.full((steps, 4 * components), np.nan), (), reason)

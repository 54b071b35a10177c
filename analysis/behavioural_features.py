"""The virtual rodent paper's features of behaviour: postures and their spectra, 60 a step, in each of its bands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA

from analysis.drawing import axes_or_new
from analysis.inputs import Array, codes, first_reason, matrix, rank, same_length
from analysis.wavelets import BANDS, morlet
from rodent.errors import UsageError


@dataclass(frozen=True)
class Basis:
    """The principal components that features are scores on: other recordings get the same features by them.

    Attributes:
        band: a name in `wavelets.BANDS`.
        timestep: s.
        components: of each set, by name ("angles", "angles, BAND", "positions", "positions, BAND"): the set's mean in a
            row before its axes, (1 + components, columns).
    """

    band: str
    timestep: float
    components: Mapping[str, Array]

    def features(self, angles: ArrayLike, positions: ArrayLike, episodes: ArrayLike) -> Array:
        """(steps, 4 * components) of other steps, as `behavioural_features` gives them; NaN in short episodes.

        Raises:
            UsageError: where shapes do not fit, or there are other joints or positions than those of the basis.
        """
        sets = {"angles": matrix(angles, "angles"), "positions": matrix(positions, "positions")}
        steps, columns = same_length(**sets), []
        for name, values in sets.items():
            wanted = self.components[name].shape[1]
            if values.shape[1] != wanted:
                raise UsageError(f"{name} have {values.shape[1]} columns; the basis is of {wanted}")
            scores = self._scores(name, values)
            amplitudes = morlet(scores, episodes, self.timestep, BANDS[self.band]).amplitudes.reshape(steps, -1)
            columns += [scores, self._scores(f"{name}, {self.band}", amplitudes)]
        return np.concatenate(columns, axis=1)

    def _scores(self, name: str, values: Array) -> Array:
        mean, axes = self.components[name][0], self.components[name][1:]
        return (values - mean) @ axes.T


@dataclass(frozen=True)
class BehaviouralFeatures:
    """Features of one band, to embed, cluster or compare with activity.

    Attributes:
        values: (steps, 4 * components): principal components of angles, those of their Morlet amplitudes, and the same
            of positions. NaN in steps whose episode is shorter than the slowest period, and everywhere where there is
            a reason.
        names: of the columns.
        basis: what they are scores on; None where there is a reason.
        reason: why there are none; empty where there are.
    """

    values: Array
    names: tuple[str, ...]
    basis: Basis | None
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
    columns, names, kept = [], [], {}
    for name, values in sets.items():
        if reason := _reason(values, components):
            return _none(steps, components, f"{name}: {reason}")
        scores, kept[name] = _principal(values, components)
        amplitudes = morlet(scores, episodes, timestep, BANDS[band]).amplitudes.reshape(steps, -1)
        known = np.isfinite(amplitudes).all(axis=1)
        if reason := _reason(amplitudes[known], components):
            return _none(steps, components, f"amplitudes of {name}: {reason}")
        spectral = np.full((steps, components), np.nan)
        spectral[known], kept[f"{name}, {band}"] = _principal(amplitudes[known], components)
        columns += [scores, spectral]
        names += [f"{name} {i}" for i in range(components)] + [f"{name}, {band} {i}" for i in range(components)]
    return BehaviouralFeatures(np.concatenate(columns, axis=1), tuple(names), Basis(band, timestep, kept))


def plot_behavioural_features(result: BehaviouralFeatures, ax: Axes | None = None) -> Axes:
    """All features over time, each over its own spread."""
    ax = axes_or_new(ax, (6.0, 4.0))
    spread = np.nanstd(result.values, axis=0)
    ax.imshow((result.values / np.where(spread > 0, spread, 1.0)).T, aspect="auto", vmin=-3, vmax=3, cmap="RdBu_r")
    ax.set_xlabel("step")
    ax.set_ylabel("feature")
    return ax


def _principal(values: Array, components: int) -> tuple[Array, Array]:
    """Scores (steps, components), and the mean in a row before the axes (1 + components, columns)."""
    found = PCA(components, random_state=0)
    return found.fit_transform(values), np.concatenate([found.mean_[None], found.components_])


def _reason(values: Array, components: int) -> str:
    if reason := first_reason(values, components + 1):
        return reason
    of = rank(values - values.mean(axis=0))
    return "" if of >= components else f"rank {of}; needs {components} for as many components"


def _none(steps: int, components: int, reason: str) -> BehaviouralFeatures:
    return BehaviouralFeatures(np.full((steps, 4 * components), np.nan), (), None, reason)

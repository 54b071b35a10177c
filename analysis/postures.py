"""Eigenpostures: the principal components of joint angles and positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA

from analysis.dealing import Dealing
from analysis.drawing import axes_or_new
from analysis.inference import UNKNOWN, Estimate, about, not_estimable, resampled_rows
from analysis.inputs import Array, codes, first_reason, matrix, rank


@dataclass(frozen=True)
class Postures:
    """Principal components of postures.

    Attributes:
        components: (components, features), orthonormal.
        scores: (steps, components).
        mean: (features,).
        ratios: (components,) share of variance of each.
        explained: share of variance of all of them; the null takes each feature from another episode. There are as
            many sources as episodes, so that features which take the same one stay as they are together: with few
            episodes it explains more than independent features would.
    """

    components: Array
    scores: Array
    mean: Array
    ratios: Array
    explained: Estimate

    def project(self, features: ArrayLike) -> Array:
        """(steps, components) scores of other postures (steps, features)."""
        return (matrix(features, "features") - self.mean) @ self.components.T


def eigenpostures(
    features: ArrayLike, episodes: ArrayLike, components: int = 15, draws: int = 20, seed: int = 0
) -> Postures:
    """PCA of joint angles, or of joint positions in the torso's frame (the paper takes 15 of each).

    Args:
        features: (steps, features).
        episodes: (steps,) labels, for the null and the interval.
        components: how many.
        draws: of both.
        seed: of both.
    """
    values = matrix(features, "features")
    groups, rng = codes(episodes, len(values), "episodes"), np.random.default_rng(seed)
    reason = first_reason(values)
    if not reason and (of := rank(values - values.mean(axis=0))) < components:
        reason = f"rank {of}; needs {components} for as many components"
    if reason:
        nothing = np.full((components, values.shape[1]), np.nan)
        scores = np.full((len(values), components), np.nan)
        return Postures(nothing, scores, nothing[0], nothing[:, 0], not_estimable(reason))
    model = PCA(components, random_state=seed).fit(values)
    dealing = Dealing.of(groups)
    null = [_share(dealing.apart(values, rng), components) for _ in range(draws)]
    ratios, interval = model.explained_variance_ratio_, UNKNOWN
    share = float(ratios.sum())
    if groups.max() > 0:
        drawn = [_share(values[resampled_rows(groups, rng)], components) for _ in range(draws)]
        interval = about(share, drawn, 0, 1)  # episodes drawn twice leave fewer postures, which fit more easily
    explained = Estimate(share, {"features of other episodes": np.array(null)}, interval)
    return Postures(model.components_, model.transform(values), model.mean_, ratios, explained)


def plot_postures(result: Postures, ax: Axes | None = None) -> Axes:
    """Explained variance, one component after the other."""
    ax = axes_or_new(ax)
    ax.plot(np.arange(1, len(result.ratios) + 1), np.cumsum(result.ratios), "o-")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("components")
    ax.set_ylabel("variance explained, cumulative")
    return ax


def _share(values: Array, components: int) -> float:
    centred = values - values.mean(axis=0)
    variances = np.maximum(np.linalg.eigvalsh(centred.T @ centred)[::-1], 0.0)
    return float(variances[:components].sum() / variances.sum())

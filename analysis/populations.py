"""Dimensions of a population: PCA, factor analysis, participation ratio and intrinsic dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skdim
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA

from analysis.dealing import Dealing
from analysis.drawing import axes_or_new
from analysis.factor_analysis import fit_factors
from analysis.inference import (
    Estimate,
    UnitEstimates,
    about,
    episode_folds,
    not_estimable,
    percentile_interval,
    resampled_rows,
)
from analysis.inputs import Array, Labels, codes, column_reasons, first_reason, matrix, task_codes

_CONTROL = "units of other episodes"
_RARE = "constant but in a few episodes: nothing to learn it from where these are held out"


@dataclass(frozen=True)
class Dimensions:
    """How many dimensions a population uses.

    Attributes:
        variances: (components,) of the principal components, descending.
        components: (components, units).
        participation: participation ratio. Its null takes each unit from another episode; shared dimensions put the
            ratio below it. There are as many sources as episodes, so that units which take the same one stay as they
            are together: with few episodes it lies far below the dimension of independent units, and is strict.
        concentration: 1 / participation, which beats its null where units share dimensions.
        intrinsic: dimension of the manifold by TwoNN (Facco et al. 2017); the same null; nonlinear.
    """

    variances: Array
    components: Array
    participation: Estimate
    concentration: Estimate
    intrinsic: Estimate


@dataclass(frozen=True)
class SharedVariance:
    """Factor analysis.

    Attributes:
        loadings: (factors, units).
        shared: (units,) share of each unit's variance that the factors carry; the null takes each unit from other
            episodes by itself.
        log_likelihood: (factors tried,) mean a step of held-out episodes, for 1, 2, ... factors.
        factors: the number with the greatest of these.
    """

    loadings: Array
    shared: UnitEstimates
    log_likelihood: Array
    factors: int


def participation_ratio(variances: ArrayLike) -> float:
    """(sum of eigenvalues)^2 / sum of their squares (Gao et al. 2017); NaN where all are 0."""
    values = np.asarray(variances, dtype=np.float64)
    squares = np.square(values).sum()
    return float(values.sum() ** 2 / squares) if squares > 0 else float("nan")


def dimensions(
    activity: ArrayLike,
    episodes: ArrayLike,
    draws: int = 20,
    samples: int = 2000,
    seed: int = 0,
    intrinsic_draws: int | None = None,
) -> Dimensions:
    """PCA of the activity, with linear and nonlinear dimension.

    Args:
        activity: (steps, units); units with a number that is not finite are left out, and zero in the components.
        episodes: (steps,) labels, for nulls and intervals.
        draws: of both.
        samples: steps for the intrinsic dimension, drawn at random. Their neighbours must not be copies, nor the steps
            just before and after, which lie on one path: give activity of steps that are far apart.
        seed: of the draws.
        intrinsic_draws: of the intrinsic dimension's null and interval, each of which seeks neighbours; None for as
            many as the others, of which they are the first.
    """
    units = matrix(activity, "activity")
    groups, rng = codes(episodes, len(units), "episodes"), np.random.default_rng(seed)
    finite = np.asarray(np.isfinite(units).all(axis=0))
    if reason := first_reason(units[:, finite] if finite.any() else units, 10):
        none, nothing = not_estimable(reason), np.full((1, units.shape[1]), np.nan)
        return Dimensions(nothing[0, :1], nothing, none, none, none)
    units = units[:, finite]
    model = PCA(svd_solver="covariance_eigh").fit(units)
    components = np.zeros((len(model.components_), len(finite)))
    components[:, finite] = model.components_
    dealing, nearest = Dealing.of(groups), _Nearest.of(units, samples, rng)
    null, near = np.empty(draws), []
    single = (units - units.mean(axis=0)).astype(np.float32)  # precise enough for what chance gives
    for draw in range(draws):
        apart = dealing.apart(single, rng)
        null[draw] = _participation(apart)
        if draw < (draws if intrinsic_draws is None else intrinsic_draws) and not nearest.reason:
            near.append(_two_nn(apart[nearest.rows].astype(np.float64)))
    drawn = (single[resampled_rows(groups, rng)] for _ in range(draws if groups.max() > 0 else 0))
    resampled = np.array([_participation(part) for part in drawn])
    value, control = participation_ratio(model.explained_variance_), _CONTROL
    return Dimensions(
        model.explained_variance_, components,
        Estimate(value, {control: null}, about(value, resampled, 1)),
        Estimate(1 / value, {control: 1 / null}, about(1 / value, 1 / resampled, 0, 1)),
        _intrinsic(units, nearest, np.array(near), rng),
    )  # fmt: skip


def shared_variance(
    activity: ArrayLike,
    episodes: ArrayLike,
    most_factors: int = 10,
    folds: int = 4,
    draws: int = 10,
    seed: int = 0,
    resamples: int | None = None,
    tasks: ArrayLike | None = None,
) -> SharedVariance:
    """Factor analysis with the number of factors that predicts held-out episodes best.

    Args:
        activity: (steps, units).
        episodes: (steps,) labels.
        most_factors: the greatest number tried.
        folds: at most the number of episodes.
        draws: of the null, and of the interval where `resamples` is None.
        seed: of both.
        resamples: of the interval.
        tasks: (steps,) labels, one an episode: each task's mean is removed, since what sets tasks apart would be a
            factor, and the null deals within tasks; None for one task.
    """
    units = _about_tasks(matrix(activity, "activity"), tasks)
    groups, rng = codes(episodes, len(units), "episodes"), np.random.default_rng(seed)
    reasons = column_reasons(units)
    if groups.max() < 1:
        reasons = ("one episode: nothing to hold out",) * units.shape[1]
    split = list(episode_folds(groups, folds)) if groups.max() > 0 else []
    rare = np.zeros(units.shape[1], dtype=bool)
    for learnt, _ in split:
        rare |= np.ptp(units[learnt], axis=0) == 0
    reasons = tuple(r or (_RARE if seldom else "") for r, seldom in zip(reasons, rare, strict=True))
    known = np.flatnonzero([not reason for reason in reasons])
    if len(known) < 3:
        reasons = tuple(reason or f"{len(known)} units; needs at least 3" for reason in reasons)
        nothing = np.full((1, units.shape[1]), np.nan)
        shared = UnitEstimates(nothing[0], _CONTROL, nothing, np.repeat(nothing, 2, 0), reasons)
        return SharedVariance(nothing, shared, np.full(1, np.nan), 0)
    wanted, tried = units[:, known], range(1, min(most_factors, len(known) - 1) + 1)
    likelihood = np.array(
        [np.mean([fit_factors(wanted[a], n).log_likelihood(wanted[b]) for a, b in split]) for n in tried]
    )
    factors = int(np.argmax(likelihood)) + 1
    value, interval = np.full(units.shape[1], np.nan), np.full((2, units.shape[1]), np.nan)
    null, loadings = np.full((draws, units.shape[1]), np.nan), np.full((factors, units.shape[1]), np.nan)
    model = fit_factors(wanted, factors)
    value[known], loadings[:, known] = model.shared, model.loadings
    dealing = Dealing.of(groups, tasks)
    null[:, known] = [fit_factors(dealing.apart(wanted, rng), factors).shared for _ in range(draws)]
    again = draws if resamples is None else resamples
    drawn = [fit_factors(wanted[resampled_rows(groups, rng)], factors).shared for _ in range(again)]
    interval[:, known] = percentile_interval(np.array(drawn))
    shared = UnitEstimates(value, _CONTROL, null, interval, reasons)
    return SharedVariance(loadings, shared, likelihood, factors)


def share_of_factors(activity: ArrayLike, factors: int, tasks: ArrayLike | None = None) -> Array:
    """(units,) share of each unit's variance that so many factors carry; NaN of a unit that tells nothing.

    Args:
        activity: (steps, units).
        factors: how many.
        tasks: as in `shared_variance`.
    """
    units = _about_tasks(matrix(activity, "activity"), tasks)
    known = np.array([not reason for reason in column_reasons(units)])
    found = np.full(units.shape[1], np.nan)
    if known.sum() > factors > 0:
        found[known] = fit_factors(units[:, known], factors).shared
    return found


def plot_dimensions(result: Dimensions, ax: Axes | None = None) -> Axes:
    """Share of variance of each component, with the dimensions in the title."""
    ax = axes_or_new(ax)
    ax.semilogy(np.arange(1, len(result.variances) + 1), result.variances / result.variances.sum(), "o-", ms=3)
    ax.set_xlabel("component")
    ax.set_ylabel("share of variance")
    ax.set_title(f"participation {result.participation.value:.1f}, intrinsic {result.intrinsic.value:.1f}")
    return ax


def plot_shared_variance(result: SharedVariance, ax: Axes | None = None) -> Axes:
    """Held-out log likelihood against the number of factors."""
    ax = axes_or_new(ax)
    ax.plot(np.arange(1, len(result.log_likelihood) + 1), result.log_likelihood, "o-")
    ax.set_xlabel("factors")
    ax.set_ylabel("held-out log likelihood a step")
    return ax


def _participation(units: NDArray) -> float:
    """The participation ratio, of the covariance's trace and squares, which are those of its eigenvalues."""
    centred = units - units.mean(axis=0)
    products = centred.T @ centred
    squares = float(np.square(products, dtype=np.float64).sum())
    return float(np.trace(products, dtype=np.float64) ** 2 / squares) if squares > 0 else float("nan")


def _about_tasks(units: Array, tasks: ArrayLike | None) -> Array:
    """Units about their mean in each task."""
    if tasks is None:
        return units
    labels = task_codes(tasks, len(units))
    return units - np.stack([units[labels == task].mean(axis=0) for task in range(labels.max() + 1)])[labels]


@dataclass(frozen=True)
class _Nearest:
    """The steps among which neighbours are sought, or why there are none."""

    rows: Labels
    reason: str

    @classmethod
    def of(cls, units: Array, samples: int, rng: np.random.Generator) -> _Nearest:
        if units.shape[1] < 2 or len(units) < 20:
            return cls(np.arange(0), f"{len(units)} steps of {units.shape[1]} units; needs 20 steps of 2 units")
        rows = rng.choice(len(units), min(samples, len(units)), replace=False)
        repeated = len(np.unique(units[rows], axis=0)) < len(rows)
        return cls(rows, "steps that repeat each other have no nearest neighbours" if repeated else "")


def _intrinsic(units: Array, nearest: _Nearest, null: Array, rng: np.random.Generator) -> Estimate:
    if nearest.reason:
        return not_estimable(nearest.reason)
    rows = nearest.rows
    value = _two_nn(units[rows])
    halves = [_two_nn(units[rng.choice(rows, len(rows) // 2, replace=False)]) for _ in null]
    # Half-samples spread as the whole does about the truth, to first order.
    return Estimate(value, {_CONTROL: null}, about(value, halves))


def _two_nn(units: Array) -> float:
    return float(skdim.id.TwoNN().fit(units).dimension_)

"""Linear dynamics of population states: Hankel DMD, BOP-DMD, and one-step prediction of held-out episodes."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from pydmd import BOPDMD, HankelDMD
from sklearn.linear_model import Ridge

from analysis.controls import shift_within_episodes
from analysis.drawing import axes_or_new, plot_estimates
from analysis.inference import (
    Estimate,
    bootstrap_weights,
    episode_folds,
    episode_sums,
    not_estimable,
    percentile_interval,
)
from analysis.inputs import Array, Labels, codes, first_reason, matrix
from rodent.errors import UsageError

_STEEPEST = 500  # the exponent of a mode over a path; e^709 is the greatest number


@dataclass(frozen=True)
class Modes:
    """Oscillations of a linear system, one a pair of conjugate modes, the slowest first.

    Attributes:
        frequencies: (modes,) Hz, 0 for a mode that only grows or decays.
        growth: (modes,) 1/s, negative where the mode decays.
        frequency_interval: (2, modes) 1.96 SD over BOP-DMD's bags of the complex rate, which is all that PyDMD tells:
            the spread of the growth is in it, so that it is wider than the frequency's own. NaN for Hankel DMD.
        reconstruction: explained variance of the path by the modes.
        reason: why there are none; empty where there are.
    """

    frequencies: Array
    growth: Array
    frequency_interval: Array
    reconstruction: float
    reason: str = ""


@dataclass(frozen=True)
class LinearDynamics:
    """x(t + 1) = A x(t) + b.

    Attributes:
        matrix: (components, components) A, fitted on all episodes.
        offset: (components,) b.
        predicted: explained variance of the change from step to step in held-out episodes; one null rolls
            the changes against the states within each episode. The other predicts each component from itself alone:
            that noise returns to its mean is no dynamics of a population. It is the value without what the others
            add, over episodes drawn with replacement, the same for both predictions.
    """

    matrix: Array
    offset: Array
    predicted: Estimate


def hankel_dmd(path: ArrayLike, timestep: float, rank: int, delays: int) -> Modes:
    """Dynamic mode decomposition of delay coordinates (Brunton et al. 2017), by PyDMD.

    Args:
        path: (steps, components) of one episode.
        timestep: s.
        rank: modes, conjugates counted; an even number for oscillations.
        delays: steps of each delay vector.
    """
    values = matrix(path, "path")
    if reason := _reason(values, rank, delays):
        return _no_modes(rank, reason)
    model = HankelDMD(svd_rank=rank, d=delays, exact=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyDMD warns of ill-conditioned delay matrices, which noiseless paths have
        model.fit(values.T)
    rates = np.log(model.eigs.astype(complex)) / timestep
    return _modes(rates, np.full((2, len(rates)), np.nan), values, model.reconstructed_data.T[: len(values)])


def bop_dmd(path: ArrayLike, timestep: float, rank: int, bags: int = 20, seed: int = 0) -> Modes:
    """Optimised DMD with bagging (Sashidhar and Kutz 2022), by PyDMD: robust to noise, with intervals.

    No mode grows or decays faster than e-fold a step, nor by more than e^500 over the path, where numbers end.

    Args:
        path: (steps, components) of one episode, at least as many components as `rank`; delay coordinates else.
        timestep: s.
        rank: modes, conjugates counted.
        bags: fits on random halves of the steps; 0 for one fit on all.
        seed: of the bags. PyDMD draws from NumPy's global generator, whose state is put back afterwards.
    """
    values = matrix(path, "path")
    if reason := _reason(values, rank, 1):
        return _no_modes(rank, reason)
    time, before = timestep * np.arange(len(values), dtype=np.float64), np.random.get_state()
    np.random.seed(seed)
    try:
        # It warns and prints of bags that do not converge, which it leaves out itself.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            model = BOPDMD(
                svd_rank=rank,
                num_trials=bags,
                trial_size=0.5,
                eig_constraints={"conjugate_pairs", "limited"},
                real_eig_limit=min(1 / timestep, _STEEPEST / (timestep * len(values))),
            )
            model.fit(values.T, time)
    except (np.linalg.LinAlgError, RuntimeError, ValueError) as error:
        return _no_modes(rank, f"the fit failed: {' '.join(str(error).split()).rstrip('.')}")
    finally:
        np.random.set_state(before)
    spread = np.zeros(rank) if bags == 0 else 1.96 * np.asarray(model.eigenvalues_std).real
    hertz = np.abs(model.eigs.imag) / (2 * np.pi)
    interval = np.stack([hertz - spread / (2 * np.pi), hertz + spread / (2 * np.pi)])
    interval = np.full_like(interval, np.nan) if bags == 0 else interval
    found = _modes(model.eigs, interval, values, _forecast(model, time))
    return found if found.reconstruction > 0 else _no_modes(rank, "the modes rebuild no more than the path's mean does")


def linear_dynamics(
    states: ArrayLike, episodes: ArrayLike, penalty: float = 1e-3, folds: int = 5, draws: int = 60, seed: int = 0
) -> LinearDynamics:
    """Fit one linear map to all episodes and score it on those left out.

    Args:
        states: (steps, components), as the leading principal components.
        episodes: (steps,) labels; no pair of steps spans two of them.
        penalty: of the ridge, a share of the number of steps, on standardised states.
        folds: at most the number of episodes.
        draws: of null and interval.
        seed: of both.
    """
    values = matrix(states, "states")
    groups = codes(episodes, len(values), "episodes")
    count = values.shape[1]
    inside = np.flatnonzero(groups[1:] == groups[:-1])
    reason = first_reason(values, count + 2)
    if not reason and len(np.unique(groups[inside])) < 2:
        reason = "fewer than two episodes of two steps: nothing to hold out"
    now, change = values[inside], values[inside + 1] - values[inside]
    if not reason and not change.any():
        reason = "the state never moves"
    if reason:
        return LinearDynamics(np.full((count, count), np.nan), np.full(count, np.nan), not_estimable(reason))
    scale = float(values.std())
    group = np.unique(groups[inside], return_inverse=True)[1]
    alpha, rng = penalty * len(now) * scale**2, np.random.default_rng(seed)
    maps = _Maps.of(now, group, alpha, folds)
    errors, totals = maps.errors(change)
    null = []
    for _ in range(draws):
        moved = maps.errors(shift_within_episodes(change, group, rng))
        null.append(1 - moved[0].sum() / moved[1].sum())
    weights = bootstrap_weights(len(errors), 500, rng)
    low, high = percentile_interval(1 - (weights @ errors) / (weights @ totals))
    model = Ridge(alpha=alpha).fit(now, change)
    value = float(1 - errors.sum() / totals.sum())
    alone = sum(_Maps.of(now[:, [i]], group, alpha, folds).errors(change[:, [i]])[0] for i in range(count))
    nulls = {
        "shifts within episodes": np.array(null),
        "each component alone": value - (weights @ (np.asarray(alone) - errors)) / (weights @ totals),
    }
    predicted = Estimate(value, nulls, (float(low), float(high)))
    return LinearDynamics(model.coef_ + np.eye(count), model.intercept_, predicted)


def plot_modes(result: Modes, ax: Axes | None = None) -> Axes:
    """Growth against frequency."""
    ax = axes_or_new(ax)
    ax.errorbar(result.frequencies, result.growth, xerr=np.diff(result.frequency_interval, axis=0)[0] / 2, fmt="o")
    ax.axhline(0, color="grey", lw=0.8)
    ax.set_xlabel("frequency (Hz)")
    ax.set_ylabel("growth (1/s)")
    return ax


def plot_linear_dynamics(result: LinearDynamics, ax: Axes | None = None) -> Axes:
    """How much of held-out changes a linear map predicts."""
    return plot_estimates({"linear": result.predicted}, "explained change", ax)


def _forecast(model: BOPDMD, time: NDArray) -> Array:
    """(steps, components) by the mean of the bags' modes."""
    return (model.modes @ np.diag(model.amplitudes) @ np.exp(np.outer(model.eigs, time))).T


def _modes(rates: Array, interval: Array, values: Array, rebuilt: Array) -> Modes:
    """One of each conjugate pair."""
    hertz = rates.imag / (2 * np.pi)
    one = np.flatnonzero(hertz > -1e-9)
    one = one[np.argsort(hertz[one])]
    total = np.square(values - values.mean(axis=0)).sum()
    explained = float(1 - np.square(values - rebuilt.real).sum() / total)
    return Modes(np.abs(hertz[one]), rates.real[one], interval[:, one], explained)


def _no_modes(rank: int, reason: str) -> Modes:
    nothing = np.full(rank, np.nan)
    return Modes(nothing, nothing, np.stack([nothing, nothing]), float("nan"), reason)


def _reason(values: Array, rank: int, delays: int) -> str:
    if rank < 1 or delays < 1:
        raise UsageError(f"rank {rank} and {delays} delays; give at least 1 of each")
    if reason := first_reason(values, delays + rank + 1):
        return reason
    windows = np.lib.stride_tricks.sliding_window_view(values, delays, axis=0).reshape(len(values) - delays + 1, -1)
    found = np.linalg.matrix_rank(windows)
    return "" if found >= rank else f"rank {found}; needs {rank}, so use fewer modes or more delays"


@dataclass(frozen=True)
class _Maps:
    """Ridge maps of held-out episodes, from states that are decomposed once for however many changes of them.

    Attributes:
        group: (steps,) episodes, 0, 1, ...
        folds: of each, the steps to learn from, those held out, what the map is of the changes to learn from (states,
            training steps), and the held-out states about the mean of the others.
    """

    group: Labels
    folds: tuple[tuple[Labels, Labels, Array, Array], ...]

    @classmethod
    def of(cls, states: Array, group: Labels, alpha: float, folds: int) -> _Maps:
        found = []
        for train, test in episode_folds(group, folds):
            mean = states[train].mean(axis=0)
            taught = states[train] - mean
            penalised = taught.T @ taught + alpha * np.eye(states.shape[1])
            found.append((train, test, np.linalg.solve(penalised, taught.T), states[test] - mean))
        return cls(group, tuple(found))

    def errors(self, change: Array) -> tuple[Array, Array]:
        """Squared errors and totals of each episode, of changes (steps, columns)."""
        errors, totals = np.zeros((2, len(change)))
        for train, test, learnt, held in self.folds:
            mean = change[train].mean(axis=0)
            about = change[test] - mean
            errors[test] = np.square(about - held @ (learnt @ (change[train] - mean))).sum(axis=1)
            totals[test] = np.square(about).sum(axis=1)
        return episode_sums(errors, self.group), episode_sums(totals, self.group)

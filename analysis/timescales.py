"""Timescales of units: how long activity resembles itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy import fft

from analysis.drawing import axes_or_new
from analysis.inference import UnitEstimates, bootstrap_weights, percentile_interval
from analysis.inputs import Array, Labels, codes, column_reasons, matrix, task_codes

_GRID, _SECTIONS = 40, 36  # taus to begin with, and how often their neighbourhood is cut
_GOLDEN = (np.sqrt(5) - 1) / 2
_SHORTEST = 8  # steps of an episode that tells anything of lags
NO_DECAY = "no decay within the longest lag"
"""Why a unit has no timescale that is slower than all that were looked for."""


@dataclass(frozen=True)
class Timescales:
    """Decay times of the units.

    Attributes:
        tau: seconds; the null is white noise in the same episodes, which is what a unit without memory gives. Of a unit
            that oscillates it tells how soon it leaves its value within one period (a tenth to a fifth of it, if
            nothing damps it), and no memory: the exponential's scale is at most 2, where such fits end.
        autocorrelation: (lags, units), lag 0 first.
        timestep: s.
    """

    tau: UnitEstimates
    autocorrelation: Array
    timestep: float


def unit_timescales(
    activity: ArrayLike,
    episodes: ArrayLike,
    timestep: float,
    longest: int = 500,
    draws: int = 50,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> Timescales:
    """Time constant of an exponential fitted to each unit's autocorrelation.

    The mean over all episodes of a task is removed, never each episode's own: that would take slow changes away and
    bias a tau of 100 steps down to 70. One mean over several tasks would leave what sets them apart, which never
    decays: a unit that prefers a task would look slow. The fit ends where the autocorrelation first falls below 0.1,
    since what follows is noise.

    Args:
        activity: (steps, units).
        episodes: (steps,) labels; products never span two of them.
        timestep: s.
        longest: lag in steps; cut to two thirds of the median episode. To a lag counts whichever episode is longer;
            those that are shorter than a tenth of the median one are left out.
        draws: of the null, and of episodes for the interval.
        seed: of the draws.
        tasks: (steps,) labels, one an episode; None for one task. Of a task with one episode that episode's own mean is
            all that can be removed.
    """
    units = matrix(activity, "activity")
    groups, rng = codes(episodes, len(units), "episodes"), np.random.default_rng(seed)
    task = task_codes(tasks, len(units))
    lengths = np.bincount(groups)
    long = (lengths >= np.median(lengths) / 10)[groups]
    units, task, groups = units[long], task[long], np.unique(groups[long], return_inverse=True)[1]
    lengths = np.bincount(groups)
    middle = int(np.median(lengths))
    lags = min(longest, 2 * middle // 3)
    reasons = _reasons(units, task)
    if middle < _SHORTEST:
        reasons = (f"episodes of {middle} steps; needs at least {_SHORTEST}",) * units.shape[1]
    known = np.array([not reason for reason in reasons])
    tau, null = np.full(units.shape[1], np.nan), np.full((draws, units.shape[1]), np.nan)
    interval, correlation = np.full((2, units.shape[1]), np.nan), np.full((max(lags, 1), units.shape[1]), np.nan)
    if known.any():
        products = _products(_centred(units[:, known], task), groups, lags)
        pairs = np.maximum(lengths[:, None] - np.arange(lags), 0)
        correlation[:, known] = _correlation(products, pairs, np.ones((1, len(lengths))))[0]
        tau[known] = timestep * _decay(correlation[:, known])
        weights = bootstrap_weights(len(lengths), draws, rng)
        weights = weights[(weights @ pairs > 0).all(axis=1)]  # some of the drawn episodes must be longer than each lag
        if len(weights) and len(lengths) > 1:
            samples = np.array([_decay(part) for part in _correlation(products, pairs, weights)])
            interval[:, known] = timestep * percentile_interval(samples)
        noise = _products(rng.normal(size=(len(units), max(draws, 1))), groups, lags)[..., :draws]
        null[:] = timestep * _decay(_correlation(noise, pairs, np.ones((1, len(lengths))))[0])[:, None]
        reasons = tuple(
            reason or ("" if np.isfinite(value) else NO_DECAY) for reason, value in zip(reasons, tau, strict=True)
        )
    return Timescales(UnitEstimates(tau, "white noise", null, interval, reasons), correlation, timestep)


def episode_timescales(
    activity: ArrayLike, episodes: ArrayLike, timestep: float, longest: int = 500, tasks: ArrayLike | None = None
) -> Array:
    """The timescale of each unit in each episode by itself, as `unit_timescales` has it over all of them.

    The mean that is removed is that of all episodes of a task. In one episode the number is noisy, so that single ones
    say little: it is there to compare layers over the same episodes.

    Args:
        activity: (steps, units).
        episodes: (steps,) labels.
        timestep: s.
        longest: lag in steps; cut to two thirds of each episode.
        tasks: (steps,) labels, one an episode; None for one task.

    Returns:
        (episodes, units) s, in the order of the sorted labels: infinite where a unit never decays, NaN where it is
        constant or where the episode is too short.
    """
    units = matrix(activity, "activity")
    groups = codes(episodes, len(units), "episodes")
    task = task_codes(tasks, len(units))
    known = np.array([not reason for reason in _reasons(units, task)])
    lengths = np.bincount(groups)
    found = np.full((len(lengths), units.shape[1]), np.nan)
    centred = _centred(units[:, known], task)
    for episode in np.flatnonzero(lengths >= _SHORTEST) if known.any() else ():
        lags, mine = min(longest, 2 * int(lengths[episode]) // 3), groups == episode
        products = _products(centred[mine], np.zeros(int(mine.sum()), dtype=np.int64), lags)
        pairs = np.maximum(lengths[episode] - np.arange(lags), 1)[None]
        flat = products[0, 0] <= 0
        products[0, 0, flat] = 1.0
        tau = timestep * _decay(_correlation(products, pairs, np.ones((1, 1)))[0])
        found[episode, known] = np.where(flat, np.nan, np.where(np.isfinite(tau), tau, np.inf))
    return found


def plot_timescales(result: Timescales, ax: Axes | None = None) -> Axes:
    """How many units have which timescale, on a logarithmic axis."""
    ax = axes_or_new(ax)
    known = result.tau.value[np.isfinite(result.tau.value)]
    if len(known):
        ax.hist(known, bins=np.geomspace(known.min() / 1.1, known.max() * 1.1, 25).tolist())
    ax.set_xscale("log")
    ax.set_xlabel("timescale (s)")
    ax.set_ylabel("units")
    return ax


def _centred(units: Array, task: Labels) -> Array:
    """(steps, units) less each task's mean."""
    centred = units.copy()
    for name in np.unique(task):
        centred[task == name] -= centred[task == name].mean(axis=0)
    return centred


def _reasons(units: Array, task: Labels) -> tuple[str, ...]:
    """Why a unit has no timescale; empty where it may have one."""
    within = [column_reasons(units[task == name]) for name in np.unique(task)]
    reasons = column_reasons(units)
    flat = [set(each) == {"constant"} for each in zip(*within, strict=True)]
    return tuple(
        reason or ("constant in each task" if same else "") for reason, same in zip(reasons, flat, strict=True)
    )


def _products(centred: Array, groups: Labels, lags: int) -> Array:
    """(episodes, lags, units) sums of products of steps that are a lag apart."""
    found = []
    for episode in range(groups.max() + 1):
        part = centred[groups == episode]
        size = fft.next_fast_len(len(part) + lags, real=True)
        power = np.abs(fft.rfft(part, n=size, axis=0)) ** 2
        found.append(fft.irfft(power, n=size, axis=0)[:lags])
    return np.array(found)


def _correlation(products: Array, pairs: Array, weights: Array) -> Array:
    """(draws, lags, units), each lag's mean product over that of lag 0."""
    mean = np.einsum("de,elu->dlu", weights, products) / (weights @ pairs)[:, :, None]
    return mean / mean[:, :1]


def _decay(correlation: Array) -> Array:
    """(units,) tau in steps of a exp(-lag / tau), from lag 1 on; NaN where it never falls below 1 / e."""
    found, least = np.full(correlation.shape[1], np.nan), np.exp(-1)
    gone = correlation[1] < least  # within a step: nothing is left to fit
    found[gone] = -1 / np.log(np.clip(correlation[1, gone], 1e-9, None))
    fitted = np.flatnonzero(~gone & (correlation < least).any(axis=0))
    if len(fitted):
        values = correlation[:, fitted]
        low = values < 0.1
        stop = np.maximum(np.where(low.any(axis=0), low.argmax(axis=0), len(values)), 4)
        found[fitted] = _fitted(values[: stop.max()], stop)
    return found


def _fitted(values: Array, stop: Labels) -> Array:
    """(units,) tau in steps of the exponential nearest to values (lags, units) before `stop`, its scale from 0 to 2.

    The best scale of each tau is known, so that tau alone is sought: on a grid of its logarithm, then by golden
    section.
    """
    lags = np.arange(1, len(values), dtype=np.float64)[:, None]
    inside = lags < stop
    wanted = np.where(inside, values[1:], 0.0)

    def error(logarithm: Array) -> Array:
        shape = np.where(inside, np.exp(-lags * np.exp(-logarithm)), 0.0)
        product, square = (shape * wanted).sum(axis=0), (shape**2).sum(axis=0)
        scale = np.clip(product / square, 0.0, 2.0)
        return scale**2 * square - 2 * scale * product

    grid = np.linspace(np.log(0.1), np.log(100.0 * len(values)), _GRID)
    best = np.argmin([error(np.full(values.shape[1], at)) for at in grid], axis=0)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID - 1)]
    for _ in range(_SECTIONS):
        first, second = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        left = error(first) < error(second)
        low, high = np.where(left, low, first), np.where(left, second, high)
    return np.exp((low + high) / 2)

"""Timescales of units: how long activity resembles itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy import fft, optimize

from analysis.drawing import axes_or_new
from analysis.inference import UnitEstimates, bootstrap_weights, percentile_interval
from analysis.inputs import Array, Labels, codes, column_reasons, matrix


@dataclass(frozen=True)
class Timescales:
    """Decay times of the units.

    Attributes:
        tau: seconds; the null is white noise in the same episodes, which is what a unit without memory gives.
        autocorrelation: (lags, units), lag 0 first.
        timestep: s.
    """

    tau: UnitEstimates
    autocorrelation: Array
    timestep: float


def unit_timescales(
    activity: ArrayLike, episodes: ArrayLike, timestep: float, longest: int = 500, draws: int = 50, seed: int = 0
) -> Timescales:
    """Time constant of an exponential fitted to each unit's autocorrelation.

    The mean over the whole recording is removed, never each episode's own: that would take slow changes away and
    bias a tau of 100 steps down to 70. The fit ends where the autocorrelation first falls below 0.1, since what
    follows is noise.

    Args:
        activity: (steps, units).
        episodes: (steps,) labels; products never span two of them.
        timestep: s.
        longest: lag in steps; cut to two thirds of the shortest episode.
        draws: of the null, and of episodes for the interval.
        seed: of the draws.
    """
    units = matrix(activity, "activity")
    groups, rng = codes(episodes, len(units), "episodes"), np.random.default_rng(seed)
    lengths = np.bincount(groups)
    lags = min(longest, 2 * int(lengths.min()) // 3)
    reasons = column_reasons(units)
    if lags < 5:
        reasons = (f"an episode of {lengths.min()} steps; needs at least 8",) * units.shape[1]
    known = np.array([not reason for reason in reasons])
    tau, null = np.full(units.shape[1], np.nan), np.full((draws, units.shape[1]), np.nan)
    interval, correlation = np.full((2, units.shape[1]), np.nan), np.full((max(lags, 1), units.shape[1]), np.nan)
    if known.any():
        centred = units[:, known] - units[:, known].mean(axis=0)
        products = _products(centred, groups, lags)
        pairs = np.maximum(lengths[:, None] - np.arange(lags), 1)
        correlation[:, known] = _correlation(products, pairs, np.ones((1, len(lengths))))[0]
        tau[known] = timestep * _decay(correlation[:, known])
        weights = bootstrap_weights(len(lengths), draws, rng)
        if len(lengths) > 1:
            samples = np.array([_decay(part) for part in _correlation(products, pairs, weights)])
            interval[:, known] = timestep * percentile_interval(samples)
        noise = _products(rng.normal(size=(len(units), draws)), groups, lags)
        null[:] = timestep * _decay(_correlation(noise, pairs, np.ones((1, len(lengths))))[0])[:, None]
        reasons = tuple(
            reason or ("" if np.isfinite(value) else "no decay within the longest lag")
            for reason, value in zip(reasons, tau, strict=True)
        )
    return Timescales(UnitEstimates(tau, "white noise", null, interval, reasons), correlation, timestep)


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
    found = np.full(correlation.shape[1], np.nan)
    for unit, values in enumerate(correlation.T):
        if not (values < np.exp(-1)).any():
            continue
        if values[1] < np.exp(-1):  # gone within a step: nothing is left to fit
            found[unit] = -1 / np.log(np.clip(values[1], 1e-9, None))
            continue
        stop = max(int((values < 0.1).argmax()) if (values < 0.1).any() else len(values), 4)
        lag = np.arange(1, stop)
        start = max(float((values < np.exp(-1)).argmax()), 0.5)
        fitted, _ = optimize.curve_fit(_exponential, lag, values[1:stop], (1.0, start), bounds=([0, 1e-3], [2, 1e6]))
        found[unit] = fitted[1]
    return found


def _exponential(lag: Array, scale: float, tau: float) -> Array:
    return scale * np.exp(-lag / tau)

"""Sequences around events: units in the order of their peaks, and variability over the events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from analysis.drawing import axes_or_new
from analysis.inference import UNKNOWN, Estimate, ends, not_estimable, resampled_rows
from analysis.inputs import Array, Labels, codes, column_reasons, matrix
from rodent.errors import UsageError


@dataclass(frozen=True)
class Sequence:
    """Activity around events, its units ordered by peak.

    Attributes:
        mean: (offsets, units) over the events of one half of the episodes.
        order: (units,) sorted by the peak in the other half, so that the picture of the one is no tautology.
        reliability: rank correlation of peak offsets between the halves; the null rolls each unit in each event by a
            lag of its own. The interval draws the episodes of each half.
        variability: (offsets,) variance over events of standardised units, averaged over them, over its mean across
            offsets.
        fall: 1 less the least of the variability: how far it falls at some time from the event; the null rolls all
            units of each event by one lag. The interval draws episodes.
        offsets: (offsets,) steps from the event.
    """

    mean: Array
    order: NDArray[np.int64]
    reliability: Estimate
    variability: Array
    fall: Estimate
    offsets: NDArray[np.int64]


def around_events(activity: ArrayLike, events: ArrayLike, episodes: ArrayLike, before: int, after: int) -> Array:
    """(events, before + after, units) windows; those that leave their event's episode are left out.

    Args:
        activity: (steps, units).
        events: (events,) steps.
        episodes: (steps,) labels.
        before: steps shown ahead of the event.
        after: steps from the event on.

    Raises:
        UsageError: where an event is no step of the recording or the window is empty.
    """
    units, steps = matrix(activity, "activity"), np.asarray(events, dtype=np.int64)
    groups = codes(episodes, len(units), "episodes")
    if before < 0 or after < 0 or before + after < 1:
        raise UsageError(f"a window of {before} steps before and {after} after; give at least one step in all")
    if len(steps) and (steps.min() < 0 or steps.max() >= len(units)):
        raise UsageError(f"an event lies outside of the {len(units)} steps; give indices from 0 on")
    windows = [units[step - before : step + after] for step in steps[_whole(steps, groups, before, after)]]
    return np.array(windows).reshape(len(windows), before + after, units.shape[1])


def sequence(
    activity: ArrayLike,
    events: ArrayLike,
    episodes: ArrayLike,
    before: int,
    after: int,
    draws: int = 200,
    seed: int = 0,
) -> Sequence:
    """Order the units by their peak in half of the episodes and look at the other half.

    The episodes that have events are dealt to two halves in turn: events of one episode follow each other closely, so
    that their windows may overlap, and are alike.

    Args:
        activity: (steps, units).
        events: (events,) steps.
        episodes: (steps,) labels.
        before: steps shown ahead of the event.
        after: steps from the event on.
        draws: of the null, and of episodes for the interval.
        seed: of the draws.
    """
    windows = around_events(activity, events, episodes, before, after)
    episode = _episodes(events, episodes, before, after)
    offsets, count = np.arange(-before, after), windows.shape[2]
    mean = np.full((len(offsets), count), np.nan)
    reasons = column_reasons(windows.reshape(-1, count)) if len(windows) else ()
    known = np.flatnonzero(np.array([not reason for reason in reasons], dtype=bool))
    if reason := _reason(windows, episode, len(known)):
        unknown = not_estimable(reason)
        return Sequence(mean, np.arange(count), unknown, mean[:, 0], unknown, offsets)
    windows = windows[:, :, known]
    rng, first = np.random.default_rng(seed), episode % 2 == 0
    even, odd = windows[first], windows[~first]
    null = [_reliability(*(_rolled(half, rng) for half in (odd, even))) for _ in range(draws)]
    value, interval = _reliability(odd, even), UNKNOWN
    if draws and episode.max() > 2:  # a half of one episode has nothing to draw
        halves = [(half, episode[of]) for half, of in ((odd, ~first), (even, first))]
        interval = ends(np.array([_reliability(*(_drawn(*half, rng) for half in halves)) for _ in range(draws)]))
    reliability = Estimate(value, {"rolled events": np.array(null)}, interval)
    if not np.isfinite(value):
        reliability = not_estimable("every unit peaks at the same offset")
    mean[:, known] = even.mean(axis=0)
    order = known[np.argsort(odd.mean(axis=0).argmax(axis=0), kind="stable")]
    variability = _variability(windows)
    fall = _fall(windows, episode, variability, draws, rng)
    return Sequence(mean, order, reliability, variability, fall, offsets)


def plot_variability(result: Sequence, ax: Axes | None = None, timestep: float | None = None) -> Axes:
    """Variance over the events, against its mean; `timestep` s are a step."""
    ax = axes_or_new(ax)
    unit, scale = ("steps", 1.0) if timestep is None else ("seconds", timestep)
    ax.axhline(1.0, color="0.7", lw=0.8)
    ax.plot(scale * result.offsets, result.variability)
    ax.set_xlabel(f"{unit} from the event")
    ax.set_ylabel("variance over events / its mean")
    return ax


def plot_sequence(result: Sequence, ax: Axes | None = None, timestep: float | None = None) -> Axes:
    """Standardised activity of one half of the episodes, units in the order of the other; `timestep` s are a step."""
    ax = axes_or_new(ax)
    spread = result.mean.std(axis=0)
    standard = (result.mean - result.mean.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    unit, scale = ("steps", 1.0) if timestep is None else ("seconds", timestep)
    extent = (scale * (result.offsets[0] - 0.5), scale * (result.offsets[-1] + 0.5), len(result.order), 0)
    image = ax.imshow(standard[:, result.order].T, aspect="auto", extent=extent, interpolation="nearest")
    ax.axvline(0, color="white", lw=0.8)
    ax.set_xlabel(f"{unit} from the event")
    ax.set_ylabel("unit, by peak in the other half")
    ax.figure.colorbar(image, ax=ax, label="activity (its own SDs)")
    return ax


def _whole(steps: Labels, groups: Labels, before: int, after: int) -> NDArray[np.bool_]:
    """(events,) whether the window around each stays within its episode."""
    return np.array(
        [
            before <= step <= len(groups) - after and (groups[step - before : step + after] == groups[step]).all()
            for step in steps
        ],
        dtype=bool,
    )


def _episodes(events: ArrayLike, episodes: ArrayLike, before: int, after: int) -> Labels:
    """(windows,) the episode of each whole window, 0, 1, ... among those that have one."""
    labels, steps = np.asarray(episodes), np.asarray(events, dtype=np.int64)
    groups = codes(labels, len(labels), "episodes")
    return np.unique(groups[steps[_whole(steps, groups, before, after)]], return_inverse=True)[1].astype(np.int64)


def _reason(windows: Array, episode: Labels, known: int) -> str:
    if len(windows) < 2:
        return f"{len(windows)} whole windows; needs at least 2"
    if episode.max() < 1:
        return "all events are of one episode; an order is asked in another one"
    return "" if known > 2 else f"{known} units that are finite and not constant; an order needs at least 3"


def _variability(windows: Array) -> Array:
    """(offsets,) variance over events of standardised units, averaged over them, over its mean; NaN for none."""
    spread = windows.std(axis=(0, 1))
    variance = (windows.var(axis=0) / np.where(spread > 0, spread, 1.0) ** 2).mean(axis=1)
    return variance / variance.mean() if variance.any() else np.full(len(variance), np.nan)


def _fall(windows: Array, episode: Labels, variability: Array, draws: int, rng: np.random.Generator) -> Estimate:
    if not np.isfinite(variability).all():
        return not_estimable("every event is alike")
    events, offsets = windows.shape[:2]
    steps = (np.arange(offsets) + rng.integers(offsets, size=(draws, events, 1))) % offsets
    at = np.arange(events)[:, None]
    null = np.array([1 - _variability(windows[at, lags]).min() for lags in steps])
    samples = np.array([1 - _variability(_drawn(windows, episode, rng)).min() for _ in range(draws)])
    interval = ends(samples) if draws else UNKNOWN
    return Estimate(float(1 - variability.min()), {"rolled events": null}, interval)


def _rolled(windows: Array, rng: np.random.Generator) -> Array:
    """Each unit in each event rolled by a lag of its own."""
    events, offsets, units = windows.shape
    start = rng.integers(offsets, size=(events, 1, units))
    return np.take_along_axis(windows, (np.arange(offsets)[None, :, None] + start) % offsets, axis=1)


def _drawn(windows: Array, episode: Labels, rng: np.random.Generator) -> Array:
    """The windows of as many episodes as there are, drawn with replacement."""
    return windows[resampled_rows(episode, rng)]


def _reliability(odd: Array, even: Array) -> float:
    peaks = [half.mean(axis=0).argmax(axis=0) for half in (odd, even)]
    if any(np.ptp(peak) == 0 for peak in peaks):
        return float("nan")
    return float(stats.spearmanr(*peaks).statistic)

"""Sequences around events: units in the order of their peaks, and variability over the events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from analysis.drawing import axes_or_new
from analysis.inference import UNKNOWN, Estimate, about, not_estimable, resampled_rows
from analysis.inputs import Array, Labels, codes, column_reasons, matrix
from rodent.errors import UsageError

_BLOCK = 1000  # windows held at once


@dataclass(frozen=True)
class Sequence:
    """Activity around events, its units ordered by peak.

    Attributes:
        mean: (offsets, units) over the events of one half of the episodes.
        order: (units,) sorted by the peak in the other half, so that the picture of the one is no tautology.
        reliability: rank correlation of the offsets at which units peak in one event with those at which they peak in
            the mean of the other half, mean over the events of both. The null moves all events of an episode by one
            lag, around its end, and so keeps what units share and how they follow each other: units that turn with
            a few signals hold an order, or its reverse, around any step. The interval draws the episodes of each half.
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
    return _windows(units, steps[_fits(groups, before, after)[steps]], before, after)


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
        episodes: (steps,) labels. They must be longer than a window, or events have nowhere to be moved to.
        before: steps shown ahead of the event.
        after: steps from the event on.
        draws: of the null, and of episodes for the interval.
        seed: of the draws.
    """
    windows = around_events(activity, events, episodes, before, after)
    groups = codes(episodes, len(np.asarray(activity)), "episodes")
    places = _Places.of(np.asarray(events, dtype=np.int64), groups, before, after)
    episode = places.episode
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
    peaks = _Peaks.of(np.asarray(activity, dtype=np.float64)[:, known], places, before, after)
    moved = (places.moved(rng) for _ in range(draws))
    null = [peaks.reliability(each[~first], each[first]) for each in moved]
    value, interval = peaks.reliability(places.recorded[~first], places.recorded[first]), UNKNOWN
    if draws and episode.max() > 2:  # a half of one episode has nothing to draw
        halves = [(places.recorded[of], episode[of]) for of in (~first, first)]
        samples = [peaks.reliability(*(_drawn(*half, rng) for half in halves)) for _ in range(draws)]
        interval = about(value, samples, -1, 1)
    reliability = Estimate(value, {"moved events": np.array(null)}, interval)
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


def _fits(groups: Labels, before: int, after: int) -> NDArray[np.bool_]:
    """(steps,) whether the window around each stays within its episode."""
    steps = np.arange(len(groups))
    first, last = steps - before, np.maximum(steps + after - 1, steps)
    inside = (first >= 0) & (last < len(groups))
    part = np.cumsum(np.diff(groups, prepend=groups[:1]) != 0)
    return inside & (part[np.where(inside, first, 0)] == part[np.where(inside, last, 0)])


def _windows(units: Array, steps: Labels, before: int, after: int) -> Array:
    """(events, offsets, units) around whole ones."""
    return units[steps[:, None] + np.arange(-before, after)]


@dataclass(frozen=True)
class _Places:
    """Where events are, and where else in their episodes they could be.

    Attributes:
        episode: (events,) of each that has a whole window, 0, 1, ... among those that have one.
        at: (events,) which of its episode's places it is at.
        steps: of each episode, the steps around which a window is whole.
    """

    episode: Labels
    at: Labels
    steps: tuple[Labels, ...]

    @classmethod
    def of(cls, events: Labels, groups: Labels, before: int, after: int) -> _Places:
        fits = _fits(groups, before, after)
        whole = events[fits[events]]
        names, episode = np.unique(groups[whole], return_inverse=True)
        steps = tuple(np.flatnonzero(fits & (groups == name)) for name in names)
        at = np.array([np.searchsorted(steps[one], step) for one, step in zip(episode, whole, strict=True)])
        return cls(episode.astype(np.int64), at.astype(np.int64), steps)

    def moved(self, rng: np.random.Generator) -> Labels:
        """(events,) steps, all events of an episode moved by one lag, around its end."""
        counts = np.array([len(steps) for steps in self.steps])
        at = (self.at + rng.integers(counts)[self.episode]) % counts[self.episode]
        return self._at(at)

    @property
    def recorded(self) -> Labels:
        """(events,) the steps where they are."""
        return self._at(self.at)

    def _at(self, at: Labels) -> Labels:
        return np.array([self.steps[one][place] for one, place in zip(self.episode, at, strict=True)], dtype=np.int64)


@dataclass(frozen=True)
class _Peaks:
    """In which order units peak around any step that events may be moved to.

    Attributes:
        units: (steps, units) activity.
        ranks: (places, units) ranks of the offsets of the peaks, less their mean and over their norm; 0 where all
            units peak at once.
        place: (steps,) the row of `ranks` of a step.
        before: steps of a window ahead of the event.
        after: and from it on.
    """

    units: Array
    ranks: Array
    place: Labels
    before: int
    after: int

    @classmethod
    def of(cls, units: Array, places: _Places, before: int, after: int) -> _Peaks:
        steps = np.concatenate(places.steps)
        ranks = np.empty((len(steps), units.shape[1]))
        for rows in np.array_split(np.arange(len(steps)), -(-len(steps) // _BLOCK)):
            ranks[rows] = _ranked(_windows(units, steps[rows], before, after).argmax(axis=1))
        place = np.zeros(len(units), dtype=np.int64)
        place[steps] = np.arange(len(steps))
        return cls(units, ranks, place, before, after)

    def reliability(self, odd: Labels, even: Labels) -> float:
        """How well the order around each event of a half (steps) is that of the other half's mean."""
        orders = [self._order(half) for half in (even, odd)]
        if any(np.ptp(order) == 0 for order in orders):
            return float("nan")
        held = [self.ranks[self.place[half]] @ _ranked(of) for half, of in zip((odd, even), orders, strict=True)]
        return float(np.concatenate(held).mean())

    def _order(self, events: Labels) -> Labels:
        """(units,) the offsets at which units peak in the mean over events."""
        offsets = range(-self.before, self.after)
        return np.array([self.units[events + offset].sum(axis=0) for offset in offsets]).argmax(axis=0)


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
    value = float(1 - variability.min())
    null = np.array([1 - _variability(_rolled(windows, rng)).min() for _ in range(draws)])
    samples = [1 - _variability(_drawn(windows, episode, rng)).min() for _ in range(draws)]
    return Estimate(value, {"rolled events": null}, about(value, samples, most=1))


def _rolled(windows: Array, rng: np.random.Generator) -> Array:
    """All units of each event rolled by one lag."""
    events, offsets = windows.shape[:2]
    steps = (np.arange(offsets) + rng.integers(offsets, size=(events, 1))) % offsets
    return windows[np.arange(events)[:, None], steps]


def _drawn(events: NDArray[Any], episode: Labels, rng: np.random.Generator) -> NDArray[Any]:
    """The events, or their windows, of as many episodes as there are, drawn with replacement."""
    return events[resampled_rows(episode, rng)]


def _ranked(peaks: Labels) -> Array:
    """(..., units) ranks of offsets of peaks, less their mean and over their norm: products are rank correlations."""
    ranks = stats.rankdata(peaks, axis=-1)
    ranks -= ranks.mean(axis=-1, keepdims=True)
    norm = np.sqrt(np.square(ranks).sum(axis=-1, keepdims=True))
    return np.asarray(ranks / np.where(norm > 0, norm, 1.0))

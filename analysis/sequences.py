"""Sequences around events: units in the order of their peaks, and variability over the events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from analysis.drawing import axes_or_new
from analysis.inference import UNKNOWN, Estimate, ends, not_estimable
from analysis.inputs import Array, codes, column_reasons, matrix
from rodent.errors import UsageError


@dataclass(frozen=True)
class Sequence:
    """Activity around events, its units ordered by peak.

    Attributes:
        mean: (offsets, units) over the even events.
        order: (units,) sorted by the peak in the odd events, so that the picture of the even ones is no tautology.
        reliability: rank correlation of peak offsets between odd and even events; the null rolls each unit
            in each event by a lag of its own.
        variability: (offsets,) variance over events of standardised units, averaged over them, over its mean across
            offsets.
        fall: 1 less the least of the variability: how far it falls at some time from the event; the null rolls all
            units of each event by one lag.
        offsets: (offsets,) steps from the event.
    """

    mean: Array
    order: NDArray[np.int64]
    reliability: Estimate
    variability: Array
    fall: Estimate
    offsets: NDArray[np.int64]


@dataclass(frozen=True)
class SequenceGain:
    """What a layer has more of than another one around the same events; the fields are those of `Sequence`.

    The null deals the units of both to two layers; the interval draws events, the same for both.
    """

    reliability: Estimate
    fall: Estimate


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
    windows = [
        units[step - before : step + after]
        for step in steps
        if step >= before
        and step + after <= len(units)
        and (groups[step - before : step + after] == groups[step]).all()
    ]
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
    """Order the units by their peak in half of the events and look at the other half.

    Args:
        activity: (steps, units).
        events: (events,) steps.
        episodes: (steps,) labels.
        before: steps shown ahead of the event.
        after: steps from the event on.
        draws: of the null, and of events for the interval.
        seed: of the draws.
    """
    windows = around_events(activity, events, episodes, before, after)
    offsets, count = np.arange(-before, after), windows.shape[2]
    mean = np.full((len(offsets), count), np.nan)
    reasons = column_reasons(windows.reshape(-1, count)) if len(windows) else ()
    known = np.flatnonzero(np.array([not reason for reason in reasons], dtype=bool))
    if reason := _reason(windows, len(known)):
        unknown = not_estimable(reason)
        return Sequence(mean, np.arange(count), unknown, mean[:, 0], unknown, offsets)
    windows = windows[:, :, known]
    rng = np.random.default_rng(seed)
    odd, even = windows[1::2], windows[0::2]
    null = [_reliability(*(_rolled(half, rng) for half in (odd, even))) for _ in range(draws)]
    samples = [_reliability(_drawn(odd, rng), _drawn(even, rng)) for _ in range(draws)]
    interval = ends(np.array(samples)) if len(windows) > 3 else UNKNOWN
    value = _reliability(odd, even)
    reliability = Estimate(value, {"rolled events": np.array(null)}, interval)
    if not np.isfinite(value):
        reliability = not_estimable("every unit peaks at the same offset")
    mean[:, known] = even.mean(axis=0)
    order = known[np.argsort(odd.mean(axis=0).argmax(axis=0), kind="stable")]
    variability = _variability(windows)
    return Sequence(mean, order, reliability, variability, _fall(windows, variability, draws, rng), offsets)


def compare_sequences(
    own: ArrayLike,
    other: ArrayLike,
    events: ArrayLike,
    episodes: ArrayLike,
    before: int,
    after: int,
    control: str,
    draws: int = 200,
    seed: int = 0,
) -> SequenceGain:
    """How much more reliable a layer's order is than another's, and how much deeper its variance falls.

    Args:
        own: (steps, units).
        other: (steps, units) of the other layer, such as an untrained network's.
        events: (events,) steps.
        episodes: (steps,) labels.
        before: steps shown ahead of the event.
        after: steps from the event on.
        control: what the null is called.
        draws: of the null, and of events for the interval.
        seed: of the draws.
    """
    pair = [_of_known_units(around_events(each, events, episodes, before, after)) for each in (own, other)]
    if reason := next(filter(None, (_reason(windows, windows.shape[2]) for windows in pair)), ""):
        return SequenceGain(not_estimable(reason), not_estimable(reason))
    rng = np.random.default_rng(seed)
    return SequenceGain(
        _gain(pair, _order_kept, "every unit peaks at the same offset", control, draws, rng),
        _gain(pair, _deepest, "every event is alike", control, draws, rng),
    )


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
    """Standardised activity of the even events, units in the order of the odd ones; `timestep` s are a step."""
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


def _reason(windows: Array, known: int) -> str:
    if len(windows) < 2:
        return f"{len(windows)} whole windows; needs at least 2"
    return "" if known > 2 else f"{known} units that are finite and not constant; an order needs at least 3"


def _variability(windows: Array) -> Array:
    """(offsets,) variance over events of standardised units, averaged over them, over its mean; NaN for none."""
    spread = windows.std(axis=(0, 1))
    variance = (windows.var(axis=0) / np.where(spread > 0, spread, 1.0) ** 2).mean(axis=1)
    return variance / variance.mean() if variance.any() else np.full(len(variance), np.nan)


def _fall(windows: Array, variability: Array, draws: int, rng: np.random.Generator) -> Estimate:
    if not np.isfinite(variability).all():
        return not_estimable("every event is alike")
    events, offsets = windows.shape[:2]
    steps = (np.arange(offsets) + rng.integers(offsets, size=(draws, events, 1))) % offsets
    at = np.arange(events)[:, None]
    null = np.array([1 - _variability(windows[at, lags]).min() for lags in steps])
    samples = [1 - _variability(_drawn(windows, rng)).min() for _ in range(draws)]
    interval = ends(np.array(samples)) if events > 3 else UNKNOWN
    return Estimate(float(1 - variability.min()), {"rolled events": null}, interval)


def _of_known_units(windows: Array) -> Array:
    """Windows of the units that are finite and not constant."""
    if not len(windows):
        return windows
    return windows[:, :, [not reason for reason in column_reasons(windows.reshape(-1, windows.shape[2]))]]


def _order_kept(windows: Array) -> float:
    return _reliability(windows[1::2], windows[0::2])


def _deepest(windows: Array) -> float:
    return float(1 - _variability(windows).min())


def _gain(
    pair: list[Array], statistic: Callable[[Array], float], why: str, control: str, draws: int, rng: np.random.Generator
) -> Estimate:
    """The statistic of the first layer's windows less that of the second's; `why` where either has none."""

    def difference(own: Array, other: Array) -> float:
        return statistic(own) - statistic(other)

    value = difference(*pair)
    if not np.isfinite(value):
        return not_estimable(why)
    both, count, events = np.concatenate(pair, axis=2), pair[0].shape[2], len(pair[0])
    orders = (rng.permutation(both.shape[2]) for _ in range(draws))
    null = np.array([difference(both[:, :, order[:count]], both[:, :, order[count:]]) for order in orders])
    interval = UNKNOWN
    if events > 3:
        drawn = (_drawn_in_halves(events, rng) for _ in range(draws))
        interval = ends(np.array([difference(*(windows[rows] for windows in pair)) for rows in drawn]))
    return Estimate(value, {control: null}, interval)


def _drawn_in_halves(events: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Events drawn with replacement, odd ones in odd places: no event comes into both halves."""
    rows = np.arange(events)
    for half in (0, 1):
        rows[half::2] = rng.choice(rows[half::2], size=len(rows[half::2]))
    return rows


def _rolled(windows: Array, rng: np.random.Generator) -> Array:
    """Each unit in each event rolled by a lag of its own."""
    events, offsets, units = windows.shape
    start = rng.integers(offsets, size=(events, 1, units))
    return np.take_along_axis(windows, (np.arange(offsets)[None, :, None] + start) % offsets, axis=1)


def _drawn(windows: Array, rng: np.random.Generator) -> Array:
    return windows[rng.integers(len(windows), size=len(windows))]


def _reliability(odd: Array, even: Array) -> float:
    peaks = [half.mean(axis=0).argmax(axis=0) for half in (odd, even)]
    if any(np.ptp(peak) == 0 for peak in peaks):
        return float("nan")
    return float(stats.spearmanr(*peaks).statistic)

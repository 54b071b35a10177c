"""Gait: footfalls, duty factor, strides against speed, and phases between limbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import signal, stats

from analysis.dealing import CONTROL, Dealing, with_any
from analysis.drawing import axes_or_new
from analysis.inference import UNKNOWN, Estimate, ends, not_estimable
from analysis.inputs import Array, Labels, codes, matrix
from rodent.errors import UsageError

_LABELS = {"frequency": "stride frequency (Hz)", "length": "stride length (m)", "duty": "duty factor"}


@dataclass(frozen=True)
class Strides:
    """One row a stride: from one touch-down of a limb to its next.

    Attributes:
        limb, start, episode: (strides,) index of the limb, step of the touch-down, index of the episode.
        frequency: (strides,) Hz.
        duty: (strides,) share of the stride on the ground.
        speed: (strides,) m/s, mean over the stride.
        length: (strides,) m, speed over frequency.
    """

    limb: Labels
    start: Labels
    episode: Labels
    frequency: Array
    duty: Array
    speed: Array
    length: Array


@dataclass(frozen=True)
class Gait:
    """How a body strode.

    Attributes:
        strides: all of them.
        against_speed: frequency, length and duty to their rank correlation with speed; the null takes the speed from
            other episodes, since strides that follow each other, and those of two limbs, are alike. The interval draws
            episodes.
        phase: (limbs, limbs) circular mean of the phase in the row's stride at which the column's limb touches down,
            0 to 1; NaN where there is none.
        phase_interval: (2, limbs, limbs) its ends, over episodes; around the phase, so that they may leave 0 to 1.
        coupling: (limbs, limbs) to the resultant length of these phases, 1 where each stride is alike; the null takes
            the other limb's touch-downs from other episodes, since two limbs of steady rhythms keep their phase for
            many strides whether or not they are coupled.
    """

    strides: Strides
    against_speed: Mapping[str, Estimate]
    phase: Array
    phase_interval: Array
    coupling: Mapping[tuple[int, int], Estimate]


def footfalls(signal: ArrayLike, episodes: ArrayLike, on: float, off: float) -> NDArray[np.bool_]:
    """(steps, limbs) whether a limb stands, with hysteresis: down above `on`, up again below `off`.

    Args:
        signal: (steps, limbs), greater where a limb bears weight: a force, or minus its height.
        episodes: (steps,) labels; each starts from its own first sample.
        on: the upper threshold.
        off: the lower one.

    Raises:
        UsageError: thresholds are the wrong way round, or a signal is NaN, but in an episode of one step: a speed is
            unknown there, and there is no footfall.
    """
    values = matrix(signal, "signal")
    groups = codes(episodes, len(values), "episodes")
    unknown = np.isnan(values).any(axis=1) & (np.bincount(groups)[groups] > 1)
    if unknown.any():
        raise UsageError(f"the signal is NaN at {unknown.sum()} steps; give one that is known, or leave episodes out")
    if off > on:
        raise UsageError(f"down above {on} and up below {off}; give an `off` that is not above `on`")
    decided = np.where(values >= on, 1, np.where(values < off, 0, -1))
    first = np.append(True, np.diff(groups) != 0)
    # Where a sample decides nothing, the last one that did still holds.
    undecided = decided == -1
    undecided[first] = False
    steps = np.where(undecided, 0, np.arange(len(values))[:, None])
    held = np.take_along_axis(decided, np.maximum.accumulate(steps, axis=0), axis=0)
    return held == 1


def gait(
    standing: ArrayLike,
    speed: ArrayLike,
    episodes: ArrayLike,
    timestep: float,
    draws: int = 200,
    seed: int = 0,
    lasting: tuple[float, float] = (0.0, np.inf),
) -> Gait:
    """Strides and phases from footfalls.

    A stride's length is its speed times its period, so it goes with speed unless the period makes up for it: how far is
    told without a null.

    Args:
        standing: (steps, limbs) whether each limb stands, as `footfalls` tells.
        speed: (steps,) of the body, m/s; NaN in episodes of one step, which take no part.
        episodes: (steps,) labels; no stride spans two of them.
        timestep: s.
        draws: of nulls and intervals.
        seed: of both.
        lasting: s, the shortest and the longest stride. From one touch-down to the next may be a pause, too, which is
            slow and long, so that strides with pauses among them would seem to quicken with speed.
    """
    down = np.asarray(standing, dtype=bool)
    if down.ndim != 2 or len(down) != len(np.asarray(speed)):
        raise UsageError(f"standing has shape {down.shape}; give (steps, limbs) with one speed a step")
    groups, pace = codes(episodes, len(down), "episodes"), np.asarray(speed, dtype=np.float64)
    known = with_any(np.isfinite(pace), groups)
    if known.any() and not known.all():  # an episode of one step has no speed and no stride, and none to deal
        at = np.flatnonzero(known)
        strode = gait(down[at], pace[at], groups[at], timestep, draws, seed, lasting)
        start, episode = at[strode.strides.start], np.unique(groups[at])[strode.strides.episode]
        return replace(strode, strides=replace(strode.strides, start=start, episode=episode))
    touch = [touch_downs(column, groups) for column in down.T]
    strides = _strides(down, touch, pace, groups, timestep, lasting)
    rng, dealing = np.random.default_rng(seed), Dealing.of(groups)
    orders = dealing.orders(draws, rng)
    steps = [dealing.steps(order) for order in orders]
    against = _against_speed(strides, [_mean_speed(strides, pace[each], timestep) for each in steps], draws, rng)
    touched = np.zeros(down.shape, dtype=bool)
    for limb, at in enumerate(touch):
        touched[at, limb] = True
    limbs = down.shape[1]
    phase, interval, coupling = np.full((limbs, limbs), np.nan), np.full((2, limbs, limbs), np.nan), {}
    for other in range(limbs):
        dealt = [np.flatnonzero(touched[each, other]) for each in steps]
        for one in range(limbs):
            if one != other:
                found = _coupling(strides, one, touch[other], dealt, timestep, draws, rng)
                phase[one, other], interval[:, one, other], coupling[one, other] = found
    return Gait(strides, against, phase, interval, coupling)


def oscillation_phase(
    values: ArrayLike, episodes: ArrayLike, timestep: float, band: tuple[float, float] = (1.0, 12.0)
) -> Array:
    """Phase of a joint's or another oscillation, 0 to 2 pi, 0 at its peaks (analytic signal of the band, Gabor 1946).

    Args:
        values: (steps,) such as an angle.
        episodes: (steps,) labels; each episode by itself.
        timestep: s.
        band: Hz, passed forth and back by a Butterworth filter of order 2.

    Returns:
        (steps,); NaN where there is no oscillation to speak of: where its amplitude is under a fifth of the median, in
        a constant, and in episodes of less than two of the band's longest periods.

    Raises:
        UsageError: shapes do not fit, or the timestep is too long for the band.
    """
    column = matrix(values, "values")
    if column.shape[1] != 1:
        raise UsageError(f"values have {column.shape[1]} columns; give one, (steps,)")
    groups = codes(episodes, len(column), "episodes")
    if not 0 < band[0] < band[1] < 0.5 / timestep:
        raise UsageError(
            f"a band of {band} Hz does not fit steps of {timestep} s; give one below {0.5 / timestep:g} Hz"
        )
    sections = signal.butter(2, band, "bandpass", fs=1 / timestep, output="sos")
    analytic = np.full(len(column), np.nan + 0j)
    for episode in np.unique(groups):
        rows = np.flatnonzero(groups == episode)
        if len(rows) * timestep * band[0] >= 2 and np.isfinite(column[rows]).all():
            analytic[rows] = signal.hilbert(signal.sosfiltfilt(sections, column[rows, 0]))
    amplitude = np.abs(analytic)
    known = np.isfinite(amplitude)
    if not known.any() or np.median(amplitude[known]) <= 1e-9 * max(np.abs(column[known]).max(), 1e-300):
        return np.full(len(column), np.nan)
    with np.errstate(invalid="ignore"):
        strong = amplitude >= 0.2 * np.median(amplitude[known])
    return np.where(strong, np.angle(analytic) % (2 * np.pi), np.nan)


def plot_gait(result: Gait, ax: Axes | None = None, measure: str = "frequency") -> Axes:
    """Strides against speed, a colour and size of ring a limb, since strides last whole steps and coincide.

    Args:
        result: what was found.
        ax: to draw into.
        measure: "frequency", "length" or "duty".
    """
    ax = axes_or_new(ax)
    for i, limb in enumerate(np.unique(result.strides.limb)):
        of = result.strides.limb == limb
        (rings,) = ax.plot(result.strides.speed[of], getattr(result.strides, measure)[of], "o", label=f"limb {limb}")
        rings.set(mfc="none", mew=0.8, ms=3 + 2 * i)
    if measure == "frequency":
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")
    ax.set_xlabel("speed (m/s)")
    ax.set_ylabel(_LABELS[measure])
    return ax


def plot_phases(result: Gait, reference: int, names: Sequence[str], ax: Axes | None = None) -> Axes:
    """When each limb stands in the stride of one of them (Hildebrand 1989): a bar from its touch-down, in strides.

    Args:
        result: what was found.
        reference: the limb whose strides count.
        names: of the limbs.
        ax: to draw into.
    """
    ax = axes_or_new(ax, (4.6, 2.2))
    for limb, name in enumerate(names):
        of = result.strides.limb == limb
        start = 0.0 if limb == reference else float(result.phase[reference, limb])
        if not of.any() or np.isnan(start):
            ax.text(0.02, limb, "too few strides", va="center", fontsize="small")
            continue
        duty = float(np.median(result.strides.duty[of]))
        ax.broken_barh([(start - turn, duty) for turn in (0, 1)], (limb - 0.35, 0.7), color=f"C{limb}", label=name)
        if limb != reference:
            ax.plot(result.phase_interval[:, reference, limb], [limb, limb], color="black")
    ax.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xlabel=f"phase in the stride of {names[reference]}")
    ax.set_yticks(range(len(names)), names)
    return ax


def circular_mean(angles: ArrayLike) -> tuple[float, float, float]:
    """Mean direction in radians (0 to 2 pi), resultant length R, and Rayleigh's z = n R^2 (Zar 2010); NaN of none."""
    values = np.asarray(angles, dtype=np.float64).ravel()
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    mean = np.exp(1j * values).mean()
    length = float(np.abs(mean))
    return float(np.angle(mean) % (2 * np.pi)), length, len(values) * length**2


def touch_downs(standing: NDArray[np.bool_], groups: Labels) -> Labels:
    """(touch-downs,) steps at which a limb (steps,) comes to stand, of which the first of an episode are none."""
    return np.flatnonzero(standing[1:] & ~standing[:-1] & (groups[1:] == groups[:-1])) + 1


def _strides(
    down: NDArray[np.bool_],
    touch: list[Labels],
    speed: Array,
    groups: Labels,
    timestep: float,
    lasting: tuple[float, float],
) -> Strides:
    rows = []
    for limb, starts in enumerate(touch):
        for start, end in pairwise(starts):
            if groups[start] == groups[end] and lasting[0] <= (end - start) * timestep <= lasting[1]:
                pace = speed[start:end].mean()
                frequency = 1 / ((end - start) * timestep)
                duty = down[start:end, limb].mean()
                rows.append((limb, start, groups[start], frequency, duty, pace, pace / frequency))
    table = np.array(rows, dtype=np.float64).reshape(-1, 7).T
    return Strides(*table[:3].astype(np.int64), *table[3:])


def _steps(strides: Strides, timestep: float) -> Labels:
    """(strides,) how many steps each lasts."""
    return np.rint(1 / (strides.frequency * timestep)).astype(np.int64)


def _mean_speed(strides: Strides, speed: Array, timestep: float) -> Array:
    """(strides,) mean over each stride of another speed (steps,)."""
    total, period = np.append(0.0, np.cumsum(speed)), _steps(strides, timestep)
    return (total[strides.start + period] - total[strides.start]) / period


def _against_speed(
    strides: Strides, dealt: Sequence[Array], draws: int, rng: np.random.Generator
) -> dict[str, Estimate]:
    """Each measure's rank correlation with speed, beside that with the speeds (strides,) of other episodes.

    Length has no null: it is made of the recorded speed, and would go with it more than with any other.
    """
    names = np.unique(strides.episode)
    of = {name: np.flatnonzero(strides.episode == name) for name in names}
    rows = [np.concatenate([of[name] for name in rng.choice(names, len(names))]) for _ in range(draws if of else 0)]
    ranked, found = [stats.rankdata(speeds) for speeds in dealt], {}
    for measure in ("frequency", "length", "duty"):
        values = getattr(strides, measure)
        if len(values) < 5:
            found[measure] = not_estimable(f"{len(values)} strides; needs at least 5")
            continue
        value = _rank_correlation(values, strides.speed)
        if not np.isfinite(value):
            found[measure] = not_estimable("speed or measure constant or NaN")
            continue
        ranks = stats.rankdata(values)
        null = np.array([_correlation(ranks, each) for each in ranked])
        drawn = np.array([_rank_correlation(values[r], strides.speed[r]) for r in rows])
        nulls = {} if measure == "length" else {CONTROL: null}
        found[measure] = Estimate(value, nulls, ends(drawn) if len(names) > 1 else UNKNOWN)
    return found


def _rank_correlation(first: Array, second: Array) -> float:
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan")
    return _correlation(stats.rankdata(first), stats.rankdata(second))


def _correlation(first: Array, second: Array) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _phases(strides: Strides, one: int, touch: Labels, timestep: float) -> tuple[Array, Labels]:
    """Phase of the first of the touch-downs within each stride of the limb that has one, and the stride's episode."""
    of = strides.limb == one
    start, period = strides.start[of], _steps(strides, timestep)[of]
    place = np.searchsorted(touch, start)
    some = place < len(touch)
    phases = (touch[place[some]] - start[some]) / period[some]
    kept = phases < 1
    return phases[kept], strides.episode[of][some][kept]


def _coupling(
    strides: Strides,
    one: int,
    touch: Labels,
    dealt: Sequence[Labels],
    timestep: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[float, tuple[float, float], Estimate]:
    """Phase at which the other limb first touches down within each stride of the one, its interval, its coupling.

    The other limb's touch-downs are the recorded ones, and `dealt` those from other episodes.
    """
    phases, episode = _phases(strides, one, touch, timestep)
    if len(phases) < 5:
        return float("nan"), UNKNOWN, not_estimable(f"{len(phases)} strides; needs at least 5")
    mean, length, _ = circular_mean(2 * np.pi * phases)
    null = np.array([circular_mean(2 * np.pi * _phases(strides, one, each, timestep)[0])[1] for each in dealt])
    names = np.unique(episode)
    sums = np.array([np.exp(2j * np.pi * phases[episode == name]).sum() for name in names])
    counts = np.array([(episode == name).sum() for name in names])
    drawn = rng.integers(len(names), size=(draws, len(names)))
    resultants = sums[drawn].sum(axis=1)
    around, within = UNKNOWN, UNKNOWN
    if len(names) > 1:
        off = np.angle(resultants * np.exp(-1j * mean))  # from the mean, so that no turn is cut in two
        around = ends((mean + off) / (2 * np.pi))
        within = ends(np.abs(resultants) / counts[drawn].sum(axis=1))
    return mean / (2 * np.pi), around, Estimate(length, {CONTROL: null}, within)

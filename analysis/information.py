"""Information between units and a variable: of signed activity by nearest neighbours, of rates after Skaggs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial import cKDTree
from scipy.special import digamma

from analysis.dealing import CONTROL, Dealing, dealt_sums, with_any
from analysis.drawing import axes_or_new
from analysis.inference import LEVEL, UnitEstimates, bootstrap_weights, percentile_interval
from analysis.inputs import Array, Labels, codes, column_reasons, matrix, renumbered, same_length, task_codes
from analysis.tuning import TuningCurves, bin_index, sums_by_episode, tuning_curves
from rodent.errors import UsageError

_NEIGHBOURS = 3  # of each point (Kraskov et al. 2004 advise 2 to 4)
_HALVES = 40  # of the episodes, for an interval
_FEWEST = 10  # steps that an estimate takes
_CHUNK = 64  # units at a time: bounds the memory
_THREADS = 2  # the search for neighbours lets others run


@dataclass(frozen=True)
class SpatialInformation:
    """Skaggs' information of rates (Skaggs et al. 1993).

    Attributes:
        per_second: bits a unit of time of the activity: bits a second of activity a second.
        per_spike: the same over the mean activity.
        curves: that it follows from.

    The nulls take the variable from other episodes; the intervals draw episodes.
    """

    per_second: UnitEstimates
    per_spike: UnitEstimates
    curves: TuningCurves


def mutual_information(
    activity: ArrayLike,
    variable: ArrayLike,
    episodes: ArrayLike,
    samples: int = 5000,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> UnitEstimates:
    """Information between units and a variable in nats (Kraskov et al. 2004), which signed activity may have too.

    The interval is Student's, over halves of the episodes that are drawn without replacement, since steps of an
    episode are alike, and steps drawn twice would look like information to a nearest neighbour. The spread over halves
    is that of the whole (a jackknife that leaves out half, Shao and Wu 1989).

    Args:
        activity: (steps, units), the strongest few: this is slow.
        variable: (steps,); steps where it is NaN are left out, once it was dealt. Give them all the same.
        episodes: (steps,) labels.
        samples: steps drawn without replacement, of those where the variable is known.
        draws: of the null, which takes the variable from other episodes; without them there is no interval either.
        seed: of the draws.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task.
    """
    units, values = matrix(activity, "activity"), matrix(variable, "variable")
    steps, rng = same_length(activity=units, variable=values), np.random.default_rng(seed)
    groups = codes(episodes, steps, "episodes")
    if values.shape[1] != 1:
        raise UsageError(f"the variable has {values.shape[1]} dimensions; give one, (steps,)")
    here = with_any(~np.isnan(values[:, 0]), groups)
    units, target = units[here], values[here, 0]
    reasons = _mutual_reasons(units, target)
    known = np.flatnonzero([not reason for reason in reasons])

    def information(target: Array, rows: Labels) -> Array:
        found = np.full(len(reasons), np.nan)
        if len(rows) >= _FEWEST:
            found[known] = [_nearest_neighbours(units[rows, unit], target[rows]) for unit in known]
        return found

    def sampled(target: Array) -> Labels:
        """The first steps, in an order that has nothing to do with the target, where it is known."""
        return first[~np.isnan(target[first])][:samples]

    first = rng.permutation(len(target))
    groups = renumbered(groups[here])
    dealing = Dealing.of(groups, None if tasks is None else np.asarray(tasks)[here]) if len(known) else None
    dealt = [target[dealing.steps(order)] for order in dealing.orders(draws, rng)] if dealing else []
    rows = sampled(target)
    halves = _halves(groups, rows, _HALVES if draws and len(known) else 0, rng)
    with ThreadPoolExecutor(_THREADS) as pool:
        null = list(pool.map(lambda values: information(values, sampled(values)), dealt))
        drawn = list(pool.map(lambda part: information(target, part), halves))
    value = information(target, rows)
    spread = _jackknifed(np.reshape(drawn, (-1, len(reasons))), len(np.unique(groups)))
    interval = np.stack([value - spread, value + spread])
    return UnitEstimates(value, CONTROL, np.reshape(null, (-1, len(reasons))), interval, reasons)


def spatial_information(
    activity: ArrayLike,
    variable: ArrayLike,
    episodes: ArrayLike,
    bins: int | Sequence[ArrayLike] = 20,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> SpatialInformation:
    """Skaggs' information of every unit that is nowhere negative; of signed activity it would come out as any number.

    Args:
        activity: (steps, units), activity a second.
        variable: (steps,) or (steps, dimensions); steps where it is NaN or outside of the edges are left out.
        episodes: (steps,) labels.
        bins: as in `tuning.tuning_curves`.
        draws: of the null, and of episodes for the interval.
        seed: of both.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task.
    """
    units, values = matrix(activity, "activity"), matrix(variable, "variable")
    steps = same_length(activity=units, variable=values)
    groups = codes(episodes, steps, "episodes")
    task = task_codes(tasks, steps)
    curves = tuning_curves(units, values, bins)
    index = bin_index(values, curves.edges)
    here = with_any(index >= 0, groups)
    units, index, task = units[here], index[here], task[here]
    episode = renumbered(groups[here])
    reasons = _rate_reasons(units, index >= 0)
    known, count = np.flatnonzero([not reason for reason in reasons]), len(reasons)
    value, interval = np.full((2, count), np.nan), np.full((2, 2, count), np.nan)
    null = np.full((2, 1, count), np.nan)
    if len(known):
        dealing, rng, size = Dealing.of(episode, task), np.random.default_rng(seed), curves.occupancy.size
        orders = dealing.orders(draws, rng)
        weights = bootstrap_weights(len(dealing.rows), draws if len(dealing.rows) > 1 else 0, rng)
        null, whole = np.full((2, len(orders), count), np.nan), np.zeros(len(dealing.rows), dtype=np.int64)
        visits = dealt_sums(np.ones((len(index), 1)), index, size, dealing, orders, whole)[:, 0, :, 0]
        for at in range(0, len(known), _CHUNK):
            part = known[at : at + _CHUNK]
            sums, there = sums_by_episode(units[:, part], index, episode, size)
            value[:, part] = _skaggs(sums.sum(axis=0), there.sum(axis=0))
            null[:, :, part] = _skaggs(dealt_sums(units[:, part], index, size, dealing, orders, whole)[:, 0], visits)
            if len(weights):
                drawn = _skaggs(np.tensordot(weights, sums, 1), weights @ there)
                interval[:, :, part] = np.stack([percentile_interval(each) for each in drawn])
    per_second, per_spike = (UnitEstimates(value[i], CONTROL, null[i], interval[i], reasons) for i in (0, 1))
    return SpatialInformation(per_second, per_spike, curves)


def plot_information(estimates: UnitEstimates, label: str = "information (nats)", ax: Axes | None = None) -> Axes:
    """Each unit's information with its interval, by rank, and the middle 95 % of its null; filled where it beats it."""
    ax = axes_or_new(ax)
    known = np.flatnonzero(np.isfinite(estimates.value))
    order = known[np.argsort(-estimates.value[known], kind="stable")]
    at, beat = np.arange(len(order)), estimates.beat[order]
    if len(estimates.null):
        low, high = percentile_interval(estimates.null[:, order])
        ax.vlines(at, low, high, color="C1", lw=4, alpha=0.5, label=estimates.control)
    ax.vlines(at, *estimates.interval[:, order], color="C0")
    for some, face in ((beat, "C0"), (~beat, "none")):
        ax.plot(at[some], estimates.value[order][some], "o", ms=4, color="C0", mfc=face)
    ax.set_xlabel("unit, by rank")
    ax.set_ylabel(label)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small")
    return ax


def _nearest_neighbours(first: Array, second: Array) -> float:
    """Kraskov's first estimator, nowhere below 0.

    That of scikit-learn's `mutual_info_regression`, which asks trees for what sorted margins tell, and takes four times
    as long. As there, and as its authors advise, noise of no consequence parts what is tied: of ties, as many as there
    are neighbours, none would be strictly nearer, and nothing would be told.
    """
    points = np.stack([each / max(each.std(), 1e-300) for each in (first, second)], axis=1)
    noise = np.random.default_rng(0).normal(size=points.shape)
    points += 1e-10 * np.maximum(1.0, np.abs(points).mean(axis=0)) * noise
    near = min(_NEIGHBOURS, len(points) - 1)
    distance = cKDTree(points).query(points, near + 1, p=np.inf)[0][:, -1] * (1 - 1e-10)  # strictly nearer ones count
    found = digamma(len(points)) + digamma(near)
    for margin in points.T:
        ordered = np.sort(margin)
        count = np.searchsorted(ordered, margin + distance, "right") - np.searchsorted(ordered, margin - distance)
        found -= digamma(np.maximum(count, 1)).mean()
    return max(0.0, float(found))


def _mutual_reasons(units: Array, target: Array) -> tuple[str, ...]:
    """Why a unit (steps, units) tells nothing that can be estimated of a variable (steps,), NaN where it is unknown."""
    inside = ~np.isnan(target)
    if inside.sum() < _FEWEST:
        return (f"variable: {inside.sum()} steps; needs at least {_FEWEST}",) * units.shape[1]
    if why := column_reasons(target[inside][:, None])[0]:
        return (f"variable: {why}",) * units.shape[1]
    return column_reasons(units, inside)


def _halves(groups: Labels, rows: Labels, draws: int, rng: np.random.Generator) -> list[Labels]:
    """Of each draw those rows that are of half of the episodes (steps,), drawn without replacement; none of one."""
    count = int(groups.max()) + 1
    drawn = (rng.permutation(count)[: count // 2] for _ in range(draws if count > 1 else 0))
    parts = [rows[np.isin(groups[rows], of)] for of in drawn]
    return [part for part in parts if len(part) >= _FEWEST]


def _jackknifed(halves: Array, episodes: int) -> Array:
    """(units,) half of Student's 95 % interval, from estimates of halves of the episodes (draws, units)."""
    if len(halves) < 2:
        return np.full(halves.shape[1], np.nan)
    kept = episodes // 2
    return stats.t.ppf(1 - LEVEL / 2, episodes - 1) * halves.std(axis=0, ddof=1) * np.sqrt(kept / (episodes - kept))


def _rate_reasons(units: Array, inside: NDArray[np.bool_]) -> tuple[str, ...]:
    """Why a unit (steps, units) has no information of rates; empty where it has."""
    if not inside.any():
        return ("no step within the bins",) * units.shape[1]
    negative = np.asarray((units < 0).any(axis=0))
    return tuple(
        "negative activity" if below and reason != "NaN or infinite" else reason
        for reason, below in zip(column_reasons(units, inside), negative, strict=True)
    )


def _skaggs(sums: Array, visits: NDArray) -> Array:
    """(2, ..., units) bits a second and a spike, from sums of rates (..., bins, units) and visits (..., bins)."""
    count = visits[..., None].astype(np.float64)
    rates, share = sums / np.maximum(count, 1), count / count.sum(axis=-2, keepdims=True)
    mean = (share * rates).sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where(rates > 0, share * rates * np.log2(rates / mean[..., None, :]), 0.0)
        bits = terms.sum(axis=-2)
        return np.stack([bits, bits / mean])

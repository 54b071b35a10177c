"""Tuning of units to any variable: binned curves, and how much they explain of held-out episodes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from analysis.dealing import CONTROL, Dealing, dealt_sums, with_any
from analysis.drawing import axes_or_new
from analysis.inference import UnitEstimates, bootstrap_weights, explained_interval, percentile_interval
from analysis.inputs import Array, Labels, codes, column_reasons, matrix, same_length, task_codes
from analysis.shifts import CONTROL as SHIFTED
from analysis.shifts import Shifts
from rodent.errors import UsageError

_CHUNK = 128  # units at a time: bounds the memory
_ROLLED = 32  # the same of what is rolled: stays in the processor's cache
_ROWS = 512  # steps at a time: they stay in the processor's cache
_PAIRS = 2**25  # sums of pairs of episodes at a time: bounds the memory
_NO_CURVES = "fewer than three bins that both halves visited, or a curve that is flat"
_THREADS = 2  # that work on chunks of units; sparse products let each other run


@dataclass(frozen=True)
class TuningCurves:
    """Mean activity a bin.

    Attributes:
        curves: (units, *bins); NaN where the variable never was.
        occupancy: (*bins) steps in each bin.
        edges: of each dimension of the variable, (bins + 1,).
    """

    curves: Array
    occupancy: Labels
    edges: tuple[Array, ...]


@dataclass(frozen=True)
class Tuning:
    """How strongly units are tuned.

    Attributes:
        strength: variance of held-out episodes that the binned curve explains, against the variable of
            other episodes.
        shifted: the same against the variable rolled within each episode, at all lags; lenient where records change as
            slowly as episodes last (`analysis.shifts`).
        stability: correlation of the curves of two halves of the episodes, over bins that both visited, against the
            variable of other episodes; the interval draws the episodes of each half.
        curves: over all episodes.
    """

    strength: UnitEstimates
    shifted: UnitEstimates
    stability: UnitEstimates
    curves: TuningCurves


def tuning_curves(activity: ArrayLike, variable: ArrayLike, bins: int | Sequence[ArrayLike] = 20) -> TuningCurves:
    """Mean activity in bins of a variable of one, two or more dimensions.

    Args:
        activity: (steps, units), in any unit.
        variable: (steps,) or (steps, dimensions); steps where it is NaN or outside of the edges are left out.
        bins: their number, from the least to the greatest value, or the edges of each dimension.
    """
    units, values = _columns(activity), matrix(variable, "variable")
    same_length(activity=units, variable=values)
    edges = _edges(values, bins)
    index, shape = bin_index(values, edges), tuple(len(edge) - 1 for edge in edges)
    count, inside = int(np.prod(shape)), index >= 0
    if not inside.all():
        units, index = units[inside], index[inside]
    occupancy = np.bincount(index, minlength=count)
    sums = _sums(units, index, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        curves = (sums / occupancy[:, None]).T
    return TuningCurves(curves.reshape(-1, *shape), occupancy.reshape(shape), edges)


def tuning(
    activity: ArrayLike,
    variable: ArrayLike,
    episodes: ArrayLike,
    bins: int | Sequence[ArrayLike] = 20,
    draws: int = 1000,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> Tuning:
    """Tuning strength of all units: two halves of the episodes predict each other.

    The episodes are dealt to two halves in turn. The curve of one half predicts the other; a bin that it never
    visited is predicted by its mean. The null takes the variable from other episodes; a second one rolls it within each
    episode, by all lags alike. Both take it with the steps at which it is unknown.

    Args:
        activity: (steps, units).
        variable: (steps,) or (steps, dimensions); steps where it is NaN or outside of the edges are left out. Give
            them all the same: an episode's steps are dealt and rolled as they stand.
        episodes: (steps,) labels.
        bins: as in `tuning_curves`.
        draws: of the first null, and of episodes for the interval; without them there is no null and no interval.
        seed: of both.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task.
    """
    units, values = _columns(activity), matrix(variable, "variable")
    steps = same_length(activity=units, variable=values)
    groups = codes(episodes, steps, "episodes")
    task = task_codes(tasks, steps)
    curves = tuning_curves(units, values, bins)
    index = bin_index(values, curves.edges)
    if not (here := with_any(index >= 0, groups)).all():
        units, index, groups, task = units[here], index[here], groups[here], task[here]
    reasons = _tuning_reasons(units, index >= 0, groups)
    if len(np.unique(index[index >= 0])) < 2:
        reasons = tuple(reason or "the variable stays in one bin" for reason in reasons)
    known = np.flatnonzero([not reason for reason in reasons])
    total = len(reasons)
    if not len(known):
        empty = np.full((1, total), np.nan)
        strength = UnitEstimates(empty[0], CONTROL, empty, np.repeat(empty, 2, 0), reasons)
        return Tuning(strength, replace(strength, control=SHIFTED), strength, curves)
    episode = np.unique(groups, return_inverse=True)[1]
    dealing, rng, size = Dealing.of(episode, task), np.random.default_rng(seed), curves.occupancy.size
    standard = _standardised(units, known)
    null, null_stability = _dealt(standard, index, size, dealing, dealing.orders(draws, rng))
    rolled = _rolled(standard, index, size, episode) if draws else np.empty((0, len(known)))
    sums, visits = sums_by_episode(standard, index, episode, size)
    errors, totals = _held_out(standard, index >= 0, sums, visits, episode)
    value = 1 - errors.sum(axis=0) / totals.sum(axis=0)
    interval = explained_interval(errors, totals, draws, rng)
    stability = _agreement(*_halves(sums, visits))
    steady = tuple(
        reason or ("" if np.isfinite(each) else _NO_CURVES)
        for reason, each in zip(reasons, _spread(stability, known, total), strict=True)
    )
    steadiness = (stability, null_stability, _stability_interval(sums, visits, draws, rng))
    strength = _of_units(value, null, interval, known, reasons)
    shifted = replace(strength, control=SHIFTED, null=_spread(rolled, known, total))
    return Tuning(strength, shifted, _of_units(*steadiness, known, steady), curves)


def bin_index(values: Array, edges: tuple[Array, ...]) -> Labels:
    """(steps,) flat index of each step's bin, the last edge inside; -1 outside of all."""
    index, inside = np.zeros(len(values), dtype=np.int64), np.ones(len(values), dtype=bool)
    for column, edge in zip(values.T, edges, strict=True):
        inside &= (column >= edge[0]) & (column <= edge[-1])
        place = np.minimum(np.searchsorted(edge, column, side="right") - 1, len(edge) - 2)
        index = index * (len(edge) - 1) + place
    return np.where(inside, index, -1)


def sums_by_episode(units: NDArray, index: Labels, episode: Labels, bins: int) -> tuple[Array, Labels]:
    """Sums of each episode's steps in each bin (episodes, bins, units), and how many they are (episodes, bins).

    Args:
        units: (steps, units).
        index: (steps,) bin of each, 0, 1, ...; -1 of none.
        episode: (steps,) 0, 1, ..., none of them missing.
        bins: their number.
    """
    count, inside = int(episode.max()) + 1, index >= 0
    place = (episode * bins + index)[inside]
    sums = _sums(units if inside.all() else units[inside], place, count * bins).reshape(count, bins, -1)
    return sums, np.bincount(place, minlength=count * bins).reshape(count, bins)


def explained_by_halves(sums: NDArray, occupancy: NDArray, squares: NDArray) -> Array:
    """(draws, units) variance of each half of the episodes that the curve of the other one explains.

    Args:
        sums: (draws, 2, bins, units) of the steps of each half in each bin.
        occupancy: (draws or 1, 2, bins) how many they are.
        squares: (draws, units) or (units,), sums of squares of all those steps.
    """
    errors, totals = squares, squares
    for test, train in ((0, 1), (1, 0)):
        mean, overall = _prediction(sums[:, train], occupancy[:, train])
        count, held = occupancy[:, test, :, None], sums[:, test]
        errors = errors + (count * mean**2 - 2 * mean * held).sum(axis=1)
        totals = totals + (count.sum(axis=1) * overall**2 - 2 * overall * held.sum(axis=1))
    return 1 - errors / totals


def plot_tuning(result: Tuning, unit: int, ax: Axes | None = None) -> Axes:
    """One unit's curve (a line) or map (an image), with its strength."""
    ax = axes_or_new(ax)
    curve, edges = result.curves.curves[unit], result.curves.edges
    if curve.ndim == 1:
        ax.plot((edges[0][:-1] + edges[0][1:]) / 2, curve)
        ax.set_xlabel("variable")
        ax.set_ylabel("activity")
    elif curve.ndim == 2:
        ax.pcolormesh(edges[0], edges[1], curve.T)
    else:
        raise UsageError(f"a curve over {curve.ndim} dimensions cannot be drawn; give a variable of one or two")
    ax.set_title(f"unit {unit}: {result.strength.value[unit]:.3f} explained, q {result.strength.q[unit]:.2g}")
    return ax


def _columns(activity: ArrayLike) -> NDArray:
    """(steps, units) in its own precision: a double copy of a long recording would not fit."""
    units = np.asarray(activity)
    units = units[:, None] if units.ndim == 1 else units
    if units.ndim != 2 or 0 in units.shape:
        raise UsageError(f"activity has shape {units.shape}; give (steps, units), neither of them 0")
    return units


def _edges(values: Array, bins: int | Sequence[ArrayLike]) -> tuple[Array, ...]:
    if isinstance(bins, int):
        if bins < 1:
            raise UsageError(f"{bins} bins; give at least 1")
        finite = values[np.isfinite(values).all(axis=1)]
        if not len(finite):
            raise UsageError("the variable is NaN at every step; give one that was measured")
        return tuple(np.histogram_bin_edges(column, bins) for column in finite.T)
    edges = tuple(np.asarray(edge, dtype=np.float64) for edge in bins)
    if len(edges) != values.shape[1] or any(edge.ndim != 1 or (np.diff(edge) <= 0).any() for edge in edges):
        raise UsageError(f"edges do not fit {values.shape[1]} dimensions; give one rising sequence for each")
    return edges


def _sums(units: NDArray, index: Labels, count: int) -> Array:
    """(count, units) sums of the steps of each index, added in their order and in double precision."""
    member = sparse.csr_array((np.ones(len(index)), (index, np.arange(len(index)))), shape=(count, len(index)))
    return np.concatenate(
        [member @ np.ascontiguousarray(units[:, at : at + _CHUNK]) for at in range(0, units.shape[1], _CHUNK)], axis=1
    )


def _tuning_reasons(units: NDArray, inside: NDArray[np.bool_], groups: Labels) -> tuple[str, ...]:
    """Of units (steps, units), of whose steps those inside are in a bin, and others may be once the bins are dealt."""
    if len(np.unique(groups)) < 2:
        return ("one episode: nothing to hold out",) * units.shape[1]
    return column_reasons(units, inside)


def _spread(values: Array, known: NDArray[np.int64], total: int) -> Array:
    """(..., known) to (..., total), NaN elsewhere."""
    spread = np.full((*values.shape[:-1], total), np.nan)
    spread[..., known] = values
    return spread


def _of_units(
    value: Array, null: Array, interval: Array, known: NDArray[np.int64], reasons: tuple[str, ...]
) -> UnitEstimates:
    """The estimates of all units, from those of the units that are known."""
    value, null, interval = (_spread(each, known, len(reasons)) for each in (value, null, interval))
    return UnitEstimates(value, CONTROL, null, interval, reasons)


def _standardised(units: NDArray, known: NDArray[np.int64]) -> NDArray[np.float32]:
    """(steps, known) of mean 0 and variance 1, which single precision is enough for."""
    mean = units.mean(axis=0, dtype=np.float64)[known]
    standard, squares = np.empty((len(units), len(known)), dtype=np.float32), np.zeros(len(known))
    for at in range(0, len(units), _ROWS):
        block = units[at : at + _ROWS]
        centred = (block if len(known) == block.shape[1] else block[:, known]) - mean
        squares += np.einsum("tu,tu->u", centred, centred)
        standard[at : at + _ROWS] = centred
    standard /= np.sqrt(squares / len(units)).astype(np.float32)
    return standard


def _dealt(
    standard: NDArray[np.float32], index: Labels, bins: int, dealing: Dealing, orders: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Explained variance and stability, (draws, units) each, with the variable's bins dealt to other episodes."""
    if not len(orders):
        return np.empty((0, standard.shape[1])), np.empty((0, standard.shape[1]))
    halves, steps = np.arange(len(dealing.rows)) % 2, len(standard)
    occupancy, gaps = dealt_sums(np.ones((steps, 1)), index, bins, dealing, orders, halves)[..., 0], (index < 0).any()
    numbers = bins * max(sum(len(block) ** 2 for block in dealing.blocks), 2 * len(orders))
    chunk = int(np.clip(_PAIRS // numbers, 1, _CHUNK))

    def of_chunk(at: int) -> tuple[Array, Array]:
        part = np.ascontiguousarray(standard[:, at : at + chunk])
        sums, squares = dealt_sums(part, index, bins, dealing, orders, halves), _squares(part)
        if gaps:  # which steps count depends on the order
            squares = dealt_sums(part**2, np.minimum(index, 0), 1, dealing, orders, halves)[:, :, 0].sum(axis=1)
        return explained_by_halves(sums, occupancy, squares), _agreement(sums, occupancy)

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(of_chunk, range(0, standard.shape[1], chunk)))
    strength, stability = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
    return strength, stability


def _rolled(standard: NDArray[np.float32], index: Labels, bins: int, episode: Labels) -> Array:
    """(lags, units) explained variance with the variable's bins rolled within each episode by 1, 2, ... steps."""
    halves, inside = np.arange(int(episode.max()) + 1) % 2, index >= 0
    shifts, visits = Shifts.of(index, bins, episode, halves), np.zeros((2, bins), dtype=np.float32)
    np.add.at(visits, (halves[episode[inside]], index[inside]), 1)
    counted = None if inside.all() else Shifts.of(np.minimum(index, 0), 1, episode, halves)

    def of_chunk(at: int) -> Array:
        part = standard[:, at : at + _ROLLED]
        squares = _squares(part) if counted is None else counted.sums(part**2)[1:, :, 0].sum(axis=1)
        return explained_by_halves(shifts.sums(part)[1:], visits[None], squares)

    with ThreadPoolExecutor(_THREADS) as pool:
        return np.concatenate(list(pool.map(of_chunk, range(0, standard.shape[1], _ROLLED))), axis=1)


def _squares(units: NDArray[np.float32]) -> Array:
    """(units,) sums of squares over the steps, in double precision."""
    return np.asarray(np.einsum("tu,tu->u", units, units, dtype=np.float64))


def _prediction(sums: NDArray, occupancy: NDArray) -> tuple[NDArray, NDArray]:
    """Mean a bin (..., bins, units), the overall mean where it is empty, and that overall mean (..., units)."""
    count = occupancy[..., None]
    overall = sums.sum(axis=-2) / np.maximum(count.sum(axis=-2), 1)
    return np.where(count > 0, sums / np.maximum(count, 1), overall[..., None, :]), overall


def _halves(sums: Array, visits: Labels) -> tuple[Array, Labels]:
    """The same of even and odd episodes: (2, bins, units) and (2, bins)."""
    parts = [slice(half, None, 2) for half in (0, 1)]
    return np.stack([sums[part].sum(axis=0) for part in parts]), np.stack([visits[part].sum(axis=0) for part in parts])


def _held_out(
    standard: NDArray[np.float32], inside: NDArray[np.bool_], sums: Array, visits: Labels, episode: Labels
) -> tuple[Array, Array]:
    """Squared errors and totals of the steps inside of the bins of each episode, (episodes, units) each."""
    squares = np.stack([_squares(standard[inside & (episode == name)]) for name in range(int(episode.max()) + 1)])
    halves, occupancy = _halves(sums, visits)
    errors, totals = np.empty_like(squares), np.empty_like(squares)
    for test in (0, 1):
        mean, overall = _prediction(halves[1 - test], occupancy[1 - test])
        of, n = slice(test, None, 2), visits[test::2, :, None]
        errors[of] = squares[of] + (n * mean**2 - 2 * mean * sums[of]).sum(axis=1)
        totals[of] = squares[of] + n.sum(axis=1) * overall**2 - 2 * overall * sums[of].sum(axis=1)
    return errors, totals


def _agreement(sums: NDArray, occupancy: NDArray) -> Array:
    """(..., units) correlation of the curves of two halves over the bins that both visited; NaN of fewer than three.

    Args:
        sums: (..., 2, bins, units).
        occupancy: (..., 2, bins).
    """
    both = np.all(occupancy > 0, axis=-2, keepdims=True)[..., None]
    count = both.sum(axis=-2, keepdims=True)
    curves = np.where(both, sums / np.maximum(occupancy, 1)[..., None], 0.0)
    curves = np.where(both, curves - curves.sum(axis=-2, keepdims=True) / np.maximum(count, 1), 0.0)
    first, second = curves[..., 0, :, :], curves[..., 1, :, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (first * second).sum(axis=-2) / np.sqrt((first**2).sum(axis=-2) * (second**2).sum(axis=-2))
    return np.where(count[..., 0, 0, :] > 2, found, np.nan)


def _stability_interval(sums: Array, visits: Labels, draws: int, rng: np.random.Generator) -> Array:
    """(2, units) interval of the halves' agreement, from (episodes, bins, units), over the episodes of each half."""
    units, halves = sums.shape[2], [slice(half, None, 2) for half in (0, 1)]
    if len(sums) < 4 or not draws:  # a half of one episode has nothing to draw
        return np.full((2, units), np.nan)
    weights = [bootstrap_weights(len(sums[half]), draws, rng) for half in halves]
    occupancy = np.stack([weight @ visits[half] for weight, half in zip(weights, halves, strict=True)], axis=1)
    found = []
    for at in range(0, units, _CHUNK):
        part = sums[:, :, at : at + _CHUNK]
        drawn = [np.tensordot(weight, part[half], 1) for weight, half in zip(weights, halves, strict=True)]
        found.append(percentile_interval(_agreement(np.stack(drawn, axis=1), occupancy)))
    return np.concatenate(found, axis=1)

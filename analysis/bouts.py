"""Bouts of behaviour: their lengths, what follows what, and the ethogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from analysis.drawing import axes_or_new
from analysis.inference import (
    UNKNOWN,
    Estimate,
    about,
    bootstrap_weights,
    ends,
    episode_sums,
    not_estimable,
)
from analysis.inputs import Array, Labels, codes

CONTROL = "permuted bouts, none after its like"
_SWAPS = 5  # of an episode, for each of its bouts


@dataclass(frozen=True)
class Bouts:
    """Runs of one label.

    Attributes:
        names: (labels,) sorted, without the one that is none.
        label, start, length, episode: (bouts,) index into `names`, first step, steps, index of the episode.
        begins: (episodes,) first step of each.
        transitions: (labels, labels) share of the bouts of a row that a bout of the column follows; NaN in the row of
            a label that nothing ever followed.
        predictability: information between a bout's label and the next one's, in bits. The null permutes the bouts of
            each episode so that none follows its like, as no recorded one does. The interval is that of episodes drawn
            with replacement, moved onto the value: episodes that are drawn twice look more predictable.
        timestep: s.
    """

    names: NDArray
    label: Labels
    start: Labels
    length: Labels
    episode: Labels
    begins: Labels
    transitions: Array
    predictability: Estimate
    timestep: float


def bouts(
    labels: ArrayLike,
    episodes: ArrayLike,
    timestep: float,
    shortest: int = 1,
    draws: int = 200,
    seed: int = 0,
    none: object = None,
) -> Bouts:
    """Cut labels into bouts.

    Args:
        labels: (steps,) behaviour of each step.
        episodes: (steps,) labels; no bout or transition spans two of them.
        timestep: s.
        shortest: steps; shorter runs take the label of the nearest longer one of their episode.
        draws: of the null and the interval.
        seed: of both.
        none: the label of steps without a behaviour. They are no bout, and what follows them follows nothing.
    """
    values = np.asarray(labels)
    index, groups = codes(values, len(values), "labels"), codes(episodes, len(values), "episodes")
    names, begins = np.unique(values), np.unique(groups, return_index=True)[1].astype(np.int64)
    index = _without_short(index, groups, shortest)
    start = _starts(index, groups)
    length = np.diff(np.append(start, len(index)))
    label, episode = index[start], groups[start]
    some = names[label] != none
    # Bouts of one number follow each other without a gap.
    run = np.cumsum(np.append(True, (episode[1:] != episode[:-1]) | ~some[:-1]))[some]
    kept = names != none
    names, label = names[kept], (np.cumsum(kept) - 1)[label[some]]
    start, length, episode = start[some], length[some], episode[some]
    counts = _counts(label, run, len(names))
    with np.errstate(invalid="ignore"):
        transitions = counts / counts.sum(axis=1, keepdims=True)
    predictability = _predictability(label, run, episode, counts, draws, seed)
    return Bouts(names, label, start, length, episode, begins, transitions, predictability, timestep)


def share_of_time(
    inside: ArrayLike, episodes: ArrayLike, tasks: ArrayLike, draws: int = 500, seed: int = 0
) -> dict[str, Estimate]:
    """The share of the steps that are in a behaviour, over all and in each task.

    Args:
        inside: (steps,) whether a step is in it.
        episodes: (steps,) labels.
        tasks: (steps,) names, one an episode.
        draws: of the null and of episodes for the interval.
        seed: of both.

    Returns:
        "" for all steps, which have nothing to be held against; where there are several tasks, each one's name besides,
        against the tasks dealt to other episodes. One-sided: it tells what is done more in a task than in others.
    """
    values, names = np.asarray(inside, dtype=np.float64), np.asarray(tasks)
    groups, rng = codes(episodes, len(values), "episodes"), np.random.default_rng(seed)
    hits, steps = episode_sums(values, groups), episode_sums(np.ones(len(values)), groups)
    task = names[np.unique(groups, return_index=True)[1]]
    found = {"": Estimate(float(hits.sum() / steps.sum()), {}, _share_interval(hits, steps, draws, rng))}
    kinds = np.unique(task)
    for name in kinds if len(kinds) > 1 else ():
        of = task == name
        dealt = [rng.permutation(of) for _ in range(draws)]
        null = np.array([hits[each].sum() / steps[each].sum() for each in dealt])
        interval = _share_interval(hits[of], steps[of], draws, rng)
        value = float(hits[of].sum() / steps[of].sum())
        found[str(name)] = Estimate(value, {"tasks dealt to other episodes": null}, interval)
    return found


def plot_ethogram(result: Bouts, ax: Axes | None = None) -> Axes:
    """A row an episode, a colour a behaviour."""
    ax = axes_or_new(ax, (6.0, 3.0))
    for name in range(len(result.names)):
        for bout in np.flatnonzero(result.label == name):
            row = result.episode[bout]
            at, span = (
                (result.start[bout] - result.begins[row]) * result.timestep,
                result.length[bout] * result.timestep,
            )
            ax.broken_barh([(at, span)], (row - 0.4, 0.8), color=f"C{name % 10}")
    ax.invert_yaxis()
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("time (s)")
    ax.set_ylabel("episode")
    return ax


def _starts(index: Labels, groups: Labels) -> Labels:
    return np.flatnonzero(np.append(True, (np.diff(index) != 0) | (np.diff(groups) != 0)))


def _without_short(index: Labels, groups: Labels, shortest: int) -> Labels:
    start = _starts(index, groups)
    length = np.diff(np.append(start, len(index)))
    long = np.repeat(length >= shortest, length)
    merged = index.copy()
    for episode in range(groups.max() + 1):
        rows = np.flatnonzero(groups == episode)
        if long[rows].any():
            nearest = ndimage.distance_transform_edt(~long[rows], return_distances=False, return_indices=True)[0]
            merged[rows] = index[rows][nearest]
    return merged


def _counts(label: Labels, run: Labels, size: int) -> Array:
    """(size, size) how often a label (..., bouts) is followed by which one, within runs (bouts,)."""
    follows = run[1:] == run[:-1]
    pairs = label[..., :-1][..., follows] * size + label[..., 1:][..., follows]
    return np.bincount(pairs.ravel(), minlength=size**2).reshape(size, size).astype(np.float64)


def _information(counts: Array) -> float:
    """Bits between rows and columns; biased upwards by few counts, as is its null."""
    if not counts.sum():
        return float("nan")
    joint = counts / counts.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    some = joint > 0
    return float((joint[some] * np.log2(joint[some] / apart[some])).sum())


def _predictability(label: Labels, run: Labels, episode: Labels, counts: Array, draws: int, seed: int) -> Estimate:
    if len(np.unique(label)) < 2 or not counts.sum():
        return not_estimable("no transitions")
    rng, size = np.random.default_rng(seed), len(counts)
    null = np.array([_information(_counts(each, run, size)) for each in _permuted(label, run, episode, draws, rng)])
    names, value = np.unique(episode), _information(counts)
    each = np.array([_counts(label[episode == name], run[episode == name], size) for name in names])
    interval = UNKNOWN
    if len(each) > 1:
        drawn = [each[rng.integers(len(each), size=len(each))].sum(axis=0) for _ in range(draws)]
        interval = about(value, [_information(part) for part in drawn], least=0.0)
    return Estimate(value, {CONTROL: null}, interval)


def _permuted(label: Labels, run: Labels, episode: Labels, draws: int, rng: np.random.Generator) -> Labels:
    """(draws, bouts) the bouts of each episode in another order in which none follows its like.

    The first and the last bout of a run stay. Where the next behaviour depends on this one only in being another,
    all such orders are alike probable (quasi-independence, Goodman 1968). They are reached by swaps of two bouts; the
    chains of all draws start from one order that is as many swaps away from the recorded one, which makes this one
    among equals however few the swaps are (Besag and Clifford 1989).
    """
    inner = np.flatnonzero((run[1:-1] == run[:-2]) & (run[1:-1] == run[2:])) + 1
    count = np.bincount(episode[inner], minlength=int(episode.max()) + 1)
    if not draws or count.max(initial=0) < 2:
        return np.tile(label, (draws, 1))
    swaps = _SWAPS * int(count.max())
    begun = _swapped(label[None], inner, count, swaps, rng)
    return _swapped(np.tile(begun, (draws, 1)), inner, count, swaps, rng)


def _swapped(orders: Labels, inner: Labels, count: Labels, swaps: int, rng: np.random.Generator) -> Labels:
    """Orders (draws, bouts) after so many swaps in each episode of two of its `inner` bouts, of which it has `count`.

    A swap that would let a bout follow its like is left out.
    """
    first, count = (np.cumsum(count) - count)[count > 1], count[count > 1]
    row = np.arange(len(orders))[:, None]
    for _ in range(swaps):
        one, other = (inner[first + rng.integers(count, size=(len(orders), len(count)))] for _ in range(2))
        mine, its = orders[row, one], orders[row, other]
        fits = mine != its
        for at, put, away, left in ((one, its, other, mine), (other, mine, one, its)):
            for beside in (at - 1, at + 1):
                fits &= np.where(beside == away, left, orders[row, beside]) != put
        orders[row, one], orders[row, other] = np.where(fits, its, mine), np.where(fits, mine, its)
    return orders


def _share_interval(hits: Array, steps: Array, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """Of the share of steps, from each episode's hits and steps."""
    if len(hits) < 2:
        return UNKNOWN
    weights = bootstrap_weights(len(hits), draws, rng)
    return ends((weights @ hits) / (weights @ steps))

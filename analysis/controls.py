"""The controls, in one place: what an effect must beat before it is one.

Labels are shuffled by whole episodes: `other_episodes` is that control for them as for any other record (`classify` has
it), since steps that are shuffled one by one would be told apart by what neighbours have in common.

`Control` makes surrogate activity of the recorded one. What a caller alone can give, the activity of an untrained
network or the inputs in place of the activity, is a *reference*: another array of the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from analysis.dealing import Dealing
from analysis.drawing import plot_estimates
from analysis.inference import UNKNOWN, Estimate, ends, not_estimable, resampled_rows
from analysis.inputs import Array, Labels, codes, first_reason, matrix
from rodent.errors import UsageError

Control = Callable[[Array, int, np.random.Generator], Iterator[NDArray[Any]]]
"""Of activity (steps, units) so many surrogates, each of as many steps; all that there are where they are fewer."""
Statistic = Callable[[Array, NDArray[np.int64]], float]  # of activity (rows, units) and the steps that its rows are
Statistics = Callable[[Array, NDArray[np.int64]], Array]  # several of them, (n,)


def shift_within_episodes(values: NDArray, episodes: Labels, rng: np.random.Generator) -> NDArray:
    """Roll each episode's steps by a lag of its own.

    Episodes keep their means and their spectra, but for the seam where the end meets the start: of two smooth and
    unrelated records too many beat this (docs/analyses.md), so their null is `analysis.dealing`.
    """
    return np.asarray(values)[_rolled_steps(episodes, rng)]


def _rolled_steps(episodes: NDArray, rng: np.random.Generator) -> Labels:
    """(steps,) which step of its episode stands in for each once that is rolled by a lag of its own."""
    order = np.argsort(episodes, kind="stable")
    found = np.empty_like(order)
    for rows in np.split(order, np.flatnonzero(np.diff(np.asarray(episodes)[order])) + 1):
        found[rows] = np.roll(rows, rng.integers(1, max(len(rows), 2)))
    return found


def rotate_units(activity: Array, rng: np.random.Generator) -> Array:
    """Activity about its mean in a random orthonormal basis: the population's geometry without its units.

    The basis is found in single precision, in half the time: no distance changes by more than some millionths.
    """
    centre, count = activity.mean(axis=0), activity.shape[1]
    turn, upper = np.linalg.qr(rng.standard_normal((count, count), dtype=np.float32))
    turn *= np.sign(np.diag(upper))  # else not all rotations are alike probable (Mezzadri 2007)
    return (activity - centre) @ turn.astype(np.float64) + centre


def matched_units(activity: ArrayLike, chosen: ArrayLike, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each chosen unit another one of like variability, each used once.

    Args:
        activity: (steps, units).
        chosen: (n,) indices of units.
        rng: picks among the three candidates that are nearest in log standard deviation.

    Returns:
        (n,) indices, none of them chosen.

    Raises:
        UsageError: where fewer units are left than were chosen.
    """
    return _matched(_log_spread(activity), np.asarray(chosen, dtype=np.int64), rng)


def _log_spread(activity: ArrayLike) -> Array:
    return np.asarray(np.log(matrix(activity, "activity").std(axis=0) + 1e-12))


def _matched(spread: Array, chosen: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    pool = list(np.setdiff1d(np.arange(len(spread)), chosen))
    if len(pool) < len(chosen):
        raise UsageError(f"{len(chosen)} units chosen and {len(pool)} left to match them; choose at most half")
    picked = []
    for unit in chosen:
        nearest = np.argsort(np.abs(spread[pool] - spread[unit]), kind="stable")[:3]
        picked.append(pool.pop(int(rng.choice(nearest))))
    return np.array(picked, dtype=np.int64)


def other_episodes(episodes: ArrayLike, tasks: ArrayLike | None = None) -> Control:
    """The control that deals each episode the activity of an episode of its task (`analysis.dealing`).

    No order of the episodes is drawn twice and the recorded one never, so a p is right even of few. Single episodes may
    keep their own: orders in which none does are no exact null (docs/decisions/0015-the-null-is-other-episodes.md).

    Args:
        episodes: (steps,) labels.
        tasks: (steps,) labels, one an episode; None where all episodes are exchangeable.

    Raises:
        UsageError: where a task has one episode alone, for which no other can stand in.
    """
    labels = np.asarray(episodes)
    groups = codes(labels, len(labels), "episodes")
    dealing = Dealing.of(groups, tasks)
    if alone := [block[0] for block in dealing.blocks if len(block) < 2]:
        whose = "the recording" if tasks is None else f"task {np.asarray(tasks)[groups == alone[0]][0]}"
        raise UsageError(f"{whose} has one episode, for which no other can stand in; record two at least")

    def dealt(activity: Array, draws: int, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
        return (activity[dealing.steps(order)] for order in dealing.orders(draws, rng))

    return dealt


def time_shift(episodes: ArrayLike) -> Control:
    """The control that rolls each episode's activity, all steps of it, by a random lag."""
    labels = np.asarray(episodes)
    return lambda activity, draws, rng: (shift_within_episodes(activity, labels, rng) for _ in range(draws))


def time_shift_before(whole: NDArray, episodes: ArrayLike, rows: NDArray[np.int64]) -> Control:
    """The same where the activity is of some steps of an episode: all of them are rolled, and then those are taken.

    Args:
        whole: (steps, units) activity, of all steps.
        episodes: (steps,) labels.
        rows: which of these steps the activity is of that the control is given.
    """
    labels = np.asarray(episodes)
    return lambda activity, draws, rng: (whole[_rolled_steps(labels, rng)[rows]] for _ in range(draws))


def rotation(activity: Array, draws: int, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
    """The control that turns the units: random directions of the population in place of units."""
    return (rotate_units(activity, rng) for _ in range(draws))


def other_units(chosen: ArrayLike) -> Control:
    """The control that leaves, in place of all units, such as are as variable as those chosen (`matched_units`)."""
    units = np.asarray(chosen, dtype=np.int64)

    def others(activity: Array, draws: int, rng: np.random.Generator) -> Iterator[NDArray[Any]]:
        spread = _log_spread(activity)
        return (activity[:, _matched(spread, units, rng)] for _ in range(draws))

    return others


def against_controls(
    statistic: Statistic,
    activity: ArrayLike,
    episodes: ArrayLike,
    controls: Mapping[str, Control],
    references: Mapping[str, ArrayLike] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> Estimate:
    """A statistic of the activity beside the same of every control and reference.

    Args:
        statistic: of activity (rows, units) and the indices of those rows; greater means more of an effect.
        activity: (steps, units).
        episodes: (steps,) labels; the interval comes from episodes drawn with replacement.
        controls: name to what makes surrogate activity.
        references: name to other activity of the same steps: an untrained network's, or the inputs. What stands for
            their null is the value less what it is greater by in episodes drawn with replacement, the same for both:
            so that p is the share of draws in which the reference reaches the activity. It is empty of one episode.
        draws: of each, but where a control has fewer.
        seed: of all draws.

    Raises:
        UsageError: a reference has other steps, or a control cannot be made of this activity.
    """

    def alone(values: Array, rows: NDArray[np.int64]) -> Array:
        return np.array([statistic(values, rows)])

    return each_against_controls(alone, [""], activity, episodes, controls, references, draws, seed)[""]


def each_against_controls(
    statistics: Statistics,
    names: Sequence[str],
    activity: ArrayLike,
    episodes: ArrayLike,
    controls: Mapping[str, Control],
    references: Mapping[str, ArrayLike] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> dict[str, Estimate]:
    """The same of several statistics, by name, all of one surrogate at once.

    Args:
        statistics: as many numbers as there are names, as a `Statistic` gives one.
        names: theirs.
        activity: (steps, units).
        episodes: as of `against_controls`.
        controls: the same.
        references: the same.
        draws: the same.
        seed: the same.

    Raises:
        UsageError: as `against_controls`.
    """
    array = matrix(activity, "activity")
    groups, rng, rows = codes(episodes, len(array), "episodes"), np.random.default_rng(seed), np.arange(len(array))
    if reason := first_reason(array):
        return {name: not_estimable(reason) for name in names}
    value = statistics(array, rows)
    nulls = {
        name: _many([statistics(surrogate, rows) for surrogate in control(array, draws, rng)], len(value))
        for name, control in controls.items()
    }
    samples = [resampled_rows(groups, rng) for _ in range(draws)] if groups.max() > 0 else []
    own = _many([statistics(array[sample], sample) for sample in samples], len(value))
    for name, values in (references or {}).items():
        reference = matrix(values, name)
        if len(reference) != len(array):
            raise UsageError(f"{name} has {len(reference)} steps, the activity {len(array)}; give the same steps")
        # Paired: what a draw of episodes does to both is no difference, and what it does to one alone is uncertain.
        others = _many([statistics(reference[sample], sample) for sample in samples], len(value))
        nulls[name] = value - (own - others)
    return {
        name: Estimate(
            float(value[i]), {control: null[:, i] for control, null in nulls.items()},
            ends(own[:, i]) if samples else UNKNOWN,
        )
        for i, name in enumerate(names)
    }  # fmt: skip


def _many(rows: list[Array], count: int) -> Array:
    """(draws, statistics), of no draws too."""
    return np.array(rows).reshape(len(rows), count)


def plot_controls(estimate: Estimate, label: str, ax: Axes | None = None) -> Axes:
    """The statistic with its interval, beside every control."""
    return plot_estimates({label: estimate}, label, ax)

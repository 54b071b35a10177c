"""Dynamical similarity analysis (Ostrow et al. 2023): whether two populations move by the same rules.

The linear dynamics of delay coordinates are fitted to each (Hankel DMD), and compared up to a rotation of their
coordinates. These are whitened, so that any invertible linear change of the states is no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from analysis.drawing import plot_estimates
from analysis.inference import Estimate, about, bootstrap_weights, not_estimable
from analysis.inputs import Array, Labels, codes, first_reason, matrix
from rodent.errors import UsageError

_STARTS = 32  # of the search for the best rotation, half of them with a mirror
_TRIAL = 30  # steps after which the better quarter of them goes on
_STEPS = 500
_TINY = 1e-10  # of the greatest variance: a direction that has none


@dataclass(frozen=True)
class DynamicalSimilarity:
    """How alike two dynamics are.

    Attributes:
        distance: angle between the two, 0 (the same) to pi. Its null is the distance between random halves of the
            episodes of one system, of either in turn: what noise alone sets apart. Halves are noisier than the whole,
            so this errs to the strict side. The interval draws episodes.
        rank: dimension of the delay coordinates that were compared.
        delays: steps of each delay vector.
        matrices: (rank, rank) dynamics of each, one step ahead.
    """

    distance: Estimate
    rank: int
    delays: int
    matrices: tuple[Array, Array]


def dynamical_similarity(
    first: ArrayLike,
    second: ArrayLike,
    episodes: tuple[ArrayLike, ArrayLike],
    delays: int | Sequence[int] = 1,
    rank: int | None = None,
    most: int = 10,
    draws: int = 40,
    seed: int = 0,
) -> DynamicalSimilarity:
    """Distance between the dynamics of two populations, whose units and steps may differ.

    Args:
        first: (steps, components), as the leading principal components.
        second: (other steps, other components), at the same time step.
        episodes: labels of the steps of each; no delay vector spans two of them.
        delays: steps of each delay vector: 1 where the components hold the state, more where they hold a part of it. Of
            several, in ascending order, the fewest that predict held-out episodes as well as the best do.
        rank: of the dynamics. A wrong one ranks systems wrongly; by default the least that predicts held-out episodes
            of both as well as the best does, within a standard error over episodes.
        most: the greatest rank tried.
        draws: of null and interval.
        seed: of both, and of the search for the best rotation.
    """
    tried = (delays,) if isinstance(delays, int) else tuple(delays)
    if min(tried, default=0) < 1 or most < 1 or (rank is not None and rank < 1):
        raise UsageError(f"{delays} delays and rank {rank} of at most {most}; give at least 1 of each")
    parts = (matrix(first, "first"), matrix(second, "second"))
    groups = [codes(labels, len(part), "episodes") for part, labels in zip(parts, episodes, strict=True)]
    every = [_Delayed.of(parts, groups, each, rank, most) for each in tried]
    known = [each for each in every if not each.reason]
    if not known:
        nothing = np.full((rank or 1, rank or 1), np.nan)
        return DynamicalSimilarity(not_estimable(every[0].reason), rank or 0, every[0].delays, (nothing, nothing))
    # Those that leave out an episode that is too short for them cannot be held against the others.
    known = [each for each in known if each.errors.shape[1] == known[0].errors.shape[1]]
    chosen = known[_least(np.array([each.errors[each.best] for each in known]))]
    distance, matrices = _distance(chosen.moments, chosen.ranks[chosen.best], draws, seed)
    return DynamicalSimilarity(distance, chosen.ranks[chosen.best], chosen.delays, matrices)


def best_rotation(first: Array, second: Array, starts: Array) -> tuple[Array, float]:
    """The orthogonal C for which C second C^T is the most like another matrix, and the angle that is left, in radians.

    The overlap is a quadratic function of C. With a constant added, it is convex, and its tangent is greatest at the
    orthogonal factor of its gradient: every such step raises the overlap. The best of the starts counts.

    Args:
        first: (n, n).
        second: (n, n).
        starts: (starts, n, n) orthogonal.
    """
    one, other = first / np.linalg.norm(first), second / np.linalg.norm(second)
    convex, turn = np.linalg.norm(one, 2) * np.linalg.norm(other, 2), starts

    def overlaps() -> Array:
        return np.einsum("ij,sij->s", one, turn @ other @ turn.transpose(0, 2, 1))

    before = overlaps()
    for step in range(_STEPS):
        turn = _orthogonal(one @ turn @ other.T + one.T @ turn @ other + convex * turn)
        overlap = overlaps()
        if (overlap - before).max() < 1e-9:
            break
        if step == _TRIAL:
            better = np.argsort(-overlap)[: -(-len(turn) // 4)]
            turn, overlap = turn[better], overlap[better]
        before = overlap
    best = int(np.argmax(overlaps()))
    return turn[best], float(np.arccos(np.clip(overlaps()[best], -1, 1)))


def plot_dynamical_similarity(result: DynamicalSimilarity, ax: Axes | None = None) -> Axes:
    """The distance beside those between halves of one system."""
    name = f"rank {result.rank}, delays {result.delays}"
    return plot_estimates({name: result.distance}, "distance of dynamics (rad)", ax)


@dataclass(frozen=True)
class _Fit:
    """Dynamics of whitened delay coordinates.

    Attributes:
        matrix: (rank, rank) from the present coordinates to the next.
        white: (size, rank) from delay vectors to coordinates.
        covariance: (size, size) sums of products of delay vectors.
    """

    matrix: Array
    white: Array
    covariance: Array

    @classmethod
    def of(cls, moments: Array, rank: int) -> _Fit:
        """From (2, size, size) sums of products of delay vectors with themselves, and of the next with the present."""
        values, vectors = np.linalg.eigh(moments[0])
        white = vectors[:, ::-1][:, :rank] / np.sqrt(np.maximum(values[::-1][:rank], _TINY * values[-1]))
        return cls(white.T @ moments[1] @ white, white, moments[0])

    def turn_from(self, other: _Fit) -> Array:
        """(rank, rank) the orthogonal map to these coordinates from those of another fit to the same delay vectors."""
        return _orthogonal(self.white.T @ other.covariance @ other.white)


def _orthogonal(matrices: Array) -> Array:
    """The orthogonal factor of (..., n, n)."""
    left, _, right = np.linalg.svd(matrices)
    return left @ right


def _random_turns(size: int, rng: np.random.Generator) -> Array:
    turns = _orthogonal(rng.normal(size=(_STARTS, size, size)))
    turns[:, 0] *= (np.sign(np.linalg.det(turns)) * np.resize([1, -1], _STARTS))[:, None]
    return turns


def _distance(moments: list[Array], rank: int, draws: int, seed: int) -> tuple[Estimate, tuple[Array, Array]]:
    rng = np.random.default_rng(seed)
    fitted = [_Fit.of(part.sum(axis=0), rank) for part in moments]
    turn, value = best_rotation(fitted[0].matrix, fitted[1].matrix, _random_turns(rank, rng))
    null = [_between_halves(moments[draw % 2], rank, rng) for draw in range(draws)]
    weights = [bootstrap_weights(len(part), draws, rng) for part in moments]
    drawn = []
    for pair in zip(*weights, strict=True):
        again = [_Fit.of(np.tensordot(w, m, 1), rank) for w, m in zip(pair, moments, strict=True)]
        start = again[0].turn_from(fitted[0]) @ turn @ again[1].turn_from(fitted[1]).T
        drawn.append(best_rotation(again[0].matrix, again[1].matrix, start[None])[1])
    distance = Estimate(value, {"halves of one system": np.array(null)}, about(value, drawn, least=0.0))
    return distance, (fitted[0].matrix, fitted[1].matrix)


def _moments(states: Array, chosen: NDArray[np.bool_], delays: int) -> Array | None:
    """(2, size, size) of one episode; None where it is too short for two delay vectors."""
    path = states[chosen]
    if len(path) <= delays:
        return None
    vectors = np.lib.stride_tricks.sliding_window_view(path, delays, axis=0).reshape(len(path) - delays + 1, -1)
    return np.stack([vectors[:-1].T @ vectors[:-1], vectors[1:].T @ vectors[:-1]])


def _rank(moments: Array) -> int:
    values = np.linalg.eigvalsh(moments.sum(axis=0)[0])
    return int((values > _TINY * values[-1]).sum())


def _between_halves(moments: Array, rank: int, rng: np.random.Generator) -> float:
    half = rng.permutation(len(moments)) % 2
    one, other = (_Fit.of(moments[half == side].sum(axis=0), rank) for side in (0, 1))
    return best_rotation(one.matrix, other.matrix, one.turn_from(other)[None])[1]


@dataclass(frozen=True)
class _Delayed:
    """What is known of both systems with so many delays, or why they cannot be compared with as many.

    Attributes:
        moments: of either system, (episodes, 2, size, size).
        ranks: that were tried.
        errors: (ranks, episodes) of the next step's values in the other half of the episodes, shares of their squares.
    """

    delays: int
    moments: list[Array]
    ranks: tuple[int, ...]
    errors: Array
    reason: str

    @classmethod
    def of(
        cls, parts: tuple[Array, Array], groups: Sequence[Labels], delays: int, rank: int | None, most: int
    ) -> _Delayed:
        moments, reason = [], ""
        for part, labels in zip(parts, groups, strict=True):
            reason = reason or first_reason(part, delays + 2)
            found = [_moments(part - part.mean(axis=0), labels == name, delays) for name in np.unique(labels)]
            moments.append(np.array([pair for pair in found if pair is not None]))
            if len(moments[-1]) < 4:
                few = f"{len(moments[-1])} episodes of more than {delays} steps"
                reason = reason or f"{few}; needs 4, two for each half"
        there = 0 if reason else min(_rank(part) for part in moments)
        if not reason and rank is not None and there < rank:
            reason = f"rank {there}; needs {rank}, so use a lower rank or more delays"
        if reason:
            return cls(delays, moments, (), np.empty((0, 0)), reason)
        ranks = tuple(range(1, min(most, there) + 1)) if rank is None else (rank,)
        return cls(delays, moments, ranks, _held_out(moments, parts, ranks), "")

    @property
    def best(self) -> int:
        """Which of the ranks is the least that predicts as well as any."""
        return _least(self.errors)


def _held_out(moments: list[Array], parts: tuple[Array, Array], ranks: Sequence[int]) -> Array:
    """(ranks, episodes) errors of either half of the episodes of either system, predicted by the other half."""
    errors = []
    for part, states in zip(moments, parts, strict=True):
        newest = np.arange(part.shape[-1]).reshape(states.shape[1], -1)[:, -1]
        for half in (0, 1):
            train, test = part[half::2].sum(axis=0), part[1 - half :: 2]
            scale = np.trace(test.mean(axis=0)[0][np.ix_(newest, newest)])
            errors.append(np.stack([_errors(train, test, newest, rank) for rank in ranks]) / scale)
    return np.concatenate(errors, axis=1)


def _least(errors: Array) -> int:
    """The first row of (choices, episodes) whose errors are the least, within a standard error over episodes."""
    worse = errors - errors[int(np.argmin(errors.sum(axis=1)))]
    return int(np.argmax(worse.mean(axis=1) <= worse.std(axis=1) / np.sqrt(errors.shape[1])))


def _errors(train: Array, test: Array, newest: NDArray[np.int64], rank: int) -> Array:
    """(episodes,) squared errors of the next step's values, less what does not depend on the rank."""
    fit = _Fit.of(train, rank)
    predictor = train[1][newest] @ fit.white @ fit.white.T
    explained = 2 * np.einsum("ij,eij->e", predictor, test[:, 1][:, newest])
    return np.einsum("ij,ejk,ik->e", predictor, test[:, 0], predictor) - explained

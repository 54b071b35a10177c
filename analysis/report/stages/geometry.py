"""Distances between conditions in a layer, how reliable they are, and how far those of two layers agree (RSA)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array, Labels
from analysis.noise_ceiling import distance_reliability, rsa_ceiling
from analysis.report.findings import Finding
from analysis.report.stages.conditions import Conditions
from analysis.similarity import crossed_dissimilarities, rsa

RSA = "correlation of dissimilarities (RSA)"
CEILING = "noise ceiling of the correlation of dissimilarities (RSA)"
BOUNDS = ("lower bound", "upper bound")
_DRAWS = 200


@dataclass(frozen=True)
class Geometry:
    """A layer's distances between the means of conditions.

    Attributes:
        apart: (pairs,) cross-validated over two halves of the episodes, which noise does not bias.
        reliability: how far a second record would rank them alike; NaN where that is not known or was not asked.
    """

    apart: Array
    reliability: float


def geometry(
    values: NDArray, halves: Conditions, episodes: Labels, at: int = 0, seed: int = 0, splits: int = 20
) -> Geometry:
    """The distances over the halves `at` and `at` + 1 of conditions, where these are enough (`Conditions.reason`).

    Args:
        values: (steps, columns).
        halves: each half of the episodes as if it were a session.
        episodes: (steps,) labels.
        at: which of them is the first half of these steps.
        seed: of the splits that the reliability is the mean over.
        splits: how many; 0 where it is not wanted.
    """
    apart = crossed_dissimilarities(halves.means(values, at), halves.means(values, at + 1))
    if not splits:
        return Geometry(apart, float("nan"))
    of_step = np.maximum(halves.of_steps[at], halves.of_steps[at + 1])
    tasks = np.unique(halves.tasks, return_inverse=True)[1]
    of_episode = np.zeros(int(episodes.max()) + 1, dtype=np.int64)
    known = of_step >= 0
    of_episode[episodes[known]] = tasks[of_step[known]]
    return Geometry(apart, distance_reliability(values, of_step, episodes, of_episode[episodes], splits, seed))


def agreement(
    one: Geometry, other: Geometry, within: Labels, seed: int, about: dict[str, str], measures: tuple[str, str]
) -> list[Finding]:
    """How far two geometries agree, beside permuted conditions, and the bounds that noise sets it.

    Args:
        one: of a layer.
        other: of another, or of features.
        within: (conditions,) labels that the null permutes within.
        seed: of the draws.
        about: the fields of the findings; the bounds say which they are after the variable.
        measures: the names of the agreement and of its ceiling.
    """
    found = rsa(one.apart, other.apart, _DRAWS, seed, within).agreement
    over = {**about, "interval_over": "clusters"}
    ceiling = rsa_ceiling(one.reliability, other.reliability)
    return [Finding(measures[0], found, **over), *bounds(ceiling, measures[1], about)]


def bounds(ceiling: tuple[float, float], measure: str, about: dict[str, str]) -> list[Finding]:
    """A row for either bound of a noise ceiling, or for why there is none."""
    known = all(np.isfinite(ceiling))
    none = not_estimable("no two halves of the episodes agree on the distances, or there are too few episodes")
    return [
        Finding(
            measure,
            Estimate(end, {}) if known else none,
            **{**about, "variable": f"{about['variable']}, {name}" if about.get("variable") else name},
        )
        for name, end in zip(BOUNDS, ceiling, strict=True)
    ]


def agreement_alone(one: Geometry, other: Geometry) -> Estimate:
    """The agreement alone, without a null."""
    return rsa(one.apart, other.apart, draws=0).agreement

"""Numbers with what chance gives them: null distributions, p and q values, intervals over episodes and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.model_selection import GroupKFold

from analysis.inputs import Array, Labels
from rodent.errors import UsageError

LEVEL = 0.05  # a control is beaten, and a false discovery rate kept, at this level
UNKNOWN = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Estimate:
    """A number, its distribution under each control, and its interval.

    Attributes:
        value: the statistic; NaN where it cannot be estimated.
        nulls: a control's name to (draws,) values of the statistic under it.
        interval: low and high end of the 95 % interval; NaN where there is nothing to resample.
        reason: why the number cannot be estimated; empty where it can.
    """

    value: float
    nulls: Mapping[str, Array]
    interval: tuple[float, float] = UNKNOWN
    reason: str = ""

    @property
    def estimable(self) -> bool:
        return not self.reason

    def p(self, control: str) -> float:
        """One-sided p: how often the control reaches the value; never 0."""
        return float(p_values(np.array([self.value]), self.nulls[control][:, None])[0])

    @property
    def beat(self) -> tuple[str, ...]:
        """The controls that reach the value in at most 5 % of their draws."""
        return tuple(name for name in self.nulls if self.p(name) <= LEVEL)


@dataclass(frozen=True)
class UnitEstimates:
    """One number a unit, with the same for its control.

    Attributes:
        value: (units,); NaN where it cannot be estimated.
        control: what the null distribution comes from.
        null: (draws, units).
        interval: (2, units), the ends of the 95 % interval.
        reasons: (units,), empty where estimable.
    """

    value: Array
    control: str
    null: Array
    interval: Array
    reasons: tuple[str, ...]

    @property
    def p(self) -> Array:
        """(units,) one-sided p against the control."""
        return p_values(self.value, self.null)

    @property
    def q(self) -> Array:
        """(units,) p corrected for a false discovery rate over the units (Benjamini and Hochberg 1995)."""
        return q_values(self.p)

    @property
    def beat(self) -> NDArray[np.bool_]:
        """(units,) whether the unit beats its control at a false discovery rate of 5 %."""
        return np.nan_to_num(self.q, nan=1.0) <= LEVEL


def not_estimable(reason: str) -> Estimate:
    """The estimate that says why there is none."""
    return Estimate(float("nan"), {}, UNKNOWN, reason)


def p_values(values: Array, null: Array) -> Array:
    """(n,) shares of the draws (draws, n) that reach the values, which count as a draw themselves; NaN stays NaN."""
    draws = np.isfinite(null).sum(axis=0)
    p = (1 + (null >= values).sum(axis=0)) / (1 + draws)
    return np.where(np.isfinite(values) & (draws > 0), p, np.nan)


def single_case(value: float, sample: Array) -> float:
    """One-sided p of one value above a small normal sample: a t-test with a group of one (Crawford and Howell 1998).

    Args:
        value: of the case; NaN stays NaN.
        sample: (n,) values of as many others, independent of each other.

    Returns:
        NaN where fewer than three are known, or where they do not differ.
    """
    known = sample[np.isfinite(sample)]
    if len(known) < 3 or not np.ptp(known) > 0:
        return float("nan")
    spread = known.std(ddof=1) * np.sqrt(1 + 1 / len(known))
    return float(stats.t.sf((value - known.mean()) / spread, len(known) - 1))


def q_values(p: Array) -> Array:
    """Benjamini and Hochberg's q, over those p that are not NaN."""
    q, known = np.full(len(p), np.nan), np.isfinite(p)
    if known.any():
        q[known] = stats.false_discovery_control(p[known])
    return q


def percentile_interval(samples: Array) -> Array:
    """(2, ...) the middle 95 % of (draws, ...); NaN where no draw is finite."""
    low, high = np.full(samples.shape[1:], np.nan), np.full(samples.shape[1:], np.nan)
    known = np.isfinite(samples).any(axis=0)
    if known.any():
        low, high = (
            np.where(known, np.nanquantile(np.where(known, samples, 0.0), q, axis=0), np.nan)
            for q in (LEVEL / 2, 1 - LEVEL / 2)
        )
    return np.stack([low, high])


def ends(samples: Array) -> tuple[float, float]:
    """The middle 95 % of (draws,), as `Estimate.interval` has it."""
    low, high = percentile_interval(samples)
    return float(low), float(high)


def about(value: float, samples: ArrayLike, least: float = -np.inf, most: float = np.inf) -> tuple[float, float]:
    """The normal 95 % interval about a value, from draws whose spread is right and whose middle is not.

    Draws with replacement hold some episodes twice, which adds noise to what is alike; half-samples are of fewer.

    Args:
        value: about which.
        samples: (draws,); those that are not finite are left out, and of fewer than two nothing is known.
        least: what it cannot be below.
        most: what it cannot be above.
    """
    known = np.asarray(samples, dtype=np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        return UNKNOWN
    half = float(stats.norm.ppf(1 - LEVEL / 2) * known.std())
    return max(value - half, least), min(value + half, most)


def bootstrap_weights(groups: int, draws: int, rng: np.random.Generator) -> Array:
    """(draws, groups) how often each group is drawn when as many groups are drawn with replacement."""
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=draws).astype(np.float64)


def episode_sums(values: Array, groups: Labels) -> Array:
    """(episodes,) sums of (steps,) values over the steps of each episode, 0, 1, ..."""
    return np.bincount(groups, values).astype(np.float64)


def resampled_rows(episodes: Labels, rng: np.random.Generator) -> NDArray[np.int64]:
    """The steps of as many episodes as there are, drawn with replacement."""
    names = np.unique(episodes)
    return np.concatenate([np.flatnonzero(episodes == name) for name in rng.choice(names, size=len(names))])


def episode_folds(episodes: Labels, folds: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Steps to learn from and steps held out, of whole episodes 0, 1, ...; at most as many folds as episodes."""
    return GroupKFold(min(folds, int(episodes.max()) + 1)).split(episodes, groups=episodes)


def explained_interval(errors: Array, totals: Array, draws: int, rng: np.random.Generator) -> Array:
    """(2, units) interval of 1 - sum(errors) / sum(totals), from (episodes, units) each, over episodes."""
    if len(errors) < 2:
        return np.full((2, errors.shape[1]), np.nan)
    weights = bootstrap_weights(len(errors), draws, rng)
    with np.errstate(invalid="ignore", divide="ignore"):
        return percentile_interval(1 - (weights @ errors) / (weights @ totals))


def over_seeds(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over training seeds, with Student's interval over them; the null is the mean's.

    Args:
        estimates: one of each seed; those not estimable are left out.

    Raises:
        UsageError: where there are none.
    """
    if not estimates:
        raise UsageError("no estimates given; give one of each training seed")
    known = [estimate for estimate in estimates if estimate.estimable]
    if not known:
        return not_estimable(estimates[0].reason)
    values = np.array([estimate.value for estimate in known])
    shared = set.intersection(*(set(estimate.nulls) for estimate in known))
    nulls = {}
    for name in sorted(shared):
        draws = min(len(estimate.nulls[name]) for estimate in known)
        nulls[name] = np.mean([estimate.nulls[name][:draws] for estimate in known], axis=0)
    interval = UNKNOWN
    if len(values) > 1:
        half = stats.t.ppf(1 - LEVEL / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        interval = (float(values.mean() - half), float(values.mean() + half))
    return Estimate(float(values.mean()), nulls, interval)

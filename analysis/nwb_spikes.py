"""Synthetic spikes: Poisson processes whose rate is the rectified activity of a unit, for tools that want spikes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rodent.physics import CONTROL_TIMESTEP

RESOLUTION = 1e-6  # s, to which spike times are rounded

Activity = NDArray[np.floating]


@dataclass(frozen=True)
class Spikes:
    """Spike times of some units, sorted."""

    times: NDArray[np.float64]
    """s, of one unit after the other."""
    ends: NDArray[np.int64]
    """(units,), where each unit's times end."""

    def of(self, unit: int) -> NDArray[np.float64]:
        """Spike times of one unit."""
        return self.times[self.ends[unit - 1] if unit else 0 : self.ends[unit]]


def synthetic_spikes(
    activity: Callable[[], Iterable[tuple[float, Activity]]],
    mean_rate: float,
    rng: np.random.Generator,
) -> Spikes:
    """Draw inhomogeneous Poisson spikes from a layer's activity.

    Within a control step a unit's rate is `gain * max(activity, 0)`; the gain is one for the whole layer, such that its
    units fire at `mean_rate` on average. Spikes fall uniformly within their step. No neuron has been measured: the
    count's noise is that of the Poisson process and nothing else.

    Args:
        activity: called twice, gives for each episode its start, s, and the activity (steps, units).
        mean_rate: Hz.
        rng: what they are drawn from.

    Returns:
        The spikes; they are held in memory, 8 bytes each. A layer that is never above zero has none.
    """
    total, count = 0.0, 0
    for _, values in activity():
        total += float(np.maximum(values, 0).sum(dtype=np.float64))
        count += values.size
    gain = mean_rate * count / total if total else 0.0
    times, units = [], []
    width = 0
    for start, values in activity():
        width = values.shape[1]
        counts = rng.poisson(gain * CONTROL_TIMESTEP * np.maximum(values, 0).astype(np.float64))
        steps, where = np.nonzero(counts)
        repeats = counts[steps, where]
        steps, where = steps.repeat(repeats), where.repeat(repeats)
        times.append(start + (steps + rng.uniform(size=len(steps))) * CONTROL_TIMESTEP)
        units.append(where)
    return _sorted(np.concatenate(times), np.concatenate(units), width)


def _sorted(times: NDArray[np.float64], units: NDArray[np.intp], width: int) -> Spikes:
    ticks = np.floor(times / RESOLUTION).astype(np.int64)
    pairs = np.unique(np.stack([units, ticks], 1), axis=0)  # two in the same microsecond are one
    ends = np.searchsorted(pairs[:, 0], np.arange(width), side="right")
    return Spikes(pairs[:, 1] * RESOLUTION, ends.astype(np.int64))

"""False positives of nulls on smooth records that have nothing to do with each other, and the effects that they find.

    python benchmarks/null_levels.py [--simulations 100] [--output benchmarks/results/null_levels.json]

Both records are first-order autoregressive noise at 50 Hz, drawn anew for each episode. For each analysis, time
constant and null: the share of simulations in which the null is beaten at 5 %. For the power, each dimension of the
second record follows one of the first's in part. The nulls see nothing but an analysis's value, so that any may be
tried.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from scipy import signal
from writing import write_result

from analysis.alignment import correspondence
from analysis.clustered import clustered_similarity
from analysis.controls import Control, other_episodes, time_shift
from analysis.inference import LEVEL
from analysis.inputs import Array, Labels
from analysis.targeted import targeted_axes
from analysis.tuning import tuning
from rodent.machine import describe_machine

RATE = 50  # Hz
UNITS = 6


@dataclass
class Flags:
    simulations: int = 100
    episodes: int = 10
    seconds: float = 2.0  # of an episode
    taus: tuple[float, ...] = (0.1, 0.5, 2.0)  # s, time constants of the records
    effect: float = 0.4  # correlation of the dimensions that go together, at the least time constant
    output: Path = Path("benchmarks/results/null_levels.json")


ANALYSES: dict[str, Callable[[Array, Array, Labels], float]] = {
    "correspondence": lambda x, y, e: correspondence(x, y, e, components=3, draws=0).correlation.value,
    "targeted_axes": lambda x, y, e: targeted_axes(x, {"y": y[:, 0]}, e, draws=0).encoded["y"].value,
    "tuning": lambda x, y, e: float(tuning(x[:, :1], y[:, 0], e, bins=6, draws=0).strength.value[0]),
    "clustered_similarity": lambda x, y, e: (
        clustered_similarity({"x": x[:, :2]}, {"y": y}, e, clusters=20, draws=0).agreement["x", "y"].value
    ),
}


def record(lengths: Labels, tau: float, rng: np.random.Generator) -> Array:
    """(steps, units) of variance 1 and autocorrelation exp(-lag / tau) within each episode."""
    keep = np.exp(-1 / (tau * RATE))
    parts = []
    for length in lengths:
        noise = rng.normal(size=(length, UNITS))
        noise[1:] *= np.sqrt(1 - keep**2)
        parts.append(signal.lfilter([1], [1, -keep], noise, axis=0))
    return np.concatenate(parts)


def beaten(
    analysis: Callable[[Array, Array, Labels], float],
    x: Array,
    y: Array,
    episodes: Labels,
    control: Control,
    rng: np.random.Generator,
) -> bool:
    """Whether the value is above 19 of the null, so that p is 5 %; the first that is not decides."""
    recorded = analysis(x, y, episodes)
    return all(analysis(x, surrogate, episodes) < recorded for surrogate in control(y, round(1 / LEVEL) - 1, rng))


def shares(flags: Flags, tau: float, effect: float, unequal: bool) -> dict[str, dict[str, float]]:
    """Analysis to null to how often it is beaten."""
    counts: dict[str, dict[str, int]] = {name: {} for name in ANALYSES}
    longest = round(flags.seconds * RATE)
    for seed in range(flags.simulations):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(longest // 4, longest + 1, flags.episodes) if unequal else [longest] * flags.episodes
        episodes = np.repeat(np.arange(flags.episodes), lengths)
        x, y = record(np.array(lengths), tau, rng), record(np.array(lengths), tau, rng)
        y = effect * x + np.sqrt(1 - effect**2) * y
        for control, null in ((time_shift(episodes), "shifts"), (other_episodes(episodes), "other episodes")):
            for name, analysis in ANALYSES.items():
                found = beaten(analysis, x, y, episodes, control, rng)
                counts[name][null] = counts[name].get(null, 0) + found
    return {name: {null: n / flags.simulations for null, n in part.items()} for name, part in counts.items()}


def main(flags: Flags) -> None:
    settings = {name: value for name, value in vars(flags).items() if name != "output"}
    report: dict[str, object] = {"flags": settings, "machine": describe_machine()}
    cases = [(tau, 0.0, False) for tau in flags.taus]
    cases += [(flags.taus[-1], 0.0, True), (flags.taus[0], flags.effect, False)]
    for tau, effect, unequal in cases:
        name = f"{'found' if effect else 'false positives'}, tau {tau} s{', unequal lengths' if unequal else ''}"
        report[name] = shares(flags, tau, effect, unequal)
        print(name, json.dumps(report[name]), flush=True)
        write_result(flags.output, report)  # after each: all of them take minutes


if __name__ == "__main__":
    main(tyro.cli(Flags))

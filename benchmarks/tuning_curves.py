"""How long tuning curves take: of a thousand units over 100,000 steps, and beside pynapple's.

    python benchmarks/tuning_curves.py [--units 1000 --steps 100000] [--output benchmarks/results/tuning_curves.json]

The fastest and the slowest of some turns, on noise. What is asked for: curves of 1,000 units over 100,000 steps in
under 3 s; pynapple's `compute_tuning_curves` of 200 units over 10,000 steps in under 2 s, with ours beside it and the
greatest difference between both. Strength, stability and their null are timed as well (`analysis.tuning.tuning`).
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pynapple
import tyro
from writing import write_result

from analysis.tuning import tuning, tuning_curves
from rodent.machine import describe_machine
from rodent.physics import CONTROL_TIMESTEP


@dataclass
class Flags:
    units: int = 1000
    steps: int = 100_000
    episodes: int = 100  # that the steps are of
    draws: int = 100  # of the null of strength and stability
    pynapple_units: int = 200
    pynapple_steps: int = 10_000
    bins: int = 20
    turns: int = 3
    output: Path = Path("benchmarks/results/tuning_curves.json")


def seconds(work: Callable[[], object], turns: int) -> dict[str, float]:
    """Wall time of the fastest and the slowest turn, s."""
    taken = []
    for _ in range(turns):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return {"fastest": round(min(taken), 4), "slowest": round(max(taken), 4)}


def noise(units: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Activity (steps, units) as layers are recorded, and a variable (steps,)."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, units)).astype(np.float32), rng.normal(size=steps)


def beside_pynapple(flags: Flags) -> dict[str, Any]:
    """Both on the same data, and the greatest difference between their curves."""
    activity, variable = noise(flags.pynapple_units, flags.pynapple_steps)
    stamps = CONTROL_TIMESTEP * np.arange(len(variable))
    frame = pynapple.TsdFrame(t=stamps, d=activity.astype(np.float64))
    theirs = partial(pynapple.compute_tuning_curves, frame, pynapple.Tsd(t=stamps, d=variable), bins=flags.bins)
    ours = partial(tuning_curves, activity, variable, flags.bins)
    difference = np.nanmax(np.abs(ours().curves - theirs().values))
    return {
        "units": flags.pynapple_units,
        "steps": flags.pynapple_steps,
        "pynapple_s": seconds(theirs, flags.turns),
        "ours_s": seconds(ours, flags.turns),
        "greatest_difference": float(difference),
    }


def main(flags: Flags) -> None:
    activity, variable = noise(flags.units, flags.steps)
    episodes = np.arange(flags.steps) * flags.episodes // flags.steps
    settings = {name: value for name, value in vars(flags).items() if name != "output"}
    strength = partial(tuning, activity, variable, episodes, flags.bins, flags.draws)
    report = {
        "command": "python benchmarks/tuning_curves.py",
        "flags": settings,
        "curves_s": seconds(partial(tuning_curves, activity, variable, flags.bins), flags.turns),
        "strength_and_stability_s": seconds(strength, 1),
        "beside_pynapple": beside_pynapple(flags),
        "machine": describe_machine(),
    }
    write_result(flags.output, report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Flags))

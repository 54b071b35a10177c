"""What jPCA costs with a thousand surrogates of each null on as many states as a long recording has.

    OMP_NUM_THREADS=1 python benchmarks/rotation_surrogates.py [--conditions 2000 --steps 50 --units 128 --draws 1000]

States are noisy rotations: by default 2,000 windows of 50 steps, 100,000 states of 128 units. Wall time and the
processor time of all threads are told: where these are far from each other, other work shared the machine. Products are
too small for two threads, which would wait for each other.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from writing import write_result

from analysis.jpca import jpca
from rodent.machine import describe_machine, peak_memory_gib

TIMESTEP, HERTZ, COMPONENTS = 0.02, (4.0, 2.0, 1.0), 6


@dataclass
class Flags:
    conditions: int = 2000
    steps: int = 50  # of each condition
    units: int = 128
    draws: int = 1000  # of each of the two nulls, and of the interval
    seed: int = 0
    output: Path = Path("benchmarks/results/rotation_surrogates.json")


def rotating(flags: Flags) -> NDArray[np.float64]:
    """(conditions, steps, units) a rotation of each frequency, in a plane of its own, begun anywhere, and noise."""
    rng = np.random.default_rng(flags.seed)
    start = rng.uniform(0, 2 * np.pi, (flags.conditions, 1, len(HERTZ)))
    phase = start + 2 * np.pi * np.array(HERTZ) * TIMESTEP * np.arange(flags.steps)[:, None]
    planes = np.concatenate([np.cos(phase), np.sin(phase)], axis=2)
    noise = rng.normal(size=(flags.conditions, flags.steps, flags.units))
    return planes @ rng.normal(size=(2 * len(HERTZ), flags.units)) + noise


def main(flags: Flags) -> None:
    states = rotating(flags)
    wall, processor = time.perf_counter(), time.process_time()
    found = jpca(states, TIMESTEP, COMPONENTS, flags.draws, flags.seed)
    result = {
        "flags": {name: value for name, value in vars(flags).items() if name != "output"},
        "states": states.shape[0] * states.shape[1],
        "wall_s": round(time.perf_counter() - wall, 2),
        "processor_s": round(time.process_time() - processor, 2),
        "peak_memory_gib": round(peak_memory_gib(), 2),
        "skew_r2": found.skew_r2.value,
        "p": {name: found.skew_r2.p(name) for name in found.skew_r2.nulls},
        "frequencies_hz": [each.value for each in found.frequencies],
        "machine": describe_machine(),
    }
    write_result(flags.output, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Flags))

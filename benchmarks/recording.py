"""Recording beside the bare rollout: what `rodent record` costs, how large sessions are, how soon they open.

    python benchmarks/recording.py [--episodes 8] [--output benchmarks/results/recording.json]

In turns, in this process: the same episodes of the shipped `run`, played and then recorded (joining included). Costs
are given in wall time and in processor time, which other work on the machine disturbs less.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from writing import write_result

from analysis.nwb_record import record
from analysis.recording import Session
from policies.play import play
from policies.policy import Policy
from rodent.machine import describe_machine


@dataclass
class Flags:
    policy: str = "run"
    task: str = "run"
    episodes: int = 8
    steps: int = 400  # control steps an episode
    turns: int = 3
    threads: int = 1
    output: Path = Path("benchmarks/results/recording.json")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time, s."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def open_and_close(path: Path) -> None:
    Session(path).close()


def main(flags: Flags) -> None:
    policy = Policy.load(flags.policy)
    played, recorded, opened = [], [], []
    indices = list(range(flags.episodes))
    play(policy, flags.task, [0], steps=1)  # composing the world is neither's
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(flags.turns):
            path = Path(folder) / f"{turn}.nwb"
            effort: Any = {"steps": flags.steps, "threads": flags.threads}
            played.append(timed(partial(play, policy, flags.task, indices, **effort)))
            recorded.append(timed(partial(record, policy, path, [flags.task], flags.episodes, **effort)))
            opened.append(timed(partial(open_and_close, path))[0])
        size = path.stat().st_size
    cost = np.array(recorded).sum(0) / np.array(played).sum(0) - 1
    report = {
        "cost_wall": round(float(cost[0]), 3),
        "cost_cpu": round(float(cost[1]), 3),
        "open_s": round(max(opened), 3),
        "bytes_a_step": round(size / flags.episodes / flags.steps),
        "episodes": flags.episodes,
        "steps": flags.steps,
        "threads": flags.threads,
        "machine": describe_machine(),
    }
    write_result(flags.output, report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Flags))

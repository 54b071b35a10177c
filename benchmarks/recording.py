"""Recording beside the bare rollout: what `rodent record` costs, how large sessions are, how soon they open.

    python benchmarks/recording.py [--episodes 8] [--output benchmarks/results/recording.json]

In turns, in this process: the same episodes of the shipped `run`, played and then recorded (joining included). Costs
are given in wall time and in processor time, which other work on the machine disturbs less. Then, each in a process of
its own, for the most memory that it ever held: the same with longer episodes, which must not take more; and a session
of four tasks, 25 episodes each and 1,000 steps an episode, which takes about ten minutes and must open within a second.
"""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from writing import write_result

from analysis.nwb_record import record
from analysis.recording import Session
from policies.play import play
from policies.policy import Policy
from rodent.machine import describe_machine, peak_memory_gib


@dataclass
class Flags:
    policy: str = "run"
    task: str = "run"
    episodes: int = 8
    steps: int = 400  # control steps an episode
    turns: int = 3
    threads: int = 1
    lengths: tuple[int, ...] = (300, 1200)  # control steps an episode of the recordings whose memory is measured
    large_tasks: tuple[str, ...] = ("run", "maze-forage", "escape-bowl", "two-tap")
    large_episodes: int = 25  # of each of them
    large_steps: int = 1000
    output: Path = Path("benchmarks/results/recording.json")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time, s."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def open_and_close(path: Path) -> None:
    Session(path).close()


def alone(policy: str, tasks: Sequence[str], episodes: int, steps: int, turns: int) -> dict[str, Any]:
    """Record a session in a process of its own: its size, how soon it opens, and the most memory that it took."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_alone, policy, tasks, episodes, steps, turns).result()


def _alone(policy: str, tasks: Sequence[str], episodes: int, steps: int, turns: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "session.nwb"
        effort = timed(partial(record, policy, path, tasks, episodes, steps=steps))
        peak = peak_memory_gib()
        opened = [timed(partial(open_and_close, path))[0] for _ in range(turns)]
        with Session(path) as session:
            units = sum(layer.shape[1] for layer in session.layers.values())
            played = int(session.trials["steps"].sum())
        return {
            "episodes": episodes * len(tasks),
            "steps": played,
            "units": units,
            "seconds": round(effort[0], 1),
            "peak_memory_gib": round(peak, 3),
            "mb": round(path.stat().st_size / 1e6, 1),
            "open_s": round(max(opened), 3),
        }


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
        "command": "python benchmarks/recording.py",
        "cost_wall": round(float(cost[0]), 3),
        "cost_cpu": round(float(cost[1]), 3),
        "open_s": round(max(opened), 3),
        "bytes_a_step": round(size / flags.episodes / flags.steps),
        "episodes": flags.episodes,
        "steps": flags.steps,
        "threads": flags.threads,
        "by_length": [
            {"steps_an_episode": steps} | alone(flags.policy, [flags.task], flags.episodes, steps, flags.turns)
            for steps in flags.lengths
        ],
        "large": {"tasks": flags.large_tasks}
        | alone(flags.policy, flags.large_tasks, flags.large_episodes, flags.large_steps, flags.turns),
        "machine": describe_machine(),
    }
    write_result(flags.output, report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Flags))

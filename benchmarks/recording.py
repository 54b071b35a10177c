"""Recording beside the bare rollout: what `rodent record` costs, how large sessions are, how soon they open.

    python benchmarks/recording.py [--episodes 8] [--output benchmarks/results/recording.json]

In turns, in this process: the same episodes of the shipped `run`, and of the paper's agent with fresh weights, played
and then recorded (joining included). Costs are given in wall time and in processor time, which other work on the
machine disturbs less. Then, each in a process of its own, for the most memory that it ever held: `run` with longer
episodes, which must not take more; and a session of four tasks, 25 episodes each and 1,000 steps an episode, of `run`
widened to a thousand units, which takes about ten minutes and must open within a second.
"""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from widening import widened
from writing import write_result

from analysis.nwb_record import record
from analysis.recording import Session
from policies.merel2020 import Merel2020Settings
from policies.play import play
from policies.policy import Policy, untrained_agent
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
    large_units: int = 1000  # about how many the hidden layers get together
    output: Path = Path("benchmarks/results/recording.json")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor time, s."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def open_and_close(path: Path) -> None:
    Session(path).close()


def recurrent(policy: Policy) -> Policy:
    """The paper's agent with the senses of a policy and fresh weights: recording costs the same whatever they are."""
    settings = Merel2020Settings()
    agent = untrained_agent(policy.senses, "merel2020", len(policy.action_names), settings, 1, 0)
    return replace(policy, agent=agent.eval().requires_grad_(False), settings=settings)


def alone(
    policy: str, tasks: Sequence[str], episodes: int, steps: int, turns: int, units: int | None = None
) -> dict[str, Any]:
    """Record a session in a process of its own: its size, how soon it opens, and the most memory that it took.

    With a number of units the policy is widened to it.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_alone, policy, tasks, episodes, steps, turns, units).result()


def _alone(
    name: str, tasks: Sequence[str], episodes: int, steps: int, turns: int, units_wanted: int | None
) -> dict[str, Any]:
    policy = Policy.load(name) if units_wanted is None else widened(Policy.load(name), units_wanted)
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


def cost(policy: Policy, flags: Flags) -> dict[str, Any]:
    """What recording adds to the rollout, as a share of it, and what comes of it."""
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
    added = np.array(recorded).sum(0) / np.array(played).sum(0) - 1
    return {
        "cost_wall": round(float(added[0]), 3),
        "cost_cpu": round(float(added[1]), 3),
        "open_s": round(max(opened), 3),
        "bytes_a_step": round(size / flags.episodes / flags.steps),
    }


def main(flags: Flags) -> None:
    policy = Policy.load(flags.policy)
    report = {
        "command": "python benchmarks/recording.py",
        **cost(policy, flags),
        "merel2020_untrained": cost(recurrent(policy), flags),
        "episodes": flags.episodes,
        "steps": flags.steps,
        "threads": flags.threads,
        "by_length": [
            {"steps_an_episode": steps} | alone(flags.policy, [flags.task], flags.episodes, steps, flags.turns)
            for steps in flags.lengths
        ],
        "large": {"tasks": flags.large_tasks}
        | alone(
            flags.policy, flags.large_tasks, flags.large_episodes, flags.large_steps, flags.turns, flags.large_units
        ),
        "machine": describe_machine(),
    }
    write_result(flags.output, report)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(tyro.cli(Flags))

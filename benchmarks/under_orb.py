"""Where a rat is that is to tap an orb: how far from it, for how long of the time near it, and whether it stands still.

    python benchmarks/under_orb.py runs/two-tap-sitter runs/two-tap-sits [--seed 4000]

The control of the taps is called a sitter, since it is never paid for tapping; whether it sits is measured here. Mean
actions in our simulator under the paper's physics. Distances are horizontal, from the root, between the hips, to the
orb. Rows of other policies that the file holds already stay.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from writing import kept_rows, write_result

from policies.play import Episode, play
from policies.policy import Policy
from rodent.body import describe
from rodent.machine import describe_machine
from rodent.physics import CONTROL_TIMESTEP
from rodent.tasks import episode_rng, make_task

TASK = "two-tap"
NEAR = 0.25  # m: a rat's length, within which its hands can be under the orb
SLOW = 0.1  # m/s over a second, below which it counts as still
SECOND = round(1 / CONTROL_TIMESTEP)  # control steps


@dataclass
class Flags:
    policies: tyro.conf.Positional[tuple[str, ...]]
    episodes: int = 20
    seed: int = 4000
    threads: int = 0  # 0: every core
    output: Path = Path("benchmarks/results/under_orb.json")


def distances(episode: Episode, root: int) -> NDArray[np.float64]:
    """(steps,), from the root to the orb over the ground, m."""
    orbs = np.array([shown["orb"][:2].numpy() for shown in episode.shown])
    return np.asarray(np.linalg.norm(episode.qpos[1:, root : root + 2] - orbs, axis=1))


def slow(episode: Episode, root: int) -> NDArray[np.bool_]:
    """(steps,), whether it has come less than `SLOW` far within the second around each step."""
    place = episode.qpos[1:, root : root + 2]
    last = len(place) - 1
    t = np.arange(len(place))
    begin, end = np.clip(t - SECOND // 2, 0, last), np.clip(t + SECOND // 2, 0, last)
    way = np.linalg.norm(place[end] - place[begin], axis=1)
    return np.asarray(way < SLOW * (end - begin) * CONTROL_TIMESTEP)


def row(name: str, flags: Flags) -> dict[str, Any]:
    """Shares of the time of all episodes, and what each returned."""
    task = make_task(TASK)
    episodes = play(Policy.load(name), task, list(range(flags.episodes)), flags.seed, threads=flags.threads)
    root = describe(task.world(episode_rng(task, flags.seed, 0))).root_qpos
    far = [distances(episode, root) for episode in episodes]
    still = [slow(episode, root) for episode in episodes]
    near, standing = np.concatenate(far) < NEAR, np.concatenate(still)
    return {
        "command": f"python benchmarks/under_orb.py {name} --episodes {flags.episodes} --seed {flags.seed}",
        "policy": name,
        "machine": describe_machine(),
        "mean_return": round(float(np.mean([episode.rewards.sum() for episode in episodes])), 1),
        "median_distance_m": round(float(np.median(np.concatenate(far))), 3),
        "near": round(float(near.mean()), 3),
        "near_and_still": round(float((near & standing).mean()), 3),
        "still": round(float(standing.mean()), 3),
        "near_of_each_episode": [round(float((each < NEAR).mean()), 3) for each in far],
    }


def main(flags: Flags) -> None:
    torch.set_num_threads(1)
    rows = {each["policy"]: each for each in kept_rows(flags.output)}
    for name in flags.policies:
        rows[name] = row(name, flags)
        print({key: value for key, value in rows[name].items() if key != "machine"}, flush=True)
    write_result(flags.output, {"near_m": NEAR, "still_m_per_s": SLOW, "rows": list(rows.values())})


if __name__ == "__main__":
    main(tyro.cli(Flags))

"""Which gaps a rat crosses: how often, by their width.

    python benchmarks/gap_crossing.py run run-gaps-expert [--physics paper]

Policies, run folders or names of shipped policies run through corridors whose gaps are up to 20 cm wide, some narrower
than any of the paper's, by their mean actions. A rat that falls has failed at the gap nearest to its torso; it has
crossed those that lie behind it. The first gap is met 1.4 to 1.8 m after a start at rest. Rows of other policies and
physics that the file holds already stay.
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
from rodent.tasks import episode_rng
from rodent.tasks.run_gaps import RunGaps

EDGES = np.arange(0, 0.201, 0.025)  # m, of the bins of widths


@dataclass
class Flags:
    policies: tyro.conf.Positional[tuple[str, ...]]
    episodes: int = 48
    steps: int = 500  # control steps an episode
    seed: int = 0
    physics: str = "paper"
    threads: int = 0  # 0: every core
    output: Path = Path("benchmarks/results/gap_crossing.json")


def met_gaps(task: RunGaps, seed: int, episode: Episode) -> NDArray[np.float64]:
    """The gaps that a rat met: (n, 2), each with its width in m and whether it was crossed."""
    model = task.world(episode_rng(task, seed, episode.index))
    near, far = task.gaps(model).T
    x = episode.qpos[-1, describe(model).root_qpos]
    met = far <= x
    crossed = met.copy()
    if episode.ending == "fell_off":
        failed = np.abs(x - np.clip(x, near, far)).argmin()
        met[failed], crossed[failed] = True, False
    return np.stack([far - near, crossed], axis=1)[met]


def row(name: str, flags: Flags) -> dict[str, Any]:
    """How often a policy crossed the gaps that it met, by their width."""
    task = RunGaps(gap_length=(float(EDGES[0]), float(EDGES[-1])))
    episodes = play(
        Policy.load(name),
        task,
        list(range(flags.episodes)),
        flags.seed,
        flags.physics,
        threads=flags.threads,
        steps=flags.steps,
    )
    root = describe(task.world(episode_rng(task, flags.seed, 0))).root_qpos
    ways = [np.ptp(episode.qpos[[0, -1], root]) / len(episode.rewards) for episode in episodes]
    widths, crossed = np.concatenate([met_gaps(task, flags.seed, episode) for episode in episodes]).T
    bins = np.digitize(widths, EDGES[1:-1])
    options = [f"--{each} {getattr(flags, each)}" for each in ("episodes", "steps", "seed", "physics")]
    return {
        "command": f"python benchmarks/gap_crossing.py {name} {' '.join(options)}",
        "policy": name,
        "physics": flags.physics,
        "machine": describe_machine(),
        "fell": sum(episode.ending == "fell_off" for episode in episodes),
        "metres_per_s": round(float(np.mean(ways)) / CONTROL_TIMESTEP, 3),
        "reward_a_step": round(float(np.concatenate([episode.rewards for episode in episodes]).mean()), 3),
        "met": np.bincount(bins, minlength=len(EDGES) - 1).tolist(),
        "crossed": np.bincount(bins, crossed, minlength=len(EDGES) - 1).astype(int).tolist(),
    }


def main(flags: Flags) -> None:
    torch.set_num_threads(1)
    rows = {(each["policy"], each["physics"]): each for each in kept_rows(flags.output)}
    for name in flags.policies:
        told = rows[name, flags.physics] = row(name, flags)
        print(name, *(f"{c}/{m}" for c, m in zip(told["crossed"], told["met"], strict=True)), flush=True)
    write_result(flags.output, {"widths_m": EDGES.round(3).tolist(), "rows": list(rows.values())})


if __name__ == "__main__":
    main(tyro.cli(Flags))

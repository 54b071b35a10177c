"""What of the physics decides whether a rat gets up: one policy, the same starts, physics that differ by one thing.

    python benchmarks/getting_up_physics.py [escape-bowl-expert] [--rats 64] [--seconds 3]

By the mean action, from the bowl's own starts, which are its rest pose in any orientation, in the bowl's middle. `fast`
lets the rat's limbs pass through its trunk; `fast-self-collision` does not, and differs in nothing else. `paper` is
taken once as it is and once without self-collision, its step and its contacts with the ground as they are.
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from getting_up import SECOND, upright
from writing import write_result

from policies.policy import Policy
from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine
from rodent.physics import PRESETS

STILL = 0.01  # m; of the torso's way in the last half second
HALF_SECOND = SECOND // 2  # control steps
BARE = replace(PRESETS["paper"], name="paper-no-self-collision", self_collision=False)
PRESETS[BARE.name] = BARE


@dataclass
class Flags:
    policy: tyro.conf.Positional[str] = "escape-bowl-expert"
    physics: tuple[str, ...] = ("fast", "fast-self-collision", BARE.name, "paper")
    rats: int = 64
    seconds: float = 3.0
    seed: int = 1000
    output: Path = Path("benchmarks/results/getting_up_physics.json")


@torch.no_grad()
def row(policy: Policy, physics: str, flags: Flags) -> dict[str, Any]:
    """How many rats are upright at the end, were at any time, and how many of those that are not lie still."""
    aids = TrainingAids(episode_seconds=None, spread_starts=False)
    env = RodentVectorEnv("escape-bowl", flags.rats, physics, 1, privileged=True, pool=32, aids=aids)
    observation, _ = env.reset(seed=flags.seed)
    state, generator, begun = None, torch.Generator(), time.process_time()
    ups, places = [], []
    for _ in range(round(flags.seconds * SECOND)):
        action, state = policy.act(observation, state, deterministic=True, generator=generator)
        observation, *_ = env.step(action)
        ups.append(upright(env))
        places.append(env.engine.state.xpos[:, env.body.torso].numpy().copy())
    seconds = time.process_time() - begun
    down = ~ups[-1]
    still = np.linalg.norm(places[-1] - places[-1 - HALF_SECOND], axis=1) < STILL
    found = {
        "upright": round(float(ups[-1].mean()), 3),
        "ever_upright": round(float(np.any(ups, axis=0).mean()), 3),
        "down_and_still": round(float((still & down).mean()), 3),
        "steps_per_core_second": round(flags.rats * len(ups) / seconds),
    }
    print(physics, found, flush=True)
    return {"physics": physics, **found}


def main(flags: Flags) -> None:
    torch.set_num_threads(1)
    policy = Policy.load(flags.policy)
    rows = [row(policy, physics, flags) for physics in flags.physics]
    told = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine(), "policy": policy.digest}
    write_result(flags.output, {**told, "rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Flags))

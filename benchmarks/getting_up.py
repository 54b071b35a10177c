"""Whether a policy that runs gets up from any orientation, and runs, on flat ground and in the bowl.

    python benchmarks/getting_up.py [run] [--rats 64] [--seconds 6] [--output benchmarks/results/getting_up.json]

Four conditions, each by the mean action: tumbled starts of the aid `fallen_starts`, which the policy was trained with;
the bowl's own starts, its rest pose in any orientation, on flat ground; the same in a bowl without bumps; and there
with its sense of height told above the ground and not above the bowl's lowest point.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator
from writing import write_result

from policies.policy import Policy
from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine
from rodent.physics import CONTROL_TIMESTEP
from rodent.tasks import make_task
from rodent.tasks.escape_bowl import TERRAIN_SIZE, EscapeBowl

HEIGHT = "walker/body_height"
RUNNING = 0.3  # m/s, over the last second
UPRIGHT = 0.5  # of the torso's z axis along the world's
Ground = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass
class Flags:
    policy: tyro.conf.Positional[str] = "run"
    rats: int = 64
    seconds: float = 6.0
    seed: int = 0
    physics: str = "fast"
    threads: int = 0  # 0: every core
    output: Path = Path("benchmarks/results/getting_up.json")


def tumbled(flags: Flags) -> RodentVectorEnv:
    aids = TrainingAids(episode_seconds=None, spread_starts=False, fallen_starts=1.0)
    env = RodentVectorEnv("run", flags.rats, flags.physics, flags.threads, aids=aids)
    env.reset(seed=flags.seed)
    return env


def flat(flags: Flags) -> RodentVectorEnv:
    env = RodentVectorEnv("two-tap", flags.rats, flags.physics, flags.threads)
    env.reset(seed=flags.seed)
    rng, state = np.random.default_rng(flags.seed), env.engine.state
    for i in range(flags.rats):
        start = EscapeBowl().start(env.engine.model_of(i), env.body, rng)
        state.qpos[i], state.qvel[i] = torch.from_numpy(start.qpos), 0.0
    env.engine.forward(np.arange(flags.rats))
    return env


def bowl(flags: Flags) -> RodentVectorEnv:
    env = RodentVectorEnv(make_task("escape-bowl", smoothness=1.0), flags.rats, flags.physics, flags.threads, pool=1)
    env.reset(seed=flags.seed)
    return env


def no_ground(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros(len(places))


def ground_of(env: RodentVectorEnv) -> Ground:
    """Height (n,) of the first environment's ground at places (n, 2), m."""
    model = env.engine.model_of(0)
    rows, columns = int(model.hfield_nrow[0]), int(model.hfield_ncol[0])
    heights = model.hfield_data[: rows * columns].reshape(rows, columns) * model.hfield_size[0, 2]
    axes = [np.linspace(-TERRAIN_SIZE, TERRAIN_SIZE, count) for count in (rows, columns)]
    found = RegularGridInterpolator(axes, heights, bounds_error=False, fill_value=0.0)
    return lambda places: np.asarray(found(places[:, ::-1]))


@torch.no_grad()
def row(name: str, env: RodentVectorEnv, ground: Ground, flags: Flags) -> dict[str, Any]:
    """How many rats are upright, and run, at the end."""
    policy, state = Policy.load(flags.policy), env.engine.state
    height = list(policy.senses.units(HEIGHT))
    observation, *_ = env.step(np.zeros((flags.rats, len(policy.action_names))))
    speeds, steps = [], round(flags.seconds / CONTROL_TIMESTEP)
    for _ in range(steps):
        senses = policy.senses.flatten(observation).clone()
        below = ground(state.xpos[:, env.body.torso, :2].numpy())
        senses[:, height] -= torch.from_numpy(below[:, None]).to(senses.dtype)
        observation, *_ = env.step(policy.agent.step(senses, {})[0].mean.clamp(-1, 1))
        speeds.append(np.linalg.norm(observation["walker/sensors_velocimeter"], axis=1))
    last, up = np.mean(speeds[-round(1 / CONTROL_TIMESTEP) :], axis=0), state.xmat[:, env.body.torso, 8].numpy()
    told = {"runs": float((last > RUNNING).mean()), "upright": float((up > UPRIGHT).mean())}
    print(name, told, flush=True)
    return {"condition": name, **told, "m_per_s": round(float(last.mean()), 3)}


def main(flags: Flags) -> None:
    smooth = bowl(flags)
    rows = [
        row("tumbled on flat ground, as in training", tumbled(flags), no_ground, flags),
        row("any orientation, on flat ground", flat(flags), no_ground, flags),
        row("any orientation, in the smooth bowl", bowl(flags), no_ground, flags),
        row("the same, told its height above the ground", smooth, ground_of(smooth), flags),
    ]
    write_result(
        flags.output,
        {
            "command": " ".join(["python", *sys.argv]),
            "machine": describe_machine(),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main(tyro.cli(Flags))

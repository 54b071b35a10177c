"""Whether a policy that runs gets up from any orientation and runs, on flat ground and in the bowl, and what stops it.

    python benchmarks/getting_up.py [run] [--rats 64] [--seconds 6] [--output benchmarks/results/getting_up.json]

Each condition by the mean action. Starts: tumbled as by the aid `fallen_starts`, which the policy was trained with; the
bowl's own, which is its rest pose in any orientation; and upright. Grounds: flat; a bowl without bumps; the task's own.
The sense of height, which the bowl measures from its lowest point, is told as it is, or above the ground, or not at all
(its mean instead).

A rat that lies on its hip nods and paddles, with its torso nearly upright: so speed is the torso's way over a second,
and upright is a rat whose pelvis is so, too.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor
from writing import write_result

from policies.policy import Policy
from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine
from rodent.physics import CONTROL_TIMESTEP
from rodent.relief import elevations, field_at
from rodent.tasks import make_task
from rodent.tasks.escape_bowl import TERRAIN_SIZE, EscapeBowl

HEIGHT = "walker/body_height"
RUNNING = 0.3  # m/s, over the last second
UPRIGHT = 0.5  # of the z axes of torso and pelvis along the world's
SECOND = round(1 / CONTROL_TIMESTEP)  # control steps
Told = Literal["as it is", "above the ground", "not at all"]


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
    """The bowl's starts on open flat ground."""
    env = RodentVectorEnv("two-tap", flags.rats, flags.physics, flags.threads)
    env.reset(seed=flags.seed)
    rng, state = np.random.default_rng(flags.seed), env.engine.state
    for i in range(flags.rats):
        start = EscapeBowl().start(env.engine.model_of(i), env.body, rng)
        state.qpos[i], state.qvel[i] = torch.from_numpy(start.qpos), 0.0
    env.engine.forward(np.arange(flags.rats))
    return env


def bowl(flags: Flags, smoothness: float, upright: bool = False) -> RodentVectorEnv:
    """The bowl with its own starts, or with upright ones that face anywhere, on its lowest point."""
    env = RodentVectorEnv(
        make_task("escape-bowl", smoothness=smoothness), flags.rats, flags.physics, flags.threads, pool=8
    )
    env.reset(seed=flags.seed)
    if upright:
        yaw, root = np.random.default_rng(flags.seed).uniform(-np.pi, np.pi, flags.rats), env.body.root_qpos
        facing = np.stack([np.cos(yaw / 2), 0 * yaw, 0 * yaw, np.sin(yaw / 2)], axis=1)
        env.engine.state.qpos[:, root : root + 3] = torch.tensor([0.0, 0.0, 0.02]).double()  # clear of the bumps
        env.engine.state.qpos[:, root + 3 : root + 7] = torch.from_numpy(facing)
        env.engine.state.qvel[:] = 0.0
        env.engine.forward(np.arange(flags.rats))
    return env


def ground_below(env: RodentVectorEnv) -> Callable[[], Tensor]:
    """What tells the ground's height (envs, 1) under each torso, m; 0 on flat ground."""
    models = [env.engine.model_of(i) for i in range(env.num_envs)]
    terrain = torch.from_numpy(np.stack([elevations(model) for model in models])) if models[0].nhfield else None

    def below() -> Tensor:
        places = env.engine.state.xpos[:, [env.body.torso], :2]
        return places.new_zeros(len(places), 1) if terrain is None else field_at(places, terrain, TERRAIN_SIZE)

    return below


@torch.no_grad()
def played(env: RodentVectorEnv, told: Told, flags: Flags) -> NDArray[np.float64]:
    """Places of the torso (steps, rats, 2), m."""
    policy = Policy.load(flags.policy)
    height, below = list(policy.senses.units(HEIGHT)), ground_below(env)
    observation, *_ = env.step(np.zeros((flags.rats, len(policy.action_names))))
    places = []
    for _ in range(round(flags.seconds * SECOND)):
        senses = policy.senses.flatten(observation).clone()
        if told == "above the ground":
            senses[:, height] -= below().to(senses.dtype)
        elif told == "not at all":
            senses[:, height] = policy.agent.normaliser.mean[height].to(senses.dtype)
        observation, *_ = env.step(policy.agent.step(senses, {})[0].mean.clamp(-1, 1))
        places.append(env.engine.state.xpos[:, env.body.torso, :2].numpy().copy())
    return np.array(places)


def upright(env: RodentVectorEnv) -> NDArray[np.bool_]:
    """Which rats (envs,) have both torso and pelvis upright."""
    return (env.engine.state.xmat[:, [env.body.torso, env.body.pelvis], 8].amin(1) > UPRIGHT).numpy()


def row(name: str, env: RodentVectorEnv, told: Told, flags: Flags) -> dict[str, Any]:
    """How many rats are upright, and run, in the end, and how far they have come."""
    places = played(env, told, flags)
    last = np.linalg.norm(places[-1] - places[-1 - SECOND], axis=1) / (SECOND * CONTROL_TIMESTEP)
    state = env.engine.state
    found = {
        "runs": round(float((last > RUNNING).mean()), 3),
        "upright": round(float(upright(env).mean()), 3),
        "m_per_s": round(float(last.mean()), 3),
        "m_from_the_origin": round(float(state.xpos[:, env.body.torso, :2].norm(dim=1).mean()), 2),
    }
    print(name, f"height told {told}", found, flush=True)
    return {"condition": name, "height_told": told, **found}


def main(flags: Flags) -> None:
    bumpy = EscapeBowl().smoothness
    rows = [
        row("tumbled on flat ground, as in training", tumbled(flags), "as it is", flags),
        row("any orientation, on flat ground", flat(flags), "as it is", flags),
        row("any orientation, in the bowl without bumps", bowl(flags, 1.0), "as it is", flags),
        row("any orientation, in the bowl without bumps", bowl(flags, 1.0), "above the ground", flags),
        row("any orientation, in the bowl without bumps", bowl(flags, 1.0), "not at all", flags),
        row("upright, in the bowl without bumps", bowl(flags, 1.0, upright=True), "as it is", flags),
        row("upright, in the bowl without bumps", bowl(flags, 1.0, upright=True), "not at all", flags),
        row("upright, in the task's own bowl", bowl(flags, bumpy, upright=True), "not at all", flags),
    ]
    told = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine()}
    write_result(flags.output, {**told, "rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Flags))

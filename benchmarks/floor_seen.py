"""How much of the floor ahead the encoders of a student that sees tell, in corridors that it was not trained in.

    python benchmarks/floor_seen.py POLICY [--driver run-gaps-expert] [--rats 64] [--seconds 8]

The driver runs through the gaps with noise on its actions; of the student only the encoders are asked, at every fifth
step. A linear readout (ridge) of their features is fitted on half of the corridors and tested on the other half: the
share of the variance of the floor that it explains, at each of some distances ahead of the torso, over all pictures and
over those in which that place is within the frame. The first platform, which is whole for six metres, does not count:
whoever still trots there knows of no gap. Beside it stand the same of an untrained network's features, and of the body
senses alone, which tell what the gait does: a driver that leaps knows of a gap.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from writing import write_result

from policies.policy import Policy
from rodent.body import EGOCENTRIC_CAMERA
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.machine import describe_machine
from rodent.physics import CONTROL_TIMESTEP
from rodent.senses import PRIVILEGED
from rodent.tasks.run_gaps import LOOKED_AT
from rodent.vision import PICTURE, VisionSettings, vision_settings

EVERY = 5  # control steps
DISTANCES = (0.17, 0.25, 0.33, 0.41)  # m ahead of the torso
FLOOR = f"{PRIVILEGED}floor_ahead"


@dataclass
class Flags:
    policy: tyro.conf.Positional[str]
    driver: str = "run-gaps-expert"
    rats: int = 64
    seconds: float = 8.0
    noise: float = 0.1  # standard deviation of the driver's actions
    seed: int = 2000  # of the corridors: none that a run had
    physics: str = "fast"
    threads: int = 0  # 0: every core
    output: Path | None = None


@dataclass(frozen=True)
class Seen:
    """(times, rats, ...) each."""

    features: NDArray[np.float32]
    untrained: NDArray[np.float32]
    senses: NDArray[np.float32]
    floor: NDArray[np.float32]
    in_view: NDArray[np.bool_]
    among_gaps: NDArray[np.bool_]
    """Beyond the first platform."""


def in_view(env: RodentVectorEnv) -> NDArray[np.bool_]:
    """Whether the floor straight ahead of each torso, at each distance, is within the eye's frame (rats, distances)."""
    model, state = env.engine.model_of(0), env.engine.state
    camera = model.camera(EGOCENTRIC_CAMERA)
    own = np.zeros(9)
    mujoco.mju_quat2Mat(own, model.cam_quat[camera.id])
    skull = int(model.cam_bodyid[camera.id])
    turned = state.xmat[:, skull].numpy().reshape(-1, 3, 3)
    eye = state.xpos[:, skull].numpy() + turned @ model.cam_pos[camera.id]
    torso = state.xpos[:, env.body.torso].numpy()
    places = np.repeat(torso[:, None], len(DISTANCES), axis=1)
    places[..., 0] += DISTANCES
    places[..., 2] = 0.0
    there = np.einsum("nji,ndj->ndi", turned @ own.reshape(3, 3), places - eye[:, None])  # the eye looks along -z
    reach = -there[..., 2:] * np.tan(np.radians(model.cam_fovy[camera.id] / 2))
    return (there[..., 2] < 0) & (np.abs(there[..., :2]) < reach).all(-1)


def _sight(student: Policy) -> VisionSettings:
    """As it learnt to see, at a rate that is the same for all."""
    sight = vision_settings(student.sight)
    if sight is None:
        raise UsageError("the policy sees nothing: give a student that was trained with --vision")
    return replace(sight, every=EVERY)


@torch.inference_mode()
def look(flags: Flags) -> Seen:
    student, driver = Policy.load(flags.policy), Policy.load(flags.driver)
    untrained = student.untrained(0)
    env = RodentVectorEnv("run-gaps", flags.rats, flags.physics, flags.threads, privileged=True, vision=_sight(student))
    observation, _ = env.reset(seed=flags.seed)
    generator, state = torch.Generator().manual_seed(flags.seed), None
    kept: list[tuple[Any, ...]] = []
    cells = [int(np.abs(LOOKED_AT.numpy() - distance).argmin()) for distance in DISTANCES]
    for step in range(round(flags.seconds / CONTROL_TIMESTEP)):
        action, state = driver.act(observation, state)
        noise = flags.noise * torch.randn(action.shape, generator=generator).numpy()
        observation, *_ = env.step(np.clip(action + noise, -1, 1))
        if (step + 1) % EVERY == 0:
            senses, picture = student.senses.flatten(observation), torch.from_numpy(observation[PICTURE])
            told = (policy.agent.features(senses, picture).numpy() for policy in (student, untrained))
            floor, ends = observation[FLOOR][:, cells].copy(), env.engine.state.memory["ends"][:, :1].numpy()
            among_gaps = env.engine.state.xpos[:, env.body.torso, :1].numpy() + DISTANCES > ends
            kept.append((*told, senses.numpy().copy(), floor, in_view(env), among_gaps))
    env.close()
    return Seen(*(np.stack(each) for each in zip(*kept, strict=True)))


def explained(said: NDArray[np.float32], seen: Seen) -> dict[str, list[float]]:
    """Shares of variance at each distance in the second half of the corridors, of all pictures and of those in view."""
    half = said.shape[1] // 2
    known, new = (said[:, part].reshape(-1, said.shape[-1]) for part in (slice(half), slice(half, None)))
    places = known.mean(0), known.std(0) + 1e-6
    known, new = ((values - places[0]) / places[1] for values in (known, new))
    found: dict[str, list[float]] = {"all": [], "in_view": []}
    for k in range(len(DISTANCES)):
        floor, counts = seen.floor[..., k], seen.among_gaps[..., k]
        for name, mask in (("all", counts), ("in_view", counts & seen.in_view[..., k])):
            fitted, tested = mask[:, :half].ravel(), mask[:, half:].ravel()
            readout = RidgeCV(np.logspace(0, 5, 11)).fit(known[fitted], floor[:, :half].ravel()[fitted])
            found[name].append(round(float(readout.score(new[tested], floor[:, half:].ravel()[tested])), 3))
    return found


def main(flags: Flags) -> None:
    seen = look(flags)
    share = seen.in_view.mean((0, 1)).round(3).tolist()
    rows = {name: explained(getattr(seen, name), seen) for name in ("features", "untrained", "senses")}
    print("in view", share, *(f"\n{name} {row}" for name, row in rows.items()))
    told = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine(), "distances": DISTANCES}
    if flags.output:
        write_result(flags.output, told | {"pictures": seen.floor[..., 0].size, "in_view": share, "explained": rows})


if __name__ == "__main__":
    main(tyro.cli(Flags))

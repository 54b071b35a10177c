"""Vision: what a picture costs, how far it is from dm_control's, and what many rats that see need.

    python benchmarks/vision.py [--seconds 12] [--output benchmarks/results/vision.json]

For each task:
- `distance`: mean and greatest absolute difference (of 255) of exact and of training pictures from dm_control's own,
  in the same states, over some steps under random actions in some arenas;
- `picture_ms`: the median time of a training picture's parts;
- `reset_of_one` beside `step_of_64`: seconds, with pictures, with and without a pool of 64 arenas;
- `speed`: `rodent bench --vision` with 256 environments, each in a process of its own, so that its peak memory is too.

Needs OpenGL, since dm_control does.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import tyro
from writing import write_result

from rodent.dm_control_env import DmControlEnv
from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine
from rodent.rendering import Backend, probe
from rodent.tasks import TASKS
from rodent.vision import EXACT, PICTURE, VisionSettings

EPISODES, STEPS = 3, 12  # of each comparison
ENVS = 64  # of each timed step


@dataclass
class Flags:
    tasks: tuple[str, ...] = tuple(TASKS)
    envs: int = 256
    seconds: float = 12.0  # of measuring, a row of `speed`
    presets: tuple[str, ...] = ("paper", "fast")
    output: Path = Path("benchmarks/results/vision.json")


def distance(task: str) -> dict:
    """From dm_control's pictures, which are drawn first: it does not notice when another renderer takes OpenGL over."""
    original = DmControlEnv(task, vision=True)
    theirs = film(lambda k: original.reset(5, k)[PICTURE], lambda action: original.step(action)[0][PICTURE])
    original.environment.close()
    found = {}
    for name, settings in (("exact", EXACT), ("training", VisionSettings())):
        env = RodentVectorEnv(task, vision=settings)
        ours = film(
            lambda k, env=env: env.reset(seed=[5], options={"episode": k})[0][PICTURE][0],
            lambda action, env=env: env.step(action[None])[0][PICTURE][0],
        )
        env.close()
        difference = np.abs(ours.astype(int) - theirs)
        found[name] = {"mean": round(float(difference.mean()), 4), "greatest": int(difference.max())}
    return found


def film(reset: Callable, step: Callable) -> np.ndarray:
    """Pictures (pictures, 64, 64, 3) of some episodes under the same random actions."""
    rng, pictures = np.random.default_rng(0), []
    for k in range(EPISODES):
        pictures.append(reset(k))
        pictures += [step(rng.uniform(-0.5, 0.5, 38)) for _ in range(STEPS)]
    return np.array(pictures)


def picture_ms(task: str) -> dict:
    """Of each part: writing an environment's state to the stage, MuJoCo's abstract scene, drawing, reading pixels."""
    env = RodentVectorEnv(task, 8, "fast", vision=True)
    env.reset(seed=0)
    eyes = env.eyes
    assert eyes is not None
    painter: Any = eyes.renderer._painter  # the parts that OpenGL's alone has
    times: dict[str, list[float]] = {}
    scene, pixels = painter._scene, np.empty((64, 64, 3), np.uint8)
    camera = mujoco.MjvCamera()
    camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, eyes.stage.camera("walker/egocentric").id
    data = eyes.pose(0, env.engine.state)  # one and the same for all
    for _ in range(5):
        env.step(np.zeros(env.action_space.shape))
        for i in range(env.num_envs):
            eyes.pose((i + 1) % env.num_envs, env.engine.state)  # so that another was shown last
            parts = {
                "pose": seconds(lambda i=i: eyes.pose(i, env.engine.state)),
                "update_scene": seconds(
                    lambda: mujoco.mjv_updateScene(
                        eyes.stage, data, scene._option, None, camera, mujoco.mjtCatBit.mjCAT_ALL, scene.scene
                    )
                ),
                "render": seconds(lambda: mujoco.mjr_render(painter._rectangle, scene.scene, painter._context)),
                "read_pixels": seconds(
                    lambda: mujoco.mjr_readPixels(pixels, None, painter._rectangle, painter._context)
                ),
            }
            eyes.pose((i + 1) % env.num_envs, env.engine.state)
            parts["whole"] = seconds(lambda i=i: eyes.look(np.array([i]), env.engine.state))
            for part, spent in parts.items():
                times.setdefault(part, []).append(spent)
    env.close()
    return {part: round(1e3 * float(np.median(spent)), 3) for part, spent in times.items()}


def resets(task: str) -> dict:
    """Seconds of resetting one of 64 environments, the median, beside those of a control step of all."""
    return {"pool": reset_beside_step(task, 64), "no_pool": reset_beside_step(task, 0)}


def reset_beside_step(task: str, pool: int) -> dict:
    env = RodentVectorEnv(task, ENVS, "fast", vision=True, pool=pool)
    env.reset(seed=0)
    masks = [np.arange(ENVS) == i for i in range(12)]
    one = [seconds(lambda mask=mask: env.reset(options={"reset_mask": mask})) for mask in masks]
    steps = [seconds(lambda: env.step(np.zeros(env.action_space.shape))) for _ in range(8)]
    env.close()
    return {"reset_of_one": round(float(np.median(one)), 4), "step_of_64": round(float(np.median(steps)), 4)}


def speed(flags: Flags, task: str, preset: str) -> dict:
    command = ["bench", "--task", task, "--physics", preset, "--envs", str(flags.envs),
               "--seconds", str(flags.seconds), "--vision", "--json"]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "rodent.cli", *command], capture_output=True, text=True, check=True)
    return {key: value for key, value in json.loads(done.stdout).items() if key not in ("machine", "task")}


def seconds(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main(flags: Flags) -> None:
    backend: Backend = probe()
    if not backend.is_opengl:
        sys.exit("this benchmark needs OpenGL: `rodent doctor` says what to install")
    os.environ["MUJOCO_GL"] = backend.name  # which dm_control reads when it is first imported
    rows = []
    for task in flags.tasks:
        measured = {"distance": distance(task), "picture_ms": picture_ms(task), "resets": resets(task)}
        speeds = [speed(flags, task, preset) for preset in flags.presets]
        rows.append({"task": task, **measured, "speed": speeds})
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "command": " ".join(["python", *sys.argv]),
        "machine": describe_machine(),
        "renderer": speeds[0]["vision"],
        "rows": rows,
    }
    write_result(flags.output, result)


if __name__ == "__main__":
    main(tyro.cli(Flags))

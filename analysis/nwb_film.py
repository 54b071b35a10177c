"""Films of recorded episodes: one frame a control step, drawn from the recorded states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.nwb_channels import MEMORY
from analysis.recording import Session
from policies.plain import build
from rodent.physics import CONTROL_TIMESTEP
from rodent.rendering import probe
from rodent.tasks import TASKS, Task, episode_rng
from rodent.video import film_states

CAMERA = "side"
SIZE = (480, 360)  # pixels, width and height
_DRAFT_SHADOWS = 1024  # texels, width and height of the map that shadows are read from


def film_episode(
    task: Task,
    seed: int,
    episode: int,
    states: Mapping[str, NDArray[Any]],
    path: Path,
    draft: bool = False,
) -> None:
    """Film a recorded episode: frame k shows its k-th state.

    Args:
        task: the episode's.
        seed: the episode's.
        episode: which episode of the seed.
        states: `qpos` (states, nq), and (states, numbers) of each `memory.` series of the task.
        path: .mp4, .webm or .gif.
        draft: with coarser shadows and edges that are not smoothed, in under half the time.
    """
    scene = task.scene(episode_rng(task, seed, episode))
    if draft:
        scene.vis.quality.shadowsize = _DRAFT_SHADOWS
    memory = remembered(task, states)

    def dress(step: int) -> None:
        task.dress(scene, {entry: values[step] for entry, values in memory.items()})

    film_states(
        scene,
        states["qpos"],
        path,
        CAMERA,
        fps=1 / CONTROL_TIMESTEP,
        width=SIZE[0],
        height=SIZE[1],
        antialias=not draft and probe().is_opengl,  # the ray tracer would need several times as long
        dress=dress,
    )


def recorded_task(session: Session, name: str) -> Task:
    """A session's task with the parameters that it was recorded with."""
    task: Task = build(TASKS[name], session.protocol["tasks"][name], name)
    return task


def recorded_states(session: Session, trial: int) -> dict[str, NDArray[Any]]:
    """What a trial's pictures are drawn from: `qpos` and what its task remembers, the last state included."""
    memory = f"{MEMORY}{session.trials['task'].loc[trial]}."
    wanted = [name for name in session.behaviour if name == "qpos" or name.startswith(memory)]
    return {name: session.behaviour[name].of_trial(trial) for name in wanted}


def remembered(task: Task, states: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """What a task remembers of each recorded state and `Task.dress` shows, in its own shapes and types."""
    if not task.shown:
        return {}
    rng = np.random.default_rng(0)
    alike = task.begin(task.world(rng), rng)
    flat = {entry: states[f"{MEMORY}{task.name}.{entry}"] for entry in task.shown}
    return {
        entry: torch.from_numpy(values.reshape(-1, *alike[entry].shape).astype(alike[entry].dtype))
        for entry, values in flat.items()
    }

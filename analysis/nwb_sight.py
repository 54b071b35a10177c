"""What the rat saw in a recorded episode, drawn again from its states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.nwb_film import remembered
from rodent.env import RodentVectorEnv
from rodent.rendering import Picture
from rodent.tasks import Task
from rodent.vision import VisionSettings


def pictures_seen(
    task: Task, seed: int, episode: int, states: Mapping[str, NDArray[Any]], settings: VisionSettings
) -> Iterator[Picture]:
    """The picture (64, 64, 3) uint8 of each state, one after the other; one that stays is given again.

    They equal those that the network read to the bit where the renderer is that of the recording.

    Args:
        task: the episode's.
        seed: the episode's.
        episode: which episode of the seed.
        states: `qpos` (states, nq), and (states, numbers) of each `memory.` series of the task.
        settings: of the rat's sight, as recorded.

    Raises:
        UsageError: this computer has no renderer at all.
    """
    env = RodentVectorEnv(task, 1, threads=1, autoreset_mode="Disabled", vision=settings)
    try:
        env.reset(seed=[seed], options={"episode": np.array([episode])})
        assert env.eyes
        state, memory = env.engine.state, remembered(task, states)
        for step, qpos in enumerate(states["qpos"]):
            if step % settings.every == 0:
                state.qpos[0] = state.qpos.new_tensor(qpos)
                for name, values in memory.items():
                    state.memory[name][0] = values[step]
                env.eyes.look(np.zeros(1, np.intp), state)
            yield env.eyes.pictures[0].copy()
    finally:
        env.close()

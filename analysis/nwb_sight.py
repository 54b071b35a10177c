"""What the rat saw in recorded episodes, drawn again from their states."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.nwb_film import recorded_states, recorded_task, remembered
from analysis.recording import Session
from policies.plain import build
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.painting import Picture
from rodent.tasks import Task
from rodent.vision import SIZE, VisionSettings


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
    env, steps = _seeing(task, settings), range(len(states["qpos"]))
    try:
        for step, picture in zip(
            steps[:: settings.every], _drawn(env, seed, episode, states, steps[:: settings.every]), strict=True
        ):
            for _ in steps[step : step + settings.every]:
                yield picture.copy()
    finally:
        env.close()


def recorded_sight(session: Session) -> VisionSettings:
    """How the rat of a session saw.

    Raises:
        UsageError: the session does not say.
    """
    told = session.protocol.get("vision")
    if told is None:
        raise UsageError(f"{session.path} does not say how its rat saw: none of its pictures can be drawn again")
    names = {field.name for field in fields(VisionSettings)}
    settings: VisionSettings = build(VisionSettings, {name: told[name] for name in names & set(told)}, "vision")
    return settings


class Sight:
    """The pictures that the network of a session read, each drawn once, when its episode is first asked for.

    They lie in a temporary file, 12 KiB each, which is gone with this.

    Args:
        session: whole, not restricted.

    Raises:
        UsageError: the session does not say how its rat saw.
    """

    def __init__(self, session: Session) -> None:
        self._settings = recorded_sight(session)
        ends = np.cumsum(-(-session.trials["steps"].to_numpy(np.int64) // self._settings.every))
        self._first = np.concatenate([[0], ends])[:-1]
        self._there: set[int] = set()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        self._file.truncate(int(ends[-1]) * SIZE * SIZE * 3)
        self._pictures = np.memmap(self._file, np.uint8, "r", shape=(int(ends[-1]), SIZE, SIZE, 3))

    def draw(self, session: Session, trials: Iterable[int]) -> None:
        """Draw what was seen in these trials, as far as that is not done.

        Raises:
            UsageError: this computer has no renderer at all, or no room for the pictures.
        """
        table = session.trials.loc[[trial for trial in trials if trial not in self._there]]
        for name, mine in table.groupby("task", sort=False):
            env = _seeing(recorded_task(session, str(name)), self._settings)
            try:
                for trial in mine.itertuples():
                    steps, states = range(0, int(trial.steps), self._settings.every), recorded_states(session, trial[0])
                    self._write(trial[0], _drawn(env, int(trial.seed), int(trial.episode), states, steps))
            finally:
                env.close()

    def at(self, trials: NDArray[np.int64], steps: NDArray[np.int64]) -> torch.Tensor:
        """(n, 64, 64, 3) uint8, what was seen at steps (n,) of trials (n,) that were drawn."""
        return torch.from_numpy(np.array(self._pictures[self._first[trials] + steps // self._settings.every]))

    def _write(self, trial: int, pictures: Iterator[Picture]) -> None:
        try:
            self._file.seek(int(self._first[trial]) * SIZE * SIZE * 3)
            self._file.writelines(picture.tobytes() for picture in pictures)
            self._file.flush()
        except OSError as error:
            where = tempfile.gettempdir()
            raise UsageError(f"cannot keep the pictures that were seen in {where}: {error.strerror}") from None
        self._there.add(trial)


def _seeing(task: Task, settings: VisionSettings) -> RodentVectorEnv:
    return RodentVectorEnv(task, 1, threads=1, autoreset_mode="Disabled", vision=settings)


def _drawn(
    env: RodentVectorEnv, seed: int, episode: int, states: Mapping[str, NDArray[Any]], steps: Iterable[int]
) -> Iterator[Picture]:
    """What is seen in some states of an episode; each is overwritten by the next."""
    env.reset(seed=[seed], options={"episode": np.array([episode])})
    assert env.eyes
    state, memory = env.engine.state, remembered(env.task, states)
    for step in steps:
        state.qpos[0] = state.qpos.new_tensor(states["qpos"][step])
        for name, values in memory.items():
            state.memory[name][0] = values[step]
        env.eyes.look(np.zeros(1, np.intp), state)
        yield env.eyes.pictures[0]

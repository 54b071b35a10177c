"""The CPU engine: many simulations of one layout on a thread pool, bit-equal to stepping each alone."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, fields

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch
from torch import Tensor

from rodent.errors import UsageError


@dataclass(frozen=True)
class State:
    """Live float64 views of every simulation's state, (envs, ...), in MuJoCo's own names and units.

    The first six are the state itself and may be written (then call `CpuEngine.forward`). The others are computed from
    it by each call on a simulation.
    """

    time: Tensor  # (envs,) s
    qpos: Tensor  # (envs, nq)
    qvel: Tensor  # (envs, nv)
    act: Tensor  # (envs, na)
    ctrl: Tensor  # (envs, nu)
    qacc_warmstart: Tensor  # (envs, nv)
    xpos: Tensor  # (envs, bodies, 3) m
    xmat: Tensor  # (envs, bodies, 9)
    subtree_linvel: Tensor  # (envs, bodies, 3) m/s
    sensordata: Tensor  # (envs, values)
    ten_length: Tensor  # (envs, tendons)
    ten_velocity: Tensor  # (envs, tendons)

    def rows(self, ids: np.ndarray) -> State:
        """A copy of some simulations' state."""
        index = torch.from_numpy(ids)
        return State(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


class CpuEngine:
    """`num_envs` simulations of one model on `mujoco.batch.Batch`.

    Args:
        model: a compiled model; the engine keeps a copy.
        num_envs: how many simulations.
        substeps: physics steps in one control step.
        threads: worker threads; 0 takes every core this process may use.

    One call of `step` is one control step of all simulations; nothing in it depends on the number of threads.
    """

    def __init__(self, model: mujoco.MjModel, num_envs: int, substeps: int, threads: int = 0) -> None:
        if not isinstance(num_envs, int | np.integer):
            raise UsageError(f"the number of environments must be an integer, not {num_envs!r}")
        if num_envs < 1:
            raise UsageError(f"the number of environments must be at least 1, not {num_envs}")
        if threads < 0:
            raise UsageError(f"the number of threads must be 0 (all cores) or more, not {threads}")
        self.model = model
        self.substeps = substeps
        self.threads = min(threads or available_cores(), num_envs)
        self._batch = Batch(model, num_envs, self.threads)
        self._disableflags = self._batch.expand("opt.disableflags")
        self.state = State(**{field.name: self._tensor(field.name) for field in fields(State)})
        self._warnings_seen = self._warning_counts()

    @property
    def num_envs(self) -> int:
        """The number of simulations."""
        return int(self._batch.nsim)

    def step(self) -> None:
        """Advance every simulation by one control step under its `ctrl`, then bring derived fields up to date.

        The last stage is a full forward pass, as dm_control's corridor runs one to read its reward: accelerometer and
        touch sensors are those of the new state.
        """
        self._batch.step(nstep=self.substeps, stage=int(mujoco.mjtStage.mjSTAGE_ACC))

    def diverged(self) -> np.ndarray:
        """Which simulations raised a MuJoCo warning since this was last asked: (envs,) bool.

        A bad position, velocity or acceleration, after which MuJoCo silently resets the simulation; or contacts or
        constraints that did not fit. dm_control, too, ends an episode at any of them.
        """
        counts = self._warning_counts()
        risen: np.ndarray = np.any(counts > self._warnings_seen, axis=1)
        self._warnings_seen = counts
        return risen

    def _warning_counts(self) -> np.ndarray:
        return self._batch.warning[:, :, 1].copy()  # mjWarningStat: (lastinfo, number)

    def reset(self, ids: np.ndarray) -> None:
        """Put simulations back to the model's defaults: nothing of the old episode stays (solver state, forces, time).

        Derived fields are stale until `forward_at_rest`.
        """
        self._batch.reset(ids, stage=int(mujoco.mjtStage.mjSTAGE_NONE))

    def forward_at_rest(self, ids: np.ndarray) -> None:
        """Compute derived fields with actuation disabled, as dm_control does for an episode's first observation."""
        flags = self._disableflags[ids].copy()
        self._disableflags[ids] = flags | int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
        try:
            self._batch.forward(ids)
        finally:
            self._disableflags[ids] = flags

    def snapshot(self) -> np.ndarray:
        """Everything the future depends on: (envs, nstate) float64."""
        return self._batch.state.copy()

    def restore(self, snapshot: np.ndarray) -> None:
        """Continue from `snapshot`, bit for bit; derived fields are brought up to date."""
        self._batch.state[:] = snapshot
        self._batch.forward()
        self._batch.state[:] = snapshot  # whatever a forward pass left in the solver's warm start

    def data(self, env: int) -> mujoco.MjData:
        """A copy of one simulation, with kinematics up to date, to draw or to inspect."""
        data = self._batch.get_data(env)
        mujoco.mj_forward(self.model, data)
        return data

    def _tensor(self, name: str) -> Tensor:
        # Outputs are bound read-only, and torch warns that it cannot say so; nothing here writes to them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(self._batch.bind(name))


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""The CPU engine: many simulations of one layout on a thread pool, bit-equal to stepping each alone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

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
    it by each call on a simulation. The last two are dicts of such tensors: what the task remembers of each episode,
    and fields of the model that each simulation has for itself.
    """

    time: Tensor  # (envs,) s
    qpos: Tensor  # (envs, nq)
    qvel: Tensor  # (envs, nv)
    act: Tensor  # (envs, na)
    ctrl: Tensor  # (envs, nu)
    qacc_warmstart: Tensor  # (envs, nv)
    xpos: Tensor  # (envs, bodies, 3) m
    xmat: Tensor  # (envs, bodies, 9)
    site_xpos: Tensor  # (envs, sites, 3) m
    subtree_linvel: Tensor  # (envs, bodies, 3) m/s
    sensordata: Tensor  # (envs, values)
    ten_length: Tensor  # (envs, tendons)
    ten_velocity: Tensor  # (envs, tendons)
    history: Tensor  # (envs, values): what sensors measured in the last physics steps; see `recent_samples`
    memory: dict[str, Tensor] = field(default_factory=dict)
    model: dict[str, Tensor] = field(default_factory=dict)

    def rows(self, ids: np.ndarray) -> State:
        """A copy of some simulations' state."""
        index = torch.from_numpy(ids)

        def of(value: Any) -> Any:
            return {name: each[index] for name, each in value.items()} if isinstance(value, dict) else value[index]

        return State(**{each.name: of(getattr(self, each.name)) for each in fields(self)})


ARRAYS = tuple(each.name for each in fields(State) if each.name not in ("memory", "model"))


class CpuEngine:
    """`num_envs` simulations of models of one layout on `mujoco.batch.Batch`.

    Args:
        model: a compiled model; the engine keeps a copy, on which every simulation runs until `use` gives it another.
        num_envs: how many simulations.
        substeps: physics steps in one control step.
        threads: worker threads; 0 takes every core this process may use.
        full_forward: end each control step with a full forward pass; see `step`.
        varies: whether simulations may be given models of their own by `use`.
        expanded: fields of the model that each simulation has for itself, in `state.model`; not where `varies`.

    One call of `step` is one control step of all simulations; nothing in it depends on the number of threads.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        num_envs: int,
        substeps: int,
        threads: int = 0,
        full_forward: bool = True,
        varies: bool = False,
        expanded: Sequence[str] = (),
    ) -> None:
        if not isinstance(num_envs, int | np.integer):
            raise UsageError(f"the number of environments must be an integer, not {num_envs!r}")
        if num_envs < 1:
            raise UsageError(f"the number of environments must be at least 1, not {num_envs}")
        if threads < 0:
            raise UsageError(f"the number of threads must be 0 (all cores) or more, not {threads}")
        self.model = model
        self.substeps = substeps
        self.threads = min(threads or available_cores(), num_envs)
        self._last_stage = int(mujoco.mjtStage.mjSTAGE_ACC if full_forward else mujoco.mjtStage.mjSTAGE_VEL)
        try:
            self._batch = Batch(model, num_envs, self.threads)
        except (ValueError, TypeError, MemoryError):  # std::bad_alloc, or beyond its integers
            raise UsageError(f"{num_envs} environments do not fit into memory: give fewer") from None
        # Models of their own and fields of their own exclude each other, and so each has its way to disable actuation.
        self._models = [model] * num_envs if varies else None
        self._disableflags = None if varies else self._batch.expand("opt.disableflags")
        own_fields = {name: torch.from_numpy(self._batch.expand(name)) for name in expanded}
        arrays: dict[str, Any] = {name: self._tensor(name) for name in ARRAYS}
        self.state = State(**arrays, model=own_fields)
        self._warnings_seen = self._warning_counts()

    @property
    def num_envs(self) -> int:
        """The number of simulations."""
        return int(self._batch.nsim)

    def step(self, ids: np.ndarray | None = None) -> None:
        """Advance some or all simulations by one control step under their `ctrl`, then bring derived fields up to date.

        Without `full_forward` those that depend on acceleration (accelerometer and touch sensors) stay those of the
        state before the last physics step, as in dm_control, which ends a step with `mj_step1`.
        """
        self._batch.step(ids, nstep=self.substeps, stage=self._last_stage)

    def forward(self, ids: np.ndarray) -> None:
        """Run a full forward pass of some simulations."""
        self._batch.forward(ids)

    def use(self, ids: Iterable[int], models: Sequence[mujoco.MjModel]) -> None:
        """Let simulations run on models of their own, of the first model's layout; the engine keeps no copy of them."""
        assert self._models is not None, "this engine was built for one model"
        for i, model in zip(ids, models, strict=True):
            self._models[i] = model
        self._batch.set_models(self._models)

    def model_of(self, env: int) -> mujoco.MjModel:
        """The model that a simulation runs on, but for fields that it has for itself."""
        return self.model if self._models is None else self._models[env]

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
        disabled = int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
        if self._disableflags is not None:
            flags = self._disableflags[ids].copy()
            self._disableflags[ids] = flags | disabled
            try:
                self._batch.forward(ids)
            finally:
                self._disableflags[ids] = flags
            return
        # Other simulations may share these models, but none of them runs in the meantime.
        models = list({id(model): model for i in ids if (model := self.model_of(i))}.values())
        for model in models:
            model.opt.disableflags |= disabled
        self._batch.set_models(self._models)
        try:
            self._batch.forward(ids)
        finally:
            for model in models:
                model.opt.disableflags &= ~disabled
            self._batch.set_models(self._models)

    def output(self, name: str) -> Tensor:
        """A live view (envs, ...) of another of MjData's computed arrays, brought up to date by each call like `state`.

        One that depends on acceleration (`actuator_force`, ...) is that of the state before the last physics step
        without `full_forward`; see `step`.
        """
        return self._tensor(name)

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
        mujoco.mj_forward(self.model_of(env), data)
        return data

    def _tensor(self, name: str) -> Tensor:
        # Outputs are bound read-only, and torch warns that it cannot say so; nothing here writes to them.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return torch.from_numpy(self._batch.bind(name))


def recent_samples(state: State, sensors: int) -> tuple[Tensor, Tensor]:
    """What a model's last sensors measured after each physics step of the last control step, and when.

    They must be the only sensors with a history, have one value each and remember as many samples as a control step has
    physics steps. MuJoCo samples them at the beginning of each physics step and keeps, per sensor, two numbers of its
    own, the times and the values; the sample after the last physics step is the sensor's present value.

    Args:
        state: the simulations after a control step.
        sensors: how many they are.

    Returns:
        values (envs, sensors, substeps) and times, s, (envs, substeps).
    """
    history = state.history.view(len(state.history), sensors, -1)
    count = (history.shape[2] - 2) // 2
    times, values = history[:, 0, 2 : 2 + count], history[:, :, 2 + count :]
    now = state.sensordata[:, -sensors:, None]
    return torch.cat([values[:, :, 1:], now], 2), torch.cat([times[:, 1:], state.time[:, None]], 1)


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

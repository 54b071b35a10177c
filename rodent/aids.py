"""Aids that make learning easier and that no evaluation uses: shaping, shorter episodes, harder starts, early ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np
from torch import Tensor

from rodent.body import Body
from rodent.engine import State
from rodent.errors import UsageError
from rodent.physics import CONTROL_TIMESTEP
from rodent.tasks.base import Start, Task

_ON_BACK = -0.2  # world z of the torso's z axis
_FALLEN_HEIGHT = 0.06  # m: high enough that no pose starts inside the floor
_FALLEN_PITCH = 0.5  # rad, to either side
_RIGHTED_HEIGHT = 0.08  # m: clear of a slope of the ground, too
_ROLLED_HEIGHT = 0.22  # m: clear of the floor with the snout straight down
_FORWARD, _TO_THE_LEFT, _UP = np.eye(3)


@dataclass(frozen=True)
class TrainingAids:
    """What training may add to a task. Weights are per control step, on top of the task's own reward."""

    episode_seconds: float | None = 10.0  # truncate episodes after this (None: the task's own limit)
    spread_starts: bool = True  # first episodes get random lengths, so that environments do not end in step
    end_on_back: bool = False  # end an episode (discount 0) when the rat lies on its back
    end_on_head_below: float | None = None  # m; the same when its head is lower: it has dived into a gap
    fallen_starts: float = 0.0  # share of episodes that start tumbled: rolled and pitched at random, in a random pose
    rolled_starts: float = 0.0  # and of episodes that start in any orientation, in the rest pose, as in the bowl
    righted_starts: float = 0.0  # and upright, in the rest pose, where the task begins in any orientation
    start_ahead: float = 0.0  # m; episodes start up to this far along world x, as nearer to a corridor's first gap
    start_offset: float = 0.0  # m; episodes start up to this far to either side
    start_yaw: float = 0.0  # rad; and turned by up to this much to either side, tumbled ones too
    upright: float = 0.0  # weight of the torso's uprightness, from 0 upside down to 1 upright
    upright_pelvis: float = 0.0  # and of the pelvis's: a rat can lie on its hip with its torso nearly upright
    jerk: float = 0.0  # weight against the mean square change of the action
    backward: float = 0.0  # weight against speed (m/s) along negative x
    effort: float = 0.0  # weight against the mean square action
    approach: float = 0.0  # weight of the speed (m/s) towards where the task leads, for training with privileged senses
    reach: float = 0.0  # weight of how much nearer (0 to 1) a paw comes to what it should touch; privileged, too
    haste: float = 0.0  # weight against the time (s) by which a touch comes too soon

    def __post_init__(self) -> None:
        if self.episode_seconds is not None and not CONTROL_TIMESTEP <= self.episode_seconds < math.inf:
            raise UsageError(f"episode_seconds must be at least {CONTROL_TIMESTEP}, not {self.episode_seconds}")
        if self.end_on_head_below is not None and not math.isfinite(self.end_on_head_below):
            raise UsageError(f"end_on_head_below must be finite, not {self.end_on_head_below}")
        starts = ("fallen_starts", "rolled_starts", "righted_starts")
        for name in starts:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must lie in [0, 1], not {getattr(self, name)}")
        if (total := sum(getattr(self, name) for name in starts)) > 1:
            raise UsageError(f"{starts[0]}, {starts[1]} and {starts[2]} must add up to 1 at most, not to {total}")
        weights = ("upright", "upright_pelvis", "jerk", "backward", "effort", "approach", "reach", "haste")
        for name in (*weights, "start_ahead", "start_offset", "start_yaw"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be finite and 0 or more, not {getattr(self, name)}")

    def start(self, start: Start, body: Body, rng: np.random.Generator) -> Start:
        """The task's own start, displaced and turned; tumbled, rolled over or righted with these aids' probabilities.

        A tumbled or rolled rat keeps its heading, which it does not sense: one that faced anywhere could not learn to
        get up without turning round, and what its running earned would be chance.
        """
        qpos = start.qpos.copy()
        root = body.root_qpos
        orientation = qpos[root + 3 : root + 7]
        if self.start_ahead:
            qpos[root] += rng.uniform(0, self.start_ahead)
        qpos[root + 1] += rng.uniform(-self.start_offset, self.start_offset)
        _rotate(orientation, _UP, rng.uniform(-self.start_yaw, self.start_yaw), of_world=True)
        how = rng.random()
        if how < self.fallen_starts:
            qpos[root + 2] += _FALLEN_HEIGHT
            _rotate(orientation, _TO_THE_LEFT, rng.uniform(-_FALLEN_PITCH, _FALLEN_PITCH))
            _rotate(orientation, _FORWARD, rng.uniform(-math.pi, math.pi))
            share = rng.uniform(0.2, 0.8, len(body.hinge_qpos))
            qpos[body.hinge_qpos] = body.hinge_range[:, 0] + share * np.ptp(body.hinge_range, axis=1)
        elif how < self.fallen_starts + self.rolled_starts:
            qpos[root + 2] += _ROLLED_HEIGHT
            _rotate(orientation, _TO_THE_LEFT, math.asin(rng.uniform(-1, 1)))
            _rotate(orientation, _FORWARD, rng.uniform(-math.pi, math.pi))
        elif how < self.fallen_starts + self.rolled_starts + self.righted_starts:
            qpos[root + 2] += _RIGHTED_HEIGHT
            heading = math.atan2(*_forward(orientation)[1::-1])
            orientation[:] = math.cos(heading / 2), 0, 0, math.sin(heading / 2)
        return Start(qpos, start.qvel)

    @property
    def led(self) -> str | None:
        """The aid that pays for what privileged senses alone know, if there is one."""
        return next((name for name in ("approach", "reach") if getattr(self, name)), None)

    def potential(self, task: Task, state: State, body: Body) -> Tensor | None:
        """What `shaping` pays the change of over a control step (envs,), to be taken before it; None for nothing.

        What pays for being near would pay most to a hand that never touches: there is nothing to come near to, after.
        Changes sum to nothing on any way back to where it was. That is the shaping of Ng, Harada & Russell (1999)
        without their discount g, which leaves (1 - g) times the nearness a step for staying; and where the task gives a
        new goal, how much farther that one is costs nothing, so that every goal pays anew.
        """
        return self.reach * task.nearness(state, body) if self.reach else None

    def shaping(
        self,
        task: Task,
        state: State,
        body: Body,
        action: Tensor,
        previous: Tensor,
        before: Tensor | None,
    ) -> dict[str, Tensor]:
        """Named shaping terms, each (envs,), with their weights applied.

        Args:
            task: says where it leads.
            state: the simulations after the step.
            body: tables of the rat.
            action: (envs, 38), the action of this step.
            previous: (envs, 38), the action of the step before.
            before: (envs,), the `potential` before the step; None if there is none.
        """
        terms = {}
        if self.upright:
            terms["upright"] = self.upright * (1 + state.xmat[:, body.torso, 8]) / 2
        if self.upright_pelvis:
            terms["upright_pelvis"] = self.upright_pelvis * (1 + state.xmat[:, body.pelvis, 8]) / 2
        if self.jerk:
            terms["jerk"] = -self.jerk * (action - previous).square().mean(1)
        if self.backward:
            terms["backward"] = self.backward * state.subtree_linvel[:, body.torso, 0].clamp(max=0)
        if self.effort:
            terms["effort"] = -self.effort * action.square().mean(1)
        if self.approach:
            terms["approach"] = self.approach * task.progress(state, body)
        if before is not None:
            terms["reach"] = self.reach * task.nearness(state, body) - before
        if self.haste:
            terms["haste"] = -self.haste * task.haste(state)
        return terms

    def terminated(self, state: State, body: Body) -> dict[str, Tensor]:
        """Extra endings with discount 0."""
        causes = {}
        if self.end_on_back:
            causes["on_back"] = state.xmat[:, body.torso, 8] < _ON_BACK
        if self.end_on_head_below is not None:
            causes["head_low"] = state.site_xpos[:, body.head_site, 2] < self.end_on_head_below
        return causes


def _forward(quaternion: np.ndarray) -> np.ndarray:
    """Where an orientation's x axis points in the world, (3,)."""
    forward = np.zeros(3)
    mujoco.mju_rotVecQuat(forward, _FORWARD, quaternion)
    return forward


def _rotate(quaternion: np.ndarray, axis: np.ndarray, angle: float, of_world: bool = False) -> None:
    """Turns an orientation in place about an axis of the body, or of the world."""
    turn = np.zeros(4)
    mujoco.mju_axisAngle2Quat(turn, axis, angle)
    first, second = (turn, quaternion.copy()) if of_world else (quaternion.copy(), turn)
    mujoco.mju_mulQuat(quaternion, first, second)

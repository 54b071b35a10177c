"""Ours and dm_control's environment in the same world, compared at every step."""

import numpy as np
import torch

from rodent.dm_control_env import DmControlEnv
from rodent.env import RodentVectorEnv
from rodent.tasks import make_task

# dm_control computes these with np.dot, ours with a batched torch product: the last bit may differ.
NOT_BIT_EQUAL = {
    "walker/appendages_pos": 1e-9,
    "walker/origin": 1e-9,
    "privileged/midline": 1e-9,
    "privileged/waypoint": 1e-9,
    "privileged/outward": 1e-9,
    "privileged/way_out": 1e-9,
    "privileged/orb": 1e-9,
    "privileged/orb_from_side": 1e-9,
}
# np.linalg.norm sums three squares by BLAS, and np.exp is another code than torch's.
REWARD_TOLERANCE = {"escape-bowl": 1e-14, "two-tap": 1e-14}


def assert_same_observation(ours, theirs, where):
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        difference = np.abs(ours[name] - value).max()
        assert difference <= NOT_BIT_EQUAL.get(name, 0.0), f"{name} differs by {difference} at {where}"


class SideBySide:
    """One episode in both simulators; ours runs it beside another one."""

    def __init__(self, task, seed=7, episode=1, privileged=False):
        self.task = make_task(task) if isinstance(task, str) else task
        self.ours = RodentVectorEnv(self.task, 2, autoreset_mode="Disabled", privileged=privileged)
        self.theirs = DmControlEnv(self.task, privileged)
        self.reward_tolerance = REWARD_TOLERANCE.get(self.task.name, 0.0)
        self.reset(seed, episode)

    def reset(self, seed, episode):
        ours, _ = self.ours.reset(seed=[seed + 100, seed], options={"episode": np.array([0, episode])})
        theirs = self.theirs.reset(seed, episode)
        self._compare(ours, theirs, "reset")

    @property
    def physics(self):
        return self.theirs.environment.physics

    @property
    def qpos(self):
        return self.ours.qpos[1]

    def put(self, qpos, qvel=None):
        """Write one state into both."""
        qvel = np.zeros(self.physics.model.nv) if qvel is None else qvel
        self.ours.engine.state.qpos[1] = torch.from_numpy(qpos)
        self.ours.engine.state.qvel[1] = torch.from_numpy(qvel)
        self.physics.data.qpos[:] = qpos
        self.physics.data.qvel[:] = qvel
        self.physics.forward()  # its next step goes on from the forward stages, ours computes them anew

    def step(self, action):
        """One control step of both; everything that they say is compared.

        Returns:
            reward, terminated, truncated and the causes of an end.
        """
        actions = np.stack([np.zeros(38), action])
        self.ours._ended[0] = False  # the neighbour may have ended; nobody looks at it
        ours, rewards, terminated, truncated, info = self.ours.step(actions)
        theirs, reward, their_terminated, their_truncated = self.theirs.step(action)
        where = f"time {self.physics.time():.3f}"
        self._compare(ours, theirs, where)
        assert abs(rewards[1] - reward) <= self.reward_tolerance, f"reward {rewards[1]} not {reward} at {where}"
        assert (terminated[1], truncated[1]) == (their_terminated, their_truncated), where
        causes = [cause for cause, mask in info["endings"].items() if mask[1]]
        return reward, their_terminated, their_truncated, causes

    def random_steps(self, count, scale=1.0, seed=3):
        rng = np.random.default_rng(seed)
        return [self.step(rng.uniform(-scale, scale, 38)) for _ in range(count)]

    def _compare(self, ours, theirs, where):
        state = self.ours.engine.state
        assert np.array_equal(state.qpos[1].numpy(), self.physics.data.qpos), where
        assert np.array_equal(state.qvel[1].numpy(), self.physics.data.qvel), where
        assert_same_observation({name: values[1] for name, values in ours.items()}, theirs, where)

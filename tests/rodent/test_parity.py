"""The gate: from the same start and actions, ours is dm_control's environment."""

from dataclasses import dataclass

import numpy as np
import pytest

from rodent.dm_control_env import DmControlEnv
from rodent.env import RodentVectorEnv
from rodent.tasks import TASKS
from rodent.tasks.run import Run

STEPS = 200

# dm_control computes this one with np.dot, ours with a batched torch product: the last bit may differ.
NOT_BIT_EQUAL = {"walker/appendages_pos": 1e-9}


def assert_same_observation(ours, theirs, where):
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        difference = np.abs(ours[name] - value).max()
        assert difference <= NOT_BIT_EQUAL.get(name, 0.0), f"{name} differs by {difference} at {where}"


@pytest.fixture(scope="module")
def dm_control_env():
    return DmControlEnv("run")


@pytest.mark.parametrize("scale", [0.3, 1.0], ids=["moderate", "saturated"])
def test_two_hundred_steps_equal_dm_controls_to_the_bit(dm_control_env, scale):
    env = RodentVectorEnv("run", num_envs=3, physics="paper")
    ours, _ = env.reset(seed=[7, 7, 7], options={"episode": np.array([0, 1, 2])})
    theirs = dm_control_env.reset(seed=7, episode=1)
    assert_same_observation({k: v[1] for k, v in ours.items()}, theirs, "reset")
    rng = np.random.default_rng(3)
    for t in range(STEPS):
        actions = rng.uniform(-scale, scale, (3, 38))
        ours, rewards, terminated, truncated, _ = env.step(actions)
        theirs, reward, their_terminated, their_truncated = dm_control_env.step(actions[1])
        physics = dm_control_env.environment.physics
        assert np.array_equal(env.engine.state.qpos[1].numpy(), physics.data.qpos), t
        assert np.array_equal(env.engine.state.qvel[1].numpy(), physics.data.qvel), t
        assert_same_observation({k: v[1] for k, v in ours.items()}, theirs, f"step {t}")
        assert rewards[1] == reward, t
        assert (terminated[1], truncated[1]) == (their_terminated, their_truncated), t


@dataclass(frozen=True)
class RunWithoutFloor(Run):
    """Nothing ever falls off an infinite plane, so here it lets the rat through."""

    def compose(self):
        task = super().compose()
        for geom in task.root_entity.ground_geoms:
            geom.contype = geom.conaffinity = 0
        return task


def test_a_fall_ends_both_at_the_same_step_with_discount_zero():
    env = RodentVectorEnv(RunWithoutFloor(), autoreset_mode="Disabled")
    theirs = DmControlEnv(RunWithoutFloor())
    env.reset(seed=5)
    theirs.reset(seed=5)
    ended = []
    while not ended or not any(ended[-1]):
        _, reward, terminated, truncated, info = env.step(np.zeros((1, 38)))
        _, their_reward, their_terminated, their_truncated = theirs.step(np.zeros(38))
        assert reward[0] == their_reward
        assert not truncated[0] and not their_truncated
        ended.append((bool(terminated[0]), their_terminated))
    assert ended[-1] == (True, True) and info["endings"]["fell_off"][0]


def test_the_time_limit_truncates_both_at_the_same_step():
    task = Run(time_limit=0.4)
    env, theirs = RodentVectorEnv(task, autoreset_mode="Disabled"), DmControlEnv(task)
    env.reset(seed=1)
    theirs.reset(seed=1)
    ends = []
    for t in range(20):
        _, _, terminated, truncated, _ = env.step(np.zeros((1, 38)))
        _, _, their_terminated, their_truncated = theirs.step(np.zeros(38))
        ends.append((bool(truncated[0]), their_truncated))
        assert not terminated[0] and not their_terminated, t
    assert ends[-1] == (True, True) and not any(any(e) for e in ends[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_whole_episode_lasts_as_long_as_dm_controls(name):
    """It adds up the time of each physics step, we count control steps."""
    env, theirs = RodentVectorEnv(name, autoreset_mode="Disabled"), DmControlEnv(name)
    env.reset(seed=1)
    theirs.reset(seed=1)
    ends, steps = (False, False), 0
    while not any(ends):
        _, _, terminated, truncated, _ = env.step(np.zeros((1, 38)))
        _, _, their_terminated, their_truncated = theirs.step(np.zeros(38))
        assert not terminated[0] and not their_terminated
        ends, steps = (bool(truncated[0]), their_truncated), steps + 1
    assert ends == (True, True) and steps == env.task.step_limit


def test_the_world_is_the_one_dm_controls_environment_compiles(dm_control_env):
    """Same bodies, geoms, joints, options: only the memory reserved for a simulation differs."""
    env = RodentVectorEnv("run")
    dm_control_env.reset(seed=0)
    ours, theirs = env.engine.model, dm_control_env.environment.physics.model.ptr
    for field in ("body_mass", "geom_pos", "geom_size", "geom_friction", "geom_solref", "jnt_range", "dof_damping",
                  "actuator_gainprm", "actuator_biasprm", "tendon_stiffness", "qpos0"):  # fmt: skip
        assert np.array_equal(getattr(ours, field), getattr(theirs, field)), field
    for option in ("timestep", "integrator", "cone", "iterations", "noslip_iterations", "solver", "disableflags"):
        assert np.array_equal(getattr(ours.opt, option), getattr(theirs.opt, option)), option

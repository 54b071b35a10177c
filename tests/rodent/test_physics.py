from dataclasses import replace

import mujoco
import numpy as np
import pytest

from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.physics import PRESETS, find_physics
from rodent.tasks import make_task


def world():
    return make_task("run").world(np.random.default_rng(0))


def test_paper_changes_nothing_in_dm_controls_model():
    before, after = world(), PRESETS["paper"].apply(world())
    for option in ("timestep", "integrator", "cone", "iterations", "noslip_iterations"):
        assert getattr(before.opt, option) == getattr(after.opt, option), option
    assert np.array_equal(before.geom_conaffinity, after.geom_conaffinity)
    assert PRESETS["paper"].substeps == 20


@pytest.mark.parametrize("name", PRESETS)
def test_a_control_step_lasts_twenty_milliseconds_in_every_preset(name):
    env = RodentVectorEnv("run", physics=name)
    env.reset(seed=0)
    env.step(np.zeros((1, 38)))
    assert env.engine.state.time[0].item() == pytest.approx(0.02, abs=1e-12)


def test_without_self_collision_the_rat_touches_the_floor_alone():
    rng = np.random.default_rng(0)
    contacts = _contacts("fast", rng.uniform(-1, 1, (50, 1, 38)))
    assert contacts
    assert all(a != b for a, b in contacts)


def test_self_collision_is_all_in_which_the_two_fast_presets_differ():
    fast, touching = PRESETS["fast"], PRESETS["fast-self-collision"]
    assert replace(touching, name="fast", self_collision=False) == fast
    bent = np.ones((50, 1, 38))
    assert any(a and b for a, b in _contacts("fast-self-collision", bent)), "limbs rest on the trunk"
    assert not any(a and b for a, b in _contacts("fast", bent))


def _contacts(physics, actions):
    """Of each contact after each action: whether its two geoms are the rat's."""
    env = RodentVectorEnv("run", physics=physics)
    env.reset(seed=0)
    rat, contacts = set(env.body.geoms), []
    for action in actions:
        env.step(action)
        contacts += [(a in rat, b in rat) for a, b in env.engine.data(0).contact.geom]
    return contacts


def test_half_the_papers_step_falls_the_same_way():
    """The presets integrate one and the same world: a falling rat's height agrees to the integration error."""
    heights = []
    for name in ("paper", "paper-half-step"):
        env = RodentVectorEnv("run", physics=name)
        env.reset(seed=0)
        env.engine.state.qpos[0, 2] += 1.0
        for _ in range(10):
            env.step(np.zeros((1, 38)))
        heights.append(env.engine.state.xpos[0, env.body.torso, 2].item())
    assert heights[0] == pytest.approx(heights[1], abs=2e-3)
    assert heights[0] < 1.0


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown physics preset 'quick': choose one of paper, fast"):
        find_physics("quick")


def test_the_integrator_of_paper_is_euler():
    assert PRESETS["paper"].integrator == mujoco.mjtIntegrator.mjINT_EULER

"""The gate in the four worlds: from the same start, actions and events, ours is dm_control's environment."""

import numpy as np
import pytest
from side_by_side import SideBySide

from rodent.tasks.escape_bowl import EscapeBowl
from rodent.tasks.run_gaps import RunGaps

WORLDS = ["run-gaps", "escape-bowl"]


@pytest.mark.parametrize("scale", [0.3, 1.0], ids=["moderate", "saturated"])
@pytest.mark.parametrize("task", WORLDS)
def test_a_hundred_steps_equal_dm_controls_to_the_bit(task, scale):
    SideBySide(task).random_steps(100, scale)


def test_feet_in_a_gap_fall_and_end_both_at_the_same_step():
    both = SideBySide(RunGaps(gap_length=(0.6, 0.7)))  # wider than the rat is long
    qpos = both.qpos
    model = both.ours.engine.model_of(1)
    second = model.body("ground").geomadr[0] + 1
    gap = model.geom_pos[second, 0] + model.geom_size[second, 0]
    qpos[:3] = gap + 0.3, 0.3, 0.0
    both.put(qpos)
    ends = []
    while not ends or not (ends[-1][0] or ends[-1][1]):
        _, terminated, truncated, causes = both.step(np.zeros(38))
        ends.append((terminated, truncated))
        assert len(ends) < 50
    assert ends[-1] == (True, False) and causes == ["fell_off"]


@pytest.mark.parametrize("task", WORLDS)
def test_every_arena_is_the_one_that_dm_control_compiles(task):
    """Same geoms that can be touched, where, how large and of what friction; the same rat; the same options."""
    both = SideBySide(task)
    for episode in (2, 3):
        both.reset(11, episode)
        ours, theirs = both.ours.engine.model_of(1), both.physics.model.ptr
        for field in ("geom_pos", "geom_quat", "geom_size", "geom_friction", "geom_solref", "geom_margin", "geom_gap"):
            a, b = (getattr(model, field)[model.geom_conaffinity > 0] for model in (ours, theirs))
            assert np.array_equal(a, b), field
        assert np.array_equal(ours.hfield_data, theirs.hfield_data)
        for field in ("qpos0", "jnt_range", "dof_damping", "actuator_gainprm", "actuator_biasprm", "tendon_stiffness"):
            assert np.array_equal(getattr(ours, field), getattr(theirs, field)), field
        for option in ("timestep", "integrator", "cone", "iterations", "noslip_iterations", "solver", "disableflags"):
            assert np.array_equal(getattr(ours.opt, option), getattr(theirs.opt, option)), option


@pytest.mark.parametrize("cue", [False, True])
def test_a_head_that_crosses_the_rim_is_paid_alike_in_any_orientation(cue):
    # np.linalg.norm sums three squares by BLAS, torch in its own order: the last bits of the distance may differ.
    both = SideBySide(EscapeBowl(cue=cue), reward_tolerance=1e-14)
    rng = np.random.default_rng(0)
    rewards = []
    for x in (0.3, 2.7, 2.95, 3.05, 3.3, 5.8, 5.95, 6.05, 6.5):
        for tilt in (0.0, 0.4, 0.6, 1.5, 3.0):
            qpos = both.qpos
            qpos[:7] = x, 0.5 * rng.uniform(-1, 1), 0.4, np.cos(tilt / 2), np.sin(tilt / 2), 0, 0
            qpos[7:] += rng.uniform(-0.1, 0.1, len(qpos) - 7)
            both.put(qpos)
            rewards.append(both.step(rng.uniform(-1, 1, 38))[0])
    assert min(rewards) < 0.05 and max(rewards) == 1.0
    assert ("walker/origin" in both.ours.single_observation_space.spaces) == cue

import numpy as np
import pytest

from rodent import body as body_module
from rodent.body import Body, build_rat
from rodent.env import RodentVectorEnv


@pytest.fixture(scope="module")
def env():
    return RodentVectorEnv("run", num_envs=38)


@pytest.fixture(scope="module")
def body(env) -> Body:
    return env.body


def test_the_rat_has_the_paper_s_numbers(env, body):
    model = env.engine.model
    assert (model.nq, model.nv, model.nu, model.na) == (74, 73, 38, 38)
    assert (len(body.joints), len(body.tendons), len(body.actuators)) == (30, 8, 38)
    assert len(body.hinge_qpos) == 67


def test_tables_follow_dm_controls_order(env, body):
    rat = build_rat()
    assert [j.name for j in body.joints] == [f"walker/{j.name}" for j in rat.observable_joints]
    assert [a.name for a in body.actuators] == [f"walker/{a.name}" for a in rat.actuators]
    assert list(body.tendons) == [f"walker/{t.name}" for t in rat.observable_tendons]
    assert tuple(f"walker/{b.name}" for b in rat.end_effectors) == body_module.END_EFFECTORS


def test_every_actuator_has_a_target_a_gain_and_words(body):
    for actuator in body.actuators:
        assert actuator.gain > 0
        assert actuator.transmission in ("joint", "tendon")
        assert len(actuator.effect) > 10


def test_control_one_pulls_each_actuators_target_up_and_minus_one_pulls_it_down(env, body):
    """Environment i pushes actuator i alone; gravity acts alike on both trials."""
    positions = []
    for direction in (1.0, -1.0):
        env.reset(seed=[0] * 38)
        for _ in range(5):
            env.step(direction * np.eye(38))
        state = env.engine.state
        joints = {joint.name: joint.qpos for joint in body.joints}
        positions.append(
            [
                state.qpos[i, joints[a.target]].item()
                if a.transmission == "joint"
                else state.ten_length[i, body.tendons.index(a.target)].item()
                for i, a in enumerate(body.actuators)
            ]
        )
    assert (np.array(positions[0]) > np.array(positions[1])).all()


def test_body_is_about_as_heavy_as_dm_controls_rat(body):
    assert 0.15 < body.mass < 0.4  # kg

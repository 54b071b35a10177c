import numpy as np
import pytest

from rodent.env import RodentVectorEnv
from rodent.measures import measure_episode, tally_measures
from rodent.physics import CONTROL_TIMESTEP

STEPS = 200


@pytest.fixture(scope="module")
def env():
    env = RodentVectorEnv("run")
    env.reset(seed=0)
    return env


def standing(env, height=0.2):
    """(STEPS, nq): the rest pose, held in the air."""
    qpos = np.tile(env.engine.model.qpos0, (STEPS, 1))
    qpos[:, 2] = height
    return qpos


def measure(env, qpos, actions=None):
    actions = np.random.default_rng(0).normal(size=(len(qpos), 38)) if actions is None else actions
    return measure_episode(env.engine.model, env.body, qpos, actions)


def test_a_rat_that_glides_forward_at_half_a_metre_a_second_has_that_speed(env):
    qpos = standing(env)
    qpos[:, 0] = 5 + 0.5 * CONTROL_TIMESTEP * np.arange(STEPS)
    measures = measure(env, qpos)
    assert measures["speed"] == pytest.approx(0.5, rel=1e-6)
    assert measures["forward_velocity"] == pytest.approx(0.5, rel=0.01)
    assert measures["belly_contact"] == 0 and measures["upside_down"] == 0


def test_stride_frequency_is_that_of_the_hips_and_shoulders(env):
    qpos = standing(env)
    time = CONTROL_TIMESTEP * np.arange(STEPS)
    qpos[:, 0] = 5 + 0.5 * time
    names = [joint.name for joint in env.body.joints]
    for joint in ("hip_L_extend", "hip_R_extend", "shoulder_L", "shoulder_R"):
        qpos[:, env.body.joints[names.index(f"walker/{joint}")].qpos] += 0.3 * np.sin(2 * np.pi * 4.0 * time)
    assert measure(env, qpos)["stride_hz"] == pytest.approx(4.0, abs=0.1)


def test_stride_frequency_is_told_by_the_speed_at_which_it_was_met(env):
    qpos = np.concatenate([standing(env), standing(env)])
    fast = np.arange(2 * STEPS) >= STEPS
    qpos[:, 0] = np.cumsum(np.where(fast, 0.9, 0.2)) * CONTROL_TIMESTEP
    phase = 2 * np.pi * np.cumsum(np.where(fast, 5.0, 2.5)) * CONTROL_TIMESTEP
    names = [joint.name for joint in env.body.joints]
    for joint in ("hip_L_extend", "hip_R_extend", "shoulder_L", "shoulder_R"):
        qpos[:, env.body.joints[names.index(f"walker/{joint}")].qpos] += 0.3 * np.sin(phase)
    found = measure(env, qpos)
    assert found["stride_hz_0.1_to_0.4"] == pytest.approx(2.5, abs=0.2)
    assert found["stride_hz_0.7_to_1.0"] == pytest.approx(5.0, abs=0.3)
    assert found["stride_hz_above_1.0"] is None
    assert measure(env, qpos[:50])["stride_hz_0.1_to_0.4"] is None


def test_a_rat_that_stands_still_has_no_stride_frequency(env):
    assert measure(env, standing(env))["stride_hz"] is None


def test_a_rat_on_its_belly_and_one_on_its_back_are_told_apart(env):
    low = standing(env, height=-0.04)
    assert measure(env, low)["belly_contact"] == 1
    turned = standing(env)
    turned[:, 3:7] = (0, 1, 0, 0)
    assert measure(env, turned)["upside_down"] == 1


def test_a_rat_that_lies_on_its_hip_is_off_its_feet_though_its_torso_is_upright(env):
    assert measure(env, standing(env))["off_its_feet"] == 0
    hip = standing(env)
    for i in (1, 4):  # each turns the pelvis by 45 degrees
        hip[:, env.engine.model_of(0).joint(f"walker/vertebra_{i}_extend").qposadr] = np.pi / 4
    assert measure(env, hip)["off_its_feet"] == 1 and measure(env, hip)["upside_down"] == 0


def test_vibration_above_twelve_hertz_is_tremor_and_slow_movement_is_not(env):
    time = CONTROL_TIMESTEP * np.arange(STEPS)
    joint = env.body.joints[10].qpos
    slow, fast = standing(env), standing(env)
    slow[:, joint] += 0.1 * np.sin(2 * np.pi * 2 * time)
    fast[:, joint] += 0.1 * np.sin(2 * np.pi * 20 * time)
    assert measure(env, slow)["tremor"] < 0.05
    assert measure(env, fast)["tremor"] > 0.95


def test_white_noise_is_root_two_rough_and_a_slow_action_smooth(env):
    time = np.arange(STEPS)[:, None]
    smooth = np.broadcast_to(np.sin(2 * np.pi * time / 100), (STEPS, 38))
    assert measure(env, standing(env))["action_roughness"] == pytest.approx(np.sqrt(2), rel=0.02)
    assert measure(env, standing(env), smooth)["action_roughness"] < 0.1


def test_what_cannot_be_estimated_is_none_and_never_zero(env):
    measures = measure(env, standing(env)[:5], np.zeros((5, 38)))
    assert [measures[name] for name in ("speed", "stride_hz", "tremor", "action_roughness")] == [None] * 4
    assert tally_measures([{"x": None, "y": 1.0}, {"x": 2.0, "y": 3.0}])["x"].tolist() == [[0, 0], [2, 1]]


def test_an_orb_is_no_ground_for_the_belly():
    env = RodentVectorEnv("maze-forage")
    env.reset(seed=0)
    orb = env.engine.state.memory["places"][0, 0].numpy()
    qpos = np.tile(env.engine.model.qpos0, (60, 1))
    qpos[:, :3] = *orb, 0.05  # in the air, its back in the orb
    measures = measure_episode(env.engine.model_of(0), env.body, qpos, np.zeros((60, 38)))
    assert measures["belly_contact"] == 0

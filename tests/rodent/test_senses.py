import json

import numpy as np

from rodent.dm_control_env import DmControlEnv
from rodent.env import RodentVectorEnv

SIZES = {
    "walker/actuator_activation": 38, "walker/appendages_pos": 15, "walker/body_height": 1,
    "walker/end_effectors_pos": 12, "walker/joints_pos": 30, "walker/joints_vel": 30, "walker/sensors_accelerometer": 3,
    "walker/sensors_gyro": 3, "walker/sensors_touch": 4, "walker/sensors_velocimeter": 3, "walker/tendons_pos": 8,
    "walker/tendons_vel": 8, "walker/world_zaxis": 3,
}  # fmt: skip


def test_names_sizes_and_order_are_dm_controls():
    env = RodentVectorEnv("run")
    assert json.dumps(env.senses.sizes) == json.dumps(SIZES)  # the order counts
    theirs = DmControlEnv("run").reset(seed=0)
    assert {name: len(value) for name, value in theirs.items()} == SIZES
    assert list(theirs) == list(SIZES)


def test_every_sense_is_finite_and_of_its_size_in_every_environment():
    env = RodentVectorEnv("run", num_envs=4)
    env.reset(seed=0)
    observation, *_ = env.step(np.ones((4, 38)))
    for name, values in observation.items():
        assert values.shape == (4, SIZES[name]), name
        assert np.isfinite(values).all(), name


def test_end_effectors_repeat_the_first_twelve_appendages():
    env = RodentVectorEnv("run")
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(
        observation["walker/end_effectors_pos"], observation["walker/appendages_pos"][:, :12], atol=1e-12
    )


def test_touch_is_binary_and_felt_by_the_palms_of_a_wriggling_rat():
    env = RodentVectorEnv("run", 8)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    touch = np.array([env.step(rng.uniform(-0.5, 0.5, (8, 38)))[0]["walker/sensors_touch"] for _ in range(50)])
    assert set(np.unique(touch)) == {0.0, 1.0}
    assert touch[..., :2].any()


def test_observations_are_copies_that_later_steps_leave_alone():
    env = RodentVectorEnv("run", num_envs=2)
    before, _ = env.reset(seed=0)
    kept = {name: values.copy() for name, values in before.items()}
    env.step(np.ones((2, 38)))
    for name, values in kept.items():
        assert np.array_equal(before[name], values), name

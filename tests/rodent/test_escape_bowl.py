import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rodent.body import describe
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.tasks import episode_rng
from rodent.tasks.escape_bowl import EscapeBowl


def test_episodes_start_in_any_orientation_just_above_the_bumps():
    task = EscapeBowl()
    up = []
    for episode in range(12):
        rng = episode_rng(task, 1, episode)
        model = task.world(rng)
        start = task.start(model, describe(model), rng)
        data = mujoco.MjData(model)
        data.qpos[:] = start.qpos
        mujoco.mj_forward(model, data)
        up.append(data.body("walker/torso").xmat[8])
        assert data.ncon == 0
        data.qpos[2] -= 0.01
        mujoco.mj_forward(model, data)
        assert data.ncon > 0
    assert min(up) < -0.3 and max(up) > 0.3


def test_training_may_start_anywhere_within_a_distance_of_the_middle_clear_of_the_ground():
    env = RodentVectorEnv(EscapeBowl(start_distance=2.5), 48, pool=2)
    env.reset(seed=0)
    away = np.linalg.norm(env.qpos[:, :2], axis=1)
    assert 2.0 < away.max() < 2.5 and 0.3 < np.mean(away < 2.5 / np.sqrt(2)) < 0.7  # as many to an area of one size
    for i, qpos in enumerate(env.qpos):
        data = mujoco.MjData(env.engine.model_of(i))
        data.qpos[:] = qpos
        mujoco.mj_forward(env.engine.model_of(i), data)
        assert data.ncon == 0 and 0 < qpos[2] < 0.8


@settings(max_examples=10, deadline=None)
@given(st.floats(0, 1), st.integers(0, 2**32))
def test_any_admissible_smoothness_gives_a_bowl_to_start_in_clear_of_the_ground(smoothness, seed):
    task = EscapeBowl(smoothness=smoothness)
    rng = np.random.default_rng(seed)
    model = task.world(rng)
    assert np.isfinite(model.hfield_data).all()
    data = mujoco.MjData(model)
    data.qpos[:] = task.start(model, describe(model), rng).qpos
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
    mujoco.mj_step(model, data, nstep=1000)  # a second without action
    assert np.isfinite(data.qpos).all() and not data.warning.number.any()


def test_the_bowl_is_deepest_in_the_middle_and_its_rim_stands_at_three_metres():
    elevation = EscapeBowl(smoothness=1).draw(np.random.default_rng(0))
    row = elevation[100, 100:]
    assert row.argmax() * 6 / 100 == pytest.approx(3, abs=0.1)
    assert row[0] == row.min() if row[-1] > row[0] else row[-1] == row.min()
    assert elevation.max() == pytest.approx(1, abs=0.01)


def test_bumps_lie_between_smoothness_and_one():
    bowl = EscapeBowl(smoothness=1).draw(np.random.default_rng(0))
    bumpy = EscapeBowl().draw(np.random.default_rng(0))
    ratio = bumpy[bowl > 0.05] / bowl[bowl > 0.05]
    assert 0.35 < ratio.min() < 0.6 and 0.9 < ratio.max() < 1.15  # cubic interpolation overshoots a little


def test_nothing_ends_it_but_time():
    env = RodentVectorEnv(EscapeBowl(time_limit=0.1), 2, autoreset_mode="Disabled")
    env.reset(seed=0)
    for _ in range(5):
        _, reward, terminated, truncated, info = env.step(np.zeros((2, 38)))
        assert set(info["reward_terms"]) == {"upright_escape"} and ((reward >= 0) & (reward <= 1)).all()
    assert truncated.all() and not terminated.any() and info["endings"]["time_limit"].all()


def test_what_is_not_admissible_is_refused():
    with pytest.raises(UsageError, match=r"smoothness must lie in \[0, 1\], not 2"):
        EscapeBowl(smoothness=2)

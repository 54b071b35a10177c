import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.physics import PRESETS
from rodent.tasks.two_tap import TwoTap


def orbs(env):
    return env.engine.state.memory["orb"].numpy().copy()


def test_orbs_differ_between_environments_and_episodes_and_come_back_with_their_seed():
    env = RodentVectorEnv(TwoTap(time_limit=0.1, orb_height=(0.05, 0.2), orb_distance=0.3), 2)
    env.reset(seed=5)
    first = orbs(env)
    for _ in range(5):
        env.step(np.zeros((2, 38)))
    second = orbs(env)
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 4
    assert (np.abs(second[:, :2]) <= 0.3).all() and ((second[:, 2] >= 0.05) & (second[:, 2] <= 0.2)).all()
    env.reset(seed=[6, 5], options={"episode": np.array([1, 0])})
    assert np.array_equal(orbs(env)[0], second[1]) and np.array_equal(orbs(env)[1], first[0])


def test_what_an_episode_remembers_is_gone_in_the_next():
    env = RodentVectorEnv("two-tap", 2)
    env.reset(seed=0)
    fresh = {name: values.clone() for name, values in env.engine.state.memory.items()}
    for values in env.engine.state.memory.values():
        values[0] = torch.ones_like(values[0])
    env.reset(seed=0, options={"reset_mask": np.array([True, False])})
    for name, values in env.engine.state.memory.items():
        assert torch.equal(values, fresh[name]), name


def test_the_orbs_place_moves_no_simulation():
    """It pushes nothing: two rats with the same start and other orbs move alike."""
    env = RodentVectorEnv("two-tap", 2)
    env.reset(seed=[1, 1], options={"episode": np.array([0, 0])})
    memory = env.engine.state.memory
    memory["orb"][1] = torch.tensor([0.0, 0.0, 0.05])
    for action in np.random.default_rng(0).uniform(-1, 1, (10, 1, 38)):
        env.step(np.repeat(action, 2, axis=0))
    assert np.array_equal(env.qpos[0], env.qpos[1])


def test_the_reward_has_three_named_terms_and_nothing_but_time_ends_it():
    env = RodentVectorEnv(TwoTap(time_limit=0.04), 1, autoreset_mode="Disabled")
    env.reset(seed=0)
    _, reward, _, _, info = env.step(np.zeros((1, 38)))
    assert set(info["reward_terms"]) == {"closeness", "first_tap", "second_tap"}
    assert 0 < reward[0] < 0.25
    assert env.step(np.zeros((1, 38)))[3][0]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"touch_interval": -1}, r"touch_interval must be a number or a range within \[0, 10\] s, not -1"),
        ({"interval_tolerance": (0.3, 0.1)}, r"interval_tolerance must be .*, not \(0.3, 0.1\)"),
        ({"orb_height": (0.0, 0.1)}, r"orb_height must be"),
        ({"orb_height": float("nan")}, r"orb_height must be"),
        ({"orb_distance": 5.1}, r"orb_distance must lie in \[0, 5\] m, not 5.1"),
        ({"failure_timeout": -0.1}, r"failure_timeout must lie in"),
        ({"reset_delay": float("inf")}, r"reset_delay must lie in"),
    ],
)
def test_what_is_not_admissible_is_refused(parameters, words):
    with pytest.raises(UsageError, match=words):
        TwoTap(**parameters)


def test_an_episode_has_an_orb_for_each_that_can_be_tapped():
    """Each tapped as it comes: an orb that is missed at once is judged, forgiven and replaced in a step each."""
    hasty = TwoTap(touch_interval=0.0, interval_tolerance=0.0, failure_timeout=0.0, time_limit=1.0)
    env = RodentVectorEnv(hasty, 1, autoreset_mode="Disabled")
    env.reset(seed=0)
    state, paid, truncated = env.engine.state, 0.0, False
    while not truncated:
        state.memory["touched"][0] = True
        _, reward, _, truncated, _ = env.step(np.zeros((1, 38)))
        paid += float(reward[0])
    orbs, drawn = int(state.memory["orbs"][0]), state.memory["places"].shape[1]
    assert 10 <= orbs < drawn and paid <= hasty.max_return


@pytest.mark.parametrize("physics", PRESETS)
def test_a_hand_in_the_orb_taps_under_every_preset(physics):
    env = RodentVectorEnv("two-tap", 2, physics)
    env.reset(seed=0)
    state = env.engine.state
    for _ in range(3):
        state.memory["orb"][0] = state.xpos[0, env.body.paws[0]]
        env.step(np.zeros((2, 38)))
    assert state.memory["touched"].tolist() == [True, False]
    assert 0 < state.memory["touch_time"][0] <= 0.06
    assert state.history.shape[1] == 2 * (2 + 2 * env.physics.substeps)


@settings(max_examples=8, deadline=None)
@given(
    *(st.floats(*limits) for limits in ((0.1, 5), (0, 1), (0.03, 0.5), (0, 5), (0, 3))),
    st.integers(0, 2**31),
)
def test_any_admissible_parameters_run(interval, tolerance, height, distance, timeout, seed):
    task = TwoTap(
        touch_interval=interval,
        interval_tolerance=(0, tolerance),
        orb_height=height,
        orb_distance=distance,
        failure_timeout=timeout,
    )
    env = RodentVectorEnv(task, 1)
    env.reset(seed=seed)
    memory = env.engine.state.memory
    for _ in range(20):
        memory["due"][:] = True
        _, reward, *_ = env.step(np.zeros((1, 38)))
        assert np.isfinite(reward).all() and 0 <= reward[0] <= task.reward_range[1]
        assert (memory["orb"][0, :2].abs() <= distance).all() and memory["orb"][0, 2] == height
    assert memory["orbs"][0] == 20 and env.divergences == 0

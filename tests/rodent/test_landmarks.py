"""Landmarks: where the rat is in terms of its task, for who watches it, and nothing that it senses."""

import numpy as np
import pytest

from rodent.env import RodentVectorEnv
from rodent.tasks import TASKS


def charted(task):
    env = RodentVectorEnv(task, 1, threads=1, charted=True)
    env.reset(seed=[3])
    return env


def move(env, x, y=0.0, turned=0.0):
    """Put the root somewhere on the floor, turned to the left by an angle."""
    env.engine.state.qpos[0, 0], env.engine.state.qpos[0, 1] = x, y
    env.engine.state.qpos[0, 3:7] = env.engine.state.qpos.new_tensor([np.cos(turned / 2), 0, 0, np.sin(turned / 2)])
    env.engine.forward(np.array([0]))


def told(env):
    return {name: float(values[0, 0]) for name, values in env.landmarks().items()}


def torso(env):
    return env.engine.state.xpos[0, env.body.torso].numpy()


@pytest.mark.parametrize("task", TASKS)
def test_a_charted_world_is_sensed_and_moves_as_ever(task):
    plain, more = RodentVectorEnv(task, 2, threads=1), RodentVectorEnv(task, 2, threads=1, charted=True)
    assert plain.observation_space == more.observation_space
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 2, 38))
    for env in (plain, more):
        env.reset(seed=[1, 2])
        for action in actions:
            env.step(action)
    assert np.array_equal(plain.qpos, more.qpos)
    assert all(values.shape == (2, 1) for values in more.landmarks().values())


def test_the_next_gap_is_the_one_that_is_not_passed():
    env = charted("run-gaps")
    begins, ends = (env.engine.state.memory[name][0].numpy() for name in ("begins", "ends"))
    lead = torso(env)[0] - env.qpos[0, 0]  # of the torso before the root
    assert begins[1] == ends[0]  # the second platform touches the first: no gap
    assert told(env)["distance_to_gap"] == pytest.approx(ends[1] - torso(env)[0])
    for x, edge in (((ends[1] + begins[2]) / 2, ends[1]), (begins[2] + 0.01, ends[2])):
        move(env, x - lead)
        assert told(env)["distance_to_gap"] == pytest.approx(edge - x)
    last = begins[np.isfinite(begins)][-1]
    move(env, last + 0.01 - lead)
    assert np.isnan(told(env)["distance_to_gap"])


def test_the_orb_is_as_far_and_where_it_stands():
    env = charted("two-tap")
    orb = env.engine.state.memory["orb"][0].numpy()
    move(env, orb[0] - 0.5, orb[1])
    offset = orb - torso(env)
    assert told(env)["distance_to_orb"] == pytest.approx(np.linalg.norm(offset))
    assert told(env)["bearing_to_orb"] == pytest.approx(0, abs=0.05)  # straight ahead
    move(env, orb[0] - 0.5, orb[1], turned=-np.pi / 2)
    assert told(env)["bearing_to_orb"] == pytest.approx(np.pi / 2, abs=0.2)  # on the left


def test_of_a_mazes_orbs_the_nearest_that_is_left_counts():
    env = charted("maze-forage")
    memory = env.engine.state.memory
    places = memory["places"][0].numpy()
    far = np.linalg.norm(np.append(places, np.full((len(places), 1), 0.125), 1) - torso(env), axis=1)
    order = np.argsort(far)
    assert told(env)["distance_to_orb"] == pytest.approx(far[order[0]])
    memory["touched"][0, order[0]] = True
    assert told(env)["distance_to_orb"] == pytest.approx(far[order[1]])
    memory["touched"][0] = True
    assert np.isnan(list(told(env).values())).all()


def test_the_bowls_middle_is_the_worlds_origin():
    env = charted("escape-bowl")
    env.engine.state.qpos[0, :2] = env.engine.state.qpos.new_tensor([3.0, 4.0])
    env.engine.forward(np.array([0]))
    head = env.engine.state.site_xpos[0, env.body.head_site].numpy()
    assert told(env)["distance_from_centre"] == pytest.approx(np.linalg.norm(head)) and np.linalg.norm(head) > 4


def test_a_corridor_without_gaps_has_no_landmark():
    assert told(charted("run")) == {}

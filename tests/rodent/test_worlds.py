"""What every task whose arenas vary must keep: arenas that differ, follow from the seed and leave nothing behind."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rodent.body import describe
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.tasks import TASKS, episode_rng, make_task
from rodent.tasks.maze_forage import MazeForage
from rodent.tasks.run_gaps import RunGaps
from rodent.tasks.two_tap import TwoTap

VARYING = [name for name, task in TASKS.items() if task.varies]
EVERY = [name for name in TASKS if name != "run"]


def stack(observations):
    return np.concatenate([observations[name] for name in sorted(observations)], axis=-1)


def actions(count, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, count, 38))


def short(name):
    return make_task(name, time_limit=0.1)  # five control steps


def shape(model):
    """All that can differ between two arenas, in one vector."""
    return np.concatenate([model.geom_pos.ravel(), model.geom_size.ravel(), model.hfield_data, model.body_pos.ravel()])


@pytest.mark.parametrize("name", VARYING)
def test_arenas_differ_between_environments_and_episodes_and_come_back_with_their_seed(name):
    env = RodentVectorEnv(name, 2)
    env.reset(seed=5)
    first = [shape(env.engine.model_of(i)) for i in range(2)]
    env.reset()
    second = [shape(env.engine.model_of(i)) for i in range(2)]
    arenas = first + second
    assert not any(np.array_equal(arenas[i], arenas[j]) for i in range(4) for j in range(i))
    env.reset(seed=5)
    assert all(np.array_equal(shape(env.engine.model_of(i)), first[i]) for i in range(2))
    task = make_task(name)
    assert np.array_equal(shape(task.world(episode_rng(task, 6, 1))), second[1])


@pytest.mark.parametrize("name", VARYING)
def test_a_pools_arenas_are_a_few_and_the_rest_of_an_episode_is_its_own(name):
    env, twin = RodentVectorEnv(short(name), 6, pool=2), RodentVectorEnv(short(name), 6, pool=2)
    other = RodentVectorEnv(short(name), 6, pool=2, pool_seed=1)
    seen = set()
    for each in (env, twin, other):
        each.reset(seed=3)
    for action in actions(6, 12):
        a, b = env.step(action)[0], twin.step(action)[0]
        assert np.array_equal(stack(a), stack(b))
        seen |= {shape(env.engine.model_of(i)).tobytes() for i in range(6)}
    assert len(seen) == 2
    assert not seen & {shape(other.engine.model_of(i)).tobytes() for i in range(6)}
    task = short(name)
    assert not seen & {shape(task.world(episode_rng(task, 0, k))).tobytes() for k in range(2)}  # of an evaluation


@pytest.mark.parametrize("name", EVERY)
def test_episodes_do_not_depend_on_the_number_of_threads_or_environments(name):
    def run(count, threads):
        env = RodentVectorEnv(make_task(name, time_limit=0.14), count, threads=threads, pool=3)
        env.reset(seed=[5, *range(100, 99 + count)])
        return [first_of(env.step(action[:count]), env.qpos) for action in actions(64, 10)]

    def first_of(step, qpos):
        observation, *rest, info = step
        causes = [ended[0] for ended in info["endings"].values()]
        return np.concatenate([stack(observation)[0], qpos[0], [values[0] for values in rest], causes])

    reference = run(1, 1)
    assert np.array(reference)[:, -1].any()  # an episode ended, and another one began
    for count, threads in ((2, 2), (64, 1), (64, 2)):
        for a, b in zip(reference, run(count, threads), strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("pool", [0, 3])
@pytest.mark.parametrize("name", EVERY)
def test_state_dict_continues_bit_for_bit_in_a_fresh_environment(name, pool):
    env, twin = (RodentVectorEnv(short(name), 3, pool=pool) for _ in range(2))
    env.reset(seed=4)
    for action in actions(3, 7):
        env.step(action)
    twin.load_state_dict(env.state_dict())
    for action in actions(3, 9, seed=8):
        a, *mine, _ = env.step(action)
        b, *others, _ = twin.step(action)
        assert np.array_equal(stack(a), stack(b))
        assert all(np.array_equal(x, y) for x, y in zip(mine, others, strict=True))


@pytest.mark.parametrize("name", EVERY)
def test_an_episode_leaves_nothing_behind(name):
    env = RodentVectorEnv(short(name), 1, autoreset_mode="Disabled")

    def path():
        env.reset(seed=[9], options={"episode": np.array([2])})
        return np.array([stack(env.step(action)[0]) for action in actions(1, 5, seed=1)])

    fresh = path()
    env.reset(seed=0)
    for action in actions(1, 5, seed=2):
        env.step(action)
    assert np.array_equal(path(), fresh)


@pytest.mark.parametrize("name", VARYING)
def test_a_state_of_another_pool_is_refused(name):
    with pytest.raises(UsageError, match="in 2 arenas of pool seed 0"):
        RodentVectorEnv(name, 1).load_state_dict(RodentVectorEnv(name, 1, pool=2).state_dict())


@pytest.mark.parametrize("name", EVERY)
def test_a_second_without_action_stays_finite(name):
    env = RodentVectorEnv(name, 4)
    env.reset(seed=1)
    for _ in range(50):
        observation, *_ = env.step(np.zeros((4, 38)))
    assert env.divergences == 0 and np.isfinite(stack(observation)).all()


lengths = st.tuples(st.floats(0.1, 1), st.floats(0, 1)).map(lambda pair: (pair[0], sum(pair)))
parametrised = st.one_of(
    st.builds(RunGaps, platform_length=lengths, gap_length=lengths),
    st.builds(MazeForage, rooms=st.integers(1, 4), orbs_per_room=st.integers(1, 4)),
    st.builds(TwoTap, orb_height=st.floats(0.03, 1), orb_distance=st.floats(0, 5)),
)


@settings(max_examples=12, deadline=None)
@given(parametrised, st.integers(0, 2**32))
def test_any_admissible_world_begins_clear_of_all_but_the_floor_and_stays_finite_for_a_second(task, seed):
    rng = np.random.default_rng(seed)
    model = task.world(rng)
    data = mujoco.MjData(model)
    data.qpos[:] = task.start(model, describe(model), rng).qpos
    mujoco.mj_forward(model, data)
    # dm_control's own start has hands and tail 2 mm deep in the floor.
    assert (data.contact.dist > -0.0025).all()
    assert (np.abs(data.contact.frame[:, 2]) > 0.9).all()  # upwards: no wall, no orb
    mujoco.mj_step(model, data, nstep=1000)
    assert np.isfinite(data.qpos).all() and not data.warning.number.any()


@settings(max_examples=8, deadline=None)
@given(parametrised, st.integers(0, 2**32))
def test_a_stage_shows_any_admissible_world(task, seed):
    world, stage = task.world(np.random.default_rng(seed)), task.stage().compile()
    shown = task.look(stage, world)
    assert all(np.shape(values) == np.shape(getattr(stage, name)) for name, values in shown.items())


@pytest.mark.parametrize("name", EVERY)
def test_a_scene_is_the_same_arena_with_the_same_qpos(name):
    task = make_task(name)
    world, scene = task.world(episode_rng(task, 3, 2)), task.scene(episode_rng(task, 3, 2))
    assert np.array_equal(world.qpos0, scene.qpos0)
    where = [model.geom_pos[model.geom_conaffinity > 0] for model in (world, scene)]
    assert np.array_equal(*where) and np.array_equal(world.hfield_data, scene.hfield_data)
    assert scene.ntex > 0 and world.ntex == 0


def test_the_colours_of_a_maze_follow_from_its_episode():
    task = make_task("maze-forage")

    def colours(episode):
        scene = task.scene(episode_rng(task, 3, episode))
        used = {scene.mat(i).name: scene.mat_texid[i].tolist() for i in range(scene.nmat)}
        return used, scene.tex_data.tobytes()

    elsewhere = np.random.get_state()[1].copy()
    first = colours(0)
    assert first == colours(0)
    assert any(colours(episode) != first for episode in (1, 2, 3))
    assert np.array_equal(np.random.get_state()[1], elsewhere)


@pytest.mark.parametrize("name", VARYING)
def test_each_environment_is_drawn_in_its_own_arena(name):
    env = RodentVectorEnv(name, 2, render_mode="rgb_array", width=64, height=48, camera="back")
    env.reset(seed=3)
    env.engine.state.qpos[1] = env.engine.state.qpos[0]
    pictures = env.render()
    assert all(picture.shape == (48, 64, 3) and picture.std() > 5 for picture in pictures)
    again = env.render()
    assert all(np.array_equal(a, b) for a, b in zip(pictures, again, strict=True))
    env.close()

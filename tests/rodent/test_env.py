import warnings

import gymnasium
import mujoco
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import rodent  # noqa: F401 - registers the environments
from rodent.aids import TrainingAids
from rodent.env import RodentEnv, RodentVectorEnv
from rodent.errors import UsageError
from rodent.physics import Physics
from rodent.registration import ENVIRONMENTS
from rodent.tasks import TASKS
from rodent.tasks.escape_bowl import EscapeBowl
from rodent.tasks.run import Run

SHORT = Run(time_limit=0.1)  # five control steps


def stack(observations):
    return np.concatenate([observations[name] for name in sorted(observations)], axis=-1)


def actions(count, steps, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, count, 38))


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_gymnasiums_checker_complains_of_nothing_but_unbounded_boxes(env_id):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(gymnasium.make(env_id, disable_env_checker=True).unwrapped, skip_render_check=True)
    words = [str(w.message) for w in caught]
    assert words and all("infinity" in w for w in words), words


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_make_and_make_vec_build_the_registered_task(env_id):
    single = gymnasium.make(env_id)
    vector = gymnasium.make_vec(env_id, num_envs=3)
    assert isinstance(single.unwrapped, RodentEnv) and isinstance(vector.unwrapped, RodentVectorEnv)
    observation, _ = vector.reset(seed=0)
    assert vector.observation_space.contains(observation)
    assert vector.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    observation, reward, terminated, truncated, _ = vector.step(vector.action_space.sample())
    assert reward.shape == terminated.shape == truncated.shape == (3,)


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_gymnasiums_checker_accepts_flat_observations(env_id):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(gymnasium.make(env_id, disable_env_checker=True, flatten=True).unwrapped, skip_render_check=True)
    words = [str(w.message) for w in caught]
    assert words and all("infinity" in w for w in words), words


def test_a_flat_observation_holds_the_senses_in_the_order_of_their_names():
    plain, flat = (RodentVectorEnv(SHORT, 2, flatten=flatten) for flatten in (False, True))
    single = gymnasium.make("rodent/Run-v0", flatten=True)
    (senses, _), (values, _) = plain.reset(seed=3), flat.reset(seed=3)
    assert flat.observation_space.contains(values) and values.dtype == np.float64
    assert np.array_equal(values, stack(senses))
    first = {name: sense[0] for name, sense in senses.items()}
    assert np.array_equal(values[0], gymnasium.spaces.flatten(plain.single_observation_space, first))
    assert np.array_equal(values[0], single.reset(seed=3)[0])
    for action in actions(2, 7):  # beyond the end of the first episodes
        (senses, *_, told), (values, *_, flat_told) = plain.step(action), flat.step(action)
        assert np.array_equal(values, stack(senses))
        if "final_obs" in told:
            assert np.array_equal(flat_told["final_obs"][1], stack(told["final_obs"][1]))
            break
    else:
        raise AssertionError("no episode has ended")


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_a_vector_of_three_equals_three_singles_over_several_episodes(mode):
    ours = RodentVectorEnv(SHORT, 3, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: RodentEnv(SHORT)] * 3, autoreset_mode=mode)
    a, _ = ours.reset(seed=11)
    b, _ = theirs.reset(seed=11)
    assert np.array_equal(stack(a), stack(b))
    for action in actions(3, 17):
        a, *mine, my_info = ours.step(action)
        b, *others, info = theirs.step(action.astype(np.float64))
        assert np.array_equal(stack(a), stack(b))
        for x, y in zip(mine, others, strict=True):
            assert np.array_equal(x, y)
        if mode == AutoresetMode.SAME_STEP and mine[2].any():
            for x, y in zip(my_info["final_obs"], info["final_obs"], strict=True):
                assert np.array_equal(stack(x), stack(y))
            assert np.array_equal(my_info["final_info"]["task_reward"], info["final_info"]["task_reward"])
            assert np.array_equal(my_info["_final_info"], info["_final_info"])


def test_episodes_do_not_depend_on_the_number_of_threads_or_environments():
    def run(count, threads):
        env = RodentVectorEnv(SHORT, count, threads=threads)
        env.reset(seed=[5, *range(100, 99 + count)])
        return [stack(env.step(action[:count])[0])[0] for action in actions(64, 7)]

    reference = run(1, 1)
    for count, threads in ((2, 2), (64, 1), (64, 2)):
        for a, b in zip(reference, run(count, threads), strict=True):
            assert np.array_equal(a, b)


def test_episode_k_of_a_seed_is_the_same_whenever_it_is_begun():
    env = RodentVectorEnv(SHORT, 2)
    first, _ = env.reset(seed=[3, 3], options={"episode": np.array([0, 4])})
    for action in actions(2, 20):  # four episodes of five steps: environment 0 arrives at its episode 4
        observation, *_ = env.step(action)
    assert np.array_equal(stack(observation)[0], stack(first)[1])
    assert not np.array_equal(stack(first)[0], stack(first)[1])


def test_unseeded_environments_differ_and_a_seed_repeats():
    env = RodentVectorEnv(SHORT, 2)
    a, _ = env.reset()
    assert not np.array_equal(stack(a)[0], stack(a)[1])
    b, _ = env.reset(seed=1)
    c, _ = env.reset(seed=1)
    d, _ = env.reset()
    assert np.array_equal(stack(b), stack(c)) and not np.array_equal(stack(c), stack(d))


def test_an_episode_leaves_nothing_behind():
    """Same start, same actions, after an episode under external forces: the same path, solver state and all."""
    env = RodentVectorEnv(SHORT, 1, autoreset_mode=AutoresetMode.DISABLED)

    def path():
        env.reset(seed=[9], options={"episode": np.array([2])})
        return np.array([stack(env.step(action)[0]) for action in actions(1, 5, seed=1)])

    fresh = path()
    env.reset(seed=0)
    env.engine._batch.bind("xfrc_applied")[:, env.body.torso] = 0.5
    for action in actions(1, 5, seed=2):
        env.step(action)
    assert np.array_equal(path(), fresh)


def test_the_last_observation_of_an_episode_is_kept_and_truncation_is_no_termination():
    env = RodentVectorEnv(SHORT, 2)
    env.reset(seed=0)
    for t, action in enumerate(actions(2, 5)):
        observation, _, terminated, truncated, info = env.step(action)
        assert ("final_obs" in info) == (t == 4)
    assert truncated.all() and not terminated.any() and info["endings"]["time_limit"].all()
    final = info["final_obs"][0]
    assert not np.array_equal(final["walker/joints_pos"], observation["walker/joints_pos"][0])


def test_without_autoreset_a_step_of_an_ended_environment_is_refused_until_it_is_reset():
    env = RodentVectorEnv(SHORT, 2, autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=0)
    for action in actions(2, 5):
        env.step(action)
    with pytest.raises(UsageError, match="have ended"):
        env.step(action)
    env.reset(options={"reset_mask": np.array([True, True])})
    env.step(action)


@pytest.mark.parametrize("task", ["run-gaps", "two-tap"])
def test_an_environment_whose_episode_has_ended_rests_and_changes_no_other(task):
    resting, alone = (
        RodentVectorEnv(task, n, "fast", 1, autoreset_mode="Disabled", rest=True, vision=False) for n in (2, 1)
    )
    resting.reset(seed=[3, 4], options={"episode": np.array([0, 0])})
    alone.reset(seed=[3], options={"episode": np.array([0])})
    resting._ended[1] = True
    before = resting.qpos[1]
    for action in actions(2, 12):
        observation, reward, terminated, truncated, info = resting.step(action)
        other = alone.step(action[:1])
        assert np.array_equal(stack(observation)[0], stack(other[0])[0]) and reward[0] == other[1][0]
    assert np.array_equal(resting.qpos[1], before) and not terminated[1] and not truncated[1]
    assert info["task_reward"][1] == 0 and not any(mask[1] for mask in info["endings"].values())
    resting.reset(options={"reset_mask": np.array([False, True])})
    resting.step(action)
    assert not np.array_equal(resting.qpos[1], before)
    with pytest.raises(UsageError, match="rest under autoreset_mode Disabled alone"):
        RodentVectorEnv(task, 1, rest=True)


def test_a_partial_reset_touches_no_other_environment():
    env, twin = RodentVectorEnv("run", 2), RodentVectorEnv("run", 2)
    env.reset(seed=0)
    twin.reset(seed=0)
    for t, action in enumerate(actions(2, 6)):
        if t == 3:
            env.reset(options={"reset_mask": np.array([True, False])})
        a, b = env.step(action)[0], twin.step(action)[0]
        assert np.array_equal(stack(a)[1], stack(b)[1])
    assert not np.array_equal(stack(a)[0], stack(b)[0])


def test_a_diverged_simulation_ends_its_own_episode_alone_and_is_counted():
    env, twin = RodentVectorEnv("run", 3), RodentVectorEnv("run", 3)
    env.reset(seed=0)
    twin.reset(seed=0)
    action = actions(3, 1)[0]
    env.step(action)
    twin.step(action)
    env.engine.state.qvel[1] = 1e12
    a, reward, terminated, truncated, info = env.step(action)
    b, *_ = twin.step(action)
    assert terminated.tolist() == [False, True, False] and not truncated.any()
    assert info["endings"]["diverged"].tolist() == [False, True, False]
    assert reward[1] == 0 and env.divergences == 1
    assert all(np.isfinite(values).all() for values in a.values())
    a, _, terminated, _, _ = env.step(action)
    b, *_ = twin.step(action)
    assert not terminated.any() and env.divergences == 1
    for healthy in (0, 2):
        assert np.array_equal(stack(a)[healthy], stack(b)[healthy])


def test_state_dict_continues_bit_for_bit_in_a_fresh_environment():
    env = RodentVectorEnv(SHORT, 3, aids=TrainingAids(episode_seconds=0.08, fallen_starts=0.5, jerk=0.1))
    env.reset(seed=4)
    for action in actions(3, 7):
        env.step(action)
    saved = env.state_dict()
    twin = RodentVectorEnv(SHORT, 3, aids=TrainingAids(episode_seconds=0.08, fallen_starts=0.5, jerk=0.1))
    twin.load_state_dict(saved)
    for action in actions(3, 9, seed=8):
        a, *mine, _ = env.step(action)
        b, *others, _ = twin.step(action)
        assert np.array_equal(stack(a), stack(b))
        assert all(np.array_equal(x, y) for x, y in zip(mine, others, strict=True))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: RodentVectorEnv("fly"), r"unknown task 'fly': choose one of run"),
        (lambda: RodentVectorEnv("run", physics="quick"), r"unknown physics preset 'quick'"),
        (lambda: RodentVectorEnv("run", 0), r"environments must be at least 1, not 0"),
        (lambda: RodentVectorEnv("run", -4), r"environments must be at least 1, not -4"),
        (lambda: RodentVectorEnv("run", threads=-1), r"threads must be 0"),
        (lambda: RodentVectorEnv("run", 2.5), r"must be an integer, not 2.5"),
        (lambda: RodentVectorEnv("run-gaps", pool=2.5), r"pool must be an integer of 0 or more, not 2.5"),
        (lambda: RodentVectorEnv("run-gaps", pool=-1), r"pool must be an integer of 0 or more, not -1"),
        (lambda: RodentVectorEnv("run", pool=1, pool_seed=-1), r"pool_seed must be an integer of 0 or more, not -1"),
        (lambda: RodentVectorEnv("run", vision="yes"), r"vision must be True, False or VisionSettings, not 'yes'"),
        (lambda: RodentVectorEnv("run", autoreset_mode="never"), r"unknown autoreset_mode 'never': choose one of"),
        (lambda: RodentVectorEnv("run", width=0), r"at least 1x1 pixels, not 0x360"),
        (lambda: RodentVectorEnv("run", render_mode="human"), r"unknown render_mode 'human'"),
        (lambda: Run(time_limit=float("inf")), r"time_limit must lie in \[0.02, 86400\] s, not inf"),
        (lambda: Physics("odd", 0.003), r"timestep must divide 0.02 s into whole steps, not 0.003"),
        (lambda: Physics("long", 0.05), r"timestep must divide 0.02 s"),
        (lambda: TrainingAids(effort=float("inf")), r"effort must be finite"),
        (lambda: TrainingAids(start_yaw=-1), r"start_yaw must be finite and 0 or more"),
        (lambda: Run(time_limit=-1), r"time_limit must lie in \[0.02, 86400\] s"),
        (lambda: Run(time_limit=float("nan")), r"time_limit must lie in"),
        (lambda: Run(target_velocity=0), r"target_velocity must be above 0"),
        (lambda: Run(pose_noise=5), r"pose_noise must lie in"),
        (lambda: TrainingAids(fallen_starts=2), r"fallen_starts must lie in"),
        (lambda: TrainingAids(rolled_starts=-1), r"rolled_starts must lie in"),
        (lambda: TrainingAids(righted_starts=2), r"righted_starts must lie in"),
        (lambda: TrainingAids(fallen_starts=0.75, rolled_starts=0.5), r"must add up to 1 at most, not to 1.25"),
        (lambda: TrainingAids(jerk=-1), r"jerk must be finite and 0 or more"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(build, words):
    with pytest.raises(UsageError, match=words) as error:
        build()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (np.zeros(38), r"shape \(2, 38\), not \(38,\)"),
        (np.zeros((2, 37)), r"shape \(2, 38\)"),
        (np.full((2, 38), np.nan), r"must be finite; the one of environment 0"),
        (np.full((2, 38), np.inf), r"must be finite"),
        ("left", r"must be numbers of shape \(2, 38\)"),
    ],
)
def test_a_wrong_action_is_refused_and_nothing_moves(action, words):
    env = RodentVectorEnv("run", 2)
    with pytest.raises(UsageError, match="reset"):
        env.step(np.zeros((2, 38)))
    env.reset(seed=0)
    before = env.engine.snapshot()
    with pytest.raises(UsageError, match=words):
        env.step(action)
    assert np.array_equal(env.engine.snapshot(), before)


def test_reset_refuses_what_it_does_not_know():
    env = RodentVectorEnv("run", 2)
    with pytest.raises(UsageError, match="one seed for each of 2"):
        env.reset(seed=[1])
    with pytest.raises(UsageError, match="unknown reset options"):
        env.reset(options={"world": 3})
    with pytest.raises(UsageError, match="reset_mask must be"):
        env.reset(options={"reset_mask": np.array([1, 0])})
    with pytest.raises(UsageError, match="a seed must be an integer of 0 or more"):
        env.reset(seed=[-1, 0])
    with pytest.raises(UsageError, match="a seed must be an integer of 0 or more"):
        env.reset(seed=[1.5, 0])
    with pytest.raises(UsageError, match="must be 2 integers of 0 or more, or one"):
        env.reset(options={"episode": np.array([1, 2, 3])})


def test_a_state_of_other_physics_is_refused():
    with pytest.raises(UsageError, match=r"under paper, not of 2 of .* under fast"):
        RodentVectorEnv("run", 2, "fast").load_state_dict(RodentVectorEnv("run", 2).state_dict())


def test_every_task_is_registered_with_gymnasium():
    assert set(ENVIRONMENTS.values()) == set(TASKS)


def test_a_single_environment_takes_numpy_seeds_and_refuses_batches():
    env = RodentEnv("run")
    a, _ = env.reset(seed=np.int64(3))
    b, _ = env.reset(seed=3)
    assert np.array_equal(stack(a), stack(b))
    with pytest.raises(UsageError, match=r"an action must have shape \(38,\), not \(1, 38\)"):
        env.step(np.zeros((1, 38)))


def test_aids_change_training_alone():
    plain = RodentVectorEnv("run", 2)
    aided = RodentVectorEnv(
        "run",
        2,
        aids=TrainingAids(upright=0.1, upright_pelvis=0.5, jerk=0.2, backward=0.3, effort=0.1, end_on_back=True),
    )
    for env in (plain, aided):
        env.reset(seed=0)
    action = actions(2, 1)[0]
    a, reward, *_, info = plain.step(action)
    b, shaped, *_, shaped_info = aided.step(action)
    assert np.array_equal(stack(a), stack(b))
    assert "shaping_terms" not in info and "on_back" not in info["endings"]
    assert np.array_equal(reward, shaped_info["task_reward"])
    np.testing.assert_allclose(shaped, reward + np.sum(list(shaped_info["shaping_terms"].values()), axis=0))
    assert set(shaped_info["shaping_terms"]) == {"upright", "upright_pelvis", "jerk", "backward", "effort"}


def test_lying_on_the_hip_costs_the_pelvis_pay_alone():
    env = RodentVectorEnv("run", 1, aids=TrainingAids(upright=1.0, upright_pelvis=1.0))
    env.reset(seed=0)
    standing = env.step(np.zeros((1, 38)))[-1]["shaping_terms"]
    hips = env.engine.model_of(0).body("walker/pelvis").id
    env.engine.state.xmat[0, hips, 8] = -1.0
    turned = env.aids.shaping(env.task, env.engine.state, env.body, *torch.zeros(2, 1, 38), None)
    assert float(turned["upright_pelvis"][0]) == 0.0 and float(standing["upright_pelvis"][0]) > 0.9
    assert float(turned["upright"][0]) == float(standing["upright"][0])


def test_on_its_back_an_episode_ends_only_with_the_aid():
    def ends(aids):
        env = RodentVectorEnv("run", 1, aids=aids)
        env.reset(seed=0)
        env.engine.state.qpos[0, 2:7] = env.engine.state.qpos.new_tensor([0.1, 0, 1, 0, 0])  # turned about its x axis
        return env.step(np.zeros((1, 38)))[2][0]

    assert ends(TrainingAids(end_on_back=True)) and not ends(TrainingAids()) and not ends(None)


def test_an_episode_ends_when_the_head_is_low_only_with_the_aid():
    def causes(aids):
        env = RodentVectorEnv("run-gaps", 1, aids=aids)
        env.reset(seed=0)
        env.engine.state.qpos[0, 2] -= 0.2  # below the floor's level, as in a gap
        return {cause for cause, ended in env.step(np.zeros((1, 38)))[-1]["endings"].items() if ended[0]}

    assert causes(TrainingAids(end_on_head_below=0.0)) == {"head_low"}
    assert causes(TrainingAids()) == causes(TrainingAids(end_on_head_below=-1.0)) == set()
    with pytest.raises(UsageError, match="end_on_head_below must be finite, not nan"):
        TrainingAids(end_on_head_below=float("nan"))


def test_training_may_start_beside_the_middle_and_turned():
    env = RodentVectorEnv("run", 64, aids=TrainingAids(start_offset=0.5, start_yaw=0.6))
    env.reset(seed=0)
    qpos = env.qpos
    yaw = 2 * np.arctan2(qpos[:, 6], qpos[:, 3])
    assert 0.3 < np.abs(qpos[:, 1]).max() <= 0.5 and 0.4 < np.abs(yaw).max() <= 0.6
    assert (qpos[:, 1] < 0).any() and (yaw < 0).any()
    np.testing.assert_allclose(np.linalg.norm(qpos[:, 3:7], axis=1), 1)


def test_training_may_start_nearer_to_the_first_gap():
    env = RodentVectorEnv("run-gaps", 32, pool=2, aids=TrainingAids(start_ahead=1.0))
    env.reset(seed=0)
    assert 5 < env.qpos[:, 0].min() < 5.2 and 5.8 < env.qpos[:, 0].max() < 6


def test_fallen_starts_are_tumbled_above_the_floor_and_stay_finite():
    env = RodentVectorEnv("run", 32, aids=TrainingAids(fallen_starts=1.0))
    observation, _ = env.reset(seed=0)
    up = observation["walker/world_zaxis"][:, 2]
    assert (up < 0).any() and (up > 0).any()
    w, x, y, z = env.qpos[:, 3:7].T
    assert (w * w + x * x - y * y - z * z > np.cos(0.5) - 1e-9).all()  # its nose still points down the corridor
    for _ in range(50):
        observation, *_ = env.step(np.zeros((32, 38)))
    assert env.divergences == 0 and np.isfinite(stack(observation)).all()


def test_rolled_starts_are_the_rest_pose_in_any_orientation_clear_of_the_floor():
    env = RodentVectorEnv(Run(pose_noise=0.0), 64, aids=TrainingAids(rolled_starts=1.0))
    observation, _ = env.reset(seed=0)
    up = observation["walker/world_zaxis"]
    assert abs(up.mean(0)).max() < 0.25 and up[:, 2].min() < -0.9 and up[:, 2].max() > 0.9
    model = env.engine.model_of(0)
    data = mujoco.MjData(model)
    for qpos in env.qpos:
        assert np.array_equal(qpos[7:], model.qpos0[7:])
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        assert not data.ncon


def test_righted_starts_are_upright_on_a_slope_with_the_heading_that_the_task_gave():
    bowl = EscapeBowl(start_distance=2.0)
    own, righted = (RodentVectorEnv(bowl, 32, aids=TrainingAids(righted_starts=share)) for share in (0.0, 1.0))
    for env in (own, righted):
        env.reset(seed=3)
    root = own.body.root_qpos
    before, after = own.engine.state.qpos[:, root : root + 7], righted.engine.state.qpos[:, root : root + 7]
    assert torch.equal(before[:, :2], after[:, :2])
    w, x, y, z = before[:, 3:].unbind(1)
    given = torch.atan2(2 * (x * y + w * z), 1 - 2 * (y**2 + z**2))
    expected = torch.stack([(given / 2).cos(), 0 * w, 0 * w, (given / 2).sin()], 1)
    torch.testing.assert_close(after[:, 3:].abs(), expected.abs())
    assert (righted.engine.state.xmat[:, righted.body.torso, 8] > 0.95).all()
    depths = [righted.engine.data(i).contact.dist.min(initial=0.0) for i in range(32)]
    assert np.mean(np.array(depths) < 0) < 0.2 and min(depths) > -0.02

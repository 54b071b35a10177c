"""What a recording holds."""

import json
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import h5py
import numpy as np
import pynwb
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nwbinspector import inspect_nwbfile, load_config

from analysis import nwb_film, nwb_record, nwb_rollout
from analysis.nwb_channels import KEYPOINTS, patches
from analysis.nwb_film import recorded_states, recorded_task, remembered
from analysis.nwb_layers import Layers
from analysis.nwb_record import record
from analysis.nwb_session import runs
from analysis.nwb_sight import pictures_seen
from analysis.recording import Session, find_session
from analysis.untrained import untrained_activities
from policies.mlp import MLPAgent, MLPSettings
from policies.observation import ObservationSpec
from policies.plain import to_plain
from policies.play import play
from rodent.cli import main
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.symmetry import Mirror
from rodent.tasks import TASKS, make_task
from rodent.vision import Eyes, VisionSettings
from tests.analysis.conftest import FACTS, STEPS, Fleeting, make_policy


@pytest.fixture
def filmed_session(mlp, tmp_path, monkeypatch):
    """Of more steps than any series is wide, for a session of fewer looks transposed."""
    monkeypatch.setattr(nwb_record, "film_episode", lambda task, seed, episode, states, path: path.touch())
    return record(mlp, tmp_path / "filmed.nwb", ["run"], 2, steps=STEPS, threads=1, physics="fast", film=True)


@pytest.fixture
def seeing_session(tmp_path, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    monkeypatch.setattr(Eyes, "look", lambda eyes, ids, state: None)
    policy = make_policy("merel2020", sees=True)
    return record(policy, tmp_path / "sees.nwb", ["run"], 2, steps=100, threads=1, physics="fast", spikes=5.0)


@pytest.fixture
def shipped_session():
    return find_session("run")


def flat(policy, session):
    """What the network read, from the recorded senses."""
    names = [name.removeprefix("walker/") for name, _ in policy.senses.senses]
    return torch.from_numpy(np.concatenate([session.behaviour[f"sense.{name}"].read() for name in names], 1))


@pytest.mark.parametrize("name", ["mlp_session", "lstm_session", "filmed_session", "seeing_session", "shipped_session"])
def test_validators_find_nothing(name, request):
    path = request.getfixturevalue(name)
    assert pynwb.validate(path=str(path)) == []
    found = list(inspect_nwbfile(nwbfile_path=path, config=load_config("dandi")))
    assert [each.message for each in found] == []


def test_pynwb_reads_what_the_session_says_of_itself(mlp_session):
    with pynwb.NWBHDF5IO(mlp_session, "r") as io:
        nwb = io.read()
        assert nwb.subject.species == "Rattus norvegicus" and "Simulated" in nwb.subject.description
        assert sorted({name for name, _ in nwb.was_generated_by} & {"mujoco", "virtual-rodent"}) == [
            "mujoco",
            "virtual-rodent",
        ]
        assert nwb.notes.startswith("# A virtual rodent")
        assert "t_k stand the state" in nwb.data_collection
        assert set(nwb.processing["behavior"]["pose"].pose_estimation_series) == set(KEYPOINTS)
        assert len(nwb.processing["behavior"]["Skeletons"]["rat"].edges) == len(KEYPOINTS) - 1


def test_recorded_activity_is_what_the_network_computes_from_the_recorded_senses(mlp, mlp_session):
    with Session(mlp_session) as session:
        seen = mlp.agent.normaliser(flat(mlp, session))
        for part, name in ((mlp.agent.actor, "policy"), (mlp.agent.critic, "value")):
            np.testing.assert_allclose(session.layers[f"{name}.0"].read(), part[:2](seen), atol=1e-5)
            np.testing.assert_allclose(session.layers[f"{name}.1"].read(), part[:4](seen), atol=1e-4)
        mean = session.layers["policy.mean"].read()
        np.testing.assert_allclose(mean, mlp.agent.actor(seen), atol=1e-4)
        np.testing.assert_array_equal(session.behaviour["action"].read(), mean.clip(-1, 1))
        np.testing.assert_allclose(session.behaviour["value"].read(), mlp.agent.critic(seen)[:, 0], atol=1e-4)


def test_recorded_hidden_state_is_that_after_the_step_of_its_time_stamp(lstm, lstm_session):
    with Session(lstm_session) as session:
        assert [session.layers[name].kind for name in ("encoder.0", "core.h", "core.c", "policy.mean")] == [
            "activation", "hidden state", "cell state", "mean action"
        ]  # fmt: skip
        observations = flat(lstm, session).reshape(2, STEPS, -1)
        recorded = dict(session.layers["core.h"].by_trial())
        for trial in range(2):
            state = lstm.initial(1)
            for t in range(STEPS):
                _, state = lstm.agent.step(observations[trial, t][None], state)
                np.testing.assert_allclose(recorded[trial][t], state["core.h"][0], atol=1e-5)


def test_a_mirrored_networks_activity_is_that_of_the_plain_view():
    agent = MLPAgent(3, 2, MLPSettings(hidden=(4,), symmetric=True)).requires_grad_(False)
    agent.reflect(Mirror(np.array([0, 1, 2]), -np.ones(3)), Mirror(np.array([1, 0]), np.ones(2)))
    seen = torch.tensor([[0.5, -1.0, 2.0]])
    _, _, activity = Layers(agent).step(seen, {})
    assert list(activity) == ["policy.0", "value.0", "policy.mean"]
    for part, name in ((agent.actor, "policy.0"), (agent.critic, "value.0")):
        torch.testing.assert_close(activity[name], part[:2](agent.normaliser(seen)))


def test_a_network_of_several_tasks_is_read_in_each_tasks_own_reward(tmp_path):
    facts = {"tasks": ["run", "two-tap"], "discount": 0.9, "value_mean": [3.0, 40.0], "value_std": [2.0, 10.0]}
    policy = make_policy("lstm", facts=facts)
    path = record(policy, tmp_path / "session.nwb", ["two-tap", "run", "run-gaps"], 1, steps=6, physics="fast")
    with Session(path) as session:
        assert "left out in run-gaps: the critic never learnt it" in session.description
        assert "Values are denormalised" in session.description
        for place, task in enumerate(facts["tasks"]):
            mine, state = session.where(task=task), policy.initial(1)
            seen, said = flat(policy, mine), []
            for senses in seen:
                output, state = policy.agent.step(senses[None], state)
                said.append(output.value[0, place])
            value = mine.behaviour["value"].read()
            mean, std = (facts[name][place] for name in ("value_mean", "value_std"))
            np.testing.assert_allclose(value, std * torch.stack(said) + mean, rtol=1e-4, atol=1e-3)
            reward, error = (mine.behaviour[name].read() for name in ("reward", "prediction_error"))
            np.testing.assert_allclose(error[:-1], reward[:-1] + 0.9 * value[1:] - value[:-1], atol=1e-3)
        assert session.behaviour["value"].unit == session.behaviour["prediction_error"].unit == "reward"
        assert session.where(task="run-gaps").behaviour["value"].shape == (0,)
        assert session.where(task="run-gaps").layers["value.0"].shape == (6, 16)
    with Session(record(policy, tmp_path / "own.nwb", episodes=1, steps=1, physics="fast")) as session:
        assert session.trials.task.tolist() == facts["tasks"]


def test_where_the_rat_is_in_its_task_is_told_at_each_time_stamp(mlp_session, mlp, tmp_path):
    with Session(mlp_session) as session:
        mine = session.where(task="two-tap")
        orb = mine.behaviour["memory.two-tap.orb"].of_trial(4)[:-1]
        far = np.linalg.norm(orb - mine.behaviour["pose.torso"].of_trial(4), axis=1)
        told = mine.behaviour["landmark.distance_to_orb"]
        np.testing.assert_allclose(told.of_trial(4), far, rtol=1e-5)
        assert told.unit == "m" and session.where(task="run").behaviour[told.name].shape == (0,)
        assert not any(name.startswith("sense.privileged") for name in session.behaviour)


@pytest.mark.parametrize("name", TASKS)
def test_a_sessions_task_is_the_one_that_was_recorded_whatever_its_parameters(name):
    for task in (make_task(name), replace(make_task(name), time_limit=3.0)):
        protocol = json.loads(json.dumps({"tasks": {name: to_plain(asdict(task))}}))
        assert recorded_task(SimpleNamespace(protocol=protocol), name) == task


@pytest.fixture
def rays(monkeypatch):
    """Let the ray tracer draw, which needs no OpenGL."""
    monkeypatch.setenv("MUJOCO_GL", "disabled")


def assert_seen(policy, path, every):
    """The network was shown what is drawn again from the states of the session at `path`."""
    with Session(path) as session:
        for trial in session.trials.itertuples():
            task, settings = make_task(trial.task), VisionSettings(every=every)
            states = recorded_states(session, trial.Index)
            pictures = np.stack(list(pictures_seen(task, trial.seed, trial.episode, states, settings)))
            assert len(pictures) == trial.steps + 1 and len(np.unique(pictures)) > 20
            coarse = session.behaviour["sight"]
            np.testing.assert_allclose(coarse.of_trial(trial.Index), patches(pictures[:-1]), atol=1e-6)
            assert coarse.columns[0] == "0.0.red" and coarse.shape[1] == 8 * 8 * 3
            state = policy.initial(1)
            names = [name.removeprefix("walker/") for name, _ in policy.senses.senses]
            senses = [session.behaviour[f"sense.{name}"].of_trial(trial.Index) for name in names]
            flat = torch.from_numpy(np.concatenate(senses, axis=1))
            recorded = {name: session.layers[name].of_trial(trial.Index) for name in ("vision", "core.h", "policy.1.h")}
            for t in range(trial.steps):
                _, state, activity = Layers(policy.agent).step(
                    flat[t, None], state, torch.from_numpy(pictures[t, None])
                )
                for name, values in recorded.items():
                    np.testing.assert_allclose(values[t], activity[name][0], atol=1e-4)
        assert session.protocol["vision"]["every"] == every
        return session.protocol["vision"]


@pytest.mark.usefixtures("rays")
def test_a_policy_that_sees_is_shown_pictures_and_the_session_says_what_drew_them(tmp_path):
    policy = make_policy("merel2020", facts={**FACTS, "picture_every": 2}, sees=True)
    path = record(policy, tmp_path / "session.nwb", ["two-tap"], 2, seed=3, steps=5, threads=1, physics="fast")
    told = assert_seen(policy, path, 2)
    assert told["renderer"] == "warp" and told["shadows"] is False and told["width"] == 64
    with Session(path) as session:
        assert list(session.layers) == [
            "proprioception.0", "proprioception.1", "vision", "value.0", "core.h", "core.c", "policy.0.h", "policy.0.c",
            "policy.1.h", "policy.1.c", "policy.mean",
        ]  # fmt: skip
        assert "prediction_error" in session.behaviour


@pytest.mark.gl
@pytest.mark.parametrize("task", ["maze-forage", "escape-bowl", "run-gaps"])
def test_a_policy_that_sees_by_opengl_is_shown_what_is_drawn_again(tmp_path, task):
    policy = make_policy("merel2020", sees=True)
    path = record(policy, tmp_path / "session.nwb", [task], 2, seed=3, steps=4, threads=1, physics="fast")
    told = assert_seen(policy, path, 1)
    assert told["renderer"] in ("egl", "osmesa", "cgl", "glfw") and told["gl_renderer"]


def test_patches_are_means_of_the_picture_row_by_row():
    picture = np.zeros((2, 64, 64, 3), np.uint8)
    picture[1, :8, 8:16, 2] = 255  # the second patch of the first row is blue
    picture[1, 8:12, :8, 0] = 255  # the upper half of the first patch of the second row is red
    found = patches(picture).reshape(2, 8, 8, 3)
    assert found[1, 0, 1].tolist() == [0, 0, 1] and found[1, 1, 0].tolist() == [0.5, 0, 0] and found.sum() == 1.5


@pytest.mark.parametrize("task", ["two-tap"])
def test_recorded_states_are_those_that_were_played_to_the_bit(mlp, mlp_session, task):
    played = play(mlp, task, [0, 1, 2], seed=3, steps=STEPS, threads=1)
    with Session(mlp_session) as session:
        mine = session.where(task=task)
        names = {"qpos": "qpos", **{f"memory.{task}.{entry}": entry for entry in make_task(task).shown}}
        states = {name: mine.behaviour[name].read() for name in names}
        pieces = {name: dict(mine.behaviour[name].by_trial()) for name in names}
        for trial, episode in zip(mine.trials.index, played, strict=True):
            np.testing.assert_array_equal(pieces["qpos"][trial], episode.qpos)
        memory = remembered(make_task(task), states)
        for entry, values in memory.items():
            after = values.reshape(3, STEPS + 1, *values.shape[1:])[:, 1:]
            told = torch.stack([torch.stack([shown[entry] for shown in episode.shown]) for episode in played])
            assert after.dtype == told.dtype and torch.equal(after, told)


def test_body_parts_and_joints_are_those_of_the_recorded_state(mlp_session):
    import mujoco

    with Session(mlp_session) as session:
        model = make_task("run").scene(np.random.default_rng(0))
        data = mujoco.MjData(model)
        mine = session.where(task="run")
        data.qpos[:] = mine.behaviour["qpos"].read()[7]
        mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(mine.behaviour["pose.hand_L"].read()[7], data.body("walker/hand_L").xpos, atol=1e-6)
        angles = mine.behaviour["joint_angles"]
        np.testing.assert_allclose(angles.read()[7], data.qpos[7:], atol=1e-6)
        assert angles.columns == mine.behaviour["qpos"].columns[7:]


def test_trials_say_how_each_episode_ended_and_what_it_returned(mlp_session):
    with Session(mlp_session) as session:
        trials = session.trials
        assert trials.task.tolist() == ["run"] * 3 + ["two-tap"] * 3
        assert trials.outcome.tolist() == ["fell"] * 3 + ["cut"] * 3
        assert trials.episode.tolist() == [0, 1, 2] * 2 and (trials.seed == 3).all()
        assert len(set(trials.steps[:3])) > 1 and (trials.steps[3:] == STEPS).all()
        for trial, reward in session.behaviour["reward"].by_trial():
            assert len(reward) == trials.steps[trial]
            assert reward.sum() == pytest.approx(trials["return"][trial], rel=1e-5)
        terms = [session.behaviour[f"reward.{name}"].read() for name in ("closeness", "first_tap", "second_tap")]
        np.testing.assert_allclose(sum(terms), session.where(task="two-tap").behaviour["reward"].read(), rtol=1e-6)


def test_prediction_error_ends_with_no_value_after_a_fall_and_with_the_last_observations_value_after_a_cut(
    mlp, mlp_session
):
    with Session(mlp_session) as session:
        values, rewards = (dict(session.behaviour[name].by_trial()) for name in ("value", "reward"))
        for trial, error in session.behaviour["prediction_error"].by_trial():
            value, reward = values[trial], rewards[trial]
            inner = FACTS["reward_scale"] * reward[:-1] + FACTS["discount"] * value[1:] - value[:-1]
            np.testing.assert_allclose(error[:-1], inner, atol=1e-5)
            last = (error[-1] + value[-1] - FACTS["reward_scale"] * reward[-1]) / FACTS["discount"]
            if session.trials.outcome[trial] == "fell":
                assert last == pytest.approx(0, abs=1e-5)
            else:
                assert abs(last) > 1e-3


def test_footfalls_are_stretches_of_touch(mlp_session):
    with Session(mlp_session) as session:
        touch, times = session.behaviour["sense.sensors_touch"].read(), session.behaviour["sense.sensors_touch"].times()
    with h5py.File(mlp_session) as file:
        table = file["intervals/footfalls"]
        paws = table["paw"].asstr()[:]
        for column, paw in enumerate(("palm_L", "palm_R", "sole_L", "sole_R")):
            spans = np.stack([table["start_time"][:], table["stop_time"][:]], 1)[paws == paw]
            inside = ((times[:, None] >= spans[:, 0] - 1e-3) & (times[:, None] < spans[:, 1] - 1e-3)).any(1)
            np.testing.assert_array_equal(inside, touch[:, column] > 0)


@given(arrays.arrays(bool, st.integers(0, 30)))
def test_runs_cover_what_is_true_and_nothing_else(flags):
    again = np.zeros_like(flags)
    stretches = runs(flags)
    for begin, end in stretches:
        again[begin:end] = True
    assert np.array_equal(again, flags)
    assert (stretches[1:, 0] > stretches[:-1, 1]).all()


def test_sampled_actions_follow_from_the_seed_and_episode(lstm, lstm_session, tmp_path, monkeypatch):
    monkeypatch.setattr(nwb_rollout, "MOST_AT_ONCE", 1)
    alone = record(lstm, tmp_path / "alone.nwb", ["run"], 2, seed=3, steps=4, threads=1, sample=True)
    with Session(alone) as one, Session(lstm_session) as other:
        actions = [dict(each.behaviour["action"].by_trial()) for each in (one, other)]
        for trial in range(2):
            np.testing.assert_allclose(actions[0][trial], actions[1][trial][:4], atol=1e-3)
        assert not np.array_equal(actions[0][0], one.layers["policy.mean"].read()[:4].clip(-1, 1))


def test_more_episodes_than_are_played_at_once_begin_in_their_own_worlds(mlp, tmp_path, monkeypatch):
    monkeypatch.setattr(nwb_rollout, "MOST_AT_ONCE", 2)
    task = Fleeting()
    path = record(mlp, tmp_path / "session.nwb", [task], 5, seed=1, threads=1, physics="fast")
    starts = [episode.qpos[0] for episode in play(mlp, task, list(range(5)), seed=1, steps=1)]
    with Session(path) as session:
        assert len(session.trials) == 5
        for trial, qpos in session.behaviour["qpos"].by_trial():
            np.testing.assert_array_equal(qpos[0], starts[trial])
        assert (session.trials.outcome == "fell").all()


def test_films_show_each_state_and_are_linked_as_external_video(mlp, tmp_path, monkeypatch):
    monkeypatch.setattr(nwb_film, "SIZE", (64, 48))
    path = record(mlp, tmp_path / "session.nwb", ["two-tap"], 1, steps=2, threads=1, physics="fast", film=True)
    assert [each.name for each in (tmp_path / "session_films").iterdir()] == ["two-tap-000000.mp4"]
    with pynwb.NWBHDF5IO(path, "r") as io:
        film = io.read().acquisition["film.two-tap.000000"]
        assert film.external_file[:].tolist() == ["session_films/two-tap-000000.mp4"]
        assert film.num_samples == 3 and film.rate == 50 and film.starting_time == 0
    # so short a session looks transposed, and has a table of one row; nothing else is found
    found = inspect_nwbfile(nwbfile_path=path, config=load_config("dandi"))
    assert {each.check_function_name for each in found} == {"check_data_orientation", "check_single_row"}


def test_without_what_it_needs_the_prediction_error_is_left_out_and_the_session_says_why(tmp_path):
    untold = make_policy()
    del untold.facts["discount"]
    privileged = make_policy(critic_senses=(("privileged/floor", 5),))
    for name, policy, words, value in (
        ("untold", untold, "does not tell discount and reward scale", True),
        ("privileged", privileged, "left out in run: the task does not offer what the critic reads", False),
    ):
        with Session(record(policy, tmp_path / f"{name}.nwb", ["run"], 1, steps=2, physics="fast")) as session:
            assert "prediction_error" not in session.behaviour
            assert ("value" in session.behaviour) is value and ("value.0" in session.layers) is value
            assert words in session.description and "Only behaviour under the preset paper" in session.description


def test_a_critic_that_reads_privileged_senses_is_given_them_and_nothing_else_of_them_is_recorded(tmp_path):
    critic_senses = (("privileged/forward", 3), ("privileged/midline", 3))
    policy = make_policy(critic_senses=critic_senses)
    policy.facts["learnt_to_tell"] = "privileged senses"
    path = record(policy, tmp_path / "session.nwb", ["run"], 1, seed=3, steps=6, physics="fast", threads=1)
    env = RodentVectorEnv("run", 1, "fast", 1, "Disabled", privileged=True)
    observation, _ = env.reset(seed=[3], options={"episode": np.zeros(1, np.int64)})
    with Session(path) as session:
        assert "privileged/forward, privileged/midline" in session.description
        assert "also learnt to tell privileged senses: what it represents" in session.description
        assert not any("privileged" in name for name in session.behaviour)
        assert not any(name.startswith("value") for name in session.layers)
        said, paid = session.behaviour["value"].read(), session.behaviour["reward"].read()
        for k, action in enumerate(session.behaviour["action"].read()):
            output, _ = policy.agent.step(policy.senses.flatten(observation, critic=True), {})
            assert output.value.item() == pytest.approx(said[k], abs=1e-4)
            observation = env.step(action[None])[0]
        last = policy.agent.step(policy.senses.flatten(observation, critic=True), {})[0].value.item()
        errors = 0.5 * paid + 0.9 * np.append(said[1:], last) - said
        np.testing.assert_allclose(session.behaviour["prediction_error"].read(), errors, atol=1e-4)
    env.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "session.h5"], "its name must end with .nwb"),
        (["-o", "missing/session.nwb"], "there is no folder"),
        (["-o", "file/session.nwb"], "there is no folder"),
        (["-o", "there.nwb"], "is there already"),
        (["-o", "s.nwb", "--episodes", "0"], "episodes must be 1 to 10,000"),
        (["-o", "s.nwb", "--episodes", "10000000000"], "episodes must be 1 to 10,000"),
        (["-o", "file.nwb", "--film"], "cannot film into file_films: it is a file"),
        (["-o", "s.nwb", "--steps", "0"], "at least 1 control step"),
        (["-o", "s.nwb", "--seed", "-1"], "a seed must be 0 or more"),
        (["-o", "s.nwb", "--threads", "-1"], "threads must be 0"),
        (["-o", "s.nwb", "--spikes", "0"], "spikes must be above 0"),
        (["-o", "s.nwb", "--spikes", "nan"], "spikes must be above 0"),
        (["-o", "s.nwb", "--untrained", "-1"], "seed of an untrained network must be 0 or more"),
        (["-o", "s.nwb", "--task", "fly"], "unknown task 'fly'"),
        (["-o", "s.nwb", "--task", "run", "run"], "each task can be recorded once"),
        (["-o", "s.nwb", "--physics", "quick"], "unknown physics preset 'quick'"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_line_and_leaves_nothing(
    mlp, tmp_path, capsys, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    mlp.save("policy")
    for name in ("file", "file_films", "there.nwb"):
        (tmp_path / name).write_text("")
    with pytest.raises(SystemExit) as exit_:
        main(["record", "policy", *arguments])
    out, err = capsys.readouterr()
    assert exit_.value.code == 2 and out == "" and err.count("\n") == 1 and words in err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "file_films", "policy", "there.nwb"]


def test_an_untrained_network_acts_with_the_trained_ones_senses_and_the_session_says_so(mlp, tmp_path):
    path = record(
        mlp, tmp_path / "session.nwb", ["run"], 1, steps=4, threads=1, physics="fast", sample=True, untrained=5
    )
    fresh = mlp.untrained(5)
    with Session(path) as session:
        seen, rows = fresh.agent.normaliser(flat(fresh, session)), np.arange(4)
        np.testing.assert_allclose(session.layers["policy.0"].read(), fresh.agent.actor[:2](seen), atol=1e-5)
        assert np.abs(session.behaviour["action"].read()).mean() > 0.05  # the noise of its actions moves it
        assert session.protocol["policy"]["untrained_seed"] == 5 and "prediction_error" in session.behaviour
        assert "never learnt anything: fresh weights of seed 5" in session.description
        controls = [each["policy.0"] for each in untrained_activities(session, rows, range(4, 8))]
        own = session.layers["policy.0"].read()
        for i, each in enumerate(controls):  # a network is no control of itself, and none is drawn twice
            assert not any(np.allclose(each, other) for other in (own, *controls[:i]))


def test_a_policy_that_reads_other_senses_is_refused_and_leaves_nothing(tmp_path):
    policy = make_policy()
    policy.senses = ObservationSpec((*policy.senses.senses, ("walker/whiskers", 24)))
    with pytest.raises(UsageError, match="walker/whiskers is missing"):
        record(policy, tmp_path / "session.nwb", ["run"], 1)
    assert list(tmp_path.iterdir()) == []


def test_the_command_records(mlp, tmp_path, capsys):
    mlp.save(tmp_path / "policy")
    path = tmp_path / "session.nwb"
    main([
        "record", str(tmp_path / "policy"), "--task", "run", "-o", str(path), "--episodes", "1", "--steps", "3",
        "--physics", "fast",
    ])  # fmt: skip
    assert capsys.readouterr().out.strip() == str(path)
    with Session(path) as session:
        assert session.protocol["policy"]["agent"] == "mlp" and session.protocol["physics"] == "fast"
        assert session.layers["policy.0"].shape == (3, 16)
        json.dumps(session.protocol)


def test_without_the_laboratorys_packages_it_says_what_to_install(monkeypatch, capsys):

    monkeypatch.delitem(sys.modules, "analysis.nwb_record")
    monkeypatch.setitem(sys.modules, "analysis.nwb_session", None)
    with pytest.raises(SystemExit) as exit_:
        main(["record", "run", "-o", "session.nwb"])
    assert exit_.value.code == 2 and "pip install '.[lab]'" in capsys.readouterr().err

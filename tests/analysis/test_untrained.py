"""The control that every effect must beat: the network as it was before it learnt anything."""

import numpy as np
import pytest
import torch

from analysis.nwb_film import recorded_states, recorded_task
from analysis.nwb_layers import Layers
from analysis.nwb_record import record
from analysis.nwb_sight import Sight, pictures_seen, recorded_sight
from analysis.recording import Session
from analysis.untrained import untrained_activities, untrained_activity
from policies.policy import Policy
from rodent.errors import UsageError
from rodent.vision import Eyes
from tests.analysis.conftest import FACTS, make_policy


def test_an_untrained_network_has_the_layers_of_the_trained_one_and_another_activity(mlp_session):
    with Session(mlp_session) as session:
        rows = np.arange(int(session.trials.steps.sum()))
        fresh = untrained_activity(session, rows)
        for name, values in fresh.items():
            trained = session.layers[name].read()
            assert values.shape == trained.shape and not np.allclose(values, trained)
        some = untrained_activity(session, rows[::7])
        np.testing.assert_allclose(some["policy.1"], fresh["policy.1"][::7], rtol=1e-6)
        assert not np.allclose(untrained_activity(session, rows, seed=1)["policy.1"], fresh["policy.1"])
        late = rows[session.trials.steps.iloc[0] :]  # a network is driven through the episodes that are asked for alone
        for seed, each in zip((0, 1), untrained_activities(session, late, (0, 1)), strict=True):
            whole = untrained_activity(session, rows, seed)["policy.1"]
            np.testing.assert_allclose(each["policy.1"], whole[late], rtol=1e-5, atol=1e-6)


def test_memory_of_an_untrained_network_begins_anew_with_each_episode(lstm_session):
    with Session(lstm_session) as session:
        lengths = session.trials.steps.to_numpy()
        fresh = untrained_activity(session, np.arange(int(lengths.sum())))
        first = np.abs(fresh["core.h"][[0, lengths[0]]]).mean()
        later = np.abs(fresh["core.h"][lengths[0] - 1]).mean()
        assert fresh["core.h"].std() > 0 and first < later  # hidden state grows from zero


def seeing_session(policy, tmp_path, tasks, steps=5):
    return record(policy, tmp_path / "session.nwb", tasks, 2, seed=3, steps=steps, threads=1, physics="fast")


def assert_shown_what_was_seen(policy, path):
    """A fresh network is shown the pictures of each step, and says of them what a fresh policy of that seed does."""
    with Session(path) as session:
        lengths, settings = session.trials.steps.to_numpy(), recorded_sight(session)
        fresh, alone = untrained_activity(session, np.arange(lengths.sum())), policy.untrained(0).initial(1)
        assert [*fresh, "policy.mean"] == list(session.layers)
        layers, ends = Layers(policy.untrained(0).agent), np.cumsum(lengths)
        for trial in session.trials.itertuples():
            states = recorded_states(session, trial.Index)
            seen = pictures_seen(recorded_task(session, trial.task), trial.seed, trial.episode, states, settings)
            for step, picture in zip(range(trial.steps), seen, strict=False):
                # what it makes of a picture depends on no normalisation and on no memory
                senses = torch.zeros(1, policy.agent.observation_size)
                _, _, said = layers.step(senses, alone, torch.from_numpy(picture[None]))
                mine = fresh["vision"][ends[trial.Index] - trial.steps + step]
                np.testing.assert_allclose(mine, said["vision"][0], atol=1e-5)
        return fresh


def test_an_untrained_network_is_shown_what_the_trained_one_saw_which_is_drawn_once(tmp_path, monkeypatch):
    looks = []

    def look(eyes, ids, state):
        """Paint each state as a pattern of its own, which costs less than to draw it."""
        looks.append(ids)
        for i in ids:
            eyes.pictures[i] = np.resize(state.qpos[i].numpy().view(np.uint8), eyes.pictures[i].shape)

    monkeypatch.setenv("MUJOCO_GL", "disabled")
    monkeypatch.setattr(Eyes, "look", look)
    policy = make_policy("merel2020", facts={**FACTS, "picture_every": 2}, sees=True)
    path = seeing_session(policy, tmp_path, ["run", "two-tap"])
    fresh = assert_shown_what_was_seen(policy, path)
    with Session(path) as session:
        looks.clear()
        untrained_activity(session, np.arange(5, 10))
        assert len(looks) == 1 + 3  # of one episode: at its reset, and at each other step
        some = dict(untrained_activity(session, np.arange(20)[::3]))
        assert len(looks) == 4 * 4
        again = next(untrained_activities(session, np.arange(20)[::3], (1,)))
        assert len(looks) == 4 * 4 and list(some) == list(again) == list(fresh)


@pytest.mark.gl
def test_an_untrained_network_is_shown_by_opengl_what_the_trained_one_saw(tmp_path):
    policy = make_policy("merel2020", sees=True)
    assert_shown_what_was_seen(policy, seeing_session(policy, tmp_path, ["maze-forage", "escape-bowl"]))


def test_where_nothing_can_draw_the_reason_is_one_line(tmp_path, monkeypatch, mlp_session):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    path = seeing_session(make_policy("merel2020", sees=True), tmp_path, ["run"], steps=2)
    monkeypatch.setattr(Eyes, "__init__", no_renderer)
    with Session(path) as session, pytest.raises(UsageError, match="no renderer") as error:
        untrained_activity(session, np.arange(4))
    assert "\n" not in str(error.value)
    with Session(mlp_session) as session, pytest.raises(UsageError, match="does not say how its rat saw"):
        Sight(session)


def no_renderer(*_):
    raise UsageError("no renderer: neither OpenGL nor the ray tracer works here")


@pytest.mark.parametrize("name", ["run-gaps-expert", "maze-forage-expert"])
def test_a_network_built_on_a_trained_one_has_no_untrained_control_and_the_reason_says_so(name, tmp_path):
    policy = Policy.load(name)
    path = record(policy, tmp_path / "session.nwb", episodes=1, steps=2, threads=1, physics="fast")
    with Session(path) as session, pytest.raises(UsageError, match="built on a trained runner") as error:
        untrained_activity(session, np.arange(2))
    assert "\n" not in str(error.value)

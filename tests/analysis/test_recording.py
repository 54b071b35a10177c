"""A session is read lazily and restricted by task, outcome and behaviour."""

import h5py
import numpy as np
import pynapple as nap
import pytest

from analysis.nwb_record import record
from analysis.recording import Session, find_session, shipped_sessions
from rodent.errors import UsageError
from tests.analysis.conftest import STEPS


@pytest.fixture
def session(mlp_session):
    with Session(mlp_session) as session:
        yield session


def test_pynapple_opens_it(mlp_session):
    file = nap.load_file(str(mlp_session))
    assert file["trials"].shape == (6, 2)
    assert file["policy.0"].restrict(file["trials"]).shape == file["policy.0"].shape
    assert set(file["units"].metadata_columns) >= {"layer", "unit_index"}


def test_layers_and_behaviour_share_one_clock(session):
    times = session.layers["policy.0"].times()
    for series in (session.layers["value.1"], session.behaviour["action"], session.behaviour["pose.skull"]):
        assert np.array_equal(series.times(), times)
    np.testing.assert_allclose(np.diff(times[:4]), 0.02)
    ends = session.trials.stop_time.to_numpy()
    np.testing.assert_allclose(session.trials.start_time[1:], ends[:-1] + 1.0)


def test_states_have_one_row_more_an_episode(session):
    assert session.behaviour["qpos"].shape == (session.trials.steps.sum() + 6, 74)
    assert session.layers["policy.0"].shape == (session.trials.steps.sum(), 16)
    last = session.where(task="two-tap").behaviour["qpos"].times()[-1]
    assert last == pytest.approx(session.trials.stop_time.iloc[-1])


def test_a_task_and_an_outcome_keep_their_trials_alone(session):
    mine = session.where(task="two-tap")
    assert mine.trials.task.tolist() == ["two-tap"] * 3 and mine.layers["policy.1"].shape == (3 * STEPS, 8)
    assert np.array_equal(mine.trials.index, session.where(outcome="cut").trials.index)
    assert np.array_equal(np.unique(mine.layers["policy.1"].trial()), [3, 4, 5])
    both = session.where(task=["run", "two-tap"])
    assert np.array_equal(both.layers["policy.1"].read(), session.layers["policy.1"].read())
    assert len(session.trials) == 6  # which stays as it was


def test_a_behaviour_keeps_its_steps_alone(session):
    steps = int(session.trials.steps.sum())
    labels = np.where(np.arange(steps) % 3 == 0, "rear", "groom")
    mine = session.label(labels).where(behaviour="rear")
    assert np.array_equal(mine.layers["policy.0"].read(), session.layers["policy.0"].read()[labels == "rear"])
    assert np.array_equal(mine.behaviour["qpos"].times(), mine.behaviour["action"].times())
    frame = mine.layers["policy.0"].pynapple()
    assert len(frame) == (labels == "rear").sum() and len(frame.time_support) >= len(frame) - 1
    mine = session.label(labels).where(task="two-tap", behaviour="rear")
    kept = labels[steps - 3 * STEPS :] == "rear"
    expected = session.where(task="two-tap").layers["policy.0"].read()[kept]
    assert np.array_equal(mine.layers["policy.0"].read(), expected)


def test_footfalls_are_those_of_the_file_and_of_what_the_session_shows(session):
    with h5py.File(session.path) as file:
        table = file["intervals/footfalls"]
        paws, starts = table["paw"].asstr()[:], table["start_time"][:]
    assert list(session.footfalls) == ["palm_L", "palm_R", "sole_L", "sole_R"] and len(starts) > 3
    for paw, found in session.footfalls.items():
        np.testing.assert_array_equal(found.read()[:, 0], starts[paws == paw])
    first = session.trials.start_time[3]
    mine = session.where(task="two-tap").footfalls
    kept = [starts[(paws == paw) & (starts > first - 0.01)] for paw in mine]
    assert all(np.array_equal(mine[paw].read()[:, 0], each) for paw, each in zip(mine, kept, strict=True))
    touched = max(mine, key=lambda paw: len(mine[paw].read()))
    intervals = mine[touched].pynapple()
    assert isinstance(intervals, nap.IntervalSet) and np.array_equal(intervals.values, mine[touched].read())
    # Labels by whether a paw begins to touch: each of its footfalls begins in a step of that behaviour.
    times = session.layers["policy.0"].times()
    labels = np.where(np.isin(np.rint(times / 0.02), np.rint(starts[paws == touched] / 0.02)), "falls", "else")
    at_steps = [start for start in starts[paws == touched] if np.abs(times - start).min() < 1e-3]
    np.testing.assert_array_equal(
        session.label(labels).where(behaviour="falls").footfalls[touched].read()[:, 0], at_steps
    )
    assert not len(session.label(labels).where(behaviour="else").footfalls[touched].read())


def test_spikes_are_those_of_the_file_and_of_what_the_session_shows(session, lstm_session):
    theirs = nap.load_file(str(session.path))["units"]
    spikes = session.spikes
    assert list(spikes) == list(session.layers) and len(spikes["policy.1"]) == 8
    of_layer = np.flatnonzero(theirs["layer"] == "policy.1")
    group = spikes["policy.1"].pynapple()
    assert isinstance(group, nap.TsGroup) and len(group.time_support) == 6
    for unit, key in enumerate(of_layer):
        np.testing.assert_allclose(spikes["policy.1"].of_unit(unit), theirs[int(theirs.index[key])].times())
        np.testing.assert_allclose(group[unit].times(), spikes["policy.1"].of_unit(unit))
    steps = int(session.trials.steps.sum())
    unit = max(range(8), key=lambda each: len(spikes["policy.1"].of_unit(each)))
    labels = np.where(np.arange(steps) % 3 == 0, "rear", "groom")
    parts = [session.label(labels).where(behaviour=each).spikes["policy.1"] for each in ("rear", "groom")]
    counts = [len(part.of_unit(unit)) for part in parts]
    assert min(counts) > 0 and sum(counts) == len(spikes["policy.1"].of_unit(unit))
    assert len(parts[0].pynapple()[unit]) == counts[0]
    frame = session.label(labels).where(behaviour="rear").layers["policy.1"].pynapple()
    assert len(parts[0].pynapple().time_support) == len(frame.time_support)
    with Session(lstm_session) as silent, pytest.raises(UsageError, match="record it with --spikes"):
        assert not len(silent.spikes) and silent.spikes["core.h"]


def test_pynapple_frames_keep_every_row_and_know_the_trials(session):
    frame = session.where(task="run").layers["policy.0"].pynapple()
    assert isinstance(frame, nap.TsdFrame) and len(frame.time_support) == 3
    assert np.array_equal(frame.values, session.where(task="run").layers["policy.0"].read())
    assert isinstance(session.behaviour["reward"].pynapple(), nap.Tsd)
    assert session.behaviour["action"].pynapple().columns[0] == "lumbar_extend"


def test_xarray_names_trials_tasks_and_channels(session):
    array = session.behaviour["action"].xarray()
    assert array.dims == ("time", "channel") and array.attrs["units"] == "1"
    assert array.sel(channel="knee_L").shape == (session.trials.steps.sum(),)
    assert array[array.task == "two-tap"].sizes["time"] == 3 * STEPS
    assert session.behaviour["reward"].xarray().dims == ("time",)


def test_series_of_one_task_are_read_where_it_was_played(session):
    closeness = session.behaviour["reward.closeness"]
    assert closeness.shape == (3 * STEPS,)
    assert session.where(task="run").behaviour["reward.closeness"].read().shape == (0,)


def test_one_trial_is_read_alone(session):
    reward = session.behaviour["reward"]
    assert np.array_equal(reward.of_trial(4), dict(reward.by_trial())[4])
    with pytest.raises(UsageError, match=r"reward\.closeness has no values of trial 0"):
        session.behaviour["reward.closeness"].of_trial(0)


def test_a_session_of_one_episode_has_a_rate_for_a_clock(lstm, tmp_path):
    from analysis.nwb_record import record

    with Session(record(lstm, tmp_path / "one.nwb", ["run"], 1, steps=3, physics="fast", threads=1)) as session:
        np.testing.assert_allclose(session.layers["core.c"].times(), [0, 0.02, 0.04])
        assert session.behaviour["qpos"].shape == (4, 74)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.layers["core.h"], "no layer 'core.h' in .* there are policy.0, policy.1"),
        (lambda s: s.behaviour["whiskers"], "no series 'whiskers'"),
        (lambda s: s.spikes["core.h"], "no spikes of 'core.h' in .* there are those of policy.0, policy.1"),
        (lambda s: s.spikes["policy.1"].of_unit(8), "policy.1 has no unit 8: there are 0 to 7"),
        (lambda s: s.where(task="fly"), "no trial has task 'fly': there are run, two-tap"),
        (lambda s: s.where(task="run", outcome="cut"), "no trial has outcome 'cut': there are fell"),
        (lambda s: s.where(behaviour="rear"), "give labels first"),
        (lambda s: s.label(["rear"]), "one label for each of"),
        (lambda s: s.label(np.zeros(s.trials.steps.sum())).where(behaviour=1), "no step is labelled 1"),
    ],
)
def test_what_is_not_there_is_named_beside_what_is(session, ask, words):
    with pytest.raises(UsageError, match=words) as error:
        ask(session)
    assert "\n" not in str(error.value)


def damaged(tmp_path, mlp_session):
    """Paths that hold no session, by what is wrong with them."""
    whole = mlp_session.read_bytes()
    (tmp_path / "text.nwb").write_text("no session")
    (tmp_path / "empty.nwb").write_bytes(b"")
    (tmp_path / "cut.nwb").write_bytes(whole[: len(whole) // 2])
    with h5py.File(tmp_path / "hdf5.nwb", "w") as file:
        file["data"] = 1
    with h5py.File(tmp_path / "other.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.9.0"
    (tmp_path / "damaged.nwb").write_bytes(whole)
    with h5py.File(tmp_path / "damaged.nwb", "a") as file:
        del file["intervals/trials"]
    parts = ("acquisition/policy.1", "processing/behavior/qpos", "processing/behavior/pose", "general/protocol")
    for part in parts:
        (tmp_path / f"no {part.split('/')[-1]}.nwb").write_bytes(whole)
        with h5py.File(tmp_path / f"no {part.split('/')[-1]}.nwb", "a") as file:
            del file[part]
    return {
        **{f"no {part.split('/')[-1]}.nwb": f"is damaged: it has no {part}" for part in parts},
        "text.nwb": "is no NWB file",
        "empty.nwb": "is no NWB file",
        "cut.nwb": "is cut off",
        "hdf5.nwb": "is no NWB file",
        "other.nwb": "holds no recorded layers",
        "damaged.nwb": "is damaged",
        "missing.nwb": "no session at",
        "text.nwb/below": "no session at",
        ".": "no session at",
    }


def test_what_is_no_session_is_refused_in_one_line(tmp_path, mlp_session):
    for name, words in damaged(tmp_path, mlp_session).items():
        with pytest.raises(UsageError, match=words) as error:
            Session(tmp_path / name)
        assert "\n" not in str(error.value), name


# ---- shipped sessions ------------------------------------------------------------------------------------------------


def test_shipped_sessions_are_found_by_name_unless_a_file_is_called_so(tmp_path, monkeypatch, mlp_session):
    assert {"run"} <= shipped_sessions().keys()
    assert find_session("run") == shipped_sessions()["run"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").symlink_to(mlp_session)
    with Session("run") as session:
        assert len(session.trials) == 6 and set(session.trials.task) == {"run", "two-tap"}
    with pytest.raises(UsageError, match=r"no session at hop: .* shipped one \(run\)"):
        Session("hop")


def test_the_shipped_session_is_what_its_command_records_now(tmp_path):
    again = record("run", tmp_path / "again.nwb", episodes=1, steps=10, threads=1)
    with Session("run") as shipped, Session(again) as session:
        assert shipped.protocol | {"steps": 10} == session.protocol  # weights and all
        # A card may be measured anew: the session of the same network is none the worse for it.
        assert not {"evaluations", "comparisons"} & set(session.protocol["policy"])
        for name, layer in session.layers.items():
            np.testing.assert_allclose(layer.read(), shipped.layers[name].read()[:10], atol=1e-4)
        # A period of the slowest band that behaviour is asked about.
        assert (shipped.trials.steps * 0.02 > 1 / 0.3).all() and len(shipped.trials) >= 4
    assert find_session("run").stat().st_size < 8e6

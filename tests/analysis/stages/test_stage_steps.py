"""Which steps are taken."""

from importlib import import_module

import numpy as np
import pytest
from made import Made, run_stage

from analysis.report.stages.sampling import population_steps, told, whole_episodes
from rodent.errors import UsageError


def test_episodes_are_drawn_at_random_from_each_task_and_told():
    made = Made()
    drawn = {seed: whole_episodes(made, "run", 200, seed) for seed in range(5)}
    for rows in drawn.values():
        assert (made.tasks[rows] == "run").all() and len(rows) == 180 and (np.diff(rows) > 0).all()
        assert told(made, rows) == "all steps of 3 of 6 random episodes"
    assert len({tuple(np.unique(made.episodes[rows])) for rows in drawn.values()}) > 1
    np.testing.assert_array_equal(drawn[0], whole_episodes(made, "run", 200, 0))
    assert len(whole_episodes(made, "run", 10, 0)) == 120  # two at least
    assert told(made, whole_episodes(made, "run", 9999, 0)) == "all steps of all 6 episodes"


def test_numbers_of_populations_are_of_whole_episodes_of_each_task_as_many_as_fit(monkeypatch):
    made, sampling = Made(), import_module("analysis.report.stages.sampling")
    np.testing.assert_array_equal(population_steps(made, 0), np.arange(720))  # of a small session, of all
    monkeypatch.setattr(sampling, "_EPISODES", 2)
    for most, count in ((600, 5), (10, 2)):
        monkeypatch.setattr(sampling, "_STEPS", most)
        rows = population_steps(made, 0)
        assert (np.diff(rows) > 0).all() and len(rows) == 2 * count * 60
        for task in made.task_names:
            mine = rows[made.tasks[rows] == task]
            assert told(made, mine) == f"all steps of {count} of 6 random episodes"


def unequal(lengths, tasks):
    made = Made()
    made.lengths = np.array(lengths)
    made.episodes, made.tasks = (np.repeat(each, lengths) for each in (np.arange(len(lengths)), tasks))
    return made


def times(made, rows):
    return rows - (np.cumsum(made.lengths) - made.lengths)[made.episodes[rows]]


def test_thinned_steps_meet_a_gait_in_all_its_phases():
    made = unequal([1300] * 12, ["run"] * 12)
    for most, each in ((1200, 100), (600, 50), (400, 33)):  # even spacing of 13 or 26 steps would be in one phase of 13
        rows = made.thinned(most)
        taken = times(made, rows)[: len(rows) // 12]
        assert len(rows) == 12 * each and (np.diff(taken) >= 0.45 * 1300 / each).all()
        shares = np.bincount(taken % 13, minlength=13) / each
        assert shares.max() < 0.3 and taken[0] < 1300 / each and taken[-1] > 1300 - 2 * 1300 / each
        np.testing.assert_array_equal(rows, made.thinned(most))
    assert not np.array_equal(made.thinned(100, seed=1), made.thinned(100))
    np.testing.assert_array_equal(made.thinned(99999), np.arange(15600))


def test_thinned_steps_are_of_the_same_times_in_each_episode():
    made = unequal([900, 40, 870, 30, 35, 900, 910, 20], ["run", "tap"] * 4)
    for most in (2000, 800, 90):
        rows = made.thinned(most)
        taken = [times(made, rows[made.episodes[rows] == each]) for each in range(8)]
        assert 0.8 * most <= len(rows) <= most and (np.diff(rows) > 0).all()
        for mine, length in zip(taken, made.lengths, strict=True):
            np.testing.assert_array_equal(mine, taken[6][taken[6] < length])
        assert set(made.tasks[rows]) == {"run", "tap"}
    mine = made.of_task("run")
    assert set(made.tasks[made.thinned(500, mine)]) == {"run"}
    with pytest.raises(UsageError, match="give those of whole episodes"):
        made.thinned(500, mine[::2])


def test_of_very_many_episodes_some_of_each_task_are_drawn():
    made = unequal([100] * 300, ["run"] * 280 + ["tap"] * 20)
    rows = made.thinned(320)
    assert len(rows) == 320 and told(made, rows) == "320 random steps of 40 of 300 random episodes"
    assert (made.tasks[rows] == "tap").sum() == 160
    of = {each.interval_over for each in run_stage("factors", Made()).findings}
    assert of == {"all steps of all 12 episodes", "units (of all steps of all 12 episodes)"}

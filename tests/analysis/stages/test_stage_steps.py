"""Which steps are taken."""

from importlib import import_module

import numpy as np
from made import Made, run_stage

from analysis.report.stages.sampling import even_steps, population_steps, told, whole_episodes


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


def test_thinned_steps_meet_a_gait_in_all_its_phases():
    made = Made()
    made.lengths = np.full(12, 1300)
    made.episodes = np.repeat(np.arange(12), 1300)
    for most in (1200, 600, 100):  # at even spacing of 13, 26 and 156 steps each would be in one phase of 13
        rows = made.thinned(most)
        assert len(rows) == most and (np.diff(rows) >= 0.45 * 15600 / most).all()
        shares = np.bincount(rows % 13, minlength=13) / most
        assert shares.max() < 0.2 and rows[0] < 15600 / most and rows[-1] > 15600 - 2 * 15600 / most
        np.testing.assert_array_equal(rows, made.thinned(most))
    assert not np.array_equal(made.thinned(100, seed=1), made.thinned(100))
    np.testing.assert_array_equal(made.thinned(99999), np.arange(15600))


def test_steps_are_drawn_evenly_over_tasks_and_told():
    made = Made()
    rows = even_steps(made, 100, 0, np.arange(720))
    assert (made.tasks[rows] == "run").sum() == 50 == len(rows) / 2 and (np.diff(rows) > 0).all()
    assert told(made, rows) == "100 random steps of all 12 episodes"
    of = {each.interval_over for each in run_stage("factors", made).findings}
    assert of == {"all steps of all 12 episodes", "units (of all steps of all 12 episodes)"}

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.bouts import bouts, plot_ethogram, share_of_time


def test_bouts_end_with_their_label_and_with_their_episode():
    found = bouts(list("aaabbaab"), [0, 0, 0, 0, 0, 0, 1, 1], 0.02)
    assert [found.names[name] for name in found.label] == list("abaab")
    assert found.length.tolist() == [3, 2, 1, 1, 1] and found.episode.tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_array_equal(found.transitions, [[0, 1], [1, 0]])
    plot_ethogram(found)


def test_a_cycle_is_predictable_and_permuted_bouts_are_not():
    episodes = np.repeat(np.arange(6), 60)
    cycle = np.tile(np.repeat(list("abc"), 4), 30)
    found = bouts(cycle, episodes, 0.02, draws=50)
    assert found.predictability.value > 1.5 and found.predictability.beat == ("permuted bouts",)
    # Drawn labels never follow themselves, so three behaviours at random are predictable a little; their null as well.
    noise = bouts(np.random.default_rng(0).integers(8, size=360), episodes, 0.02, draws=50)
    assert noise.predictability.value < 1


def test_short_runs_take_their_neighbours_label():
    found = bouts(list("aaaabaaaacccc"), np.zeros(13), 0.02, shortest=2)
    assert found.length.tolist() == [9, 4]


def test_one_behaviour_has_no_transitions():
    found = bouts(np.zeros(20), np.zeros(20), 0.02)
    assert found.predictability.reason == "no transitions" and np.isnan(found.transitions).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30), st.integers(1, 4))
def test_bouts_cover_every_step_once(pairs, shortest):
    labels, episodes = zip(*sorted(pairs, key=lambda pair: pair[1]), strict=True)
    found = bouts(labels, episodes, 0.02, shortest=shortest, draws=2)
    assert found.length.sum() == len(labels)
    assert (found.start == np.concatenate([[0], np.cumsum(found.length)[:-1]])).all()
    assert np.isfinite(found.predictability.value) == found.predictability.estimable


def test_what_is_done_more_in_a_task_beats_tasks_that_are_dealt_to_other_episodes():
    episodes, rng = np.repeat(np.arange(12), 40), np.random.default_rng(0)
    tasks = np.where(episodes < 6, "run", "two-tap")
    inside = rng.random(480) < np.where(tasks == "run", 0.6, 0.2)
    found = share_of_time(inside, episodes, tasks)
    assert list(found) == ["", "run", "two-tap"]
    assert found[""].value == inside.mean() and not found[""].nulls
    assert found["run"].value == inside[tasks == "run"].mean() and not found["two-tap"].beat
    assert found["run"].beat == ("tasks dealt to other episodes",)
    assert all(each.interval[0] < each.value < each.interval[1] for each in found.values())
    alone = share_of_time(inside[:40], episodes[:40], tasks[:40])
    assert list(alone) == [""] and np.isnan(alone[""].interval).all()

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.bouts import CONTROL, _permuted, bouts, plot_ethogram, share_of_time


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
    assert found.predictability.value > 1.5 and found.predictability.beat == (CONTROL,)
    noise = bouts(np.random.default_rng(0).integers(8, size=360), episodes, 0.02, draws=50)
    assert noise.predictability.value < 1


def without_memory(weights, rng, episodes=8, each=25):
    """Bouts of one step, of which each is drawn by its weight among the others than the one before; and episodes."""
    labels = []
    for _ in range(episodes):
        label = -1
        for _ in range(each):
            chance = np.where(np.arange(len(weights)) == label, 0, weights)
            label = rng.choice(len(weights), p=chance / chance.sum())
            labels.append(label)
    return np.array(labels), np.repeat(np.arange(episodes), each)


@pytest.mark.parametrize("weights", [(1, 1, 1), (6, 2, 1, 1)])
def test_behaviours_that_follow_each_other_by_chance_are_not_predictable(weights):
    rng, beaten = np.random.default_rng(0), 0
    for _ in range(40):
        found = bouts(*without_memory(weights, rng), 0.02, draws=39).predictability
        beaten += bool(found.beat)
    assert beaten <= 5  # 2 of 40 are expected at a level of 5 %, and 6 or more in one case of seventy


def test_a_preference_is_predictable_beyond_the_rule_that_no_bout_follows_its_like():
    rng, labels, label = np.random.default_rng(1), [], 0
    for _ in range(200):
        label = (label + rng.choice([1, 2], p=[0.8, 0.2])) % 3
        labels.append(label)
    assert bouts(labels, np.repeat(np.arange(8), 25), 0.02).predictability.beat == (CONTROL,)
    found = bouts(labels, np.repeat(np.arange(8), 25), 0.02).predictability
    assert found.interval[0] < found.value < found.interval[1]
    two = bouts([0, 1] * 50, np.repeat(np.arange(4), 25), 0.02).predictability  # the rule alone tells all
    assert two.value == pytest.approx(1, abs=0.01) and not two.beat


def test_permuted_bouts_are_those_of_their_episode_and_none_follows_its_like():
    label, episode = without_memory((3, 2, 1), np.random.default_rng(2), 4, 20)
    run = np.arange(80) // 10
    drawn = _permuted(label, run, episode, 30, np.random.default_rng(0))
    assert drawn.shape == (30, 80) and len(np.unique(drawn, axis=0)) == 30
    assert (np.sort(drawn.reshape(30, 4, 20)) == np.sort(label.reshape(4, 20))).all()
    assert (drawn[:, 1:] != drawn[:, :-1])[:, run[1:] == run[:-1]].all()
    assert (drawn[:, ::10] == label[::10]).all() and (drawn[:, 9::10] == label[9::10]).all()


def test_steps_without_a_behaviour_are_no_bout_and_what_follows_them_follows_nothing():
    labels, episodes = [-1, 3, 3, 5, -1, 3, 5, 5, -1, -1], np.repeat([0, 1], [4, 6])
    found = bouts(labels, episodes, 0.02, none=-1)
    assert found.names.tolist() == [3, 5] and found.label.tolist() == [0, 1, 0, 1]
    assert found.start.tolist() == [1, 3, 5, 6] and found.length.tolist() == [2, 1, 1, 2]
    np.testing.assert_array_equal(found.transitions, [[0, 1], [np.nan, np.nan]])
    (bar, *_) = plot_ethogram(found).collections
    assert bar.get_paths()[0].vertices[:, 0].min() == 0.02  # from the episode's first step, which has none


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

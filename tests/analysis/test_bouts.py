import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.bouts import bouts, plot_ethogram


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

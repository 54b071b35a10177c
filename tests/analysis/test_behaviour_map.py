"""Maps of behaviour that hold several recordings, and that others are placed in later."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from analysis.behaviour_map import BehaviourMap, draw_map, load_map
from rodent.errors import UsageError

JOINTS, PARTS = tuple(f"hinge {i}" for i in range(18)), ("pose.skull", "pose.pelvis")
EPISODES = np.repeat(np.arange(8), 100)


def moving(seed, speeds=(2.0, 4.0)):
    """Joints and positions of episodes that swing at one frequency or another, Hz, in turn; and which, (steps,)."""
    rng, ways = np.random.default_rng(seed), np.arange(8) % len(speeds)
    mixing = np.random.default_rng(0).normal(size=(2, 18, 2))
    angles, positions = [], []
    for way in ways:
        phase = 2 * np.pi * (speeds[way] * 0.02 * np.arange(100) + rng.random())
        wave = np.stack([np.cos(phase), np.sin(phase)], axis=1)
        for into, mix in zip((angles, positions), mixing, strict=True):
            into.append(wave @ mix.T + 0.1 * rng.normal(size=(100, 18)))
    return np.concatenate(angles), np.concatenate(positions), ways[EPISODES]


def drawn_of(seed=0):
    angles, positions, ways = moving(seed)
    return draw_map(angles, positions, EPISODES, 0.02, JOINTS, PARTS), ways


@pytest.fixture(scope="module")
def drawn():
    return drawn_of()


def purity(labels, ways):
    """Share of the steps whose region is of the way in which most of the region's steps move."""
    return sum(np.bincount(ways[labels == each]).max() for each in np.unique(labels)) / len(labels)


def test_ways_to_move_are_regions_of_the_map(drawn):
    found, ways = drawn
    assert found.reason == "" and purity(found.map.locate(found.map.places), ways[found.rows]) > 0.98


def test_a_map_does_not_depend_on_how_many_threads_there_are(drawn):
    with threadpool_limits(3):
        again = drawn_of()[0]
    np.testing.assert_array_equal(again.map.places, drawn[0].map.places)


def test_another_recording_lands_where_it_moves_alike(drawn):
    found, ways = drawn
    angles, positions, moved = moving(1)
    amplitudes = found.map.amplitudes(angles, positions, EPISODES)
    labels = found.map.locate(found.map.place(amplitudes))
    own = found.map.locate(found.map.places)
    regions = {way: set(own[ways[found.rows] == way]) for way in (0, 1)}
    assert np.mean([label in regions[way] for label, way in zip(labels, moved, strict=True)]) > 0.97
    assert found.map.near(amplitudes).mean() > 0.8


def test_a_recording_that_moves_otherwise_is_told_to_be_far_from_all_of_the_map(drawn):
    found, _ = drawn
    angles, positions, _ = moving(1, speeds=(12.0,))
    assert found.map.near(found.map.amplitudes(angles, positions, EPISODES)).mean() < 0.05


def test_what_was_embedded_is_found_again_where_it_was(drawn):
    found, _ = drawn
    angles, positions, _ = moving(0)
    amplitudes = found.map.amplitudes(angles, positions, EPISODES)
    np.testing.assert_allclose(amplitudes, found.amplitudes, atol=2e-3)  # components come from a randomised solver
    placed = found.map.place(amplitudes[found.rows])
    extent = np.ptp(found.map.places)
    assert np.median(np.linalg.norm(placed - found.map.places, axis=1)) < 0.05 * extent


def test_a_map_that_was_kept_places_others_as_it_did(drawn, tmp_path):
    found, _ = drawn
    folder = tmp_path / "report" / "results" / "session"
    folder.mkdir(parents=True)
    np.savez(folder / "behaviour_map.npz", **found.map.arrays())
    again = BehaviourMap.of_arrays(load_map(tmp_path / "report"))
    angles, positions, _ = moving(2)
    amplitudes = found.map.amplitudes(angles, positions, EPISODES)
    np.testing.assert_array_equal(again.amplitudes(angles, positions, EPISODES), amplitudes)
    np.testing.assert_allclose(again.place(amplitudes), found.map.place(amplitudes), atol=1e-6)
    assert again.check(JOINTS, PARTS, 0.02, "session") is None


def test_short_episodes_have_no_place(drawn):
    found, _ = drawn
    angles, positions, _ = moving(1)
    brief = found.map.amplitudes(angles[:30], positions[:30], EPISODES[:30])
    assert np.isnan(found.map.place(brief)).all() and (found.map.locate(found.map.place(brief)) == -1).all()
    nothing = draw_map(angles[:30], positions[:30], EPISODES[:30], 0.02, JOINTS, PARTS)
    assert nothing.map is None and nothing.reason == "amplitudes of angles: 0 samples; needs at least 16"


@pytest.mark.parametrize(
    ("joints", "parts", "timestep", "words"),
    [
        ((*JOINTS[1:], "toe"), PARTS, 0.02, "other joints than later: hinge 0 is in one alone"),
        (JOINTS[::-1], PARTS, 0.02, "other joints than later: they are in another order"),
        (JOINTS, PARTS[:1], 0.02, "other body parts than later: pose.pelvis is in one alone"),
        (JOINTS, PARTS, 0.01, "of steps of 0.02 s; later has 0.01 s"),
    ],
)
def test_a_map_of_another_body_is_refused(joints, parts, timestep, words, drawn):
    with pytest.raises(UsageError, match=words):
        drawn[0].map.check(joints, parts, timestep, "later")


def test_what_is_no_map_is_refused_in_one_line(drawn, tmp_path):
    def refused(words, **arrays):
        path = tmp_path / "behaviour_map.npz"
        np.savez(path, **arrays)
        with pytest.raises(UsageError, match=words) as error:
            load_map(path)
        assert "\n" not in str(error.value)

    arrays = drawn[0].map.arrays()
    refused("grid is missing", **{name: each for name, each in arrays.items() if name != "map.grid"})
    refused("it has format 99, and this version reads format 2", **{**arrays, "map.format": np.array(99)})
    refused("none could be drawn, too short", reason=np.array("too short"))
    refused("holds no map", **{**arrays, "map.points": np.array([{}], dtype=object)})  # would have to be unpickled
    with pytest.raises(UsageError, match="no map of behaviour in"):
        load_map(tmp_path / "nowhere")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UsageError, match="holds no map"):
        load_map(tmp_path / "text.npz")


def test_a_map_of_one_episode_has_no_reach(drawn):
    found = replace(drawn[0].map, episodes=np.zeros_like(drawn[0].map.episodes))
    assert np.isnan(found.reach) and not found.near(drawn[0].amplitudes).any()

"""What came of an episode, from hand-made paths and rewards."""

import numpy as np
import pytest

from rodent.body import describe
from rodent.physics import CONTROL_TIMESTEP
from rodent.tasks import TASKS, Path, make_task

STEPS = 400


def a_path(task, places=None, rewards=None):
    """The rest pose at some (x, y, z), or everywhere at its start, in the task's first world."""
    model = task.world(np.random.default_rng(0))
    qpos = np.tile(model.qpos0, (STEPS, 1))
    if places is not None:
        qpos[:, :3] = places
    return Path(model, qpos, np.zeros(STEPS) if rewards is None else rewards)


def outcomes(task, *paths):
    """Pooled over the episodes; None where there was nothing to take a share of."""
    tallies = task.outcomes(describe(paths[0].model), paths)
    assert {tally.shape for tally in tallies.values()} <= {(len(paths), 2)}
    sums = {name: tally.sum(0) for name, tally in tallies.items()}
    return {name: much / of if of else None for name, (much, of) in sums.items()}


def taps(*seconds):
    """Rewards of an episode with a tap at each of these times, near the orb all the while."""
    rewards = np.full(STEPS, 0.2)
    rewards[[round(second / CONTROL_TIMESTEP) for second in seconds]] += 25
    return rewards


def test_a_head_beyond_the_rim_has_escaped_even_if_the_rat_rolls_back():
    task = make_task("escape-bowl")
    there_and_back = np.zeros((STEPS, 3))
    there_and_back[100:200, 1] = 3.2
    nearly = np.zeros((STEPS, 3))
    nearly[:, 1] = 2.8
    paths = [a_path(task, there_and_back), a_path(task, nearly), a_path(task), a_path(task)]
    assert outcomes(task, *paths) == {"escaped_fraction": 0.25}


def test_orbs_are_counted_from_what_they_pay():
    task = make_task("maze-forage")
    two_at_once, none = np.zeros(STEPS), np.zeros(STEPS)
    two_at_once[[10, 50]] = 50, 100
    assert outcomes(task, a_path(task, rewards=two_at_once), a_path(task, rewards=none)) == {"orbs": 1.5}


def test_a_gap_is_crossed_where_the_next_platform_lies_behind_the_torso():
    task = make_task("run-gaps")
    path = a_path(task)
    platforms = task.draw(np.random.default_rng(0))
    begins, ends = np.array(platforms.begins), np.array(platforms.begins) + platforms.lengths

    def crossed(x):
        path.qpos[-1, 0] = x
        return outcomes(task, path)["gaps_crossed"]

    assert crossed(5.0) == 0
    assert crossed(begins[1] + 0.01) == 0  # the second platform touches the first
    assert crossed((ends[3] + begins[4]) / 2) == 2  # over the third gap
    assert crossed(begins[4] + 0.01) == 3
    assert crossed(1000.0) == len(begins) - 2


def test_a_corridor_without_gaps_has_none_to_cross():
    task = make_task("run-gaps", gap_length=0.0)
    assert outcomes(task, a_path(task, (39.0, 0, 0)))["gaps_crossed"] == 0


@pytest.mark.parametrize(
    ("seconds", "firsts", "fraction"),
    [
        ([], 0, None),
        ([1.0], 1, 0.0),
        ([1.0, 1.7], 1, 1.0),  # either edge of the window
        ([1.0, 1.9], 1, 1.0),
        ([1.0, 1.8, 2.6], 2, 0.5),  # a new orb, and no second tap of it: the pair before it is closed
        ([1.0, 1.8, 1.9, 2.7], 2, 1.0),
        ([1.0, 2.5, 3.3], 2, 0.5),  # too soon or too late the first time: the next good tap is a first one
        ([0.0, 0.8], 1, 1.0),
    ],
)
def test_first_and_second_taps_are_told_apart_by_their_time(seconds, firsts, fraction):
    task = make_task("two-tap")
    expected = {"first_taps": firsts, "second_tap_fraction": fraction}
    assert outcomes(task, a_path(task, rewards=taps(*seconds))) == expected


def test_second_taps_are_pooled_over_episodes():
    task = make_task("two-tap")
    paths = [a_path(task, rewards=taps(1.0, 1.8, 3.0, 3.8)), a_path(task, rewards=taps(1.0)), a_path(task)]
    assert outcomes(task, *paths) == {"first_taps": 1.0, "second_tap_fraction": pytest.approx(2 / 3)}


def test_taps_that_cannot_be_told_apart_are_not_counted():
    hasty = make_task("two-tap", failure_timeout=0.5)  # a new orb may be tapped 0.7 s after a first tap
    assert set(outcomes(hasty, a_path(hasty, rewards=taps(1.0, 1.8))).values()) == {None}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_knows_what_came_of_an_episode_in_which_nothing_happened(name):
    task = make_task(name)
    assert all(value in (0, None) for value in outcomes(task, a_path(task)).values())

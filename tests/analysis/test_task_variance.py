import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from analysis.controls import rotate_units
from analysis.task_variance import plot_task_variance, task_variance

TASKS, EPISODES = np.repeat(np.arange(3), 100), np.arange(300) // 20


def planted():
    """30 units in three groups, each active in one task, and one silent unit."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(3), 10)
    scale = np.where(TASKS[:, None] == group, 1.0, 0.1)
    return np.concatenate([scale * rng.normal(size=(300, 30)), np.zeros((300, 1))], axis=1), group


def test_planted_groups_are_found():
    activity, group = planted()
    found = task_variance(activity, TASKS, EPISODES, most_clusters=5)
    assert adjusted_rand_score(group, found.clusters[:30]) == 1 and found.clusters[30] == -1
    assert np.isnan(found.share[30]).all()
    assert found.silhouette.value > 0.9 and found.silhouette.beat == ("rotated units",)
    plot_task_variance(found)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_rotation_of_the_units_has_no_groups(seed):
    activity, group = planted()
    turned = rotate_units(activity[:, :30], np.random.default_rng(seed))
    found = task_variance(turned, TASKS, EPISODES, most_clusters=5)
    assert not found.silhouette.beat and found.silhouette.value < 0.6
    assert abs(adjusted_rand_score(group, found.clusters)) < 0.2


def test_a_unit_that_is_not_finite_is_no_more_than_left_out():
    activity, group = planted()
    broken = activity.copy()
    broken[7, 30] = np.nan
    found = task_variance(broken, TASKS, EPISODES, most_clusters=5)
    assert found.clusters[30] == -1 and adjusted_rand_score(group, found.clusters[:30]) == 1
    assert found.silhouette.beat == ("rotated units",)


def test_one_task_or_too_few_units_have_a_reason():
    activity, _ = planted()
    assert task_variance(activity, np.zeros(300), EPISODES).silhouette.reason == "one task"
    alike = np.repeat(activity[:, :1], 6, axis=1)
    assert "no groups to separate" in task_variance(alike, TASKS, EPISODES).silhouette.reason
    assert "active units" in task_variance(activity[:, :2], TASKS, EPISODES).silhouette.reason

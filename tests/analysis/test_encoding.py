import numpy as np
import pytest

from analysis.encoding import encode, plot_encoding
from rodent.errors import UsageError

EPISODES = np.repeat(np.arange(8), 30)


@pytest.fixture(scope="module")
def families():
    rng = np.random.default_rng(0)
    return {"speed": rng.normal(size=(240, 2)), "posture": rng.normal(size=(240, 3))}


def test_unique_contributions_are_the_planted_ones(families):
    rng = np.random.default_rng(1)
    mixed = families["speed"][:, 0] + families["posture"][:, 1] + np.sqrt(2) * rng.normal(size=240)
    clear = families["speed"][:, 0] + 0.1 * rng.normal(size=240)
    broken = np.where(np.arange(240) == 3, np.nan, 1.0)
    activity = np.stack(
        [clear, rng.normal(size=240), mixed, np.ones(240), broken],
        axis=1,
    )
    found = encode(activity, families, EPISODES, folds=2, draws=59)
    assert found.full.value[0] > 0.95 and abs(found.full.value[1]) < 0.1
    assert found.full.value[2] == pytest.approx(0.5, abs=0.12)
    assert found.unique["speed"].value[[0, 2]] == pytest.approx([1, 0.25], abs=0.12)
    assert found.unique["posture"].beat.tolist() == [False, False, True, False, False]
    assert found.full.reasons[3:] == ("constant", "NaN or infinite") and np.isnan(found.full.value[3:]).all()
    assert found.full.interval[0, 2] < found.full.value[2] < found.full.interval[1, 2]
    plot_encoding(found)


def test_what_is_true_of_training_episodes_alone_is_not_encoded():
    rng = np.random.default_rng(0)
    episode_marks = np.eye(8)[EPISODES]  # explains each episode's mean in sample, and nothing of a held-out episode
    activity = rng.normal(size=(8, 1))[EPISODES] + 0.1 * rng.normal(size=(240, 1))
    assert encode(activity, {"marks": episode_marks}, EPISODES, folds=8, draws=2).full.value[0] < 0.05


def test_one_episode_is_not_estimable(families):
    found = encode(families["speed"], families, np.zeros(240), draws=2)
    assert set(found.full.reasons) == {"one episode: nothing to hold out"} and np.isnan(found.full.value).all()
    with pytest.raises(UsageError, match="no family"):
        encode(families["speed"], {}, EPISODES)


def test_a_unit_is_encoded_as_well_beside_a_loud_one_as_alone():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 40))
    clear = 0.1 * features @ rng.normal(size=40) + 0.05 * rng.normal(size=400)
    loud = 100 * rng.normal(size=400)
    episodes = np.repeat(np.arange(8), 50)
    for activity in (clear[:, None], np.stack([clear, loud], axis=1)):
        assert encode(activity, {"f": features}, episodes, folds=4, draws=0).full.value[0] > 0.95

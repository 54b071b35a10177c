import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, permutation_test_score

from analysis.decoding import classify, decode, plot_decoding, told_by_episode

EPISODES = np.repeat(np.arange(10), 20)


def test_a_layer_that_holds_the_target_tells_it_and_noise_does_not():
    rng = np.random.default_rng(0)
    target, noise = rng.normal(size=(200, 2)), rng.normal(size=(200, 4))
    code = target @ rng.normal(size=(2, 4)) + 0.2 * rng.normal(size=(200, 4))
    found = decode({"policy": code, "noise": noise, "flat": np.ones((200, 2))}, target, EPISODES, draws=19)
    assert found["policy"].value > 0.8 and found["policy"].beat == ("other episodes",)
    assert found["noise"].value < 0.05 and found["noise"].beat == ()
    assert not found["flat"].estimable and np.isnan(found["flat"].value)
    plot_decoding({name: found[name] for name in ("policy", "noise")})


def test_labels_of_episodes_are_dealt_to_other_episodes_and_score_chance():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10) % 2, 20)
    mark = rng.normal(size=(10, 2))[EPISODES]  # steps shuffled across episodes would be told apart by these
    layer = np.concatenate([mark, 4 * labels[:, None] + 0.3 * rng.normal(size=(200, 1))], axis=1)
    found = classify({"core": layer, "marks": mark}, labels, EPISODES, draws=19)
    assert found["core"].value > 0.85 and found["core"].beat == ("other episodes",)
    assert abs(found["core"].nulls["other episodes"].mean() - 0.5) < 0.15
    assert found["marks"].beat == ()


def test_chance_equals_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    layer, labels = rng.normal(size=(200, 3)), rng.integers(2, size=200)
    ours = classify({"noise": layer}, labels, EPISODES, draws=10)["noise"].nulls["other episodes"]
    _, theirs, _ = permutation_test_score(
        LogisticRegression(), layer, labels, groups=EPISODES, cv=GroupKFold(5), n_permutations=10, random_state=0
    )
    assert abs(ours.mean() - theirs.mean()) < 0.05


def test_what_is_told_in_each_episode_makes_up_the_accuracy():
    rng = np.random.default_rng(3)
    labels = np.tile(np.arange(20) % 2, 10)
    layer = labels[:, None] + rng.normal(size=(200, 2))
    whole = classify({"a": layer}, labels, EPISODES, draws=0)["a"].value
    right = told_by_episode(layer, labels, EPISODES)
    assert right.shape == (10,) and right.mean() == pytest.approx(whole) and 0.6 < whole < 0.95


def test_too_few_episodes_or_classes_have_a_reason():
    layer = np.random.default_rng(0).normal(size=(200, 3))
    alone = np.where(EPISODES == 0, "rest", "walk")
    assert classify({"a": layer}, alone, EPISODES)["a"].reason == "class rest is in one episode; needs two"
    assert classify({"a": layer}, np.zeros(200), EPISODES)["a"].reason == "one class"
    assert "nothing to hold out" in decode({"a": layer}, layer, np.zeros(200))["a"].reason

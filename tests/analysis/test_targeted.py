import numpy as np
import pytest

from analysis.targeted import plot_targeted, targeted_axes
from rodent.errors import UsageError

EPISODES = np.arange(800) // 80


def test_planted_axes_are_found_within_one_degree():
    rng = np.random.default_rng(0)
    planted = np.linalg.qr(rng.normal(size=(20, 2)))[0]
    variables = rng.normal(size=(800, 2))
    activity = variables @ planted.T + 0.05 * rng.normal(size=(800, 20))
    found = targeted_axes(activity, dict(zip("ab", variables.T, strict=True)), EPISODES)
    for name, axis in zip("ab", planted.T, strict=True):
        assert np.degrees(np.arccos(np.clip(found.axes[name] @ axis, -1, 1))) < 1
        assert found.encoded[name].value > 0.95 and found.encoded[name].beat == ("other episodes",)
    plot_targeted(found)


def test_the_order_of_the_variables_decides_whose_axis_is_kept():
    rng = np.random.default_rng(0)
    first, second = np.eye(6)[0], (np.eye(6)[0] + np.eye(6)[1]) / np.sqrt(2)
    a, b = rng.normal(size=(2, 800))
    activity = np.outer(a, first) + np.outer(b, second) + 0.01 * rng.normal(size=(800, 6))
    forward = targeted_axes(activity, {"a": a, "b": b}, EPISODES, draws=2)
    backward = targeted_axes(activity, {"b": b, "a": a}, EPISODES, draws=2)
    assert forward.axes["a"] @ first > 0.999 and backward.axes["b"] @ second > 0.999
    assert forward.axes["b"] @ second < 0.8
    assert forward.regression["b"] @ second > 0.99


def test_noise_is_not_encoded():
    rng = np.random.default_rng(2)
    found = targeted_axes(rng.normal(size=(800, 6)), {"a": rng.normal(size=800)}, EPISODES)
    assert found.encoded["a"].beat == ()


def test_what_cannot_be_told_apart_has_a_reason():
    rng = np.random.default_rng(0)
    activity, a = rng.normal(size=(800, 20)), rng.normal(size=800)
    assert "rank 1" in targeted_axes(activity, {"a": a, "b": 2 * a}, EPISODES).encoded["a"].reason
    assert "one episode" in targeted_axes(activity, {"a": a}, np.zeros(800)).encoded["a"].reason
    with pytest.raises(UsageError, match="more than one column"):
        targeted_axes(activity, {"a": activity[:, :2]}, EPISODES)

import numpy as np
import pytest

from analysis.dpca import dpca, marginalisation, plot_dpca
from rodent.errors import UsageError


@pytest.fixture(scope="module")
def planted():
    """Ten repeats of 3 tasks x 8 phases in 12 units: an axis for the task and one for the phase, and none for both."""
    rng = np.random.default_rng(0)
    task, phase = np.linalg.qr(rng.normal(size=(12, 2)))[0].T
    of_task, of_phase = np.array([-1.0, 0, 1.0]), np.sin(2 * np.pi * np.arange(8) / 8)
    mean = 2 * of_task[:, None, None] * task + of_phase[None, :, None] * phase
    return mean + 0.1 * rng.normal(size=(10, 3, 8, 12)), task, phase


def test_planted_axes_are_demixed(planted):
    activity, task, phase = planted
    found = dpca(activity, ("task", "phase"), components=1)
    assert abs(found.encoders["task"][:, 0] @ task) > 0.999
    assert abs(found.encoders["phase"][:, 0] @ phase) > 0.99
    assert abs(found.decoders["task"][0] @ phase) < 0.02
    assert found.explained["task"].beat and found.explained["phase"].beat
    assert not found.explained["task x phase"].beat and found.explained["task x phase"].value < 0.1
    low, high = found.explained["task"].interval
    assert low <= found.explained["task"].value <= high
    plot_dpca(found)


def test_without_a_limit_of_rank_it_is_plain_ridge_regression(planted):
    activity = planted[0]
    found, mean = dpca(activity, ("task", "phase"), components=12, penalty=1e-2, draws=2), activity.mean(axis=0)
    x = mean.reshape(-1, 12) - mean.reshape(-1, 12).mean(axis=0)
    target = marginalisation(mean, (0,)).reshape(-1, 12)
    root = np.sqrt(1e-2 * np.square(x).sum())
    stacked = np.linalg.lstsq(np.vstack([x, root * np.eye(12)]), np.vstack([target, np.zeros((12, 12))]), rcond=None)
    np.testing.assert_allclose(found.decoders["task"].T @ found.encoders["task"].T, stacked[0], atol=1e-10)


def test_what_is_written_along_one_axis_cannot_be_demixed():
    rng = np.random.default_rng(1)
    axis, other = np.linalg.qr(rng.normal(size=(12, 2)))[0].T
    of_task, of_phase = 0.35 * np.array([-1.0, 0, 1.0]), np.sqrt(2) * np.sin(2 * np.pi * np.arange(8) / 8)
    noise = 0.3 * rng.normal(size=(10, 3, 8, 12))
    shares = {}
    for name, of_its_own in (("shared", axis), ("own", other)):
        mean = of_task[:, None, None] * of_its_own + of_phase[None, :, None] * axis
        found = dpca(mean + noise, ("task", "phase"), components=1, draws=30)
        shares[name] = found.explained["task"]
        # What noise alone tells of is not rebuilt, although the decoded activity has noise of its own.
        assert found.explained["task x phase"].value < 0.02 and not found.explained["task x phase"].beat
    assert shares["own"].value > 0.6 and shares["own"].beat
    assert abs(shares["shared"].value) < 0.15


def test_components_are_scored_by_what_they_read_from_other_repeats_with_a_penalty_chosen_without_these():
    rng = np.random.default_rng(2)
    activity = rng.normal(size=(2, 3, 8, 12))
    activity[:, 0] += 2
    found = dpca(activity, ("task", "phase"), components=2, penalty=1e-2, draws=0)
    by_hand = []
    for train, test in (activity, activity[::-1]):
        fitted = dpca(np.stack([train, train]), ("task", "phase"), components=2, penalty=1e-2, draws=0)
        target = marginalisation(train, (0,)).reshape(-1, 12)
        read = (test - test.mean(axis=(0, 1))).reshape(-1, 12) @ fitted.decoders["task"].T
        left = target - read @ fitted.encoders["task"].T
        by_hand.append(1 - np.square(left).sum() / np.square(target).sum())
    assert found.explained["task"].value == pytest.approx(np.mean(by_hand))
    chosen = dpca(activity, ("task", "phase"), draws=0).penalties
    assert chosen["phase"] == pytest.approx(0.1)  # of noise the least is rebuilt with the greatest


def test_marginalisations_add_up_and_are_orthogonal(planted):
    mean = planted[0].mean(axis=0)
    parts = [marginalisation(mean, chosen) for chosen in ((0,), (1,), (0, 1))]
    np.testing.assert_allclose(sum(parts), mean - mean.mean(axis=(0, 1)), atol=1e-12)
    assert max(abs((parts[i] * parts[j]).sum()) for i, j in ((0, 1), (0, 2), (1, 2))) < 1e-10


def test_one_repeat_or_one_condition_has_a_reason(planted):
    activity = planted[0]
    assert "1 repeats" in dpca(activity[:1], ("task", "phase")).explained["task"].reason
    assert "one condition" in dpca(activity[:, :1], ("task", "phase")).explained["task"].reason
    flat = dpca(np.ones((4, 3, 8, 5)), ("task", "phase"))
    assert flat.explained["phase"].reason == "constant" and np.isnan(flat.encoders["task"]).all()
    with pytest.raises(UsageError, match="one a name"):
        dpca(activity, ("task",))

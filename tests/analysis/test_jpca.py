import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from analysis.dmd import hankel_dmd
from analysis.jpca import fits, jpca, plot_jpca, shares
from rodent.errors import UsageError

DT = 0.02


def rotating(frequencies=(2.0, 1.0), conditions=12, steps=60, units=10, seed=0):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(units, 2 * len(frequencies))))[0]
    start = rng.uniform(0, 2 * np.pi, size=(conditions, 1, len(frequencies)))
    phase = 2 * np.pi * np.array(frequencies) * DT * np.arange(steps)[None, :, None] + start
    paths = np.stack([np.cos(phase), np.sin(phase)], axis=-1).reshape(conditions, steps, -1)
    return paths @ basis.T, basis


def test_the_closed_form_equals_least_squares_on_a_skew_basis():
    states = np.random.default_rng(0).normal(size=(3, 40, 4))
    x = ((states[:, 1:] + states[:, :-1]) / 2).reshape(-1, 4)
    velocity = (np.diff(states, axis=1) / DT).reshape(-1, 4)
    pairs = np.array(np.triu_indices(4, 1)).T
    bases = np.zeros((len(pairs), 4, 4))
    for basis, (i, j) in zip(bases, pairs, strict=True):
        basis[i, j], basis[j, i] = 1, -1
    design = np.stack([(x @ basis.T).ravel() for basis in bases], axis=1)
    weights = np.linalg.lstsq(design, velocity.ravel(), rcond=None)[0]
    np.testing.assert_allclose(fits(states, DT)[0], np.tensordot(weights, bases, 1), atol=1e-9)


def test_without_draws_there_are_values_alone():
    states = rotating()[0]
    found, drawn = jpca(states, DT, components=4, draws=0), jpca(states, DT, components=4, draws=2)
    assert found.skew_r2.value == drawn.skew_r2.value and found.skew_r2.nulls == {}
    assert np.isnan(found.skew_r2.interval).all()


def test_planted_rotations_have_their_frequencies_and_planes():
    states, basis = rotating()
    found = jpca(states, DT, components=4, draws=40)
    assert [each.value for each in found.frequencies] == pytest.approx([2, 1], rel=0.01)
    assert found.skew_r2.value > 0.99 and found.skew_r2.beat == ("shuffled conditions", "maximum entropy")
    overlap = np.linalg.svd(found.planes[0] @ basis[:, :2])[1]
    assert overlap == pytest.approx([1, 1], abs=0.01)
    plot_jpca(found)


@pytest.mark.parametrize("hertz", [4.0, 8.0, 12.0])
def test_fast_rotations_have_their_frequencies_as_hankel_dmd_finds_them(hertz):
    states = rotating((hertz, 1.0))[0]
    found = [each.value for each in jpca(states, DT, components=4, draws=0).frequencies]
    assert found == pytest.approx([hertz, 1], rel=1e-3)
    slow, fast = hankel_dmd(states[0], DT, rank=4, delays=2).frequencies
    assert [fast, slow] == pytest.approx(found, rel=1e-3)


def test_a_plane_says_how_much_of_the_variance_it_holds():
    states, basis = rotating((2.0, 1.0), conditions=40)
    states = states @ basis * np.repeat([0.5, 1.0], 2)  # the fast one is a fifth of the variance
    found = jpca(states, DT, components=4, draws=40)
    assert [each.value for each in found.variances] == pytest.approx([0.2, 0.8], abs=0.02)
    for each in found.variances:
        assert each.interval[0] < each.value < each.interval[1] and len(each.nulls) == 2
    assert f"{found.variances[0].value:.0%} of variance" in plot_jpca(found).get_title()


def test_decay_is_no_rotation():
    rng = np.random.default_rng(0)
    states = np.exp(-np.arange(50) * DT)[None, :, None] * rng.normal(size=(10, 1, 4)) + 1e-3 * rng.normal(
        size=(10, 50, 4)
    )
    skew, full = shares(states - states.mean(axis=0), DT)
    assert skew < 0.05 < full


def test_smooth_noise_is_not_called_rotational():
    rng = np.random.default_rng(5)
    noise = ndimage.gaussian_filter1d(rng.normal(size=(20, 20, 60, 8)), 5, axis=2)
    beaten = [jpca(states, DT, draws=40).skew_r2.beat for states in noise]
    for null in ("shuffled conditions", "maximum entropy"):
        assert np.mean([null in names for names in beaten]) <= 0.15


def test_decay_to_many_ends_beats_neither_null():
    rng = np.random.default_rng(0)
    states = np.exp(-np.arange(50) * DT)[None, :, None] * rng.normal(size=(10, 1, 4))
    found = jpca(states + 0.01 * rng.normal(size=(10, 50, 4)), DT, components=4, draws=40)
    assert found.skew_r2.beat == ()


def test_the_interval_is_that_of_conditions_drawn_with_replacement():
    states = rotating()[0] + 0.3 * np.random.default_rng(1).normal(size=(12, 60, 10))
    low, high = jpca(states, DT, components=4, draws=300).skew_r2.interval
    rng, centred = np.random.default_rng(2), states - states.mean(axis=0)
    reduced = centred @ np.linalg.svd(centred.reshape(-1, 10))[2][:4].T
    by_hand = [shares(reduced[rng.integers(12, size=12)], DT)[0] for _ in range(300)]
    assert (low, high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])), abs=0.01)


def test_conditions_of_one_group_are_drawn_together():
    rng = np.random.default_rng(3)
    states = rotating(conditions=24)[0] + 0.3 * rng.normal(size=(24, 60, 10))
    states[:12] *= np.repeat(rng.uniform(0.1, 2, 3), 4)[:, None, None]  # groups differ
    groups = np.repeat(np.arange(6), 4)
    apart, together = (jpca(states, DT, components=4, draws=200, groups=each) for each in (None, groups))
    assert together.skew_r2.value == apart.skew_r2.value
    for narrow, wide in zip(
        (apart.skew_r2, *apart.frequencies), (together.skew_r2, *together.frequencies), strict=True
    ):
        assert np.ptp(wide.interval) > 0 and wide.interval != narrow.interval
        assert wide.interval[0] <= wide.value <= wide.interval[1]
    one = jpca(states, DT, components=4, draws=3, groups=np.zeros(24))
    assert np.isnan(one.skew_r2.interval).all() and np.isfinite(one.skew_r2.value)


def test_frequencies_of_noise_are_not_out_of_their_nulls():
    noise = ndimage.gaussian_filter1d(np.random.default_rng(6).normal(size=(20, 20, 60, 8)), 5, axis=2)
    beaten = [jpca(states, DT, draws=40).frequencies[0].beat for states in noise]
    for null in ("shuffled conditions", "maximum entropy"):
        assert np.mean([null in names for names in beaten]) <= 0.15


def test_too_low_a_rank_has_a_reason():
    states, _ = rotating(frequencies=(2.0,))
    found = jpca(states, DT, components=6)
    assert found.skew_r2.reason.startswith("rank 2") and not any(
        each.estimable for each in (*found.frequencies, *found.variances)
    )
    with pytest.raises(UsageError, match="even number"):
        jpca(states, DT, components=3)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 8), st.integers(1, 5), st.sampled_from(["", "nan", "constant"]))
def test_any_shape_is_estimated_or_has_a_reason(conditions, steps, units, fault):
    states = np.random.default_rng(0).normal(size=(conditions, steps, units))
    if fault:
        states[:] = np.nan if fault == "nan" else 1.0
    found = jpca(states, DT, components=2, draws=3)
    assert np.isfinite(found.skew_r2.value) == found.skew_r2.estimable
    assert not (fault and found.skew_r2.estimable)

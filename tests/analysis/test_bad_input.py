"""Whatever the shape, the NaN, the constants: each analysis gives a number or says why there is none, never a 0."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alignment import correspondence, principal_angles
from analysis.behaviour_map import draw_map
from analysis.behavioural_features import behavioural_features
from analysis.bouts import bouts, share_of_time
from analysis.clustered import clustered_similarity
from analysis.controls import against_controls, time_shift
from analysis.decoding import classify, decode, told_by_episode
from analysis.dmd import bop_dmd, hankel_dmd, linear_dynamics
from analysis.dpca import dpca
from analysis.dsa import dynamical_similarity
from analysis.embedding import in_one_cluster, regions
from analysis.encoding import encode
from analysis.flow import flow_field
from analysis.gait import gait, oscillation_phase
from analysis.inference import Estimate
from analysis.information import mutual_information, spatial_information
from analysis.jpca import jpca
from analysis.populations import dimensions, shared_variance
from analysis.postures import eigenpostures
from analysis.sequences import sequence
from analysis.similarity import cka, dissimilarities, rsa
from analysis.tangling import compare_tangling
from analysis.targeted import targeted_axes
from analysis.task_variance import task_variance
from analysis.timescales import unit_timescales
from analysis.tuning import tuning
from analysis.wavelets import morlet
from rodent.errors import UsageError


def modes(found):
    """The share that modes rebuild, with the reason why there are none."""
    return Estimate(found.reconstruction, {}, reason=found.reason)


def windows(x, episodes):
    """(episodes, steps of the shortest, units)."""
    parts = [x[episodes == name] for name in np.unique(episodes)]
    return np.stack([part[: min(map(len, parts))] for part in parts])


def all_of(estimates):
    """Estimates by name as one, each with its reason."""
    found = list(estimates.values())
    return SimpleNamespace(value=np.array([each.value for each in found]), reasons=[each.reason for each in found])


def regions_and_clusters(x, y):
    """Which of two regions a step is in, and which of three clusters; neither, where that is not known."""
    return np.where(np.isfinite(x[:, 0]), y > 0, -1), np.digitize(y, [-1, 0, 1]) - 1


def mean_feature(found):
    """What is known of features, or of the amplitudes of a map, as one number; they have a reason where nothing is."""
    values = getattr(found, "values", getattr(found, "amplitudes", None))
    known = values[np.isfinite(values)]
    # a map without places may know amplitudes, but none of them is of a map
    value = np.nan if found.reason or not len(known) else known.mean()
    return Estimate(value, {}, reason=found.reason)


ANALYSES = {
    "tuning": lambda x, y, e: tuning(x, y, e, 3, draws=2).strength,
    "2-D tuning": lambda x, y, e: tuning(x, np.stack([y, y[::-1] ** 2], axis=1), e, 3, draws=2).strength,
    "stability": lambda x, y, e: tuning(x, y, e, 3, draws=2).stability,
    "information": lambda x, y, e: mutual_information(x, y, e, draws=2),
    "information of rates": lambda x, y, e: spatial_information(np.abs(x), y, e, 3, draws=2).per_spike,
    "tuning beside shifts": lambda x, y, e: tuning(x, y, e, 3, draws=2).shifted,
    "dimensions": lambda x, y, e: dimensions(x, e, draws=2, samples=20).participation,
    "intrinsic dimension": lambda x, y, e: dimensions(x, e, draws=2, samples=20).intrinsic,
    "shared variance": lambda x, y, e: shared_variance(x, e, most_factors=2, draws=2).shared,
    "angles": lambda x, y, e: principal_angles(x, x + y[:, None], (e, e), 2, draws=2).alignment,
    "separation": lambda x, y, e: principal_angles(x, x + y[:, None], (e, e), 2, draws=2).separation,
    "split halves": lambda x, y, e: principal_angles(x, x + y[:, None], (e, e), 2, draws=2).ceiling,
    "correspondence of conditions": lambda x, y, e: correspondence(x, x**2, None, components=2, draws=2).correlation,
    "Hankel DMD": lambda x, y, e: modes(hankel_dmd(x, 0.02, 2, 2)),
    "BOP-DMD": lambda x, y, e: modes(bop_dmd(x, 0.02, 2, bags=0)),
    "dynamical similarity": lambda x, y, e: dynamical_similarity(x, x[:, :1], (e, e), draws=2).distance,
    "jPCA": lambda x, y, e: jpca(windows(x, e), 0.02, components=2, draws=2).skew_r2,
    "dPCA": lambda x, y, e: dpca(windows(x, e), ("step",), 1, draws=2).explained["step"],
    "tangling": lambda x, y, e: compare_tangling(windows(x, e), windows(x**2, e), 0.02, draws=2).difference,
    "CKA": lambda x, y, e: cka(x, y[:, None], draws=2, within=e),
    "biased CKA": lambda x, y, e: cka(x, y[:, None], draws=2, unbiased=False),
    "RSA": lambda x, y, e: rsa(dissimilarities(x), dissimilarities(y[:, None]), draws=2, within=e).agreement,
    "clustered": lambda x, y, e: clustered_similarity({"y": y}, {"x": x}, e, 5, draws=2).agreement["y", "x"],
    "regions": lambda x, y, e: regions(np.stack([x[:, 0], y], axis=1), e, draws=2).agreement,
    "share of a cluster": lambda x, y, e: all_of(in_one_cluster(*regions_and_clusters(x, y), e, draws=2)),
    "share of time": lambda x, y, e: all_of(share_of_time(np.nan_to_num(y) > 0, e, e % 2, draws=2)),
    "bouts": lambda x, y, e: bouts(np.nan_to_num(y) > 0, e, 0.02, draws=2).predictability,
    "controls": lambda x, y, e: against_controls(lambda a, *_: a.mean(), x, e, {"time shift": time_shift(e)}, draws=2),
    "encode": lambda x, y, e: encode(x, {"y": y}, e, draws=2).full,
    "decode": lambda x, y, e: decode({"x": x}, y, e, draws=2)["x"],
    "classify": lambda x, y, e: classify({"x": x}, np.nan_to_num(y) > 0, e, draws=2)["x"],
    "timescales": lambda x, y, e: unit_timescales(x, e, 0.02, draws=2).tau,
    "task variance": lambda x, y, e: task_variance(x, np.nan_to_num(y) > 0, e, draws=2).silhouette,
    "sequence": lambda x, y, e: sequence(x, np.arange(0, len(x), 3), e, 1, 2, draws=2).reliability,
    "features": lambda x, y, e: mean_feature(behavioural_features(x, x**2 + y[:, None], e, 0.02, "fast", 1)),
    "map of behaviour": lambda x, y, e: mean_feature(draw_map(x, x**2, e, 0.02, ["hinge"], ["pose.skull"])),
    "postures": lambda x, y, e: eigenpostures(x, e, components=2, draws=2).explained,
    "targeted": lambda x, y, e: targeted_axes(x, {"y": y}, e, components=2, draws=2).encoded["y"],
    "correspondence": lambda x, y, e: correspondence(x, x**2, e, components=2, draws=2).procrustes,
    "linear dynamics": lambda x, y, e: linear_dynamics(x, e, draws=2).predicted,
    "flow": lambda x, y, e: flow_field(np.stack([x[:, 0], y], axis=1), e, 0.02, bins=3, draws=2).consistency,
    "gait": lambda x, y, e: gait(x > 0, y, e, 0.02, draws=2).against_speed["frequency"],
}


# what is of the variable as well, or of it alone, may be known though all activity is constant
OF_THE_VARIABLE = (
    "gait", "flow", "regions", "bouts", "share of a cluster", "share of time", "features",
)  # fmt: skip


@pytest.mark.parametrize("name", ANALYSES)
@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 24), st.integers(1, 4), st.integers(1, 12), st.integers(0, 99),
    st.sampled_from(["", "", "nan", "constant", "all constant"]),
)  # fmt: skip
def test_a_result_is_a_number_or_has_a_reason(name, steps, units, length, seed, fault):
    rng = np.random.default_rng(seed)
    activity, variable = rng.normal(size=(steps, units)), rng.normal(size=steps)
    if fault == "nan":
        activity[rng.integers(steps), 0] = np.nan
    elif fault:
        activity[:, 0 if fault == "constant" else slice(None)] = 2.0
    found = ANALYSES[name](activity, variable, np.arange(steps) // length)
    reasons = found.reasons if hasattr(found, "reasons") else [found.reason]
    for value, reason in zip(np.atleast_1d(found.value), reasons, strict=True):
        assert np.isfinite(value) != bool(reason)
    assert fault != "all constant" or name in OF_THE_VARIABLE or all(reasons)


tiny = given(
    st.integers(1, 150), st.integers(1, 3), st.integers(1, 150), st.integers(0, 99), st.sampled_from(["", "nan"])
)


@settings(max_examples=25, deadline=None)
@tiny
def test_an_amplitude_is_known_in_episodes_of_a_period_that_are_finite_and_nowhere_else(
    steps, features, length, seed, fault
):
    rng, episodes = np.random.default_rng(seed), np.arange(steps) // length
    values = rng.normal(size=(steps, features))
    if fault:
        values[rng.integers(steps), 0] = np.nan
    found = morlet(values, episodes, 0.02, (0.5, 20.0), 4)
    lasts = np.bincount(episodes)[episodes] * 0.02
    whole = np.stack([np.isfinite(values[episodes == each]).all(axis=0) for each in episodes])
    known = (lasts[:, None] >= 1 / found.frequencies)[:, :, None] & whole[:, None]
    np.testing.assert_array_equal(np.isfinite(found.amplitudes), known)
    assert (found.amplitudes[known] >= 0).all()
    still = morlet(np.ones((steps, features)), episodes, 0.02, (0.5, 20.0), 4).amplitudes
    assert not np.isfinite(still).any() or np.nanmax(still) < 1e-9  # what rests has no rhythm


@settings(max_examples=25, deadline=None)
@tiny
def test_a_phase_is_an_angle_or_not_known(steps, columns, length, seed, fault):
    rng, episodes = np.random.default_rng(seed), np.arange(steps) // length
    values = rng.normal(size=steps)
    if fault:
        values[rng.integers(steps)] = np.nan
    found = oscillation_phase(values, episodes, 0.02)
    known = np.isfinite(found)
    assert found.shape == (steps,) and ((found[known] >= 0) & (found[known] <= 2 * np.pi)).all()
    broken = np.array([not np.isfinite(values[episodes == each]).all() for each in episodes])
    assert not known[broken].any() and not known[np.bincount(episodes)[episodes] * 0.02 < 1].any()
    assert np.isnan(oscillation_phase(np.full(steps, 0.3), episodes, 0.02)).all()


# ---- what is asked for is more than there is -------------------------------------------------------------------------

STEPS, EPISODES = 160, np.repeat(np.arange(8), 20)


def flat(rank):
    """(steps, 4) of noise in so many dimensions."""
    rng = np.random.default_rng(3)
    return rng.normal(size=(STEPS, rank)) @ rng.normal(size=(rank, 4))


RANKS = {
    "angles": lambda x: principal_angles(x, x, (EPISODES, EPISODES), 2, draws=2).alignment,
    "correspondence": lambda x: correspondence(x, x**2, EPISODES, 2, draws=2).correlation,
    "Hankel DMD": lambda x: modes(hankel_dmd(x, 0.02, 2, 1)),
    "BOP-DMD": lambda x: modes(bop_dmd(x, 0.02, 2, bags=0)),
    "dynamical similarity": lambda x: dynamical_similarity(x, x, (EPISODES, EPISODES), rank=2, draws=2).distance,
    "jPCA": lambda x: jpca(windows(x, EPISODES), 0.02, components=2, draws=2).skew_r2,
    "postures": lambda x: eigenpostures(x, EPISODES, components=2, draws=2).explained,
    "targeted": lambda x: targeted_axes(x, {"a": NOISE[0], "b": NOISE[1]}, EPISODES, 2, draws=2).encoded["b"],
    "variables": lambda x: targeted_axes(flat(4), {"a": x[:, 0], "b": x[:, 1]}, EPISODES, 2, draws=2).encoded["b"],
}
NOISE = np.random.default_rng(4).normal(size=(2, STEPS))


@pytest.mark.parametrize("name", RANKS)
def test_too_low_a_rank_is_told_with_the_rank_that_there_is(name):
    assert RANKS[name](flat(2)).estimable
    found = RANKS[name](flat(1))
    assert "rank 1; needs 2" in found.reason and np.isnan(found.value)


ONE = {
    "decode": lambda x, y: decode({"x": x}, y, np.zeros(STEPS), draws=2)["x"],
    "classify": lambda x, y: classify({"x": x}, y > 0, np.zeros(STEPS), draws=2)["x"],
    "targeted": lambda x, y: targeted_axes(x, {"y": y}, np.zeros(STEPS), 2, draws=2).encoded["y"],
    "linear dynamics": lambda x, y: linear_dynamics(x, np.zeros(STEPS), draws=2).predicted,
    "flow": lambda x, y: flow_field(x[:, :2], np.zeros(STEPS), 0.02, draws=2).consistency,
    "split halves": lambda x, y: principal_angles(x, x, (np.zeros(STEPS), EPISODES), 2, draws=2).ceiling,
    "dynamical similarity": lambda x, y: dynamical_similarity(x, x, (np.zeros(STEPS), EPISODES), draws=2).distance,
    "tangling": lambda x, y: compare_tangling(x[None], x[None] ** 2, 0.02, draws=2).difference,
    "dPCA": lambda x, y: dpca(x.reshape(1, STEPS, 4), ("step",), 1, draws=2).explained["step"],
    "jPCA": lambda x, y: jpca(x[None], 0.02, components=2, draws=2).skew_r2,
}


@pytest.mark.parametrize("name", ONE)
def test_what_needs_several_episodes_is_not_estimated_from_one(name):
    found = ONE[name](flat(4), NOISE[0])
    assert not found.estimable and np.isnan(found.value) and not found.nulls
    assert any(word in found.reason for word in ("one episode", "1 episodes", "1 repeats", "1 conditions", "fewer"))


UNCERTAIN = {
    "dimensions": lambda x: dimensions(x, np.zeros(STEPS), draws=2).participation,
    "angles": lambda x: principal_angles(x, x, (np.zeros(STEPS), EPISODES), 2, draws=2).alignment,
    "correspondence": lambda x: correspondence(x, x**2, np.zeros(STEPS), 2, draws=2).correlation,
    "clustered": lambda x: clustered_similarity({"y": x}, {"x": x}, np.zeros(STEPS), 5, draws=2).agreement["y", "x"],
    "postures": lambda x: eigenpostures(x, np.zeros(STEPS), 2, draws=2).explained,
}


@pytest.mark.parametrize("name", UNCERTAIN)
def test_a_number_of_one_episode_has_no_interval_over_episodes(name):
    found = UNCERTAIN[name](flat(4))
    assert np.isfinite(found.value) and np.isnan(found.interval).all()


def test_a_class_or_a_task_of_one_sample_is_named_in_the_reason():
    once = np.where(np.arange(STEPS) == 50, "rear", "walk")
    assert "rear" in classify({"x": flat(4)}, once, EPISODES, draws=2)["x"].reason
    assert "one step" in task_variance(flat(4), once, EPISODES, draws=2).silhouette.reason


def test_a_constant_unit_costs_no_other_unit():
    x, y = flat(4), NOISE[0]
    x[:, 2] = 1.5
    for found in (tuning(x, y, EPISODES, 4, draws=2).strength, mutual_information(x, y, EPISODES, draws=2)):
        assert found.reasons == ("", "", "constant", "") and np.isnan(found.value[2])
        assert np.isfinite(np.delete(found.value, 2)).all()
    assert dimensions(x, EPISODES, draws=2).participation.estimable


def test_arrays_that_cannot_be_of_the_same_thing_are_refused_in_one_line():
    x = flat(4)
    for refused in (
        lambda: principal_angles(x, x[:, :3], (EPISODES, EPISODES), 2),
        lambda: correspondence(x, x[:-1], EPISODES, 2),
        lambda: cka(x, x[:-1]),
        lambda: rsa(dissimilarities(x), dissimilarities(x[:-1])),
        lambda: compare_tangling(windows(x, EPISODES), x[None], 0.02),
        lambda: targeted_axes(x, {"a": NOISE[0][:-1]}, EPISODES),
        lambda: clustered_similarity({"y": x[:-1]}, {"x": x}, EPISODES),
        lambda: linear_dynamics(x, EPISODES[:-1]),
        lambda: flow_field(x, EPISODES, 0.02),
        lambda: told_by_episode(x, EPISODES % 2, np.zeros(len(x))),
        lambda: told_by_episode(np.full_like(x, np.nan), EPISODES % 2, EPISODES),
    ):
        with pytest.raises(UsageError) as error:
            refused()
        assert "\n" not in str(error.value) and "give" in str(error.value)

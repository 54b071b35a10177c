"""Numbers stand beside those of networks that never learnt."""

import time
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from made import Made, Turned, noises, run_stage

from analysis.inference import LEVEL, single_case
from analysis.report.stages import STAGES, untrained
from analysis.report.stages.sampling import population_steps
from analysis.report.stages.tuning import MEASURE
from analysis.report.stages.tuning_maps import MEASURE as MAP
from analysis.report.stages.untrained import BESIDE, NETWORKS, UNTRAINED, beside_untrained, mean_of_units


def test_what_explains_units_worse_than_their_mean_explains_nothing_of_them():
    rng = np.random.default_rng(0)
    found = mean_of_units(np.append(0.3 + 0.1 * rng.random(40), np.nan), 200, 0)
    assert found.value == pytest.approx(0.35, abs=0.02) and found.interval[0] < found.value < found.interval[1]
    worse = mean_of_units(-5 * rng.random(40), 200, 0)
    assert worse.value == 0 and not worse.nulls
    assert mean_of_units(np.full(3, np.nan), 200, 0).reason == "no unit of the layer is estimable"
    assert np.isnan(mean_of_units(np.ones(3), 0, 0).interval).all()


class Standing(Made):
    """Beats time with the left foot, in two groups of units; enough of them that noise keeps no order by chance."""

    def __init__(self):
        super().__init__()
        steps, rng = np.arange(720), np.random.default_rng(4)
        self.standing = np.repeat((steps % 20 < 10)[:, None], 4, axis=1)
        beat = np.cos(2 * np.pi * (steps[:, None] / 20 - np.arange(24) / 24))
        of_task = np.where((self.tasks[:, None] == "run") == (np.arange(24) < 12), 1.0, 0.1)
        self.activity = of_task * (beat + 0.05 * rng.normal(size=(720, 24)))

    def series(self, name):
        return self.senses


OF_UNITS = {
    "timescales": ["median timescale (s), at most the longest lag"],
    "sequences": [
        "reliability of the order (rank correlation)",
        "fall of the variance over events (share of its mean)",
    ],
    "task_variance": ["silhouette of unit groups"],
    "information": ["mean mutual information (nats, KSG)"],
    "tuning": [f"mean {MEASURE}"],
    "tuning_maps": [f"mean {MAP}"],
    "encoding": ["mean variance explained", "mean unique variance explained"],
    "decoding": ["variance explained"],
}


class Of:
    """Networks that are as `Standing` is, with weights, as it were, of their own; or noise."""

    def __init__(self, alike):
        self.alike = alike

    def __call__(self, session, rows, seeds):
        for seed in seeds:
            rng = np.random.default_rng(seed)
            of = rng.normal(size=(len(rows), 24))
            if self.alike:
                of = Standing().activity[rows][:, rng.integers(24, size=24)]
            yield {"policy.0": (of + 0.05 * rng.normal(size=of.shape)).astype(np.float32)}


def beats(estimate):
    """Whether it lies outside of the networks; where they do not differ there is no p."""
    networks = estimate.nulls[UNTRAINED]
    p = single_case(estimate.value, networks)
    return estimate.value > networks.max() if np.isnan(p) else p <= LEVEL


@pytest.mark.parametrize("name", OF_UNITS)
def test_numbers_of_units_stand_beside_those_of_untrained_networks(name, without_body, monkeypatch):
    measures = [f"{measure}, {BESIDE}" for measure in OF_UNITS[name]]
    made = Made() if name in ("tuning_maps", "encoding", "decoding") else Standing()  # which follows speed and pose
    without = run_stage(name, made)
    assert beside_untrained(made, {name: without}, 0) == {}
    assert [each.estimate.reason for each in without.findings if each.measure == UNTRAINED] == ["no network"]
    monkeypatch.setattr(import_module("analysis.report.stages.untrained"), "untrained_activities", Of(alike=False))
    outcome = run_stage(name, made)
    assert beside_untrained(made, {name: outcome}, 0) == {}
    found = [each for each in outcome.findings if each.measure in measures]
    assert {each.measure for each in found} == set(measures) and {each.layer for each in found} == {"policy.0"}
    known = [each.estimate for each in found if each.estimate.estimable]
    assert known and all(len(each.nulls[UNTRAINED]) == NETWORKS for each in known)
    assert any(beats(each) for each in known)  # noise has no time, no order, no groups, no information


def test_units_of_a_network_among_others_that_are_alike_beat_none(without_body, monkeypatch):
    monkeypatch.setattr(import_module("analysis.report.stages.untrained"), "untrained_activities", Of(alike=True))
    for name in ("timescales", "tuning"):
        made = Standing()
        outcome = run_stage(name, made)
        assert beside_untrained(made, {name: outcome}, 0) == {}
        found = [each.estimate for each in outcome.findings if BESIDE in each.measure and each.estimate.estimable]
        assert found and sum(beats(each) for each in found) <= 1


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("dimensions", 6),
        ("dynamics", 20),
        ("tangling", 2),
        ("axes", 3),
        ("similarity", 9),
        ("factors", 1),
        ("trajectories", 2),
    ],
)
def test_a_population_stands_beside_those_of_untrained_networks(name, count, without_body, monkeypatch):
    module, made = import_module("analysis.report.stages.untrained"), Made()
    made.series = lambda name: made.senses
    monkeypatch.setattr(module, "untrained_activities", noises)
    monkeypatch.setattr(module, "NETWORKS", 3)
    outcome = run_stage(name, made)
    assert beside_untrained(made, {name: outcome}, 0) == {}
    found = [each for each in outcome.findings if UNTRAINED in each.estimate.nulls]
    assert len(found) == count and {each.layer for each in found} == {"policy.0"}
    for each in found:
        drawn = each.estimate.nulls[UNTRAINED]
        assert len(drawn) == 3 and np.ptp(drawn) > 0, each.measure


@pytest.mark.parametrize("name", [stage.name for stage in STAGES if stage.beside_untrained])
def test_other_networks_are_asked_what_the_recorded_one_was(name, without_body, monkeypatch):
    made = Turned() if name == "alignment" else Made()
    sampling = import_module("analysis.report.stages.sampling")
    monkeypatch.setattr(sampling, "_STEPS", 300)
    monkeypatch.setattr(sampling, "_EPISODES", 2)
    outcome, steps = run_stage(name, made), population_steps(made, 0)
    assert len(steps) == 240  # two episodes of each task
    own = {(each.measure, each.task, each.layer, each.variable): each.estimate.value for each in outcome.findings}
    again = outcome.of_others({"policy.0": made.activity[steps].astype(np.float32)})
    assert again
    for each in again:
        before = own[each.measure, each.task, each.layer, each.variable]
        assert each.estimate.value == pytest.approx(before, rel=1e-4, abs=1e-6, nan_ok=True), each.measure


def test_each_network_is_driven_once_and_a_stage_that_fails_on_one_fails_alone(without_body, monkeypatch):
    module, made, driven = import_module("analysis.report.stages.untrained"), Made(), []

    def counted(session, rows, seeds):
        for seed, layers in zip(seeds, noises(session, rows, seeds), strict=True):
            driven.append((seed, len(rows)))
            yield layers

    def fails(layers):
        raise RuntimeError("no memory")

    made.series = lambda name: made.senses
    monkeypatch.setattr(module, "untrained_activities", counted)
    outcomes = {name: run_stage(name, made) for name in ("dimensions", "tangling", "axes")}
    outcomes["axes"].of_others = fails
    failures = beside_untrained(made, outcomes, 5)
    assert {name: str(error) for name, error in failures.items()} == {"axes": "no memory"}
    assert driven == [(seed, 720) for seed in range(5, 5 + NETWORKS)]
    for name, outcome in outcomes.items():
        draws = [len(each.estimate.nulls.get(UNTRAINED, ())) for each in outcome.findings if each.layer == "policy.0"]
        assert (NETWORKS in draws) == (name != "axes")


def test_networks_are_looked_at_side_by_side_and_told_in_their_order(monkeypatch):
    made, done = [], []

    def networks():
        for seed in range(7):
            made.append(seed)
            yield {"policy.0": np.full((1, 1), seed)}

    def work(layers):
        seed = int(layers["policy.0"][0, 0])
        time.sleep(0.02 * (seed % 3))  # later ones may end before earlier ones
        done.append(seed)
        return {"stage": [seed]}

    for i, found in enumerate(untrained._side_by_side(work, networks())):
        assert found == {"stage": [i]}
        assert len(made) <= i + untrained._THREADS  # no more of them in memory
    assert sorted(done) == list(range(7))


def test_nothing_builds_on_what_waits_for_untrained_networks():
    waiting = {stage.name for stage in STAGES if stage.beside_untrained}
    assert waiting and not waiting & {needed for stage in STAGES for needed in stage.needs}


def test_what_an_outcome_follows_from_has_the_code_of_untrained_networks_where_they_stand_beside_it(source):
    (stage,) = (stage for stage in STAGES if stage.name == "tangling")
    assert stage.key(source, 0, {}) != replace(stage, beside_untrained=False).key(source, 0, {})


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("dynamics", "skew R2 (jPCA)"),
        ("tangling", "share of states"),
        ("dimensions", "participation ratio"),
        ("axes", "held-out correlation"),
        ("factors", "mean shared variance"),
        ("trajectories", "variance of the first three components"),
    ],
)
def test_what_layers_do_stands_beside_what_senses_and_joints_do(name, measure, without_body):
    made = Made()
    made.series = lambda name: made.senses[:, ::-1] if name == "joint_angles" else made.senses
    found = [each for each in run_stage(name, made).findings if each.measure.startswith(measure)]
    tasks = ("",) if name in ("factors", "axes") else ("run", "two-tap")
    assert sorted((each.task, each.layer) for each in found if each.variable in ("", "height (m)")) == [
        (task, layer) for task in tasks for layer in ("joint angles", "policy.0", "senses")
    ]
    assert all(each.estimate.estimable and each.estimate.nulls for each in found)

"""Stages on made sessions: what belongs to the null, what units follow in a task, and the network that never learnt."""

from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.dealing import CONTROL
from analysis.report.findings import finding_rows, unit_rows
from analysis.report.source import Source
from analysis.report.stages import STAGES
from analysis.report.stages.decoding import decoding, gain
from analysis.report.stages.families import behaviour_family, families
from analysis.report.stages.sampling import even_steps, population_steps, told, whole_episodes
from analysis.report.stages.strongest_units import FRESH, INPUTS, MATCHED, ROTATED
from analysis.report.stages.strongest_units import MEASURE as STRONGEST
from analysis.report.stages.tuning import MEASURE
from analysis.report.stages.tuning_maps import MEASURE as MAP
from analysis.report.stages.untrained import BESIDE, NETWORKS, UNTRAINED, beside_untrained, mean_of_units
from analysis.shifts import CONTROL as SHIFTED
from rodent.errors import UsageError


@pytest.fixture
def source(mlp_session):
    source = Source(mlp_session)
    yield source
    source.close()


def test_a_gain_is_tested_over_episodes():
    rng = np.random.default_rng(0)
    totals = np.full(12, 10.0)
    better = gain(4 + rng.random(12), 6 + rng.random(12), totals, "untrained network", 0)
    assert better.value == pytest.approx(0.2, abs=0.05) and better.beat == ("swapped with untrained network",)
    alike = gain(5 + rng.random(12), 5 + rng.random(12), totals, "inputs", 0)
    assert not alike.beat and alike.interval[0] < 0 < alike.interval[1]


class Made(Source):
    """Units, senses and speed that differ between two tasks and are noise otherwise, in six episodes of each."""

    layers = ("policy.0",)
    task_names = ("two-tap", "run")

    def __init__(self):
        rng = np.random.default_rng(0)
        self.lengths, apart = np.full(12, 60), np.repeat([0.0, 6.0], 360)
        self.kinematics = {name: rng.normal(size=len(apart)) for name in ("turning (rad/s)", "height (m)")}
        self.kinematics = {"speed (m/s)": apart + rng.normal(size=len(apart)), **self.kinematics}
        self.activity, self.senses = (np.abs(apart[:, None] + rng.normal(size=(len(apart), 8))) for _ in range(2))
        self.tasks = np.where(apart > 0, "run", "two-tap")
        self.reward, self.landmarks, self.sight = rng.normal(size=len(apart)), {}, None
        self.session = SimpleNamespace(trials={"task": self.tasks[::60]})

    def layer(self, name, rows=None):
        return self.activity if rows is None else self.activity[rows]

    def series(self, name):
        return self.senses[:, ::-1]

    def events(self):
        return {}

    def joint(self, name):
        return np.cos(0.4 * np.arange(len(self.tasks)))


LAYERS = ("policy.0", "senses", "joint angles")
APART = ("speed (m/s)", "pose", "all families")  # what units and tasks go with


@pytest.fixture(autouse=True)
def few_fits(monkeypatch):
    """BOP-DMD of noise and factors of noise take their time."""
    monkeypatch.setattr(import_module("analysis.report.stages.dynamics"), "_BAGS", 1)
    factors = import_module("analysis.report.stages.factors")
    for name, value in (("_DRAWS", 3), ("_RESAMPLES", 3), ("_FACTORS", 2)):
        monkeypatch.setattr(factors, name, value)


@pytest.fixture
def without_body(monkeypatch):
    """Families of features made of a source's senses, and no network to leave untrained."""

    def no_network(session, rows, seed):
        raise UsageError("no network")

    stages = "analysis.report.stages"

    def no_networks(session, rows, seeds):
        raise UsageError("no network")
        yield

    monkeypatch.setattr(import_module(f"{stages}.untrained"), "untrained_activity", no_network)
    monkeypatch.setattr(import_module(f"{stages}.untrained"), "untrained_activities", no_networks)
    for name in ("decoding", "encoding", "similarity"):
        stage = import_module(f"{stages}.{name}")
        monkeypatch.setattr(stage, "families", lambda source, _, rows, components: ({"pose": source.senses[rows]}, {}))
    encoding = import_module(f"{stages}.encoding")
    monkeypatch.setattr(encoding, "behaviour_family", lambda _, rows, components: ({}, {}))


def run_stage(name, source):
    stages = {stage.name: stage for stage in STAGES}
    steps = len(source.episodes)
    doing = {"labels": np.arange(steps) % 60 // 30, "names": np.array(["1: walk", "2: rest"])}
    standing = getattr(source, "standing", np.ones((steps, 4), dtype=bool))
    earlier = {"gait": {"phase": np.full(steps, np.nan), "standing": standing}, "behaviour": doing}
    return stages[name].work(source, earlier, 0)


@pytest.mark.parametrize("name", ["tuning", "information", "encoding", "decoding", "axes", "similarity"])
def test_what_sets_tasks_apart_belongs_to_the_null(name, without_body):
    found = [
        (each.measure, each.estimate)
        for each in run_stage(name, Made()).findings
        if each.layer.startswith("policy.0") and CONTROL in each.estimate.nulls and each.variable in APART
    ]
    effects = [(measure, estimate) for measure, estimate in found if measure != "mean unique variance explained"]
    assert effects
    for measure, estimate in effects:
        assert estimate.value > 0.3, measure  # tasks alone account for it
        assert np.median(estimate.nulls[CONTROL]) == pytest.approx(estimate.value, abs=0.1), measure


def test_layers_that_only_know_the_task_are_not_alike(without_body):
    made, rng = Made(), np.random.default_rng(1)
    made.layers, first = ("policy.0", "policy.1"), made.activity
    second = np.abs(6.0 * (made.tasks == "run")[:, None] + rng.normal(size=first.shape))
    both = {"policy.0": first, "policy.1": second}
    made.layer = lambda name, rows=None: both[name] if rows is None else both[name][rows]
    found = [each for each in run_stage("similarity", made).findings if each.interval_over == "clusters"]
    (cka,) = (each.estimate for each in found if each.variable == "layer policy.1" and "unbiased" in each.measure)
    (rsa,) = (each.estimate for each in found if "RSA" in each.measure and each.variable == "layer policy.1")
    for estimate in (cka, rsa):
        ((control, null),) = estimate.nulls.items()
        assert estimate.value > 0.5 and "permuted within blocks" in control
        assert np.median(null) == pytest.approx(estimate.value, abs=0.1)


def test_the_task_that_a_layer_tells_is_dealt_over_all_episodes(without_body):
    (told,) = (
        each.estimate
        for each in run_stage("decoding", Made()).findings
        if each.measure == "balanced accuracy" and each.variable == "task" and each.layer == "policy.0"
    )
    assert told.value > 0.95 and np.median(told.nulls[CONTROL]) < 0.8 and told.beat == (CONTROL,)


def test_behaviours_are_told_apart_by_name_and_those_that_are_too_rare_are_not_estimable(without_body):
    made, labels = Made(), np.tile(np.repeat([0, 1], 30), 12)
    labels[:25], labels[[100, 200]], labels[300:310] = 2, 3, -1
    doing = {"labels": labels, "names": np.array(["1: walk", "2: run", "3: rest", "4: rear"])}
    found = {
        (each.variable, each.layer): each.estimate
        for each in decoding(made, {"behaviour": doing}, 0).findings
        if each.measure == "balanced accuracy" and each.variable.startswith("behaviour")
    }
    assert found.pop(("behaviour 3: rest", "")).reason == "25 steps in 1 episode; needs 20 in two"
    assert found.pop(("behaviour 4: rear", "")).reason == "2 steps in 2 episodes; needs 20 in two"
    assert {variable for variable, _ in found} == {"behaviour"}  # of those that are left
    assert found["behaviour", "policy.0"].estimable


# ---- the untrained network -------------------------------------------------------------------------------------------


def test_what_explains_units_worse_than_their_mean_explains_nothing_of_them():
    rng = np.random.default_rng(0)
    found = mean_of_units(np.append(0.3 + 0.1 * rng.random(40), np.nan), 200, 0)
    assert found.value == pytest.approx(0.35, abs=0.02) and found.interval[0] < found.value < found.interval[1]
    worse = mean_of_units(-5 * rng.random(40), 200, 0)
    assert worse.value == 0 and not worse.nulls
    assert mean_of_units(np.full(3, np.nan), 200, 0).reason == "no unit of the layer is estimable"
    assert np.isnan(mean_of_units(np.ones(3), 0, 0).interval).all()


def noise(session, rows, seed, units=8):
    return {"policy.0": np.random.default_rng(seed).normal(size=(len(rows), units)).astype(np.float32)}


def noises(session, rows, seeds):
    return (noise(session, rows, seed) for seed in seeds)


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
    assert any(each.beat == (UNTRAINED,) for each in known)  # noise has no time, no order, no groups, no information


def test_units_of_a_network_among_others_that_are_alike_beat_none(without_body, monkeypatch):
    monkeypatch.setattr(import_module("analysis.report.stages.untrained"), "untrained_activities", Of(alike=True))
    for name in ("timescales", "tuning"):
        made = Standing()
        outcome = run_stage(name, made)
        assert beside_untrained(made, {name: outcome}, 0) == {}
        found = [each.estimate for each in outcome.findings if BESIDE in each.measure and each.estimate.estimable]
        assert found and sum(bool(each.beat) for each in found) <= 1


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("dimensions", 6),
        ("dynamics", 14),
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


# ---- tasks, and dynamics, beside each other --------------------------------------------------------------------------


class Turned(Made):
    """Senses that follow three dimensions of posture alike in both tasks, which a layer turns in one of them."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(4)
        turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
        path = np.sin(np.cumsum(rng.normal(size=(720, 3)), axis=0) / 2)
        self.posture = path + 0.01 * rng.normal(size=path.shape)
        answers = path @ rng.normal(size=(3, 8)) + 0.05 * rng.normal(size=(720, 8))
        self.activity = np.where((self.tasks == "run")[:, None], answers @ turn, answers)
        self.senses = answers
        self.series = lambda name: self.senses[:, ::-1]


def test_a_layer_that_turns_its_answers_in_another_task_has_other_subspaces_and_corresponding_answers(without_body):
    outcome = run_stage("alignment", Turned())
    found = {(each.measure, each.layer): each.estimate for each in outcome.findings}
    ((name, picture),) = outcome.pictures.items()
    assert name == "two-tap-and-run" and "is near 1 where both tasks fill the same few dimensions" in picture.caption
    assert {layer for _, layer in found} == {"policy.0", "senses", "joint angles"}
    cosine, ceiling = "alignment of subspaces (mean squared cosine)", "split-half ceiling of the alignment of subspaces"
    assert all(found[ceiling, layer].value > 0.5 for layer in ("policy.0", "senses"))
    assert found[cosine, "policy.0"].value < found[cosine, "senses"].value + 0.1
    for measure in ("mean canonical correlation of answers to postures", "Procrustes fit of answers to postures"):
        assert found[measure, "policy.0"].beat == ("permuted conditions",), measure


def test_what_tasks_share_stands_beside_untrained_networks(without_body, monkeypatch):
    module, made = import_module("analysis.report.stages.untrained"), Turned()
    monkeypatch.setattr(module, "untrained_activities", noises)
    monkeypatch.setattr(module, "NETWORKS", 3)
    outcomes = {name: run_stage(name, made) for name in ("alignment", "similarity")}
    assert beside_untrained(made, outcomes, 0) == {}
    found = [
        each
        for outcome in outcomes.values()
        for each in outcome.findings
        if len(each.estimate.nulls.get(UNTRAINED, ())) == 3
    ]
    assert {each.measure for each in found if each.variable == "two-tap and run"} >= {
        "alignment of subspaces (mean squared cosine)",
        "1 - alignment of subspaces",
        "mean canonical correlation of answers to postures",
        "Procrustes fit of answers to postures",
        "unbiased linear CKA between tasks",
        "1 - unbiased linear CKA between tasks",
        "correlation of dissimilarities between tasks (RSA)",
    }
    assert {each.layer for each in found} == {"policy.0"}


class Fast(Made):
    """A core that turns at 2 Hz and a policy that turns at 5, of which the latter alone goes with the posture."""

    layers = ("core.h", "policy.0")

    def __init__(self):
        super().__init__()
        rng, steps = np.random.default_rng(7), np.tile(np.arange(60), 12)
        self.values = {}
        for layer, cycles in (("core.h", (2, 1, 0.5)), ("policy.0", (5, 4, 3))):
            start = np.repeat(rng.uniform(0, 6, size=(12, 3)), 60, axis=0)
            turn = 2 * np.pi * 0.02 * steps[:, None] * np.array(cycles) + start
            path = np.concatenate([np.cos(turn), np.sin(turn)], axis=1)
            self.values[layer] = path @ rng.normal(size=(6, 8)) + 0.02 * rng.normal(size=(720, 8))
        self.senses = self.values["policy.0"] + 0.1 * rng.normal(size=(720, 8))

    def layer(self, name, rows=None):
        return self.values[name] if rows is None else self.values[name][rows]


def test_a_policy_that_is_faster_than_the_core_is_told_so_and_the_core_that_it_is_not(without_body, monkeypatch):
    module = import_module("analysis.report.stages.similarity")
    monkeypatch.setattr(
        module, "families", lambda source, _, rows, components: ({"fast kinematics": source.senses[rows]}, {})
    )
    measures = {
        "dynamics": ("jPCA frequency, less that of another layer (Hz)", "plane 1, less "),
        "similarity": ("unbiased linear CKA, less that of another layer", "fast kinematics, less "),
    }
    for name, (measure, variable) in measures.items():
        found = [each for each in run_stage(name, Fast()).findings if each.measure == measure]
        more = [each.estimate for each in found if (each.layer, each.variable) == ("policy.0", f"{variable}core.h")]
        less = [each.estimate for each in found if (each.layer, each.variable) == ("core.h", f"{variable}policy.0")]
        assert more and all(each.beat == ("layers swapped in whole episodes",) for each in more), measure
        assert all(each.interval[0] > 0 for each in more), measure
        assert len(less) == len(more) and not any(each.beat for each in less), measure
    slower = "slower than another layer's units (share of pairs, less one half)"
    found = {each.layer: each.estimate for each in run_stage("timescales", Fast()).findings if each.measure == slower}
    assert found["core.h"].beat and found["core.h"].value == -found["policy.0"].value > 0.2


def test_rows_of_rsa_have_both_bounds_of_their_noise_ceiling(without_body, monkeypatch):
    def named_alike(source, _, rows, components):  # a family of features has the name of what stands beside layers
        return {"pose": source.senses[rows], "joint angles": source.senses[rows][:, :3]}, {}

    monkeypatch.setattr(import_module("analysis.report.stages.similarity"), "families", named_alike)
    found = run_stage("similarity", Turned()).findings
    name = "correlation of dissimilarities (RSA)"
    for other in ("pose", "joint angles", "layer senses"):
        (agreed,) = [each for each in found if (each.measure, each.layer, each.variable) == (name, "policy.0", other)]
        bounds = {each.variable: each.estimate for each in found if each.measure == f"noise ceiling of the {name}"}
        low, high = (bounds[f"{other}, {end} bound"].value for end in ("lower", "upper"))
        assert 0 < low <= high <= 1 and agreed.estimate.nulls, other
    between = {each.variable for each in found if each.measure == "noise ceiling of the unbiased linear CKA"}
    assert between >= {"pose", "layer senses", "layer joint angles"}


def test_behaviours_that_a_layer_tells_apart_have_paths_of_their_own(without_body):
    made, rng = Made(), np.random.default_rng(3)
    doing = rng.integers(-1, 3, size=72).repeat(10)  # bouts of ten steps, other ones in each episode
    ahead = np.arange(720) % 10
    made.activity = rng.normal(size=(720, 8))
    made.activity[:, 0] += 9 * np.cos(2 * np.pi * doing / 3)
    made.activity[:, 1] += 5 * np.sin(2 * np.pi * doing / 3) + ahead
    names = np.array(["1: walk", "2: rest", "3: rear"])
    (stage,) = (stage for stage in STAGES if stage.name == "trajectories")
    outcome = stage.work(made, {"behaviour": {"labels": doing, "names": names}}, 0)
    for each in outcome.findings:
        assert bool(each.estimate.beat) == (each.layer == "policy.0"), each.layer
        low, high = each.estimate.interval
        assert low < high and (each.layer != "policy.0" or low < each.estimate.value < high)
        assert each.layer != "policy.0" or 0.5 < each.estimate.value < 1
    path = outcome.arrays["path.run.policy.0"]
    assert path.shape == (3, 25, 3) and np.isfinite(path[:, 0]).all()
    apart = [np.linalg.norm(path[one, 0] - path[other, 0]) for one, other in combinations(range(3), 2)]
    assert min(apart) > 0.5 and set(outcome.pictures) == {"behaviours.run", "behaviours.two-tap"}


def test_modes_are_told_by_two_methods(without_body):
    made, phase = Made(), 2 * np.pi * np.arange(720) / 360  # whole cycles over a task, so that its mean is 0
    turning = np.stack([f(cycles * phase) for cycles in (7, 21, 36) for f in (np.cos, np.sin)], axis=1)
    made.activity = turning @ np.random.default_rng(0).normal(size=(6, 8))
    made.series = lambda name: made.senses
    found = [each for each in run_stage("dynamics", made).findings if (each.task, each.layer) == ("run", "policy.0")]
    for method in ("BOP-DMD", "Hankel DMD"):
        hertz = [each.estimate.value for each in found if each.measure == f"{method} frequency (Hz)"]
        assert hertz == pytest.approx(np.array([7, 21, 36]) / 7.2, abs=0.02), method
        (rebuilt,) = (each.estimate.value for each in found if each.measure.endswith(f"rebuild ({method})"))
        assert rebuilt > 0.99


def test_distances_of_dynamics_are_of_each_pair_of_layers_and_of_tasks(without_body, monkeypatch):
    module, made = import_module("analysis.report.stages.dynamical_similarity"), Made()
    monkeypatch.setattr(module, "_DRAWS", 3)
    made.series = lambda name: made.senses
    found = run_stage("dynamical_similarity", made).findings
    assert sorted((each.task, each.layer, each.variable) for each in found) == sorted(
        [(task, one, other) for task in made.task_names for one, other in combinations(LAYERS, 2)]
        + [("", layer, "two-tap and run") for layer in LAYERS]
    )
    assert all(each.estimate.estimable and len(each.estimate.nulls["halves of one system"]) == 3 for each in found)


def test_where_no_untrained_network_can_be_driven_the_table_says_why(without_body):
    for name in ("tuning", "encoding", "dimensions"):
        made, outcome = Made(), run_stage(name, Made())
        assert beside_untrained(made, {name: outcome}, 0) == {}
        assert [each.estimate.reason for each in outcome.findings if each.measure == UNTRAINED] == ["no network"]


# ---- which steps are taken -------------------------------------------------------------------------------------------


def test_episodes_are_drawn_at_random_from_each_task_and_told():
    made = Made()
    drawn = {seed: whole_episodes(made, "run", 200, seed) for seed in range(5)}
    for rows in drawn.values():
        assert (made.tasks[rows] == "run").all() and len(rows) == 180 and (np.diff(rows) > 0).all()
        assert told(made, rows) == "all steps of 3 of 6 random episodes"
    assert len({tuple(np.unique(made.episodes[rows])) for rows in drawn.values()}) > 1
    np.testing.assert_array_equal(drawn[0], whole_episodes(made, "run", 200, 0))
    assert len(whole_episodes(made, "run", 10, 0)) == 120  # two at least
    assert told(made, whole_episodes(made, "run", 9999, 0)) == "all steps of all 6 episodes"


def test_numbers_of_populations_are_of_whole_episodes_of_each_task_as_many_as_fit(monkeypatch):
    made, sampling = Made(), import_module("analysis.report.stages.sampling")
    np.testing.assert_array_equal(population_steps(made, 0), np.arange(720))  # of a small session, of all
    monkeypatch.setattr(sampling, "_EPISODES", 2)
    for most, count in ((600, 5), (10, 2)):
        monkeypatch.setattr(sampling, "_STEPS", most)
        rows = population_steps(made, 0)
        assert (np.diff(rows) > 0).all() and len(rows) == 2 * count * 60
        for task in made.task_names:
            mine = rows[made.tasks[rows] == task]
            assert told(made, mine) == f"all steps of {count} of 6 random episodes"


def test_thinned_steps_meet_a_gait_in_all_its_phases():
    made = Made()
    made.lengths = np.full(12, 1300)
    made.episodes = np.repeat(np.arange(12), 1300)
    for most in (1200, 600, 100):  # at even spacing of 13, 26 and 156 steps each would be in one phase of 13
        rows = made.thinned(most)
        assert len(rows) == most and (np.diff(rows) >= 0.45 * 15600 / most).all()
        shares = np.bincount(rows % 13, minlength=13) / most
        assert shares.max() < 0.2 and rows[0] < 15600 / most and rows[-1] > 15600 - 2 * 15600 / most
        np.testing.assert_array_equal(rows, made.thinned(most))
    assert not np.array_equal(made.thinned(100, seed=1), made.thinned(100))
    np.testing.assert_array_equal(made.thinned(99999), np.arange(15600))


def test_steps_are_drawn_evenly_over_tasks_and_told():
    made = Made()
    rows = even_steps(made, 100, 0, np.arange(720))
    assert (made.tasks[rows] == "run").sum() == 50 == len(rows) / 2 and (np.diff(rows) > 0).all()
    assert told(made, rows) == "100 random steps of all 12 episodes"
    of = {each.interval_over for each in run_stage("factors", made).findings}
    assert of == {"all steps of all 12 episodes", "units (of all steps of all 12 episodes)"}


# ---- what units follow in a task -------------------------------------------------------------------------------------


class Placed(Made):
    """A gap in the task `run` alone, which the first unit follows."""

    def __init__(self):
        super().__init__()
        distance = np.tile(np.linspace(0.9, -0.2, 60), 12) + 0.1 * np.random.default_rng(1).normal(size=720)
        self.landmarks = {"distance to gap (m)": np.where(self.tasks == "run", distance, np.nan)}
        self.reward = np.where(np.arange(720) % 60 == 50, 25.0, 0.01 * np.random.default_rng(2).random(720))
        self.activity[:, 0] += 5 * np.nan_to_num(np.exp(-((self.landmarks["distance to gap (m)"] / 0.2) ** 2)))


def test_units_are_tuned_to_the_distance_where_the_task_has_one_and_where_not_the_table_says_so(without_body):
    outcome = run_stage("tuning", Placed())
    units, shifted = (
        each.estimates for each in outcome.units if (each.measure, each.variable) == (MEASURE, "distance to gap (m)")
    )
    assert (units.control, shifted.control) == (CONTROL, SHIFTED)
    assert shifted.p[0] == pytest.approx(1 / 60)  # beyond each of the lags that there are
    assert units.value.argmax() == 0 and units.value[0] > 0.5
    missing = {(each.task, each.variable): each.estimate.reason for each in outcome.findings if each.task}
    assert missing == {
        ("two-tap", "distance to gap or target"): "nothing recorded in two-tap is a gap or a target",
        **{
            (task, "time since tap or another rare reward"): f"no reward was paid in {task} that comes seldom"
            for task in ("two-tap", "run")
        },
    }
    names = {each.variable for each in outcome.findings}  # some of them in rows that say why there is no number
    assert {"reward", "phase of hip_L_extend (rad)", "speed (m/s)"} <= names


def test_bins_of_the_reward_are_as_full_whatever_a_lump_pays(without_body):
    edges = run_stage("tuning", Placed()).arrays["edges.reward"]
    assert len(edges) > 10 and edges[-2] < 0.011 and edges[-1] == 25


def test_what_the_rat_does_is_a_family_of_features():
    rows = np.arange(60)
    found, missing = behaviour_family({"labels": np.repeat([-1, 0, 2], 20)}, rows, 8)
    assert not missing and len(found["behaviour"]) == 60
    assert len(np.unique(found["behaviour"].round(6), axis=0)) == 3  # each behaviour, and none, has its own place
    assert behaviour_family({"labels": np.zeros(60, int)}, rows, 8) == ({}, {"behaviour": "1 behaviours; needs 2"})


def test_vision_is_a_family_of_a_rat_that_sees(source):
    none = {f"features.{band}": np.zeros((len(source.episodes), 60)) for band in ("fast", "slow")}
    rows = np.arange(len(source.episodes))
    assert families(source, none, rows, 4)[1]["vision"] == "the network sees nothing"
    source.__dict__["sight"] = np.random.default_rng(0).random((len(rows), 192))
    assert families(source, none, rows, 4)[0]["vision"].shape == (len(rows), 4)


def test_units_are_not_asked_in_the_steps_in_which_they_were_chosen(without_body):
    made = Made()
    first = np.concatenate([np.tile(np.repeat([True, False], 60), 3)] * 2)  # episodes of each task in turn
    made.activity = np.random.default_rng(1).normal(size=made.activity.shape)
    made.activity[first, 3] = made.kinematics["turning (rad/s)"][first]  # by chance, as it were
    found = [
        each
        for each in run_stage("information", made).findings
        if each.variable == "turning (rad/s)" and each.layer.startswith("policy.0")
    ]
    chosen = {each.layer: each.estimate for each in found if each.estimate.estimable}
    assert "policy.0, unit 3" in chosen and chosen["policy.0, unit 3"].value < 0.2


# ---- single units beside every control, and over two variables -------------------------------------------------------


class Few(Made):
    """Three units of twelve that follow the height; no direction of the layer follows it better than they do."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(5)
        del self.kinematics["speed (m/s)"]
        self.activity = rng.normal(size=(720, 12))
        self.activity[:, :3] += 3 * np.sin(2 * self.kinematics["height (m)"])[:, None]
        self.activity /= self.activity.std(axis=0)
        self.senses = rng.normal(size=(720, 8))


def strongest(made):
    found = [each for each in run_stage("strongest_units", made).findings if each.measure == STRONGEST and each.layer]
    return {each.variable: each.estimate for each in found}


def test_the_strongest_units_beat_every_control_where_an_effect_is_of_single_units(without_body, monkeypatch):
    monkeypatch.setattr(
        import_module("analysis.report.stages.untrained"), "untrained_activity", partial(noise, units=12)
    )
    estimates = strongest(Few())
    found, nothing = estimates["height (m)"], estimates["turning (rad/s)"]
    assert set(found.beat) == {CONTROL, SHIFTED, MATCHED, ROTATED, FRESH, INPUTS} and found.value > 0.5
    assert found.interval[0] < found.value < found.interval[1]
    assert abs(nothing.value) < 0.1 and not nothing.beat


def test_an_effect_that_the_inputs_have_or_any_direction_of_the_layer_is_not_of_single_units(without_body):
    made = Few()
    made.senses = made.activity.copy()
    assert INPUTS not in strongest(made)["height (m)"].beat
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    made.activity = made.activity @ turn  # the best direction is none of the units now
    assert ROTATED not in strongest(made)["height (m)"].beat


def test_units_that_cannot_be_chosen_and_asked_apart_say_why(without_body):
    made = Few()
    made.tasks = np.where(made.episodes < 3, "two-tap", np.where(made.episodes == 3, "one", "run"))
    made.task_names = ("two-tap", "one", "run")
    assert strongest(made)["height (m)"].reason.startswith("task one has one episode")
    made = Few()
    made.activity = made.activity[:, :5]
    assert strongest(made)["height (m)"].reason == "5 units that vary; needs 6, to match those chosen"


class Walking(Made):
    """A unit that follows the product of speed and turning, in which neither alone tells it anything."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(6)
        speed, turning = rng.uniform(-1, 1, size=(2, 720))
        self.kinematics = {"speed (m/s)": speed, "turning (rad/s)": turning, "height (m)": rng.normal(size=720)}
        self.activity = rng.normal(size=(720, 8))
        self.activity[:, 2] = speed * turning + 0.05 * rng.normal(size=720)


def test_a_unit_that_follows_two_variables_together_has_a_map_and_no_curve(without_body):
    made = Walking()
    outcome = run_stage("tuning_maps", made)
    units, shifted = (each.estimates for each in outcome.units if each.measure == MAP)
    assert shifted.control == SHIFTED and shifted.p[2] == pytest.approx(1 / 60)  # beyond each of the lags
    assert units.value.argmax() == 2 and units.value[2] > 0.7 and units.beat.tolist() == [k == 2 for k in range(8)]
    assert units.interval[0, 2] < units.value[2] < units.interval[1, 2] and units.control == CONTROL
    pair = "turning (rad/s) x speed (m/s)"
    assert outcome.arrays[f"occupancy.{pair}"].sum() == 720 and list(outcome.pictures) == ["turning-x-speed"]
    assert outcome.arrays[f"map.policy.0.{pair}"].shape == (8, 8, 8)
    for each in run_stage("tuning", made).units:
        if each.measure == MEASURE and each.variable in ("speed (m/s)", "turning (rad/s)"):
            assert each.estimates.value[2] < 0.1


def test_maps_of_too_few_steps_say_so(without_body):
    made = Walking()
    made.landmarks = {"distance to gap (m)": np.where(np.arange(720) < 90, 1.0, np.nan)}
    reasons = {each.variable: each.estimate.reason for each in run_stage("tuning_maps", made).findings}
    assert reasons["distance to gap (m) x speed (m/s)"] == "90 steps with both; needs at least 200"


def test_information_of_rates_stands_beside_untrained_networks_rates_where_they_have_any(without_body, monkeypatch):
    measure, untrained = (
        f"mean Skaggs information (bits per unit of activity), {BESIDE}",
        "analysis.report.stages.untrained",
    )

    def drawn(made):
        outcome = run_stage("information", made)
        beside_untrained(made, {"information": outcome}, 0)
        return [each.estimate for each in outcome.findings if each.measure == measure]

    made = Made()
    monkeypatch.setattr(import_module(untrained), "untrained_activities", noises)
    assert [list(each.nulls) for each in drawn(made)] == [[]]  # signed, all of them

    def rates(session, rows, seeds):
        return ({name: np.abs(values) for name, values in of.items()} for of in noises(session, rows, seeds))

    monkeypatch.setattr(import_module(untrained), "untrained_activities", rates)
    (of,) = drawn(made)
    assert of.value > 0 and of.beat == (UNTRAINED,)
    made.activity = made.activity - 5
    assert drawn(made) == []  # signed: there is nothing to hold against them


# ---- what is beaten in a table ---------------------------------------------------------------------------------------


def beaten(findings, measure, control):
    """(variable, layer) of the rows that beat a control, and of those that do not, as the tables tell."""
    rows = [row for row in finding_rows(findings) if (row["measure"], row["control"]) == (measure, control)]
    told = {beat: {(row["variable"], row["layer"]) for row in rows if row["beat"] is beat} for beat in (True, False)}
    return told[True], told[False]


def test_a_number_beats_its_control_in_the_tables_although_others_of_its_family_do_not(without_body):
    made = Few()
    yes, no = beaten(run_stage("strongest_units", made).findings, STRONGEST, CONTROL)
    assert yes == {("height (m)", "policy.0")} and ("turning (rad/s)", "policy.0") in no
    made.tasks, made.task_names = np.full(720, "run"), ("run",)  # six episodes to ask in have orders enough
    yes, no = beaten(run_stage("information", made).findings, "mutual information (nats, KSG)", CONTROL)
    assert len(yes) == 3 <= len(no) and {variable for variable, _ in yes} == {"height (m)"}
    made.activity = np.random.default_rng(1).normal(size=(720, 12))
    yes, no = beaten(run_stage("decoding", made).findings, "variance explained", CONTROL)
    assert yes == {("pose", "senses (inputs alone)")} and no == {("pose", "policy.0")}  # the pose is of the senses here


def test_single_units_are_told_to_encode_although_others_do_not(without_body):
    made = Few()
    made.activity[:, :4] = made.senses[:, :4] + 0.5 * made.activity[:, 4:8]
    (units,) = (each for each in run_stage("encoding", made).units if each.variable == "all families")
    beat = [row["beat"] for row in unit_rows([units])]
    assert all(beat[:4]) and sum(beat[4:]) <= 1

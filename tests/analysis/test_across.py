"""Several sessions together: which of them are seeds, and how their layers are alike."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.inference import Estimate, not_estimable, single_case
from analysis.report import across as module
from analysis.report import likeness as layers_alike
from analysis.report.across import across
from analysis.report.findings import UNTRAINED, Finding
from analysis.report.source import Source
from rodent.errors import UsageError

LENGTH, EPISODES, PLACES = 60, 8, 12


class Session(Source):
    """Visits to twelve postures, which layers answer as they would in any session, or each in its own way."""

    def __init__(self, seed, layers=("policy.0",), **policy):
        rng, self.name = np.random.default_rng(seed), f"seed-{seed}"
        described = {"agent": "mlp", "settings": {"hidden": [8]}, "senses": [], "tasks": ["run"], **policy}
        protocol = {"weights_sha256": str(seed), "policy": described}
        self.session = SimpleNamespace(protocol=protocol, layers={}, trials={"task": np.full(EPISODES, "run")})
        self.lengths, self.tasks = np.full(EPISODES, LENGTH), np.full(EPISODES * LENGTH, "run")
        places, shared = np.random.default_rng(99).normal(size=(2, PLACES, 6))
        at = rng.integers(PLACES, size=len(self.tasks))
        self.posture = 3 * places[at] + 0.1 * rng.normal(size=(len(at), 6))
        answers = {"own": rng.normal(size=(PLACES, 6))}
        self.values = {
            name: answers.get(name, shared)[at] @ rng.normal(size=(6, 8)) + rng.normal(size=(len(at), 8))
            for name in layers
        }
        self.session.layers = {name: SimpleNamespace(shape=each.shape) for name, each in self.values.items()}
        self.senses = shared[at] + 0.2 * rng.normal(size=(len(at), 6))

    def series(self, name):
        return self.senses[:, :3]

    def layer(self, name, rows=None):
        return self.values[name] if rows is None else self.values[name][rows]


def fresh(session, rows, seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        yield {name: rng.normal(size=(len(rows), 8)).astype(np.float32) for name in session.layers}


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    """Untrained ones, that say nothing of postures."""
    monkeypatch.setattr(layers_alike, "untrained_activities", fresh)


@pytest.fixture
def numbers_alone(monkeypatch):
    monkeypatch.setattr(module, "likeness", lambda sources, outcome, seed: None)


def rows(sources, numbers=()):
    found = [{"stage": [Finding("number", each)]} for each in numbers] or [{}] * len(sources)
    return across(sources, found, 0)


def test_numbers_of_seeds_are_put_together_and_say_of_how_many(numbers_alone):
    sources = [Session(seed) for seed in range(3)]
    (told,) = [
        each for each in rows(sources, [Estimate(v, {}) for v in (1.0, 2.0, 3.0)]).findings if "number" in each.measure
    ]
    assert told.estimate.value == 2 and told.interval_over == "3 seeds" and told.estimate.interval[0] < 1
    short = not_estimable("short")
    (told,) = [
        each
        for each in rows(sources, [Estimate(1.0, {}), short, Estimate(3.0, {})]).findings
        if "number" in each.measure
    ]
    assert told.estimate.value == 2 and told.interval_over == "2 of 3 seeds"
    (told,) = [each for each in rows(sources, [Estimate(1.0, {}), short, short]).findings if "number" in each.measure]
    assert "1 of 3 seeds" in told.estimate.reason and np.isnan(told.estimate.value)


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        ({"agent": "lstm"}, "agent"),
        ({"settings": {"hidden": [16]}}, "settings"),
        ({"tasks": ["two-tap"]}, "training tasks"),
        ({"untrained_seed": 4}, "state, trained or untrained"),
        ({"senses": [["touch", 4]]}, "senses"),
    ],
)
def test_networks_that_differ_by_more_than_their_seed_are_no_seeds(policy, what, numbers_alone):
    found = rows([Session(0), Session(1), Session(2, **policy)], [Estimate(1.0, {})] * 3).findings
    assert not [each for each in found if each.measure == "stage: number"]
    (why,) = [each.estimate.reason for each in found if each.measure == "numbers over seeds"]
    assert why == f"seed-0 and seed-2 differ in their {what}: these are no seeds of one training"


def test_layers_that_answer_alike_in_all_sessions_are_told_from_those_that_do_not_under_every_ceiling():
    outcome = rows([Session(seed, ("shared", "own")) for seed in range(3)])
    found = {(each.measure, each.layer, each.variable): each.estimate for each in outcome.findings}
    for measure in ("unbiased linear CKA between sessions", "correlation of dissimilarities (RSA) between sessions"):
        alike = found[measure, "shared", "shared (seed-0 and seed-1)"]
        apart = found[measure, "own", "own (seed-0 and seed-1)"]
        assert alike.beat and alike.value > apart.value + 0.3, measure
    ceiling = "noise ceiling of the correlation of dissimilarities (RSA) between sessions"
    low, high = (found[ceiling, "own", f"own (seed-0 and seed-1), {end} bound"].value for end in ("lower", "upper"))
    assert 0.5 < low < high < 1
    assert (
        0.8
        < found["noise ceiling of the unbiased linear CKA between sessions", "own", "shared (seed-0 and seed-1)"].value
        < 1
    )


def test_all_sessions_are_the_subjects_of_a_model_of_postures_with_the_bounds_of_their_noise_ceiling(
    monkeypatch,
):
    for of_pairs in ("_ckas", "_distances", "_draw"):
        monkeypatch.setattr(layers_alike, of_pairs, lambda *given: [])
    outcome = rows([Session(seed, ("shared", "own")) for seed in range(4)])
    model = {each.layer: each for each in outcome.findings if each.measure.endswith("with postures, of all sessions")}
    assert set(model) == {"shared", "own", "senses", "joint angles"} and model["shared"].interval_over == "4 sessions"
    ends = {
        (each.layer, each.variable): each.estimate.value
        for each in outcome.findings
        if each.measure == "noise ceiling of the correlation of dissimilarities (RSA), of all sessions"
    }
    assert ends["shared", "lower bound"] > 0.6 > 0.4 > ends["own", "lower bound"]
    for layer in ("shared", "own"):
        assert ends[layer, "lower bound"] < ends[layer, "upper bound"]


def test_layers_of_unlike_networks_have_a_ceiling_too():
    sources = [Session(0, ("core.h", "policy.0")), Session(1, ("policy.0",), agent="lstm")]
    found = [each for each in rows(sources).findings if "noise ceiling" in each.measure and each.layer == "core.h"]
    assert {each.measure for each in found} == {
        "noise ceiling of the unbiased linear CKA between sessions",
        "noise ceiling of the correlation of dissimilarities (RSA) between sessions",
    }
    assert all(each.estimate.estimable for each in found)


MEASURES = (
    "unbiased linear CKA between sessions",
    "biased linear CKA between sessions",
    "correlation of dissimilarities (RSA) between sessions",
)


def test_likeness_stands_beside_that_of_senses_and_joints_and_of_networks_that_never_learnt():
    found = {(each.measure, each.layer, each.variable): each for each in rows([Session(0), Session(1)]).findings}
    for measure in MEASURES:
        for name in ("senses", "joint angles"):
            assert found[measure, name, f"{name} (seed-0 and seed-1)"].estimate.value > 0.5, (measure, name)
        alike = found[measure, "policy.0", "policy.0 (seed-0 and seed-1)"].estimate
        drawn = alike.nulls[UNTRAINED]
        assert len(drawn) == 5 and np.ptp(drawn) > 0 and single_case(alike.value, drawn) < 0.01, measure
    (model,) = [each for each in found.values() if "with postures" in each.measure and each.layer == "policy.0"]
    assert len(model.estimate.nulls[UNTRAINED]) == 5


def test_layers_that_follow_alike_senses_are_no_more_alike_than_those_of_networks_that_never_learnt(monkeypatch):
    def following(session, rows, seeds):
        (values,) = (each for each in known if each.session is session)
        for seed in seeds:
            rng = np.random.default_rng(seed)
            yield {"policy.0": values.senses[rows] @ rng.normal(size=(6, 8)) + rng.normal(size=(len(rows), 8))}

    monkeypatch.setattr(layers_alike, "untrained_activities", following)
    known = [Session(0), Session(1)]
    found = {(each.measure, each.layer): each.estimate for each in rows(known).findings}
    for measure in MEASURES:
        alike = found[measure, "policy.0"]
        assert single_case(alike.value, alike.nulls[UNTRAINED]) > 0.05, measure


def test_a_session_whose_network_cannot_be_left_untrained_says_why(monkeypatch):
    def none(session, rows, seeds):
        raise UsageError("a part of it is a policy that was trained before it")
        yield

    monkeypatch.setattr(layers_alike, "untrained_activities", none)
    found = rows([Session(0), Session(1)]).findings
    assert [each.estimate.reason for each in found if each.measure == UNTRAINED] == [
        f"seed-{k}: a part of it is a policy that was trained before it" for k in (0, 1)
    ]
    assert all(UNTRAINED not in each.estimate.nulls for each in found)

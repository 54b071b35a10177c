"""What sets tasks apart, or what a layer tells of them, belongs to the null."""

from importlib import import_module

import numpy as np
import pytest
from made import APART, Made, run_stage

from analysis.dealing import CONTROL
from analysis.decoding import Decoded
from analysis.inference import Estimate
from analysis.report.stages.decoding import decoding, gain


def test_a_gain_is_tested_over_episodes():
    rng = np.random.default_rng(0)
    totals = np.full(12, 10.0)

    def of(missed):
        missed = missed + rng.random(12)
        return Decoded(Estimate(float(1 - missed.sum() / totals.sum()), {}), missed, totals)

    better = gain(of(4), of(6), "untrained network", 0)
    assert better.value == pytest.approx(0.2, abs=0.05) and better.beat == ("swapped with untrained network",)
    alike = gain(of(5), of(5), "inputs", 0)
    assert not alike.beat and alike.interval[0] < 0 < alike.interval[1]


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


def test_a_unit_that_is_not_finite_costs_the_rest_of_its_layer_nothing(without_body):
    made = Made()
    made.activity = made.activity.copy()
    made.activity[5, 0] = np.nan
    found = [each for each in run_stage("decoding", made).findings if each.layer == "policy.0"]
    assert {each.measure for each in found if each.estimate.estimable} >= {"variance explained", "balanced accuracy"}
    assert not [each for each in found if "NaN" in each.estimate.reason]


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


def test_what_the_senses_tell_by_their_smallest_directions_is_no_gain_of_a_layer(without_body):
    """Forty senses that go together and tell nothing, and one that goes alone and tells it all."""
    made, rng = Made(), np.random.default_rng(2)
    told = rng.normal(size=(720, 1))
    loud = np.concatenate([np.repeat(rng.normal(size=(720, 20)), 2, axis=1), rng.normal(size=(720, 20))], axis=1)
    made.senses = np.concatenate([told, loud], axis=1)
    made.activity = np.concatenate([told + 0.3 * rng.normal(size=told.shape), 9 * loud[:, :30]], axis=1)
    decoded = import_module("analysis.report.stages.decoding")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoded, "families", lambda source, earlier, rows, count: ({"pose": told[rows]}, {}))
        for each in run_stage("decoding", made).findings:
            found[each.measure, each.layer] = each.estimate
    assert found["variance explained", "senses (inputs alone)"].value > 0.98
    assert found["variance explained", "policy.0"].value > 0.85  # from the unit that varies least
    assert found["gain over the inputs", "policy.0"].value < 0

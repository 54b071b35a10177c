"""What units follow in a task."""

import numpy as np
import pytest
from made import Made, run_stage

from analysis.dealing import CONTROL
from analysis.report.stages.families import behaviour_family, families
from analysis.report.stages.tuning import MEASURE
from analysis.shifts import CONTROL as SHIFTED


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

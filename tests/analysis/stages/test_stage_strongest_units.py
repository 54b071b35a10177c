"""Single units beside every control, and over two variables."""

from functools import partial
from importlib import import_module

import numpy as np
import pytest
from made import Few, Made, noise, noises, run_stage

from analysis.dealing import CONTROL
from analysis.inference import single_case
from analysis.report.stages.chosen import every_other_episode
from analysis.report.stages.strongest_units import FRESH, INPUTS, MATCHED, ROTATED
from analysis.report.stages.strongest_units import MEASURE as STRONGEST
from analysis.report.stages.tuning import MEASURE
from analysis.report.stages.tuning_maps import MEASURE as MAP
from analysis.report.stages.untrained import BESIDE, UNTRAINED, beside_untrained
from analysis.shifts import CONTROL as SHIFTED


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
    made = Few()
    made.activity = np.where(every_other_episode(made)[:, None], made.activity, 1.0)
    assert strongest(made)["height (m)"].reason == "the variable or the units stand still where they are asked"


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
    assert of.value > 0 and single_case(of.value, of.nulls[UNTRAINED]) < 0.001
    made.activity = made.activity - 5
    assert drawn(made) == []  # signed: there is nothing to hold against them

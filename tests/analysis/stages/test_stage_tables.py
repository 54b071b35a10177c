"""What is beaten in a table."""

import numpy as np
from made import Few, run_stage

from analysis.dealing import CONTROL
from analysis.report.findings import finding_rows, unit_rows
from analysis.report.page import _lead
from analysis.report.stages.overview import NO_ANIMAL
from analysis.report.stages.strongest_units import MEASURE as STRONGEST


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


def test_a_network_that_reads_privileged_senses_is_no_animal_and_the_report_says_so(source, monkeypatch):
    def told():
        return [each.estimate.reason for each in run_stage("overview", source).findings if not each.estimate.estimable]

    assert not told() and "Beware" not in _lead(source)
    protocol = source.session.protocol
    protocol["policy"]["senses"].append(["privileged/orb", 3])
    monkeypatch.setattr(type(source.session), "protocol", protocol)
    assert told() == [NO_ANIMAL] and _lead(source).endswith(f"Beware: {NO_ANIMAL}.")

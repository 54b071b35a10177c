"""Tasks, layers and dynamics beside each other."""

from importlib import import_module
from itertools import combinations

import numpy as np
import pytest
from made import LAYERS, Fast, Made, Turned, noises, run_stage

from analysis.report.stages import STAGES
from analysis.report.stages.untrained import UNTRAINED, beside_untrained


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


def test_families_of_features_are_held_against_each_other_and_likeness_is_drawn_beside_its_null(
    without_body, monkeypatch
):
    def three(source, _, rows, components):
        other = np.random.default_rng(8).normal(size=(len(rows), 3))
        return {"pose": source.posture[rows], "joint angles": source.senses[rows], "vision": other}, {}

    monkeypatch.setattr(import_module("analysis.report.stages.similarity"), "families", three)
    outcome = run_stage("similarity", Turned())
    found = {
        (each.layer, each.variable): each.estimate for each in outcome.findings if each.layer.startswith("features ")
    }
    assert set(found) == {
        (f"features {one}", f"features {other}") for one, other in combinations(("pose", "joint angles", "vision"), 2)
    }
    alike, apart = found["features pose", "features joint angles"], found["features pose", "features vision"]
    assert alike.beat and alike.value > 0.5 > apart.value and alike.interval[1] <= 1
    drawn = outcome.pictures["features"]
    bands = [line for line in drawn.figure.axes[0].lines if line.get_alpha() == 0.25]
    assert len(bands) == 3 * len(LAYERS) and "the behaviour of other episodes" in drawn.caption


def test_a_core_that_sets_tasks_apart_more_than_the_policy_does_is_told_so(without_body, monkeypatch):
    module = import_module("analysis.report.stages.similarity")
    monkeypatch.setattr(module, "families", lambda source, _, rows, components: ({"pose": source.posture[rows]}, {}))
    made, rng = Turned(), np.random.default_rng(9)
    squares = np.square(made.posture) @ rng.normal(size=(3, 8))  # which postures that are turned do not tell
    core = np.where((made.tasks == "run")[:, None], squares, made.senses) + 0.3 * rng.normal(size=(720, 8))
    of = {"core.h": core, "policy.0": made.senses + 0.3 * rng.normal(size=(720, 8))}
    made.layers, made.layer = tuple(of), lambda name, rows=None: of[name] if rows is None else of[name][rows]
    measure = "unbiased linear CKA between tasks, less that of another layer"
    outcome = run_stage("similarity", made)
    found = {(each.layer, each.variable): each for each in outcome.findings if each.measure == measure}
    assert set(found) == {
        ("policy.0", "two-tap and run, less core.h"),
        ("core.h", "two-tap and run, less policy.0"),
    }
    more, less = (found[key].estimate for key in (("policy.0", "two-tap and run, less core.h"), sorted(found)[0]))
    assert more.beat == ("layers swapped in whole episodes",) and more.interval[0] > 0
    assert not less.beat and less.interval[1] < 0 and less.value == pytest.approx(-more.value, rel=0.3)
    assert {each.interval_over for each in found.values()} == {"episodes (all steps of all 12 episodes)"}
    again = {each.layer: each.estimate for each in outcome.of_others(of) if each.measure == measure}
    assert again["policy.0"].value == pytest.approx(more.value, abs=0.1) and not again["policy.0"].nulls


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


def test_a_family_of_kinematics_that_is_missing_leaves_rows_that_say_why(without_body, monkeypatch):
    module = import_module("analysis.report.stages.similarity")
    missing = {"slow kinematics": "episodes shorter than the slowest period", "vision": "the network sees nothing"}
    monkeypatch.setattr(
        module, "families", lambda source, _, rows, components: ({"pose": source.senses[rows]}, missing)
    )
    found = run_stage("similarity", Fast()).findings
    less = [each for each in found if "less that of another" in each.measure and "kinematics" in each.variable]
    assert {(each.layer, each.variable) for each in less} == {
        ("core.h", "slow kinematics, less policy.0"),
        ("policy.0", "slow kinematics, less core.h"),
    }
    assert {each.estimate.reason for each in less} == {"episodes shorter than the slowest period"}

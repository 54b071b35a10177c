"""Reports: what is found is kept by content, a bad stage loses nothing else, each number stands beside its controls."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.dealing import CONTROL
from analysis.inference import Estimate, UnitEstimates, not_estimable
from analysis.nwb_record import record
from analysis.report import analyze as module
from analysis.report import behaviour_map
from analysis.report import stage as stage_module
from analysis.report.analyze import analyze
from analysis.report.findings import (
    Finding,
    Outcome,
    UnitFinding,
    finding_rows,
    mean_over_units,
    pack,
    unit_rows,
    unpack,
)
from analysis.report.folder import CACHE
from analysis.report.source import TIMESTEP, Source, equal_windows, principal
from analysis.report.stage import code_digest, libraries
from analysis.report.stages import STAGES, conditions, untrained
from analysis.report.stages.gait import stride_phase
from analysis.report.stages.untrained import UNTRAINED
from rodent.cli import main
from rodent.errors import UsageError
from tests.analysis.conftest import STEPS

QUICK = ("overview", "gait")
STANDARD = [stage for stage in STAGES if not stage.optional]


@pytest.fixture
def source(mlp_session):
    source = Source(mlp_session)
    yield source
    source.close()


@pytest.fixture(scope="module")
def report(mlp_session, tmp_path_factory):
    output = tmp_path_factory.mktemp("report")
    return analyze([mlp_session], output, QUICK), output


def test_each_stage_needs_only_such_as_stand_before_it():
    names = [behaviour_map.NAME, *(stage.name for stage in STAGES)]
    for stage in STAGES:
        assert set(stage.needs) <= set(names[: names.index(stage.name)])


def test_optional_stages_run_where_they_are_named_alone():
    assert [stage.name for stage in module._chosen(())] == [stage.name for stage in STANDARD]
    assert [stage.name for stage in module._chosen(("dynamical_similarity",))] == ["dynamical_similarity"]
    assert len(STANDARD) == len(STAGES) - 1


def test_heavy_jobs_begin_first_and_none_before_what_it_needs(monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    begun, told = [], []

    def job(name, *needs, heavy=False):
        return module._Job(name, lambda: begun.append(name) or {"stage": name}, needs, heavy)

    jobs = [job("light"), job("last", "heavy", heavy=True), job("heavy", "elsewhere", heavy=True)]
    times = module._run_all(jobs, lambda share, now: told.append(share))
    assert begun == ["heavy", "last", "light"]
    assert [each["stage"] for each in times] == ["light", "last", "heavy"] and told[0] == 0 and max(told) < 1


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_a_number_has_a_row_for_each_control_and_one_that_cannot_be_estimated_says_why():
    draws = np.arange(99.0)
    estimate = Estimate(97.5, {"shifts": draws, "untrained": draws + 10}, (90.0, 99.0))
    rows = finding_rows(
        [Finding("m", estimate, "run", "core.h"), Finding("m", not_estimable("one episode"))], session="s"
    )
    assert [row["control"] for row in rows] == ["shifts", "untrained", ""]
    assert [row["beat"] for row in rows] == [True, False, False]
    assert rows[0]["p"] == 0.02 and rows[0]["null_median"] == 49 and (rows[0]["low"], rows[0]["high"]) == (90, 99)
    assert np.isnan(rows[2]["value"]) and rows[2]["reason"] == "not estimable: one episode"


def test_beside_untrained_networks_p_is_that_of_a_single_case():
    networks = np.random.default_rng(0).normal(size=20)
    rows = finding_rows(
        [Finding("m", Estimate(value, {UNTRAINED: networks}), layer=str(value)) for value in (6.0, 0.0)]
    )
    assert rows[0]["p"] < 1e-4 and rows[0]["beat"] and not rows[1]["beat"]
    p = stats.ttest_ind([6.0], networks, alternative="greater").pvalue
    assert rows[0]["p"] == pytest.approx(p)
    for few in (networks[:2], np.zeros(12)):
        (alone,) = finding_rows([Finding("m", Estimate(6.0, {UNTRAINED: few}))])
        assert np.isnan(alone["p"]) and not alone["beat"] and "fewer than three networks" in alone["reason"]


def test_findings_come_back_as_they_were_kept():
    rng = np.random.default_rng(0)
    units = UnitEstimates(np.array([0.5, np.nan]), "shifts", rng.random((30, 2)), rng.random((2, 2)), ("", "constant"))
    given = [Finding("m", Estimate(1.5, {"a": rng.random(9)}, (1.0, 2.0)), "run", "x", "y", "units")]
    found, found_units = unpack(*json_round(*pack(given, [UnitFinding("u", units, layer="x")])))
    assert replace(found[0], estimate=given[0].estimate) == given[0]
    np.testing.assert_allclose(found[0].estimate.nulls["a"], given[0].estimate.nulls["a"], rtol=1e-6)
    rows = unit_rows(found_units)
    assert rows[0]["p"] == units.p[0] and rows[1]["reason"] == "not estimable: constant" and np.isnan(rows[1]["value"])


def test_a_control_without_draws_has_no_p_and_is_not_beaten():
    units = UnitEstimates(np.ones(2), CONTROL, np.empty((0, 2)), np.zeros((2, 2)), ("", ""))
    rows = [*finding_rows([Finding("m", Estimate(1.0, {CONTROL: np.empty(0)}))]), *unit_rows([UnitFinding("u", units)])]
    assert [row["control"] for row in rows] == [CONTROL] * 3
    assert all(row["value"] == 1 and np.isnan([row["p"], row["null_median"]]).all() and not row["beat"] for row in rows)


def json_round(told, told_units, arrays):
    return json.loads(json.dumps(told)), json.loads(json.dumps(told_units)), arrays


def test_the_mean_over_units_leaves_out_those_that_cannot_be_estimated():
    units = UnitEstimates(np.array([1.0, 3.0, np.nan]), "c", np.zeros((5, 3)), np.zeros((2, 3)), ("", "", "constant"))
    assert mean_over_units(units).value == 2
    nothing = UnitEstimates(np.full(1, np.nan), "c", np.zeros((5, 1)), np.zeros((2, 1)), ("constant",))
    assert mean_over_units(nothing).reason == "constant"


# ---- running ---------------------------------------------------------------------------------------------------------


def test_a_report_leaves_tables_figures_results_and_a_page(report):
    done, output = report
    assert [stage["failure"] for stage in done["stages"]] == ["", "", ""]
    table = pd.read_csv(output / "tables" / "overview.csv")
    returns = table[(table.measure == "return") & (table.task == "two-tap")]
    assert len(returns) == 1 and returns.low.item() <= returns.value.item() <= returns.high.item()
    for kind in ("png", "svg"):
        assert (output / "figures" / "session" / f"overview.returns.{kind}").stat().st_size > 1000
    with np.load(output / "results" / "session" / "gait.npz") as arrays:
        assert arrays["standing"].shape[1] == 4 and arrays["standing"].dtype == bool
    assert json.loads((output / "times.json").read_text())["peak_memory_gib"] > 0


def test_what_was_found_of_the_same_content_is_found_again(report, mlp_session, tmp_path):
    _, output = report
    shutil.copytree(output / CACHE, tmp_path / "report" / CACHE)
    renamed = shutil.copyfile(mlp_session, tmp_path / "renamed.nwb")
    again = analyze([renamed], tmp_path / "report", QUICK)
    assert [stage["cached"] for stage in again["stages"] if stage["stage"] != "page"] == [True, True]
    assert pd.read_csv(tmp_path / "report" / "tables" / "gait.csv").session.unique().tolist() == ["renamed"]
    other = analyze([renamed], tmp_path / "report", ("overview",), seed=1)
    assert not other["stages"][0]["cached"]


def test_a_report_replaces_nothing_but_an_earlier_report(mlp_session, tmp_path):
    mine = tmp_path / "figures" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("of another kind")
    with pytest.raises(UsageError, match="holds figures, which a report would replace, and no report"):
        analyze([mlp_session], tmp_path, ("overview",))
    assert mine.read_text() == "of another kind" and not (tmp_path / CACHE).exists()


def test_a_report_that_cannot_be_written_leaves_the_earlier_one(mlp_session, tmp_path, monkeypatch):
    analyze([mlp_session], tmp_path, ("overview",))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", full)
        with pytest.raises(UsageError, match=r"cannot write the report to .*: No space left on device; make room"):
            analyze([mlp_session], tmp_path, ("overview",))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert analyze([mlp_session], tmp_path, ("overview",))["stages"][0]["cached"]


def test_stages_are_kept_when_the_untrained_networks_beside_them_were_driven(mlp_session, tmp_path, monkeypatch):
    monkeypatch.setattr(untrained, "NETWORKS", 2)
    stages = ("tangling", "dimensions", "overview")
    shares: list[tuple[float, str]] = []
    first = analyze([mlp_session], tmp_path, stages, progress=lambda *told: shares.append(told))
    again = analyze([mlp_session], tmp_path, stages)
    names = ["overview", "dimensions", "tangling"]
    assert [stage["stage"] for stage in first["stages"]] == [*names, UNTRAINED, "page"]
    assert [stage["stage"] for stage in again["stages"] if stage["cached"]] == names  # and no network is driven again
    table = pd.read_csv(tmp_path / "tables" / "dimensions.csv")
    assert (table.control == UNTRAINED).any()
    told = [(share, what) for share, what in shares if UNTRAINED in what]
    assert [what for _, what in told] == [f"session: {UNTRAINED}, {done} of 2" for done in range(3)]
    assert sorted(shares) == shares and told[0][0] < told[1][0] < told[2][0] == pytest.approx(0.9)
    captions = json.loads((tmp_path / "results" / "session" / "dimensions.json").read_text())["captions"]
    assert captions and all("Untrained networks stand beside" in caption for caption in captions.values())
    assert not any(stage["failure"] for stage in first["stages"] + again["stages"])


def test_a_stage_that_fails_on_an_untrained_network_costs_its_own_results_alone(mlp_session, tmp_path, monkeypatch):
    def fails(layers):
        raise RuntimeError("no memory")

    def work(source, earlier, seed):
        return replace(dimensions.work(source, earlier, seed), of_others=fails)

    (dimensions,) = (stage for stage in STAGES if stage.name == "dimensions")
    stages = [replace(stage, work=work) if stage is dimensions else stage for stage in STAGES]
    monkeypatch.setattr(module, "STAGES", stages)
    monkeypatch.setattr(untrained, "NETWORKS", 2)
    done = analyze([mlp_session], tmp_path, ("dimensions", "tangling"))
    assert {stage["stage"]: stage["failure"] for stage in done["stages"] if stage["failure"]} == {
        "dimensions": "RuntimeError: no memory"
    }
    (row,) = pd.read_csv(tmp_path / "tables" / "dimensions.csv").to_dict("records")
    assert row["reason"] == "not estimable: RuntimeError: no memory"
    assert "windows of a second" in pd.read_csv(tmp_path / "tables" / "tangling.csv").reason.iloc[0]


def test_what_is_damaged_in_the_cache_is_computed_again(report, mlp_session, tmp_path):
    _, output = report
    shutil.copytree(output / CACHE, tmp_path / CACHE)
    (damaged,) = (tmp_path / CACHE).glob("overview-*")
    (damaged / "outcome.npz").write_bytes(b"nothing")
    again = analyze([mlp_session], tmp_path, QUICK)
    assert [stage["cached"] for stage in again["stages"] if stage["stage"] != "page"] == [False, True]


def test_the_key_follows_from_the_code_of_the_stage_and_of_what_it_uses(tmp_path, monkeypatch):
    package = tmp_path / "analysis_of_mine.py"
    package.write_text("from analysis.gait import gait\n")
    monkeypatch.syspath_prepend(tmp_path)
    first = code_digest("analysis_of_mine")
    code_digest.cache_clear()
    package.write_text("from analysis.gait import gait\nX = 1\n")
    assert code_digest("analysis_of_mine") != first
    assert code_digest("analysis.report.stages.gait") != code_digest("analysis.gait")


def test_the_key_follows_from_the_networks_that_are_left_untrained(monkeypatch):
    assert {"torch", "mujoco", "scikit-image"} <= set(libraries())
    read, seen = stage_module._source, set()
    monkeypatch.setattr(stage_module, "_source", lambda name: seen.add(name) or read(name))
    code_digest.__wrapped__("analysis.untrained")
    assert {"policies.lstm", "policies.registry", "policies.observation", "rodent.vision"} <= seen


def test_a_stage_that_fails_costs_its_own_results_alone(mlp_session, tmp_path, monkeypatch):
    def broken(source, earlier, seed):
        raise ZeroDivisionError("by\nnothing")

    stages = [replace(stage, work=broken) if stage.name == "gait" else stage for stage in STAGES]
    monkeypatch.setattr(module, "STAGES", stages)
    done = analyze([mlp_session], tmp_path, ("overview", "sequences"))
    failures = {stage["stage"]: stage["failure"] for stage in done["stages"]}
    assert failures["gait"] == "ZeroDivisionError: by nothing"
    assert failures["sequences"] == "it needs gait, which failed" and failures["overview"] == ""
    row = pd.read_csv(tmp_path / "tables" / "gait.csv").iloc[0]
    assert row.reason == "not estimable: ZeroDivisionError: by nothing" and np.isnan(row.value)
    assert Path(done["page"]).is_file()


@pytest.mark.parametrize(
    ("sessions", "stages", "words"),
    [
        (["a.nwb"], ("fly",), "unknown stage 'fly': choose among overview"),
        ([], (), "no session to analyse"),
        (["nowhere.nwb"], (), "no session at"),
        (["a.nwb", "other/a.nwb"], (), "two sessions are called a"),
    ],
)
def test_bad_input_is_one_line(sessions, stages, words, mlp_session, tmp_path):
    (tmp_path / "other").mkdir()
    for name in ("a.nwb", "other/a.nwb"):
        (tmp_path / name).symlink_to(mlp_session)
    with pytest.raises(UsageError, match=words) as error:
        analyze([tmp_path / name for name in sessions], tmp_path / "report", stages)
    assert "\n" not in str(error.value)


def test_clips_are_refused_at_once_where_nothing_can_film_them(mlp_session, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    with pytest.raises(SystemExit) as exit_:
        main(["analyze", str(mlp_session), "-o", str(tmp_path / "report"), "--clips"])
    assert exit_.value.code == 2 and "leave out --clips" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


@pytest.mark.gl
def test_clips_of_each_behaviour_are_filmed_beside_the_report(mlp_session, tmp_path, monkeypatch):
    steps = 3 * STEPS  # of two-tap, the last trials

    def labelled(source, earlier, seed):
        labels = np.full(len(source.episodes), -1)
        labels[-steps:] = np.repeat([0, 1, 0], STEPS)
        return Outcome(arrays={"labels": labels, "names": np.array(["walk", "rest"])})

    stages = [replace(stage, work=labelled) if stage.name == "behaviour" else stage for stage in STAGES]
    monkeypatch.setattr(module, "STAGES", stages)
    done = analyze([mlp_session], tmp_path, ("overview",), clips=True)
    assert "clips" in [stage["stage"] for stage in done["stages"]]
    films = sorted((tmp_path / "clips" / "session").iterdir())
    assert [film.name for film in films] == ["1.mp4", "2.mp4"] and all(film.stat().st_size > 1000 for film in films)


@pytest.mark.slow
def test_one_short_episode_is_marked_as_not_estimable_throughout_and_fails_nothing(mlp, tmp_path):
    session = record(mlp, tmp_path / "short.nwb", ["run"], 1, steps=30, threads=1)
    done = analyze([session], tmp_path / "report")
    assert [stage["failure"] for stage in done["stages"] if stage["failure"]] == []
    assert [stage["stage"] for stage in done["stages"]] == [
        "behaviour_map",
        *(stage.name for stage in STANDARD),
        UNTRAINED,
        "page",
    ]
    for stage in STANDARD:
        table = pd.read_csv(tmp_path / "report" / "tables" / f"{stage.name}.csv")
        assert len(table) and (table.value.notna() | table.reason.notna()).all(), stage.name
    reasons = {
        "behaviour": "amplitudes of angles: 0 samples", "decoding": "one episode", "encoding": "one episode",
        "alignment": "one task", "task_variance": "one task", "axes": "one episode", "factors": "one episode",
    }  # fmt: skip
    for name, words in reasons.items():
        table = pd.read_csv(tmp_path / "report" / "tables" / f"{name}.csv")
        assert table.reason.str.contains(words).any(), name


@pytest.mark.slow
def test_units_that_tell_nothing_are_left_out_and_cost_nothing_else(mlp_session, tmp_path):
    session = shutil.copyfile(mlp_session, tmp_path / "session.nwb")
    with h5py.File(session, "a") as file:
        activity = file["acquisition/policy.1/data"]
        activity[5, 0], activity[:, 1] = np.nan, 0.5
    done = analyze([session], tmp_path / "report")
    assert [stage["failure"] for stage in done["stages"] if stage["failure"]] == []
    tables = {stage.name: pd.read_csv(tmp_path / "report" / "tables" / f"{stage.name}.csv") for stage in STANDARD}
    of_layer = {name: table[table.layer == "policy.1"] for name, table in tables.items()}
    left_out = of_layer["overview"]
    assert left_out[left_out.measure.str.startswith("share of units")].value.item() == pytest.approx(2 / 8)
    estimated = {}
    for name in ("decoding", "dimensions", "sequences", "task_variance", "similarity", "dynamics"):
        other = tables[name][tables[name].layer == "policy.0"]
        estimated[name] = of_layer[name].value.notna().sum() / max(other.value.notna().sum(), 1)
    assert {name: share for name, share in estimated.items() if share < 0.8} == {}
    for name in ("timescales", "encoding", "factors"):  # tuning wants a longer session
        units = pd.read_csv(tmp_path / "report" / "tables" / f"{name}.units.csv")
        broken = units[(units.layer == "policy.1") & units.unit.isin([0, 1])]
        assert len(broken) >= 2 and broken.value.isna().all(), name
        assert broken.reason.str.startswith("not estimable").all(), name


def test_sessions_of_unlike_networks_say_so_and_are_compared_all_the_same(mlp_session, lstm_session, tmp_path):
    other = shutil.copyfile(lstm_session, tmp_path / "lstm.nwb")
    analyze([mlp_session, other], tmp_path / "report", ("overview",))
    table = pd.read_csv(tmp_path / "report" / "tables" / "seeds.csv")
    (reason,) = table[table.measure == "numbers over seeds"].reason
    assert reason == "not estimable: session and lstm differ in their agent: these are no seeds of one training"
    assert not table.measure.str.startswith("overview: ").any()
    assert table.measure.eq("unbiased linear CKA between sessions").any()


def test_layers_that_all_sessions_have_get_a_noise_ceiling(mlp_session, tmp_path, monkeypatch):
    monkeypatch.setattr(conditions, "FEWEST_STEPS", 1)  # of a short session
    again = shutil.copyfile(mlp_session, tmp_path / "again.nwb")
    analyze([mlp_session, again], tmp_path / "report", ("overview",))
    table = pd.read_csv(tmp_path / "report" / "tables" / "seeds.csv")
    ends = table[table.measure == "noise ceiling of the unbiased linear CKA with all sessions"]
    found = set(zip(ends.layer, ends.variable, strict=True))
    assert found >= {("policy.0", "lower bound"), ("policy.0", "upper bound")}
    assert ends.value.to_numpy() == pytest.approx(1)  # of one session and its copy
    biased = table[(table.measure == "biased linear CKA between sessions") & (table.layer == "policy.0")]
    assert set(biased.control) == {"samples permuted within blocks", UNTRAINED}
    assert biased.value.max() == pytest.approx(1)


def test_two_sessions_of_one_network_are_no_seeds(mlp_session, tmp_path):
    again = shutil.copyfile(mlp_session, tmp_path / "again.nwb")
    analyze([mlp_session, again], tmp_path / "report", ("overview",))
    table = pd.read_csv(tmp_path / "report" / "tables" / "seeds.csv")
    assert table.reason[table.measure == "numbers over seeds"].str.contains("of one network").all()


# ---- what stages read ------------------------------------------------------------------------------------------------


def test_a_session_is_seen_on_the_steps_of_its_actions(source):
    steps = int(source.lengths.sum())
    assert source.series("qpos").shape == (steps, 74) and source.layer("policy.0").shape == (steps, 16)
    assert source.posture.shape[0] == len(source.episodes) == len(source.tasks) == steps
    assert all(values.shape == (steps,) for values in source.kinematics.values())
    assert np.linalg.norm(source.posture.reshape(steps, -1, 3), axis=2).max() < 0.4  # a rat's size, wherever it is


def test_postures_do_not_depend_on_where_the_rat_is_and_how_it_is_turned(source):
    parts = [name for name in source.body_parts if name != "pose.torso"]
    apart = source.posture.reshape(len(source.episodes), -1, 3)[:, parts.index("pose.skull")]
    world = source.series("pose.skull") - source.series("pose.torso")
    np.testing.assert_allclose(np.linalg.norm(apart, axis=1), np.linalg.norm(world, axis=1), atol=1e-6)
    assert apart.std(axis=0).max() < 0.05  # the head moves little from the trunk


def test_speed_is_that_of_the_torso(source):
    torso = source.series("pose.torso")
    inside = source.episodes[1:] == source.episodes[:-1]
    moved = np.linalg.norm(np.diff(torso[:, :2], axis=0), axis=1) / TIMESTEP
    speed = source.kinematics["speed (m/s)"]
    step = np.flatnonzero(inside[1:] & inside[:-1])[5]  # with a step of its episode on either side
    straight = np.linalg.norm(torso[step + 2, :2] - torso[step, :2]) / (2 * TIMESTEP)
    assert speed[step + 1] == pytest.approx(straight) and speed.mean() == pytest.approx(moved[inside].mean(), rel=0.2)


def test_principal_components_are_those_of_the_covariance():
    values = np.random.default_rng(0).normal(size=(200, 5)) @ np.diag([5, 4, 3, 2, 1])
    scores, axes, shares = principal(values, 3)
    variances = np.linalg.eigvalsh(np.cov(values.T))[::-1]
    np.testing.assert_allclose(scores.var(axis=0, ddof=1), variances[:3])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(shares, variances[:3] / variances.sum())
    assert principal(np.outer(np.arange(9.0), [1, 2]), 2)[0].shape == (9, 1)


def test_windows_span_no_two_episodes():
    episodes = np.repeat([0, 1], [25, 14])
    values = np.arange(39.0)[:, None]
    windows, of = equal_windows(values, episodes, 10, 99, np.random.default_rng(0))
    assert windows[:, 0, 0].tolist() == [0, 10, 25] and of.tolist() == [0, 0, 1]


def test_the_phase_runs_from_a_touch_down_to_the_next():
    standing = np.tile([True, True, False, False, False], 4)
    phase = stride_phase(standing, np.zeros(20, dtype=int))
    np.testing.assert_allclose(phase[5:15], np.tile(2 * np.pi * np.arange(5) / 5, 2))
    assert np.isnan(phase[:5]).all() and np.isnan(phase[15:]).all()
    split = stride_phase(standing, np.repeat([0, 1], 10))
    assert np.isnan(split[5:10]).all()  # the stride ends in another episode

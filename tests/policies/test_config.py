from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.config import Phase, TrainConfig, difference, load_yaml, parse_arguments, to_json, to_yaml
from policies.ppo import PPOSettings
from rodent.aids import TrainingAids
from rodent.errors import UsageError
from rodent.tasks.run_gaps import RunGaps

ROOT = Path(__file__).parents[2]


def test_a_configuration_survives_yaml(tmp_path: Path) -> None:
    config = TrainConfig(
        seeds=(1, 2), run_dir=Path("x"), minutes=1.5, aids=TrainingAids(jerk=0.3), ppo=PPOSettings(rate_rule="fixed"),
        schedule=(Phase(aids=TrainingAids(upright=0.1)), Phase(physics="fast+paper", action_std=0.1, rate=1e-5)),
    )  # fmt: skip
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert load_yaml(tmp_path / "config.yaml") == config
    assert yaml.safe_load(to_yaml(config))["ppo"]["rate_rule"] == "fixed"


@pytest.mark.parametrize("path", sorted((ROOT / "assets" / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_configurations_in_the_box_load_and_their_phases_last_as_long_as_the_run(path: Path) -> None:
    config = load_yaml(path)
    if config.phases[0].steps is not None:
        assert sum(phase.steps or 0 for phase in config.phases) >= config.steps


def test_a_phase_may_have_an_easier_task(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("task: run-gaps\nschedule: [{parameters: {gap_length: [0.03, 0.08]}}, {}]")
    config = load_yaml(tmp_path / "c.yaml")
    assert [phase.task("run-gaps").gap_length for phase in config.phases] == [(0.03, 0.08), RunGaps().gap_length]
    (tmp_path / "again.yaml").write_text(to_yaml(config))
    assert load_yaml(tmp_path / "again.yaml") == config


def test_an_empty_file_is_refused_and_an_empty_mapping_means_the_defaults(tmp_path):
    for text in ("", "# nothing\n", "[]", "false"):
        (tmp_path / "empty.yaml").write_text(text)
        with pytest.raises(UsageError, match=r"empty.yaml: "):
            load_yaml(tmp_path / "empty.yaml")
    (tmp_path / "empty.yaml").write_text("{}")
    assert load_yaml(tmp_path / "empty.yaml") == TrainConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schedule: [{share: .inf}]", "a phase must have a finite share above 0"),
        ("schedule: [{action_std: .inf}]", "a phase's action_std must be above 0 and finite"),
        ("schedule: [{noise_persistence: 1.0}]", "a phase's noise_persistence must be at least 0 and below 1, not 1.0"),
        ("schedule: [{rate: .nan}]", "a phase's rate must be above 0 and finite"),
        ("envz: 3", "unknown field envz: did you mean envs?"),
        ("ppo: {gama: 0.9}", "unknown field ppo.gama: did you mean gamma?"),
        ("envs: many", "envs must be int, not 'many'"),
        ("envs: 2.5", "envs must be int, not 2.5"),
        ("resume: 1", "resume must be bool, not 1"),
        ("minutes: soon", "minutes must be float, not 'soon'"),
        ("seeds: 3", "not 3"),
        ("ppo: 3", "ppo must be a mapping of fields to values, not 3"),
        ("ppo: {rate_rule: wild}", "ppo.rate_rule must be one of adaptive, fixed, not 'wild'"),
        ("schedule: [{physics: jelly}]", "unknown physics preset 'jelly'"),
        ("schedule: [{parameters: 3}]", "schedule.0.parameters must be dict"),
        ("schedule: [{parameters: {gap_length: 1}}]", "task 'run' has no such parameters: gap_length"),
        ("schedule: [{parameters: {name: foo}}]", "task 'run' has no such parameters: name; it has"),
        ("schedule: [{parameters: {pose_noise: 9}}]", "pose_noise must lie in [0, 0.2] rad, not 9"),
        ("schedule: [{steps: 1}, {}]", "either every phase of the schedule has steps, or none"),
        ("task: [", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_a_faulty_file_is_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        load_yaml(tmp_path / "c.yaml")
    assert "c.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_numbers_that_yaml_takes_for_text_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("ppo: {rate: 3e-4}\nminutes: 10")
    config = load_yaml(tmp_path / "c.yaml")
    assert (config.ppo.rate, config.minutes) == (3e-4, 10.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task": "fly"}, "unknown task 'fly'"),
        ({"agent": "gru"}, "unknown agent 'gru': choose one of mlp, lstm, merel2020"),
        ({"learner": "sac"}, "unknown learner 'sac': choose one of ppo, vmpo"),
        ({"physics": "jelly"}, "unknown physics preset 'jelly'"),
        ({"envs": 0}, "envs must be 1 or more, not 0"),
        ({"steps": -1}, "steps must be 1 or more"),
        ({"minutes": 0.0}, "minutes must be above 0"),
        ({"seeds": ()}, "seeds must be different integers"),
        ({"seeds": (1, 1)}, "seeds must be different integers"),
        ({"resume": True, "overwrite": True}, "give one of them"),
        ({"init_senses": {"a": "b"}}, "init_senses name senses of the policy to start from: give init_from as well"),
        ({"aids": TrainingAids(approach=1.0)}, "aids.approach needs what privileged senses know"),
        ({"task_aids": {"run": TrainingAids(reach=1.0)}}, "aids.reach needs what privileged senses know"),
    ],
)
def test_values_that_make_no_sense_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig(**wrong)


def test_flags_stand_on_top_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("envs: 64\nsteps: 10\nschedule: [{physics: fast}, {physics: paper}]")
    config = parse_arguments(["--config", str(path), "--envs", "32", "--schedule.1.rate", "1e-5", "--seeds", "4", "5"])
    assert (config.envs, config.steps, config.seeds) == (32, 10, (4, 5))
    assert config.schedule[1] == Phase(physics="paper", rate=1e-5)


def test_a_flag_that_phases_have_of_their_own_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("schedule: [{steps: 1}, {steps: 1, physics: fast+paper, aids: {upright: 0.1}}]")
    parse_arguments(["--config", str(path), "--physics", "paper", "--envs", "4"])
    told = capsys.readouterr().err
    assert "--physics changes nothing in phases 1 of the schedule" in told and "--schedule.1.physics" in told
    parse_arguments(["--config", str(path), "--aids.upright=0.2"])
    assert "--aids changes nothing in phases 1" in capsys.readouterr().err
    parse_arguments(["--config", str(path), "--envs", "4"])
    assert not capsys.readouterr().err


def test_flags_may_be_written_with_underscores(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("minutes: 10.0")
    for flag in ("--run-dir", "--run_dir"):
        assert parse_arguments(["--resume", flag, str(tmp_path)]).minutes == 10
    assert parse_arguments([f"--run_dir={tmp_path}/a_b"]).run_dir == tmp_path / "a_b"


def test_a_phases_aids_have_flags_where_the_file_gives_the_phase_some(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("schedule: [{steps: 1}, {steps: 1, aids: {upright: 0.1}}]")
    config = parse_arguments(["--config", str(path), "--schedule.1.aids.start-yaw", "0.2"])
    assert config.phases[0].aids == config.aids
    assert config.phases[1].aids == TrainingAids(upright=0.1, start_yaw=0.2)


def test_resuming_takes_the_flags_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(to_yaml(TrainConfig(envs=64, run_dir=tmp_path)))
    config = parse_arguments(["--run-dir", str(tmp_path), "--resume", "--steps", "7"])
    assert (config.envs, config.steps, config.resume, config.run_dir) == (64, 7, True, tmp_path)
    assert parse_arguments(["--run-dir", str(tmp_path / "empty"), "--resume"]).envs == TrainConfig().envs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--envs", "many"], "Error parsing --envs"),
        (["--wings", "2"], "Unrecognized options: --wings"),
        (
            ["--agent", "gru"],
            r"^unknown agent 'gru': choose one of mlp, lstm, merel2020, modulated \(see rodent train --help\)$",
        ),
        (["--config", "/nowhere.yaml"], r"cannot read the configuration /nowhere\.yaml: No such file or directory$"),
        (["--config", "/"], r"cannot read the configuration /: Is a directory$"),
        (["--run-dir"], r"^--run-dir expected one argument \(see rodent train --help\)$"),
    ],
)
def test_faulty_flags_are_one_clear_line(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_arguments(arguments)
    assert "\n" not in str(caught.value)


def test_help_names_every_leaf(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_arguments(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "Aids of one of the tasks" not in shown  # a comment that belongs to a field without a flag
    for flag in ("--config", "--task", "--seeds", "--ppo.kl-stop", "--lstm.core", "--aids.jerk", "--evaluation.every"):
        assert flag in shown


def test_every_field_is_read_somewhere() -> None:
    sources = [path.read_text() for folder in ("policies", "rodent") for path in (ROOT / folder).rglob("*.py")]
    text = "\n".join(sources)

    def leaves(value: Any) -> list[str]:
        inner = [getattr(value, field.name) for field in fields(value)]
        return [field.name for field in fields(value)] + [
            n for each in inner if is_dataclass(each) for n in leaves(each)
        ]

    # Read as config.agent_settings and config.learner_settings.
    by_name = {"mlp", "lstm", "merel2020", "modulated", "ppo", "vmpo", "distill"}
    for name in [*leaves(TrainConfig()), *leaves(Phase())]:
        assert name in by_name or re.search(rf"\.{name}\b", text), f"{name} is never read"


def test_a_run_of_an_older_version_had_at_their_defaults_what_it_did_not_know() -> None:
    ours = to_json(TrainConfig(schedule=(Phase(aids=TrainingAids()),)))
    older = to_json(TrainConfig(schedule=(Phase(aids=TrainingAids()),)))
    del older["ppo"]["clip"], older["schedule"][0]["aids"]["jerk"], older["kickstart"]
    assert difference(ours, older) is None
    changed = to_json(TrainConfig(schedule=(Phase(aids=TrainingAids()),), ppo=PPOSettings(clip=0.123)))
    told = difference(changed, older)
    assert told and told.startswith("ppo.clip is ") and told.endswith(" there and 0.123 here")
    older["aids"]["no_longer"] = 1.0
    assert difference(to_json(TrainConfig(schedule=(Phase(aids=TrainingAids()),))), older)

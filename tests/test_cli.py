import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rodent.cli import COMMANDS, main


def run(*arguments, env=None):
    command = [sys.executable, "-m", "rodent.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


def fails(capsys, *arguments):
    """The one line on standard error of a command that must end with exit code 2 and print nothing else."""
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    out, err = capsys.readouterr()
    assert exit_.value.code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("rodent: ")
    return err


def test_help_lists_the_commands_and_imports_nothing_heavy():
    shown = run("--help")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in COMMANDS)
    code = "import sys, rodent.cli; print(sorted({'torch', 'mujoco', 'dm_control', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_flags(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert "--" in capsys.readouterr().out


def test_an_unknown_command_is_refused_with_the_known_ones(capsys):
    assert "unknown command 'fly': choose one of train" in fails(capsys, "fly")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bench", "--task", "fly"], "unknown task 'fly': choose one of run"),
        (["bench", "--physics", "quick"], "unknown physics preset 'quick': choose one of paper, fast"),
        (["bench", "--envs", "0"], "environments must be at least 1, not 0"),
        (["bench", "--envs", "-3"], "environments must be at least 1, not -3"),
        (["bench", "--envs", "9999999999"], "9999999999 environments do not fit into memory: give fewer"),
        (["bench", "--threads", "-1"], "threads must be 0"),
        (["bench", "--seconds", "0"], "seconds must be above 0"),
        (["bench", "--envs", "many"], "--envs"),
        (["bench", "--speed", "3"], "--speed"),
        (["evaluate"], "policy"),
        (["evaluate", "run", "--episodes", "0"], "episodes must be 1 to 10,000, not 0"),
        (["evaluate", "run", "--episodes", str(10**23)], "episodes must be 1 to 10,000"),
        (["evaluate", "run", "--task", ""], "unknown task ''"),
        (["evaluate", "run", "--seed", "1", "--seed=2"], "--seed is given twice: give it once"),
        (["evaluate", "/no/such/policy"], "/no/such/policy"),
        (["evaluate", "run", "--untrained", "-1"], "untrained network must be 0 or more, not -1"),
        (["evaluate", "run-gaps-expert", "--untrained", "0"], "is built on a trained runner"),
        (["render", "/no/such/policy", "--output", "film.mp4"], "/no/such/policy"),
        (["curves", "/no/such/run"], "/no/such/run"),
        (["curves"], "no run to draw"),
        (["analyze"], "no session to analyse"),
        (["analyze", "/no/such.nwb"], "no session at /no/such.nwb"),
        (["train", "--ppo.clip", "-1"], "ppo.clip"),
        (["train", "--ppo.entropy", "nan"], "ppo.entropy must be finite"),
        (["train", "--aids.jerk", "inf"], "jerk must be finite"),
        (["train", "--init-from", "nowhere", "--run-dir", "/no/such/folder"], "no policy at nowhere"),
        (["train", "--task", "fly"], "unknown task 'fly'"),
        (["train", "--seeds", str(2**63)], "seeds must be below 2^63"),
        (["evaluate", "run", "--seed", str(2**63)], "a seed must be below 2^63"),
        (["evaluate", "run", "--untrained", str(2**63)], "untrained network must be below 2^63"),
        (["evaluate", 300 * "x"], "cannot read a policy at"),
        (["train", "--evaluation.physics", "fast+paper"], "unknown physics preset 'fast+paper'"),
        (["train", "--run-dir", ""], "run_dir is empty: give the path of a folder"),
        (["train", "--envs", "1", "--rollout", "1"], "a rollout holds one step of a task, which has no spread"),
        (["render", "run", "--output", "film.mp4", "--width", "641"], "even"),
        (["render", "run", "--output", "film.mp4", "--width", "0"], "even and 2 to 4096, not 0x480"),
        (["render", "run", "--output", "film.mp4", "--height", "2000000"], "even and 2 to 4096, not 640x2000000"),
        (["render", "run", "--output", "film.mp4", "--fps", "60"], "fps must be between 1 and 50"),
        (["train", "--envs", "1000000000"], "1000000000 environments' rollouts need 30518 GiB of memory at least"),
        (["train", "--agent", "brain"], "brain"),
        (["train", "--learner", "sarsa"], "sarsa"),
        (["train", "--physics", "quick"], "unknown physics preset 'quick'"),
        (["train", "--envs", "0"], "envs"),
        (["train", "--agent"], "--agent expected one argument (see rodent train --help)"),
        (["train", "--config"], "--config expected one argument (see rodent train --help)"),
        (["train", "--minutes", "inf"], "minutes must be above 0 and finite, not inf"),
        (["train", "--mlp.initial-std", "inf"], "mlp.initial_std must be above 0 and finite, not inf"),
        (["train", "--task-weights", "inf"], "task_weights must be finite and above 0"),
        (["train", "--steps", "-5"], "steps"),
        (["train", "--task", "run", "--task", "two-tap"], "--task is given twice"),
        (["train", "--agent", "modulated"], "agent modulated is built on a trained runner: give --init-from"),
        (["analyze", "run", "--seed", "-1"], "a seed must be 0 or more"),
        (["train", "--task", "run", "run"], "task must name different tasks"),
        (
            ["train", "--task", "run", "two-tap", "--task-weights", "1"],
            "task_weights must be a number above 0 for each",
        ),
        (["train", "--task", "run", "two-tap", "--privileged"], "would tell the agent which it is"),
        (["train", "--expert", "nowhere"], "no policy at nowhere"),
        (["train", "--expert", "run", "--kickstart.weights", "0"], "experts count for nothing"),
        (["distill", "--task", "two-tap"], "nobody teaches two-tap: give --expert two-tap=POLICY"),
        (["distill", "--expert", "fly=run"], "unknown task 'fly'"),
        (["distill", "--expert", "run", "--task", "two-tap"], "is an expert of run, and the tasks are two-tap"),
        (["distill", "--expert", "run", "--learner", "ppo"], "a student is taught by learner distill, not ppo"),
        (["distill", "--expert", "run", "--vision"], "agent mlp can't see"),
        (["distill", "--expert", "run", "--init-from", "nowhere"], "no policy at nowhere"),
        (["diagram", "brain"], "no policy at brain"),
        (["diagram", "--output", "brain.png"], "its name must end in .svg"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments, words, capsys):
    assert words in fails(capsys, *arguments)


# torchrun starts all ranks again, unless each that ends in good order says so.
@pytest.mark.parametrize(("launcher", "code"), [({}, 128 + signal.SIGTERM), ({"TORCHELASTIC_RUN_ID": "none"}, 0)])
def test_a_run_that_was_asked_to_end_leaves_a_checkpoint_and_exits_as_if_killed(launcher, code, tmp_path):
    command = [sys.executable, "-m", "rodent.cli", "train", "--envs", "4", "--rollout", "16", "--physics", "fast"]
    running = subprocess.Popen(
        [*command, "--mlp.hidden", "16", "--steps", "1000000", "--run-dir", tmp_path / "run"],
        env=os.environ | launcher | ({"WORLD_SIZE": "1"} if launcher else {}),
        stdout=subprocess.PIPE,
    )
    metrics = tmp_path / "run" / "metrics.csv"
    while not metrics.exists() or metrics.read_text().count("\n") < 2:  # until it trains; signals before would kill it
        assert running.poll() is None
        time.sleep(0.05)  # which leaves the core to the run
    running.terminate()
    printed, _ = running.communicate(timeout=60)
    assert running.returncode == code
    assert printed.decode().splitlines()[-1] == str(tmp_path / "run")
    assert any((tmp_path / "run" / "checkpoints").glob("step-*.safetensors"))


def test_tasks_json_describes_each_task(capsys):
    main(["tasks", "--json"])
    tasks = json.loads(capsys.readouterr().out)["tasks"]
    assert tasks["run"]["max_return"] == 1500 and tasks["run"]["step_limit"] == 1500
    assert tasks["run"]["observations"]["walker/joints_pos"] == {"size": 30, "unit": "rad"}
    assert len(tasks["run"]["actions"]) == 38
    assert tasks["run"]["parameters"]["target_velocity"] == 1.0
    assert set(tasks) == {"run", "run-gaps", "maze-forage", "escape-bowl", "two-tap"}
    assert tasks["maze-forage"]["reward_terms"] == ["orbs"]
    assert tasks["maze-forage"]["endings"] == ["diverged", "all_orbs_taken", "time_limit"]
    assert tasks["two-tap"]["reward_range"] == [0, 25.25]
    for task in tasks.values():
        assert task["parameters"].keys() == task["admissible_parameters"].keys()
    admissible = tasks["run-gaps"]["admissible_parameters"]
    assert admissible["gap_length"] == {"kind": "range", "unit": "m", "lowest": 0, "highest": 40}
    assert admissible["target_velocity"] == {"kind": "number", "unit": "m/s", "above": 0, "highest": None}
    assert tasks["two-tap"]["admissible_parameters"]["cue"] == {"kind": "switch", "unit": ""}


def test_bench_json_keeps_the_contract(capsys):
    main(["bench", "--envs", "8", "--seconds", "1", "--physics", "fast", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert {
        "task", "physics", "vision", "envs", "threads", "control_steps_per_s", "physics_steps_per_s",
        "simulated_s_per_s", "limit_ratio", "dm_control_ratio", "phases", "machine",
    } <= report.keys()  # fmt: skip
    assert report["physics_steps_per_s"] == pytest.approx(10 * report["control_steps_per_s"], rel=1e-3)
    assert report["limit_ratio"] > 0 and report["dm_control_ratio"] > 0 and report["reset_ms"] > 0
    assert sum(report["phases"].values()) == pytest.approx(1, abs=1e-3)


def test_bench_with_vision_tells_how_pictures_were_made(capsys, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")  # so that the ray tracer draws
    main(["bench", "--envs", "2", "--seconds", "0.5", "--physics", "fast", "--vision", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["vision"]["renderer"] == "warp" and report["vision"]["every"] == 1
    assert report["limit_picture_ms"] > 0 and report["phases"]["pictures"] > 0
    assert report["dm_control_ratio"] is None  # it needs OpenGL


@pytest.mark.parametrize("chosen", ["disabled", "osmesa"])
def test_the_doctor_answers_whatever_opengl_was_chosen(chosen):
    found = run("doctor", "--json", env={**os.environ, "MUJOCO_GL": chosen})
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["rendering"]["chosen"] in ("warp", "osmesa")


def test_an_unknown_opengl_is_refused():
    done = run("doctor", env={**os.environ, "MUJOCO_GL": "nonsense"})
    assert done.returncode == 2 and "unknown MUJOCO_GL='nonsense': choose one of" in done.stderr

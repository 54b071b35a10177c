from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from point_mass import PointMasses, make_point_masses

from policies.collector import Collector
from policies.config import EvaluationSettings, Phase, TrainConfig
from policies.lstm import LSTMSettings
from policies.metrics import read_metrics
from policies.mlp import MLPSettings
from policies.policy import Policy
from policies.rollout import Rollout
from policies.run_folder import hold
from policies.storage import read_tensors
from policies.training import train
from policies.vmpo import VMPOSettings
from rodent.aids import TrainingAids
from rodent.errors import UsageError
from rodent.tasks import Task


def newest(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays, content = read_tensors(max((folder / "checkpoints").glob("*.safetensors")))
    return arrays, content["facts"] | {"texts": content["texts"]}


def assert_same_state(one: Path, other: Path) -> None:
    ours, our_facts = newest(one)
    theirs, their_facts = newest(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    for name in ("steps", "phase", "texts"):
        assert our_facts[name] == their_facts[name]


def assert_same_learning(one: Path, other: Path) -> None:
    wall_time = {"seconds", "steps_per_s", "collecting"}
    for ours, theirs in zip(read_metrics(one / "metrics.csv"), read_metrics(other / "metrics.csv"), strict=True):
        assert {k: v for k, v in ours.items() if k not in wall_time} == {
            k: v for k, v in theirs.items() if k not in wall_time
        }


@pytest.mark.parametrize("agent", ["mlp", "lstm"])
def test_a_resumed_run_continues_bit_for_bit(small: Any, begun: list[int], tmp_path: Path, agent: str) -> None:
    annealed = Phase(steps=512, physics="paper", action_std=0.2, rollout=8)
    schedule = (Phase(steps=640), annealed, Phase(steps=512, rate=1e-4))
    whole = small(agent=agent, steps=1664, schedule=schedule, run_dir=tmp_path / "whole")
    train(whole, make_point_masses)
    for steps in (384, 896, 1664):  # stops within the first and within the annealed phase
        train(replace(whole, steps=steps, run_dir=tmp_path / "parts", resume=True), make_point_masses)
    assert begun == [0, 0, 384, 896]
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    assert_same_learning(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("agent", ["mlp", "lstm"])
def test_the_rodent_itself_resumes_bit_for_bit(small: Any, begun: list[int], tmp_path: Path, agent: str) -> None:
    aids = TrainingAids(episode_seconds=0.2, upright=0.1, jerk=0.1)
    whole = small(
        agent=agent, steps=256, envs=4, rollout=16, noise_persistence=0.8, aids=aids, run_dir=tmp_path / "whole"
    )
    train(whole)
    for steps in (128, 256):
        train(replace(whole, steps=steps, run_dir=tmp_path / "parts", resume=True))
    assert begun == [0, 0, 128]
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    assert_same_learning(tmp_path / "whole", tmp_path / "parts")


def test_threads_change_nothing_but_the_time(small: Any, tmp_path: Path) -> None:
    for threads in (1, 2):
        train(small(steps=256, envs=8, rollout=16, threads=threads, run_dir=tmp_path / f"{threads}"))
    assert_same_state(tmp_path / "1", tmp_path / "2")
    assert_same_learning(tmp_path / "1", tmp_path / "2")


def test_a_longer_run_repeats_the_shorter_one_with_an_annealed_last_phase(small: Any, tmp_path: Path) -> None:
    train(small(schedule=(Phase(steps=256), Phase(steps=256, action_std=0.1))), make_point_masses)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert rows[1]["std"] == pytest.approx(0.4, rel=0.05)
    assert rows[2]["std"] == pytest.approx(rows[1]["std"], rel=1e-3)
    assert rows[3]["std"] == pytest.approx(np.sqrt(rows[1]["std"] * 0.1), rel=1e-2)  # evenly in the logarithm


def test_noise_persists_as_each_phase_says(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    persisted = []

    def collect(self: Collector, rollout: Rollout) -> dict[str, float]:
        persisted.append(self.noise_persistence)
        return collect_as_ever(self, rollout)

    collect_as_ever = Collector.collect
    monkeypatch.setattr(Collector, "collect", collect)
    schedule = (Phase(steps=256, noise_persistence=0.0), Phase(steps=256), Phase(steps=256, noise_persistence=0.8))
    train(small(steps=768, noise_persistence=0.5, schedule=schedule), make_point_masses)
    assert list(dict.fromkeys(persisted)) == [0.0, 0.5, 0.8]


def test_a_new_physics_preset_rebuilds_the_environment(small: Any) -> None:
    made = []

    def make(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        made.append(PointMasses(envs, physics, aids))
        return made[-1]

    train(small(schedule=(Phase(), Phase(physics="fast+paper"), Phase(physics="paper"))), make)
    assert [(env.physics, env.num_envs) for env in made] == [("fast", 8), ("fast", 4), ("paper", 4), ("paper", 8)]
    assert all(env.closed for env in made)


def test_a_phase_may_have_aids_of_its_own(small: Any) -> None:
    made = []

    def make(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        made.append(PointMasses(envs, physics, aids))
        return made[-1]

    whole, hard = TrainingAids(start_offset=0.1), TrainingAids(start_offset=0.9)
    train(small(aids=whole, schedule=(Phase(), Phase(aids=hard), Phase(aids=hard), Phase())), make)
    assert [env.aids.start_offset for env in made] == [0.1, 0.9, 0.1]


def test_a_curriculum_makes_the_task_anew(small: Any) -> None:
    made = []

    def make(task: Task, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        made.append(task.target_velocity)
        return PointMasses(envs, physics, aids)

    train(small(schedule=(Phase(parameters={"target_velocity": 0.5}), Phase(), Phase())), make)
    assert made == [0.5, 1.0]


def test_a_held_rate_stays_and_is_released_by_the_next_phase(small: Any, tmp_path: Path) -> None:
    train(small(steps=1024, schedule=(Phase(rate=1e-5), Phase())), make_point_masses)
    rates = [row.get("rate") for row in read_metrics(tmp_path / "run" / "metrics.csv")]
    assert rates[1:4] == [1e-5] * 3
    assert rates[-1] != 1e-5


def test_metrics_name_every_term_and_ending(small: Any, tmp_path: Path) -> None:
    train(small(), make_point_masses)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert [row["steps"] for row in rows] == [128, 256, 384, 512]
    expected = {"reward", "reward.near", "shaping.effort", "ended.out", "ended.time_limit", "ended.diverged", "kl"}
    expected |= {"episode_return", "episode_length", "rate", "std", "policy_loss", "value_loss", "seconds"}
    assert expected <= rows[-1].keys()
    assert list((tmp_path / "run").glob("events.out.tfevents.*"))


def test_the_mean_action_is_evaluated_at_the_end_of_each_phase(small: Any, tmp_path: Path) -> None:
    evaluation = EvaluationSettings(episodes=3)
    train(small(schedule=(Phase(), Phase()), evaluation=evaluation), make_point_masses)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert [row["steps"] for row in rows if "evaluation_return" in row] == [256, 512]
    (told,) = Policy.load(tmp_path / "run").facts["evaluations"]
    assert told["steps"] == 512 and told["physics"] == "paper" and len(told["returns"]) == 3


def test_evaluating_does_not_change_what_is_learnt(small: Any, tmp_path: Path) -> None:
    train(small(run_dir=tmp_path / "one"), make_point_masses)
    train(small(run_dir=tmp_path / "two", evaluation=EvaluationSettings(episodes=2, every=128)), make_point_masses)
    assert_same_state(tmp_path / "one", tmp_path / "two")


def test_a_folder_that_holds_a_run_is_refused(small: Any, tmp_path: Path) -> None:
    train(small(), make_point_masses)
    with pytest.raises(UsageError, match=r"holds a run: go on with --resume, delete it with --overwrite"):
        train(small(), make_point_masses)


@pytest.mark.parametrize("flag", ["resume", "overwrite"])
def test_a_folder_in_which_another_process_trains_is_refused(small: Any, tmp_path: Path, flag: str) -> None:
    train(small(), make_point_masses)
    before = (tmp_path / "run" / "metrics.csv").read_text()
    with hold(tmp_path / "run"), pytest.raises(UsageError, match=r"another process trains in .*run: wait for it"):
        train(small(**{flag: True}), make_point_masses)
    assert (tmp_path / "run" / "metrics.csv").read_text() == before
    train(small(resume=True), make_point_masses)


def test_overwriting_deletes_the_run_and_nothing_else(small: Any, tmp_path: Path) -> None:
    train(small(), make_point_masses)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    train(small(steps=128, overwrite=True), make_point_masses)
    assert len(read_metrics(tmp_path / "run" / "metrics.csv")) == 1
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_run_is_not_overwritten_by_one_that_cannot_begin(small: Any, tmp_path: Path, seeds: tuple[int, ...]) -> None:
    train(small(run_dir=tmp_path / "other", agent="lstm"), make_point_masses)
    train(small(seeds=seeds), make_point_masses)
    before = files(tmp_path / "run")
    for wrong in ({"init_from": str(tmp_path / "other")}, {"expert": (f"run={tmp_path / 'other'}",), "seeds": (7,)}):
        with pytest.raises(UsageError):
            train(small(**{"seeds": seeds, "overwrite": True} | wrong, envs=4))
        assert files(tmp_path / "run") == before
    (own, *_) = seeds
    source = tmp_path / "run" / (f"seed-{own}" if len(seeds) > 1 else "")
    with pytest.raises(UsageError, match=r"--overwrite deletes .*run, and the run needs .*: give another --run-dir"):
        train(small(overwrite=True, init_from=str(source)), make_point_masses)
    assert files(tmp_path / "run") == before


def test_a_run_that_was_put_aside_by_a_process_that_was_killed_is_put_back(small: Any, tmp_path: Path) -> None:
    train(small(), make_point_masses)
    before = files(tmp_path / "run")
    (tmp_path / "run" / ".overwritten").mkdir()
    for path in [*(tmp_path / "run").glob("[!.]*")]:
        path.rename(tmp_path / "run" / ".overwritten" / path.name)
    with pytest.raises(UsageError, match="holds a run: go on with --resume"):
        train(small(), make_point_masses)
    assert files(tmp_path / "run") == before


def test_a_policy_without_a_checkpoint_is_not_resumed(small: Any, tmp_path: Path) -> None:
    train(small(), make_point_masses)
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        path.unlink()
    before = files(tmp_path / "run")
    with pytest.raises(
        UsageError, match=r"holds a policy and no checkpoint to go on from: begin with it by --init-from"
    ):
        train(small(resume=True), make_point_masses)
    assert files(tmp_path / "run") == before


@pytest.mark.parametrize("other", [{"noise_persistence": 0.5}, {"seeds": (5, 6)}])
def test_seeds_that_were_resumed_by_another_configuration_can_still_be(
    small: Any, tmp_path: Path, other: dict[str, Any]
) -> None:
    train(small(seeds=(0, 1)), make_point_masses)
    before = files(tmp_path / "run")
    with pytest.raises(UsageError, match="holds runs of another configuration"):
        train(small(**{"seeds": (0, 1), "resume": True} | other), make_point_masses)
    assert files(tmp_path / "run") == before
    train(small(seeds=(0, 1), steps=512, resume=True), make_point_masses)


def test_a_seed_in_which_another_process_trains_is_refused(small: Any, tmp_path: Path) -> None:
    train(small(seeds=(0, 1)), make_point_masses)
    with hold(tmp_path / "run" / "seed-1"), pytest.raises(UsageError, match=r"another process trains in .*seed-1"):
        train(small(seeds=(0, 1), resume=True), make_point_masses)


def test_folders_that_only_look_like_seeds_are_left(small: Any, tmp_path: Path) -> None:
    (tmp_path / "run" / "seed-bank").mkdir(parents=True)
    train(small(), make_point_masses)
    train(small(overwrite=True), make_point_masses)
    assert (tmp_path / "run" / "seed-bank").is_dir()


@pytest.mark.parametrize("text", ["steps,seconds\n128,one\n", "seconds\n1\n", "steps,seconds\n128,1,2\n"])
def test_a_damaged_log_is_told_and_left(small: Any, tmp_path: Path, text: str) -> None:
    train(small(), make_point_masses)
    (tmp_path / "run" / "metrics.csv").write_text(text)
    with pytest.raises(UsageError, match=r"metrics.csv is damaged: .*move it away, and the run goes on without it"):
        train(small(steps=512, resume=True), make_point_masses)
    assert (tmp_path / "run" / "metrics.csv").read_text() == text
    (tmp_path / "run" / "metrics.csv").unlink()
    train(small(steps=512, resume=True), make_point_masses)


def test_files_of_a_write_that_was_killed_are_gone_when_a_run_goes_on(small: Any, tmp_path: Path) -> None:
    train(small(), make_point_masses)
    leftovers = [tmp_path / "run" / ".metrics.csv.1.tmp", tmp_path / "run" / "policy" / ".policy.json.1.tmp"]
    for leftover in leftovers:
        leftover.write_text("half")
    train(small(steps=1024, resume=True), make_point_masses)
    assert not any(leftover.exists() for leftover in leftovers)


def test_resuming_in_an_empty_folder_starts_anew(small: Any, tmp_path: Path) -> None:
    train(small(resume=True), make_point_masses)
    assert len(read_metrics(tmp_path / "run" / "metrics.csv")) == 4


def test_resuming_a_finished_run_changes_nothing(small: Any, tmp_path: Path) -> None:
    train(small(evaluation=EvaluationSettings(episodes=2)), make_point_masses)
    before = (tmp_path / "run" / "metrics.csv").read_text()
    train(small(evaluation=EvaluationSettings(episodes=2), resume=True), make_point_masses)
    assert (tmp_path / "run" / "metrics.csv").read_text() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mlp": MLPSettings(hidden=(8,))}, r"mlp\.hidden is \[16\] there and \[8\] here"),
        ({"seeds": (1,)}, r"seeds is \[0\] there and \[1\] here"),
        ({"agent": "lstm"}, "agent is 'mlp' there and 'lstm' here"),
        ({"schedule": (Phase(),)}, "schedule is"),
    ],
)
def test_resuming_with_another_configuration_names_the_field(small: Any, change: dict[str, Any], message: str) -> None:
    train(small(), make_point_masses)
    with pytest.raises(UsageError, match=message):
        train(small(**change, resume=True), make_point_masses)


def test_resuming_may_change_the_length_and_what_is_kept(small: Any, tmp_path: Path) -> None:
    train(small(), make_point_masses)
    train(small(steps=1024, keep=1, checkpoint_every=128, resume=True), make_point_masses)
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 1


def test_settings_that_a_run_does_not_use_are_no_reason_not_to_resume_it(small: Any, begun: list[int]) -> None:
    train(small(steps=256), make_point_masses)
    idle = {"vmpo": VMPOSettings(scale_limit=0.5), "lstm": LSTMSettings(core=4)}
    train(small(resume=True, **idle), make_point_masses)
    assert begun == [0, 256]


def test_each_seed_gets_a_folder_and_a_policy_of_its_own(small: Any, tmp_path: Path) -> None:
    folders = train(small(seeds=(3, 1)), make_point_masses)
    assert folders == [tmp_path / "run" / "seed-3", tmp_path / "run" / "seed-1"]
    one, other = (Policy.load(folder) for folder in folders)
    assert (one.facts["seed"], other.facts["seed"]) == (3, 1)
    assert not torch.equal(one.agent.log_std, other.agent.log_std)
    with pytest.raises(UsageError, match=r"runs of several seeds: name one of them, .*seed-1, .*seed-3"):
        Policy.load(tmp_path / "run")


def test_one_seed_and_several_do_not_share_a_folder(small: Any, tmp_path: Path) -> None:
    train(small(run_dir=tmp_path / "one"), make_point_masses)
    with pytest.raises(UsageError, match="holds a run of one seed"):
        train(small(run_dir=tmp_path / "one", seeds=(0, 1), resume=True), make_point_masses)
    train(small(run_dir=tmp_path / "two", seeds=(0, 1)), make_point_masses)
    with pytest.raises(UsageError, match="holds runs of several seeds"):
        train(small(run_dir=tmp_path / "two", resume=True), make_point_masses)
    with pytest.raises(UsageError, match="holds a run of its own, in which seed-0 has no place"):
        train(small(run_dir=tmp_path / "one" / "seed-0"), make_point_masses)
    assert not (tmp_path / "one" / "seed-0").exists()


def test_a_run_starts_from_the_weights_of_a_policy(small: Any, tmp_path: Path) -> None:
    train(small(run_dir=tmp_path / "old"), make_point_masses)
    run = small(run_dir=tmp_path / "new", init_from=str(tmp_path / "old"), steps=1, schedule=(Phase(rate=1e-12),))
    train(run, make_point_masses)
    old, new = Policy.load(tmp_path / "old"), Policy.load(tmp_path / "new")
    torch.testing.assert_close(new.agent.actor[0].weight, old.agent.actor[0].weight, atol=1e-8, rtol=0)
    assert new.agent.normaliser.count == old.agent.normaliser.count + 128
    assert new.facts["init_from"] == str(tmp_path / "old")
    assert (new.facts["steps"], new.facts["steps_before"]) == (128, 512) and "steps_before" not in old.facts
    again = replace(run, steps=256, resume=True, run_dir=tmp_path / "new")
    train(again, make_point_masses)
    newer = small(run_dir=tmp_path / "newer", init_from=str(tmp_path / "new"), steps=1, physics="paper")
    train(newer, make_point_masses)
    chain = [Policy.load(tmp_path / name).facts for name in ("old", "new", "newer")]
    assert chain[-1]["steps_before"] == 512 + 256
    spent = sum(facts["training_seconds"] for facts in chain[:2])
    assert chain[-1]["training_seconds_before"] == pytest.approx(spent, abs=0.11) and spent > 0
    assert chain[-1]["physics_before"] == chain[0]["physics"]


def test_a_run_resumes_where_the_policy_that_it_began_with_is_no_longer_there(small: Any, tmp_path: Path) -> None:
    train(small(run_dir=tmp_path / "old"), make_point_masses)
    new = small(run_dir=tmp_path / "new", init_from=str(tmp_path / "old"))
    train(new, make_point_masses)
    (tmp_path / "old").rename(tmp_path / "elsewhere")
    train(replace(new, steps=1024, resume=True), make_point_masses)
    facts = Policy.load(tmp_path / "new").facts
    assert (facts["steps"], facts["steps_before"], facts["init_from"]) == (1024, 512, str(tmp_path / "old"))
    two_seeds = replace(new, run_dir=tmp_path / "seeds", seeds=(0, 1), resume=True)
    with pytest.raises(UsageError, match=r"no policy at .*old"):
        train(two_seeds, make_point_masses)


def test_another_sense_may_take_the_place_of_one_that_the_policy_read(small: Any, tmp_path: Path) -> None:
    def make_placed(*args: Any, **named: Any) -> PointMasses:
        env = make_point_masses(*args, **named)
        env.rename("position", "place")
        return env

    train(small(run_dir=tmp_path / "old"), make_point_masses)
    run = small(run_dir=tmp_path / "new", init_from=str(tmp_path / "old"), steps=1, schedule=(Phase(rate=1e-12),))
    with pytest.raises(UsageError, match="position is missing"):
        train(run, make_placed)
    placed = replace(run, init_senses={"position": "place"}, overwrite=True)
    train(placed, make_placed)
    old, new = Policy.load(tmp_path / "old"), Policy.load(tmp_path / "new")
    columns = [[*policy.senses.units(name)] for policy, name in ((old, "position"), (new, "place"))]
    theirs, ours = (p.agent.actor[0].weight[:, i] for p, i in zip((old, new), columns, strict=True))
    torch.testing.assert_close(ours, theirs, atol=1e-8, rtol=0)
    train(replace(placed, steps=256, overwrite=False, resume=True), make_placed)


def test_weights_of_another_network_are_refused(small: Any, tmp_path: Path) -> None:
    train(small(run_dir=tmp_path / "old"), make_point_masses)
    new = {"run_dir": tmp_path / "new", "init_from": str(tmp_path / "old")}
    with pytest.raises(UsageError, match="is of agent mlp, not lstm: give --agent mlp"):
        train(small(**new, agent="lstm"), make_point_masses)
    with pytest.raises(UsageError, match="is a network of other sizes"):
        train(small(**new, mlp=MLPSettings(hidden=(8,)), overwrite=True), make_point_masses)
    with pytest.raises(UsageError, match="senses do not fit the policy: cue is missing; position is missing"):
        train(small(**new, envs=4, overwrite=True))


def test_a_run_folder_below_a_file_is_one_clear_line(small: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot use .*file/run as run folder: Not a directory") as caught:
        train(small(run_dir=tmp_path / "file" / "run"), make_point_masses)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_with_a_checkpoint_from_which_it_goes_on(
    small: Any, tmp_path: Path, number: signal.Signals
) -> None:
    train(small(run_dir=tmp_path / "whole"), make_point_masses)
    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell runs the tests in the background

    class Interrupting(PointMasses):
        calls = 0

        def step(self, actions: np.ndarray) -> Any:
            Interrupting.calls += 1
            if Interrupting.calls == 20:
                os.kill(os.getpid(), number)
            return super().step(actions)

    run = small(run_dir=tmp_path / "parts", seeds=(0,))
    train(run, lambda task, envs, physics, threads, aids, **named: Interrupting(envs, physics, aids))
    assert newest(tmp_path / "parts")[1]["steps"] == 256
    assert Policy.load(tmp_path / "parts").facts["steps"] == 256
    assert signal.getsignal(signal.SIGINT) is before
    train(replace(run, resume=True), make_point_masses)
    assert_same_state(tmp_path / "whole", tmp_path / "parts")


def test_a_run_of_so_many_minutes_ends_after_them(small: Any, tmp_path: Path) -> None:
    train(small(minutes=0.5 / 60, schedule=(Phase(share=1), Phase(share=1, physics="paper"))), make_point_masses)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert 0.5 <= rows[-1]["seconds"] < 2
    assert {row["phase"] for row in rows} == {0, 1}


def test_a_run_that_loses_its_numbers_says_so(small: Any) -> None:
    class Broken(PointMasses):
        def step(self, actions: np.ndarray) -> Any:
            observation, reward, *rest = super().step(actions)
            return observation, reward * np.nan, *rest

    with pytest.raises(UsageError, match="no longer finite"):
        train(small(), lambda task, envs, physics, threads, aids, **named: Broken(envs, physics, aids))


def test_training_seeds_reach_the_environments_spread_out(small: Any) -> None:
    env = None

    def make(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        nonlocal env
        env = PointMasses(envs, physics, aids)
        return env

    train(small(steps=1), make)
    assert env is not None and len(set(env.seeds)) == 8 and np.ptp(env.seeds) > 1e6


def test_the_seed_of_a_run_is_that_of_its_pools_of_arenas(small: Any) -> None:
    seen = []

    def make(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        seen.append(named.get("pool_seed"))
        return PointMasses(envs, physics, aids)

    train(small(steps=1, seeds=(3, 4), evaluation=EvaluationSettings(episodes=0)), make)
    assert seen == [3, 4]


def test_a_training_state_is_small(tmp_path: Path) -> None:
    config = TrainConfig(
        envs=256, steps=1, rollout=1, threads=2, agent="lstm", run_dir=tmp_path / "run",
        evaluation=EvaluationSettings(episodes=0),
    )  # fmt: skip
    train(config)
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    assert checkpoint.stat().st_size < 10e6

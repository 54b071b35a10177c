"""Students and kickstarted learners: taught on their own way, by experts that may sense more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from point_mass import PointMasses, make_point_masses
from test_training import assert_same_learning, assert_same_state, newest
from two_tasks import TASKS, make_two_tasks

from policies.config import EvaluationSettings, Phase, TrainConfig, parse_arguments
from policies.distillation import DistillationSettings
from policies.evaluation import evaluate
from policies.experts import Experts, check_experts, load_experts
from policies.kickstart import KickstartSettings
from policies.lstm import LSTMSettings
from policies.merel2020 import Merel2020Settings
from policies.metrics import read_metrics
from policies.mlp import MLPSettings
from policies.multitask import Tasks
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.ppo import PPOSettings
from policies.registry import AGENTS, LEARNERS, make_agent
from policies.training import TrainingRun, train
from policies.vmpo import VMPOSettings
from rodent.aids import TrainingAids
from rodent.errors import UsageError

SHORT = {"ppo": PPOSettings(gamma=0.9, critic_rate=5e-3, minibatch=256), "vmpo": VMPOSettings(gamma=0.9)}
TAUGHT = DistillationSettings(gamma=0.9, minibatch=128, rate=3e-3)
SEEING = Merel2020Settings(channels=(4,), vision=8, proprioception=(16,), core=8, critic=(8,), policy=(16,))


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A policy that masters the point masses."""
    config = TrainConfig(
        envs=32, rollout=32, steps=40_000, threads=1, run_dir=tmp_path_factory.mktemp("expert") / "run",
        mlp=MLPSettings(hidden=(16,)), ppo=SHORT["ppo"], evaluation=EvaluationSettings(episodes=0),
        schedule=(Phase(action_std=0.1),),
    )  # fmt: skip
    return str(train(config, make_point_masses)[0])


@pytest.fixture(scope="module", params=["mlp", "merel2020"])
def student(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, expert: str) -> TrainConfig:
    """How a student of that expert was taught, and where it lies; one of the two remembers and sees."""
    sees = AGENTS[request.param].sees
    config = TrainConfig(
        expert=(expert,), agent=request.param, learner="distill", envs=32, rollout=32, steps=24_000, threads=1,
        vision=sees, picture_every=2 if sees else 1, mlp=MLPSettings(hidden=(16,)), merel2020=SEEING, distill=TAUGHT,
        run_dir=tmp_path_factory.mktemp("student") / "run", evaluation=EvaluationSettings(episodes=0),
        schedule=(Phase(action_std=0.1),),
    )  # fmt: skip
    train(config, make_point_masses)
    return config


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A policy that reads a privileged sense of the first of two tasks."""
    config = TrainConfig(
        task=TASKS[0], privileged=True, envs=4, rollout=8, steps=64, threads=1, mlp=MLPSettings(hidden=(4,)),
        run_dir=tmp_path_factory.mktemp("knowing") / "run", evaluation=EvaluationSettings(episodes=0),
    )  # fmt: skip
    return str(train(config, make_two_tasks)[0])


def policy(name: str, settings: Any, seed: int = 0, actions: int = 2) -> Policy:
    torch.manual_seed(seed)
    senses = ObservationSpec.of(PointMasses(1).single_observation_space)
    agent = make_agent(name, senses.size, actions, settings)
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    names = ("push_0", "push_1", "push_2")[:actions]
    return Policy(agent.eval().requires_grad_(False), settings, senses, names, {"tasks": ["run"]})


def student_return(folder: Path) -> float:
    return evaluate(Policy.load(folder), "run", episodes=20, seed=5, make_env=make_point_masses).mean_return


@pytest.mark.parametrize("agent", ["mlp", "lstm"])
def test_a_student_of_the_shipped_runner_comes_nearer_to_it_within_seconds(tmp_path: Path, agent: str) -> None:
    config = TrainConfig(
        expert=("run",), agent=agent, learner="distill", envs=8, rollout=32, steps=1536, threads=1,
        run_dir=tmp_path / "run", mlp=MLPSettings(hidden=(128, 64)),
        lstm=LSTMSettings(encoder=(128,), core=32, head=()), aids=TrainingAids(episode_seconds=1.0),
        distill=DistillationSettings(epochs=6, minibatch=64, rate=3e-3), evaluation=EvaluationSettings(episodes=0),
    )  # fmt: skip
    train(config)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")[1:]
    assert rows[-1]["expert_distance"] < 0.8 * rows[0]["expert_distance"]
    assert rows[-1]["expert_kl"] < 0.6 * rows[0]["expert_kl"]
    assert rows[-1]["std"] < 0.35 < 0.4  # drawn to the expert's
    facts = Policy.load(tmp_path / "run").facts
    assert facts["experts"] == ["run"] and facts["learner"] == "distill"


@pytest.mark.parametrize("agent", AGENTS)
def test_a_student_reaches_the_return_of_its_expert(small: Any, tmp_path: Path, expert: str, agent: str) -> None:
    sees = AGENTS[agent].sees
    config = small(
        expert=(expert,), agent=agent, learner="distill", envs=32, rollout=32, steps=16_000,
        vision=sees, picture_every=2 if sees else 1, distill=TAUGHT,
        merel2020=SEEING,
    )  # fmt: skip
    untrained = evaluate(policy(agent, config.agent_settings), "run", 20, 5, make_env=make_point_masses).mean_return
    train(config, make_point_masses)
    taught, taughts = student_return(tmp_path / "run"), student_return(Path(expert))
    assert taught > 0.95 * taughts > 2 * untrained
    student = Policy.load(tmp_path / "run")
    assert student.senses.sees == sees and student.facts.get("picture_every") == (2 if sees else None)


@pytest.mark.parametrize("learner", ["ppo", "vmpo"])
def test_reinforcement_learning_alone_goes_on_from_a_student(
    tmp_path: Path, student: TrainConfig, learner: str
) -> None:
    told = read_metrics(student.folder / "metrics.csv")[-1]
    config = replace(
        student, **SHORT, learner=learner, expert=(), steps=4096, run_dir=tmp_path / "on", init_from=str(student.folder)
    )
    run = TrainingRun(config, make_point_masses)
    run.iterate()
    said, given = run.rollout.values, run.rollout.rewards
    unit = run.learner.value_facts().get("reward_scale", 1.0)
    assert 5 * unit < said.mean() < 10.5 * unit  # what pays nearly 1 a step and is discounted by 0.9
    assert given.mean() > 0.9 * told["reward"]
    train(config, make_point_masses)
    assert read_metrics(tmp_path / "on" / "metrics.csv")[-1]["reward"] > 0.95 * told["reward"]


def test_an_expert_says_what_it_would_have_done_on_its_own_way() -> None:
    teachers = {"run": policy("lstm", LSTMSettings(encoder=(8,), core=4, head=()))}
    teachers["two-tap"] = policy("mlp", MLPSettings(hidden=(4,)), seed=1)
    tasks = Tasks(("run", "run-gaps", "two-tap"), torch.tensor([0, 0, 1, 2, 2]))
    experts = Experts(teachers, tasks, 2)
    state, starts = None, torch.ones(5, dtype=torch.bool)
    rng = np.random.default_rng(0)
    for t in range(12):
        sizes = {"position": 2, "velocity": 2, "cue": 1, "privileged/other": 3}
        observation = {name: rng.normal(size=(5, size)) for name, size in sizes.items()}
        if t == 6:
            starts = torch.tensor([False, True, False, True, False])
            state["core.h"][1], state["core.c"][1] = 0.0, 0.0
        experts.advise(observation, starts)
        starts = torch.zeros(5, dtype=torch.bool)
        flat = teachers["run"].senses.flatten({name: values[:2] for name, values in observation.items()})
        output, state = teachers["run"].agent.step(flat, state or teachers["run"].initial(2))
        torch.testing.assert_close(experts.advice[0][:2], output.mean)
        torch.testing.assert_close(experts.advice[1][:2], output.log_std)
        flat = teachers["two-tap"].senses.flatten({name: values[3:] for name, values in observation.items()})
        torch.testing.assert_close(experts.advice[0][3:], teachers["two-tap"].agent.step(flat, {})[0].mean)
        assert not experts.advice[0][2].any()


def test_a_student_reads_what_is_published_though_its_expert_reads_more(
    small: Any, tmp_path: Path, knowing: str
) -> None:
    common = {"task": TASKS, "learner": "distill", "expert": (f"run={knowing}", f"two-tap={tmp_path / 'blind'}")}
    policy("lstm", LSTMSettings(encoder=(8,), core=4, head=())).save(tmp_path / "blind")
    train(small(**common, agent="lstm"), make_two_tasks)
    student = Policy.load(tmp_path / "run")
    assert Policy.load(knowing).senses.privileged and not student.senses.privileged
    assert student.senses.critic_senses == () and dict(student.senses.senses).keys() == {"position", "velocity", "cue"}
    last = read_metrics(tmp_path / "run" / "metrics.csv")[-1]
    assert last["run.expert_distance"] != last["two-tap.expert_distance"]
    train(small(**common, privileged_critic=True, run_dir=tmp_path / "told"), make_two_tasks)
    assert Policy.load(tmp_path / "told").senses.critic_senses == (("privileged/distance", 1),)


def test_a_student_comes_to_tell_what_its_expert_senses_by_its_features_and_its_policy(
    small: Any, tmp_path: Path, knowing: str
) -> None:
    policy("lstm", LSTMSettings(encoder=(8,), core=4, head=())).save(tmp_path / "blind")
    common = {
        "task": TASKS, "learner": "distill", "agent": "merel2020", "privileged_critic": True, "envs": 32, "steps": 2048,
        "expert": (f"run={knowing}", f"two-tap={tmp_path / 'blind'}"),
        "distill": DistillationSettings(minibatch=64, rate=3e-3, auxiliary=10.0, auxiliary_updates=16),
    }  # fmt: skip
    train(small(**common | {"steps": 12_288}), make_two_tasks)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")[1:]
    for error in ("feature_error", "policy_error"):
        assert rows[0][f"run.{error}"] > 0.4 and rows[-1][f"run.{error}"] < 0.2  # the distance from the origin
        assert {row[f"two-tap.{error}"] for row in rows} == {0.0}  # which has no such sense
        # of half the steps; a task's share of a minibatch varies, and its own mean over minibatches does not weigh that
        assert rows[-1][error] == pytest.approx(rows[-1][f"run.{error}"] / 2, rel=0.1)
    student = Policy.load(tmp_path / "run")
    assert not any("readout" in name for name in student.agent.state_dict())
    assert "| learnt to tell | privileged senses, read out of its encoders and policy (weight 10) |" in student.card()
    assert dict(student.senses.senses).keys() == {"position", "velocity", "cue"}
    alone = {"expert": (), "learner": "ppo", "run_dir": tmp_path / "on", "init_from": str(tmp_path / "run")}
    for steps in (512, 1024):
        train(small(**common | alone | {"steps": steps}, resume=True), make_two_tasks)
        on = Policy.load(tmp_path / "on")
        for name in ("experts", "learnt_to_tell"):
            assert on.facts[name] == student.facts[name]
        assert (on.facts["learner"], on.facts["learners_before"]) == ("ppo", ["distill"])
        assert "| learners before | distill |" in on.card()
    for steps in (1024, 2048):
        train(small(**common | {"steps": steps}, run_dir=tmp_path / "parts", resume=True), make_two_tasks)
    train(small(**common, run_dir=tmp_path / "whole"), make_two_tasks)
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    held = newest(tmp_path / "whole")[0]
    assert "learner/lessons/exp_avg.proprioception.0.weight" in held and "learner/readouts/policy.weight" in held
    assert held["collector/learner/observations"].shape[:2] == (96, 32)


def test_what_nobody_senses_can_not_be_told(small: Any, expert: str) -> None:
    config = small(expert=(expert,), learner="distill", agent="merel2020", privileged_critic=True,
                   distill=DistillationSettings(auxiliary=1.0))  # fmt: skip
    with pytest.raises(UsageError, match=r"^distill.auxiliary tells privileged senses, and the tasks have none: leave"):
        train(config, make_point_masses)


def test_a_student_that_would_read_more_than_its_file_names_is_one_clear_line(
    small: Any, tmp_path: Path, knowing: str
) -> None:
    own = "privileged/distance is not one the policy knows"
    student = {"task": TASKS[0], "learner": "distill", "expert": (knowing,)}
    train(small(**student), make_two_tasks)
    on = {"task": TASKS[0], "init_from": str(tmp_path / "run"), "run_dir": tmp_path / "on"}
    with pytest.raises(UsageError, match=own) as caught:
        train(small(**on, privileged=True), make_two_tasks)
    assert "\n" not in str(caught.value)
    train(small(**on, privileged_critic=True), make_two_tasks)
    further = {**on, "init_from": str(tmp_path / "on"), "run_dir": tmp_path / "further"}
    with pytest.raises(UsageError, match=own):
        train(small(**further, privileged=True), make_two_tasks)  # what goes on from what goes on from a student
    blind = policy("mlp", MLPSettings(hidden=(16,)))
    blind.senses = ObservationSpec(blind.senses.senses[:-1])
    blind.agent = make_agent("mlp", blind.senses.size, 2, MLPSettings(hidden=(16,)))
    blind.save(tmp_path / "blind")
    with pytest.raises(UsageError, match="velocity is not one the policy knows"):
        train(
            small(**student | on | {"init_from": str(tmp_path / "blind"), "run_dir": tmp_path / "more"}), make_two_tasks
        )


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_taught_run_resumes_bit_for_bit(small: Any, begun: list[int], tmp_path: Path, learner: str) -> None:
    policy("lstm", LSTMSettings(encoder=(8,), core=4, head=())).save(tmp_path / "recurrent")
    common = {"agent": "lstm", "learner": learner, "expert": (str(tmp_path / "recurrent"),)}
    common["kickstart"] = KickstartSettings(weights=(0.1,), steps=400)
    train(small(**common, run_dir=tmp_path / "whole"), make_point_masses)
    for steps in (256, 512):
        train(small(**common, run_dir=tmp_path / "parts", steps=steps, resume=True), make_point_masses)
    assert begun == [0, 0, 256]
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    assert_same_learning(tmp_path / "whole", tmp_path / "parts")
    assert "collector/experts.run/core.h" in newest(tmp_path / "whole")[0]


def test_a_kickstart_falls_in_a_straight_line_and_spares_tasks_without_an_expert() -> None:
    settings, guided = KickstartSettings(weights=(0.4, 0.2), steps=100), torch.tensor([True, False])
    assert settings.at(0, guided).tolist() == pytest.approx([0.4, 0])
    assert settings.at(75, guided).tolist() == pytest.approx([0.1, 0])
    assert settings.at(200, guided).tolist() == [0, 0]
    assert KickstartSettings().at(10**9, torch.tensor([True, True])).tolist() == pytest.approx([0.005] * 2)


@pytest.mark.parametrize("learner", ["ppo", "vmpo"])
def test_a_kickstart_draws_a_learner_to_its_expert_while_it_lasts(
    small: Any, tmp_path: Path, expert: str, learner: str
) -> None:
    distances = {}
    for weight in (1e-9, 1.0):
        config = small(
            ppo=replace(SHORT["ppo"], minibatch=128, kl_stop=10.0), vmpo=replace(SHORT["vmpo"], minibatch=128),
            learner=learner, envs=32, rollout=32, steps=10_240, schedule=(Phase(rate=3e-3),), expert=(expert,),
            kickstart=KickstartSettings(weights=(weight,), steps=8192), run_dir=tmp_path / f"{weight}",
        )  # fmt: skip
        train(config, make_point_masses)
        rows = read_metrics(config.folder / "metrics.csv")
        taught = [row["expert_distance"] for row in rows if "expert_distance" in row]
        assert len(taught) == 7  # of 10 updates: the first rollout is for the normaliser, the last two go without
        distances[weight] = taught[-1]
    assert distances[1.0] < 0.7 * distances[1e-9]


def test_experts_that_weigh_nothing_any_more_are_not_asked_and_the_run_resumes_without_them(
    small: Any, tmp_path: Path, expert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, advise = 0, Experts.advise

    def noted(experts: Experts, *told: Any) -> None:
        nonlocal asked
        asked += 1
        advise(experts, *told)

    monkeypatch.setattr(Experts, "advise", noted)
    common = {"expert": (expert,), "kickstart": KickstartSettings(steps=200), "rollout": 16}
    train(small(**common, run_dir=tmp_path / "whole"), make_point_masses)
    assert asked == 1 + 2 * 16  # the rollouts of 128 steps that begin at step 0 and at step 128
    for steps in (256, 384, 512):
        train(small(**common, run_dir=tmp_path / "parts", steps=steps, resume=True), make_point_masses)
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    assert not any("experts" in name for name in newest(tmp_path / "whole")[0])


def test_the_tasks_of_a_student_are_those_of_its_experts(tmp_path: Path) -> None:
    config = parse_arguments(["--expert", "run", "--agent", "lstm"], "rodent distill", "distill")
    assert (config.task, config.learner, config.expert) == (("run",), "distill", ("run",))
    assert config.folder == Path("runs/run-lstm-student")
    folders = [parse_arguments(["--agent", "lstm", "--learner", learner]).folder for learner in ("ppo", "vmpo")]
    assert folders == [Path("runs/run-lstm"), Path("runs/run-lstm-vmpo")]
    config = parse_arguments(["--expert", "two-tap=x", "run-gaps=y"], learner="distill")
    assert config.task == ("two-tap", "run-gaps")
    config = parse_arguments(["--expert", "two-tap=x", "--task", "run", "two-tap"])
    assert (config.task, config.learner) == (("run", "two-tap"), "ppo")


def test_a_policy_of_several_tasks_teaches_all_of_them(tmp_path: Path) -> None:
    teacher = policy("mlp", MLPSettings(hidden=(4,)))
    teacher.facts["tasks"] = ["run-gaps", "run"]
    teacher.save(tmp_path)
    assert list(load_experts([str(tmp_path)], ["run", "run-gaps"])) == ["run-gaps", "run"]


@pytest.mark.parametrize(
    ("experts", "tasks", "message"),
    [
        (["nowhere"], ["run"], "no policy at nowhere"),
        (["run=nowhere"], ["run"], "no policy at nowhere"),
        (["run=run", "run"], ["run"], "task run has two experts, run and run: give one"),
        (["run"], ["two-tap"], "run is an expert of run, and the tasks are two-tap: add the task, or give TASK=run"),
    ],
)
def test_experts_that_cannot_be_are_one_clear_line(experts: list[str], tasks: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_experts(experts, tasks)
    assert "\n" not in str(caught.value)


def test_an_expert_that_cannot_act_in_its_task_is_one_clear_line(small: Any, knowing: str) -> None:
    with pytest.raises(UsageError, match=r"the expert of two-tap can't act there: .*privileged/distance is missing"):
        train(small(task=TASKS, learner="distill", expert=("run=" + knowing, "two-tap=" + knowing)), make_two_tasks)
    three = policy("mlp", MLPSettings(hidden=(4,)), actions=3)
    space = PointMasses(1).single_observation_space
    with pytest.raises(UsageError, match=r"the expert of run drives other actuators: push_0, push_1, push_2 \.\.\."):
        check_experts({"run": three}, {"run": space}, ("push_0", "push_1"))


def test_a_seeing_expert_needs_pictures_and_gets_them(small: Any, tmp_path: Path) -> None:
    senses = ObservationSpec.of(PointMasses(1, vision=True).single_observation_space)
    settings = Merel2020Settings(channels=(4,), vision=8, proprioception=(8,), core=8, critic=(8,), policy=(8,))
    agent = make_agent("merel2020", senses.size, 2, settings, picture_shape=senses.picture[1])
    seeing = Policy(agent, settings, senses, ("push_0", "push_1"), {"tasks": ["run"]})
    with pytest.raises(UsageError, match="the policy sees, and the environment gives no picture eye"):
        check_experts({"run": seeing}, {"run": PointMasses(1).single_observation_space}, ("push_0", "push_1"))
    seeing.save(tmp_path / "seeing")
    train(small(learner="distill", expert=(str(tmp_path / "seeing"),)), make_point_masses)
    assert not Policy.load(tmp_path / "run").senses.sees


def test_a_student_without_an_expert_of_a_task_is_one_clear_line(small: Any, expert: str) -> None:
    with pytest.raises(UsageError, match=r"^nobody teaches two-tap: give --expert two-tap=POLICY$"):
        train(small(task=TASKS, learner="distill", expert=(f"run={expert}",)), make_two_tasks)
    with pytest.raises(UsageError, match=r"^nobody teaches run: give --expert run=POLICY$"):
        train(small(learner="distill"), make_point_masses)


def test_numbers_that_are_not_finite_end_a_student(small: Any, expert: str) -> None:
    class Broken(PointMasses):
        def step(self, actions: np.ndarray) -> Any:
            observation, reward, *rest = super().step(actions)
            return observation, reward * np.nan, *rest

    with pytest.raises(
        UsageError, match=r"no longer finite: .* a lower distill\.rate; the batch that made them is .*safetensors$"
    ):
        train(
            small(learner="distill", expert=(expert,)),
            lambda task, envs, physics, threads, aids, **named: Broken(envs, physics, aids),
        )


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (KickstartSettings, {"weights": ()}, "kickstart.weights must be finite and 0 or more"),
        (KickstartSettings, {"weights": (-1.0,)}, "kickstart.weights must be finite and 0 or more"),
        (KickstartSettings, {"steps": 0}, "kickstart.steps must be 1 or more, not 0"),
        (DistillationSettings, {"epochs": 0}, "distill needs at least 1 epoch"),
        (DistillationSettings, {"memory": 0}, "distill needs at least 1 epoch, 1 step a minibatch and 1 rollout"),
        (DistillationSettings, {"rate": 0.0}, "distill.rate must be above 0"),
        (DistillationSettings, {"gamma": 1.0}, "distill needs gamma below 1"),
        (DistillationSettings, {"popart": 2.0}, "distill.popart must be at most 1"),
        (DistillationSettings, {"value": float("inf")}, "distill.value must be finite"),
        (
            TrainConfig,
            {"expert": ("run",), "kickstart": KickstartSettings(weights=(0.0,))},
            "experts count for nothing if all of kickstart.weights are 0",
        ),
        (
            TrainConfig,
            {"expert": ("run",), "learner": "distill", "privileged": True},
            "a student reads published senses alone: leave out --privileged, or give --privileged-critic",
        ),
        (DistillationSettings, {"auxiliary": -1.0}, "distill.auxiliary must be finite and 0 or more, not -1.0"),
        (
            TrainConfig,
            {"learner": "distill", "agent": "merel2020", "distill": DistillationSettings(auxiliary=1.0)},
            "distill.auxiliary tells what the critic is told: give --privileged-critic as well",
        ),
        (
            TrainConfig,
            {"learner": "distill", "privileged_critic": True, "distill": DistillationSettings(auxiliary=1.0)},
            "distill.auxiliary teaches encoders, and agent mlp has none: give merel2020",
        ),
        (
            TrainConfig,
            {
                "learner": "distill",
                "agent": "merel2020",
                "merel2020": Merel2020Settings(encoders="value"),
                "privileged_critic": True,
                "distill": DistillationSettings(auxiliary=1.0),
            },
            "distill.auxiliary teaches encoders that merel2020.encoders lets value alone teach",
        ),
        (DistillationSettings, {"auxiliary_minibatch": 0}, "distill.auxiliary_minibatch must be 1 or more, not 0"),
        (
            DistillationSettings,
            {"auxiliary_memory": 7},
            "distill.auxiliary_memory must hold the 8 steps that are remembered of a rollout, not 7",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(kind(), **wrong)

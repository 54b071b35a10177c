from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import many_ranks
import numpy as np
import pytest
import torch
import torch.distributed as dist
from many_ranks import RANKS, RUNS, configure, maker, numbers, save_experts
from point_mass import make_point_masses

from policies.agent import Agent
from policies.checkpoint import Checkpoints
from policies.distributed import Ranks, Share, meet
from policies.metrics import read_metrics
from policies.policy import Policy
from policies.registry import AGENTS, make_agent
from policies.rollout import Rollout
from policies.run_folder import CHECKPOINTS, NOT_FINITE
from policies.storage import read_tensors
from policies.training import train
from rodent.cli import main
from rodent.errors import UsageError

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(RANKS)]
OF_A_ROLLOUT = 16  # control steps; a run has three
WALL_TIME = {"seconds", "steps_per_s", "collecting"}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two ranks did `many_ranks.run_everything`."""
    folder = tmp_path_factory.mktemp("together")
    torch.multiprocessing.spawn(many_ranks.run_everything, (folder,), nprocs=RANKS)
    return folder


def newest(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    held = Checkpoints(folder / CHECKPOINTS, 3).read_newest()
    assert held
    return held


def told(together: Path, what: str) -> list[str]:
    return [json.loads((together / f"told-{rank}.json").read_text())[what] for rank in range(RANKS)]


@pytest.mark.parametrize("name", RUNS)
def test_two_ranks_learn_what_one_with_all_environments_learns(together: Path, tmp_path: Path, name: str) -> None:
    save_experts(tmp_path)
    config = configure(name, tmp_path)
    train(config, maker(config))
    (ours, our_facts), (theirs, their_facts) = newest(tmp_path / name), newest(together / name)
    assert our_facts["steps"] == their_facts["steps"]
    learnt = [key for key in ours if key.startswith(("agent/", "learner/"))]
    assert learnt == [key for key in theirs if key.startswith(("agent/", "learner/"))]
    for key in learnt:
        np.testing.assert_allclose(theirs[key], ours[key], rtol=1e-4, atol=1e-6, err_msg=key)
    np.testing.assert_array_equal(theirs["run/generator"], ours["run/generator"])
    rows = [read_metrics(folder / name / "metrics.csv") for folder in (tmp_path, together)]
    for alone, both in zip(*rows, strict=True):
        assert alone.keys() == both.keys()
        for figure in alone.keys() - WALL_TIME:
            assert both[figure] == pytest.approx(alone[figure], rel=1e-3, abs=1e-5), figure


@pytest.mark.parametrize("name", RUNS)
def test_ranks_keep_the_same_weights_to_the_bit(together: Path, name: str) -> None:
    ours, theirs = (np.load(together / f"{name}-{rank}.npz") for rank in range(RANKS))
    assert ours.files == theirs.files
    for key in ours.files:
        np.testing.assert_array_equal(ours[key], theirs[key])


def test_each_rank_owns_its_part_of_one_seeds_environments(together: Path, tmp_path: Path) -> None:
    train(configure("mlp-ppo", tmp_path), make_point_masses)
    ours, theirs = newest(tmp_path / "mlp-ppo")[0], newest(together / "mlp-ppo")[0]
    split = np.concatenate([theirs["collector/env.seeds"], theirs["collector.1/env.seeds"]])
    np.testing.assert_array_equal(split, ours["collector/env.seeds"])
    assert len(set(split)) == 8


def test_sums_and_moments_are_over_all_ranks(together: Path) -> None:
    everything = numbers()
    expected = {
        "mean": everything.mean(),
        "var": everything.var(),
        "std": everything.std(),
        "moments": torch.stack([everything.mean(0), everything.var(0, correction=0)]),
        "count": len(everything),
        "sum": everything[:2] + everything[5:7],
        "any": [True, False],
        "first": [0],
    }
    for rank in range(RANKS):
        found = np.load(together / f"reductions-{rank}.npz")
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], np.asarray(value), rtol=1e-6, err_msg=name)
        assert found["dealt"] == 10 + rank
        assert found["gathered"].tolist() == ([0, 1] if rank == 0 else [rank])


def test_a_signal_to_one_rank_ends_all_with_a_checkpoint_from_which_they_go_on(together: Path) -> None:
    folder = together / "stopped" / "mlp-ppo"
    assert told(together, "resumed_for") == [str(OF_A_ROLLOUT)] * RANKS
    assert told(together, "stopped") == [f"done {[str(folder)]}", "done []"]
    assert read_metrics(together / "stopped" / "stopped.csv")[-1]["steps"] == 256
    ours, theirs = newest(folder)[0], newest(together / "mlp-ppo")[0]
    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_what_the_first_rank_refuses_is_told_once(together: Path) -> None:
    line, other = told(together, "odd")
    assert line == "9 environments do not divide by 2 ranks: give --envs 8 or 10, say" and other == "exit 2"
    assert not (together / "odd").exists()
    line, other = told(together, "held")
    assert "holds a run: go on with --resume" in line and other == "exit 2"


def test_all_ranks_end_where_the_first_cannot_write(together: Path) -> None:
    line, other = told(together, "full")
    assert line.startswith("cannot write the checkpoint") and other == "exit 2"


@pytest.mark.parametrize("what", ["infinite", "infinite-vmpo"])
def test_numbers_that_one_rank_loses_end_all_and_each_ranks_part_of_the_batch_is_kept(
    together: Path, what: str
) -> None:
    kept = together / "infinite" / ("mlp-vmpo" if what.endswith("vmpo") else "mlp-ppo") / NOT_FINITE
    for line in told(together, what):
        assert "no longer finite" in line and line.endswith(f"the batch that made them is {kept}")
    batch, facts = read_tensors(kept)
    parts = [batch[f"{rank}/columns"] for rank in range(RANKS)]
    assert np.sort(np.concatenate(parts)).tolist() == list(range(facts["width"]))
    assert batch["1/observations"].shape[:2] == (1, len(parts[1]))


def test_weights_that_have_come_apart_are_noticed(together: Path) -> None:
    assert "the ranks no longer have the same weights" in told(together, "apart")[0]


def test_a_run_of_two_ranks_is_resumed_by_two_alone(together: Path) -> None:
    with pytest.raises(UsageError, match="holds a run of 2 ranks, not 1: resume it with as many"):
        train(configure("mlp-ppo", together, resume=True), make_point_masses)


@pytest.mark.parametrize("killed", [0, RANKS - 1])  # the first is the one that writes
def test_a_killed_rank_is_restarted_and_the_run_goes_on_from_its_last_checkpoint(
    together: Path, tmp_path: Path, killed: int
) -> None:
    command = [*TORCHRUN, "--max-restarts", "1", many_ranks.__file__, str(tmp_path), str(killed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert f"rank {RANKS - 1 - killed} has lost another rank" in done.stderr
    assert len(list(tmp_path.glob("attempt-*"))) == 2 * RANKS
    assert [(tmp_path / f"taken-{rank}").read_text() for rank in range(RANKS)] == [str(2 * OF_A_ROLLOUT)] * RANKS
    run = tmp_path / "merel2020-vmpo"
    ours, theirs = newest(run)[0], newest(together / run.name)[0]
    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    assert [row["steps"] for row in read_metrics(run / "metrics.csv")] == [128, 256, 384]
    assert Policy.load(run).facts["steps"] == 384


# Python runs this in each process at its start: the second rank of the first attempt kills itself once there is a
# checkpoint, of which a copy of the log tells.
DEADLY = """
import os, shutil, signal, threading, time
from pathlib import Path

def kill(folder):
    while not any(folder.glob("checkpoints/step-*.safetensors")):
        time.sleep(0.01)
    shutil.copy(folder / "metrics.csv", folder / "before.csv")
    os.kill(os.getpid(), signal.SIGKILL)

if (os.environ.get("RANK"), os.environ.get("TORCHELASTIC_RESTART_COUNT")) == ("1", "0"):
    threading.Thread(target=kill, args=[Path(os.environ["FOLDER"])], daemon=True).start()
"""
UPDATES, STEPS = 12, 64  # of the rodent, and of all environments in an update
COMMAND = (
    "train --task run-gaps --envs 4 --rollout 16 --pool 2 --threads 1 --mlp.hidden 16 --ppo.minibatch 32 "
    f"--evaluation.episodes 0 --checkpoint-every {STEPS} --run-dir"
).split()


@pytest.mark.slow
def test_the_command_of_the_manual_survives_the_loss_of_a_rank_with_rats_in_a_pool_of_arenas(tmp_path: Path) -> None:
    folder, start = tmp_path / "many", tmp_path / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(DEADLY)
    paths = [str(start), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [
            *TORCHRUN,
            "--max-restarts",
            "3",
            "-m",
            "rodent",
            *COMMAND,
            folder,
            "--steps",
            str(UPDATES * STEPS),
            "--resume",
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "FOLDER": str(folder)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    rows, before = (read_metrics(folder / name) for name in ("metrics.csv", "before.csv"))
    assert [row["steps"] for row in rows] == [STEPS * (i + 1) for i in range(UPDATES)]
    assert rows[0] == before[0] and "seconds" in rows[0]  # had it begun anew, this row would tell another wall time
    assert len(before) < UPDATES and Policy.load(folder).facts["steps"] == UPDATES * STEPS

    main([*COMMAND, str(tmp_path / "one"), "--steps", str(2 * STEPS)])  # longer, touch makes much of the last digits
    for alone, both in zip(read_metrics(tmp_path / "one" / "metrics.csv"), rows, strict=False):
        for figure in alone.keys() - WALL_TIME:
            assert both[figure] == pytest.approx(alone[figure], rel=1e-3, abs=1e-5), figure


def meet_all(store: dist.Store) -> list[dist.Store]:
    with ThreadPoolExecutor(3) as ranks:
        return list(ranks.map(lambda rank: meet(store, rank, 3, timeout=30), (1, 2, 0)))


def test_ranks_that_are_started_again_find_nothing_of_their_forerunners() -> None:
    store = dist.HashStore()
    for attempt in range(3):  # what an attempt says stays in the store for the next one to stumble on
        first, second, third = meet_all(store)
        assert not first.check(["address"])
        third.set("address", f"of {attempt}")
        assert first.get("address") == second.get("address") == f"of {attempt}".encode()


def test_a_rank_that_does_not_come_is_named() -> None:
    store = dist.HashStore()
    store.set("word/1", "of an earlier attempt")
    with pytest.raises(UsageError, match="rank 0 waited 0 s for rank 1: are all machines started"):
        meet(store, 0, 2, timeout=0.1)
    with pytest.raises(UsageError, match="rank 1 waited 0 s for rank 0"):
        meet(store, 1, 2, timeout=0.1)


def rollouts(agent: Agent, time: int, envs: int, ranks: int) -> list[Rollout]:
    """One for each rank, whose rewards name their places in the rollout of all."""
    made = []
    for rank in range(ranks):
        share = Share(rank * envs // ranks, (rank + 1) * envs // ranks, envs)
        made.append(Rollout.empty(time, share.size, agent, share))
        made[-1].rewards[:] = torch.arange(float(time * envs)).view(time, envs)[:, share.start : share.stop]
    return made


@pytest.mark.parametrize("whole_sequences", [False, True])
@pytest.mark.parametrize(("ranks", "count"), [(2, 3), (3, 12)])
def test_the_members_of_a_minibatch_are_those_that_one_process_would_take(
    whole_sequences: bool, ranks: int, count: int
) -> None:
    agent = make_agent("mlp", 3, 2, AGENTS["mlp"].settings_type())

    def batches(of: Rollout) -> Any:
        return of.minibatches(of.rewards, of.rewards, count, whole_sequences, torch.Generator().manual_seed(0))

    (alone,) = rollouts(agent, 5, 12, 1)
    parts = rollouts(agent, 5, 12, ranks)
    for whole, *theirs in zip(batches(alone), *(batches(part) for part in parts), strict=True):
        assert whole.width == whole.returns.shape[1] == sum(part.returns.shape[1] for part in theirs)
        torch.testing.assert_close(sum(part.spread(part.returns) for part in theirs), whole.returns)
        torch.testing.assert_close(sum(part.mean(part.returns) for part in theirs), whole.returns.mean())


def test_an_environment_gets_the_same_noise_whatever_the_number_of_ranks() -> None:
    drawn = [Share(start, start + 3, 12).noise(5, torch.Generator().manual_seed(1)) for start in range(0, 12, 3)]
    assert torch.equal(torch.cat(drawn), Share(0, 12, 12).noise(5, torch.Generator().manual_seed(1)))


def test_shares_follow_one_another() -> None:
    ranks = Ranks()
    ranks.count = 3
    shares = []
    for ranks.rank in range(3):
        shares += ranks.share(12).of(range(12))
    assert shares == list(range(12))
    with pytest.raises(UsageError, match="2 environments do not divide by 3 ranks: give --envs 3, say"):
        ranks.share(2)

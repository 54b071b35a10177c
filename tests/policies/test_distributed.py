from __future__ import annotations

import json
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
from rodent.errors import UsageError

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


def test_a_killed_rank_is_restarted_and_the_run_goes_on_from_its_last_checkpoint(
    together: Path, tmp_path: Path
) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(RANKS)]
    done = subprocess.run(
        [*torchrun, "--max-restarts", "1", many_ranks.__file__, tmp_path], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "rank 0 has lost another rank" in done.stderr
    assert len(list(tmp_path.glob("attempt-*"))) == 2 * RANKS
    ours, theirs = newest(tmp_path / "mlp-ppo")[0], newest(together / "mlp-ppo")[0]
    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    assert [row["steps"] for row in read_metrics(tmp_path / "mlp-ppo" / "metrics.csv")] == [128, 256, 384]
    assert Policy.load(tmp_path / "mlp-ppo").facts["steps"] == 384


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

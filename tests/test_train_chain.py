"""`tools/train_chain.sh` with a stand-in for `rodent`, which notes what it is asked for."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

CHAIN = Path(__file__).parents[1] / "tools" / "train_chain.sh"


@pytest.fixture
def start(tmp_path: Path):
    def start(body: str, *names: str) -> "subprocess.Popen[bytes]":
        stand_in = tmp_path / "rodent"
        stand_in.write_text(f'#!/usr/bin/env bash\necho "$*" >> {tmp_path}/asked\n{body}\n')
        stand_in.chmod(0o755)
        (tmp_path / "tools").mkdir(exist_ok=True)  # it works in the folder above its own
        chain = shutil.copy(CHAIN, tmp_path / "tools")
        env = os.environ | {"RODENT": str(stand_in)}
        return subprocess.Popen(["bash", chain, *names], env=env, start_new_session=True)

    return start


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines()


def test_each_configuration_is_trained_in_the_folder_that_the_next_begins_with(start, tmp_path: Path):
    assert start("", "two-tap-expert", "two-tap-waits").wait() == 0
    assert asked(tmp_path) == [
        f"train --config assets/configs/{name}.yaml --run-dir runs/{name} --threads 1 --resume"
        for name in ("two-tap-expert", "two-tap-waits")
    ]


def test_a_chain_of_a_seed_goes_from_one_run_of_that_seed_to_the_next(start, tmp_path: Path):
    assert start("", "--seed", "2", "run-gaps-expert", "run-gaps-longer").wait() == 0
    chain = {name: f"runs/{name}/seed-2" for name in ("run-gaps-expert", "run-gaps-longer")}
    begins = [
        f"train --config assets/configs/{name}.yaml --run-dir {run} --threads 1 --resume" for name, run in chain.items()
    ]
    assert asked(tmp_path) == [
        f"{begins[0]} --seeds 2",
        f"{begins[1]} --seeds 2 --init-from {chain['run-gaps-expert']}",
    ]


def test_a_chain_goes_on_with_the_last_run_that_has_begun_and_needs_none_of_those_before(start, tmp_path: Path):
    (tmp_path / "runs/run-gaps-longer/seed-2/checkpoints").mkdir(parents=True)
    assert start("", "--seed", "2", "run-gaps-expert", "run-gaps-longer", "run-gaps-surer").wait() == 0
    assert asked(tmp_path) == [
        f"train --config assets/configs/{name}.yaml --run-dir runs/{name}/seed-2 --threads 1 --resume --seeds 2 "
        f"--init-from runs/{before}/seed-2"
        for before, name in (("run-gaps-expert", "run-gaps-longer"), ("run-gaps-longer", "run-gaps-surer"))
    ]


def test_a_seed_that_is_no_number_is_refused(start, tmp_path: Path):
    for names in (["--seed"], ["--seed", "run-gaps-expert"]):
        assert start("", *names).wait() == 2
    assert not (tmp_path / "asked").exists()


def test_a_chain_of_nothing_is_refused(start, tmp_path: Path):
    assert start("").wait() == 2
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize("code", [2, 128 + signal.SIGTERM])
def test_nothing_begins_with_a_run_that_failed_or_was_stopped(start, tmp_path: Path, code: int):
    assert start(f"exit {code}", "two-tap-expert", "two-tap-waits").wait() == code
    assert len(asked(tmp_path)) == 1


def test_nothing_begins_with_a_run_that_was_asked_to_end_and_did_so_in_good_order(start, tmp_path: Path):
    waiting = f"trap 'exit 0' INT; touch {tmp_path}/waits; while true; do sleep 0.05; done"
    chain = start(waiting, "two-tap-expert", "two-tap-waits")
    while not (tmp_path / "waits").exists():
        assert chain.poll() is None
    os.killpg(chain.pid, signal.SIGINT)
    assert chain.wait() == 130
    assert len(asked(tmp_path)) == 1

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from point_mass import make_point_masses

from policies.checkpoint import CheckpointError, Checkpoints
from policies.metrics import read_metrics
from policies.policy import Policy
from policies.storage import read_tensors
from policies.training import train
from rodent.errors import UsageError

HERE = Path(__file__).parent


def write(folder: Path, *steps: int, keep: int = 3) -> Checkpoints:
    checkpoints = Checkpoints(folder, keep)
    for step in steps:
        arrays = {"weights": np.full(100, float(step)), "names": np.array(["a", "b"]), "count": np.array(step)}
        checkpoints.write(step, arrays, {"steps": step})
    return checkpoints


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_newest_is_read_back(tmp_path: Path) -> None:
    held = write(tmp_path, 5, 1000).read_newest()
    assert held is not None
    arrays, facts = held
    assert facts == {"steps": 1000}
    assert arrays["names"].tolist() == ["a", "b"] and arrays["count"] == 1000 and arrays["count"].shape == ()


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    write(tmp_path, 9, 10, 100, 1000, keep=2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-000000000100.safetensors",
        "step-000000001000.safetensors",
    ]


def test_there_may_be_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none", 3).read_newest() is None


def test_a_damaged_newest_one_gives_way_to_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = write(tmp_path, 1, 2, 3)
    newest = checkpoints.files()[-1]
    newest.write_bytes(newest.read_bytes()[:200])
    held = checkpoints.read_newest()
    assert held is not None and held[1] == {"steps": 2}
    (line,) = capsys.readouterr().err.splitlines()
    assert "step-000000000003.safetensors is damaged" in line and "falling back" in line
    assert Path(f"{newest}.damaged").exists()


def test_a_damaged_one_does_not_count_among_those_kept(tmp_path: Path) -> None:
    checkpoints = write(tmp_path, 5, 9, keep=2)
    checkpoints.files()[-1].write_bytes(b"")
    checkpoints.read_newest()
    write(tmp_path, 6, 7, keep=2)
    assert [path.name[-14:-12] for path in checkpoints.files()] == ["06", "07"]


def test_one_altered_bit_is_noticed(tmp_path: Path) -> None:
    checkpoints = write(tmp_path, 1, 2)
    data = bytearray(checkpoints.files()[-1].read_bytes())
    data[-1] ^= 1
    checkpoints.files()[-1].write_bytes(data)
    held = checkpoints.read_newest()
    assert held is not None and held[1] == {"steps": 1}


def test_when_all_are_damaged_the_user_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = write(tmp_path, 1, 2)
    for path in checkpoints.files():
        path.write_bytes(b"nothing")
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"all checkpoints in .* are damaged: start anew with --overwrite"):
            checkpoints.read_newest()
    assert capsys.readouterr().err == ""  # the error says it all


def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path: Path) -> None:
    checkpoints = write(tmp_path, 1)
    with full_disk(500), pytest.raises(UsageError, match="cannot write the checkpoint") as caught:
        write(tmp_path, 2)
    assert "File too large; the last good one is step-000000000001.safetensors; make room" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000000001.safetensors"]
    held = checkpoints.read_newest()
    assert held is not None and held[1] == {"steps": 1}


def test_a_run_on_a_full_disk_ends_in_one_line_and_goes_on_later(small: Any, tmp_path: Path) -> None:
    train(small(steps=256), make_point_masses)
    with (
        full_disk(3000),
        pytest.raises(UsageError, match=r"cannot write .*make room and go on with --resume") as caught,
    ):
        train(small(steps=512, checkpoint_every=1, resume=True), make_point_masses)
    assert "\n" not in str(caught.value)
    train(small(steps=512, resume=True), make_point_masses)
    assert read_metrics(tmp_path / "run" / "metrics.csv")[-1]["steps"] == 512


def test_a_run_resumes_from_the_checkpoint_before_a_damaged_one(small: Any, tmp_path: Path) -> None:
    config = small(checkpoint_every=128)
    train(config, make_point_masses)
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    intact = read_tensors(newest)
    newest.write_bytes(newest.read_bytes()[:-1])
    train(replace(config, resume=True), make_point_masses)
    again = read_tensors(newest)
    for name, array in intact[0].items():
        np.testing.assert_array_equal(array, again[0][name])


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from point_mass import make_point_masses
from policies.config import EvaluationSettings, TrainConfig
from policies.training import train
train(TrainConfig(envs=64, rollout=2, steps=10**9, threads=1, checkpoint_every=1, run_dir=Path({folder!r}), resume=True,
      evaluation=EvaluationSettings(episodes=0)), make_point_masses)
"""


def test_after_a_kill_at_any_moment_the_last_good_checkpoint_loads(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    before = 0
    for _ in range(2):
        code = KILLED.format(here=str(HERE), folder=str(folder))
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, cwd=HERE.parents[1])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            files = sorted((folder / "checkpoints").glob("step-*.safetensors"))
            if files and int(files[-1].name[5:17]) > before + 1000:
                break
            time.sleep(0.003)
        process.kill()
        _, complaint = process.communicate()
        assert process.returncode == -signal.SIGKILL, complaint.decode()
        held = Checkpoints(folder / "checkpoints", 3).read_newest()
        assert held is not None and held[1]["steps"] > before
        before = held[1]["steps"]
        assert Policy.load(folder).facts["steps"] > 0

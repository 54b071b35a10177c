"""A recording that is killed, interrupted, or finds no room or another at work loses no whole episode."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from analysis import nwb_rollout
from analysis.nwb_parts import Parts
from analysis.nwb_record import record
from analysis.recording import Session
from rodent.errors import UsageError
from tests.analysis.conftest import Fleeting

KILLED = """
import os, signal, sys
from pathlib import Path
from analysis import nwb_parts, nwb_rollout, nwb_session
from analysis.nwb_record import record
from tests.analysis.conftest import Fleeting

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

nwb_rollout.MOST_AT_ONCE, nwb_parts.PIECE = 1, 4  # episodes one by one, each written piece by piece
if sys.argv[3] == "while it joins":
    nwb_session._fill = kill
killed_at = 0.5 if sys.argv[3] == "in its second episode" else 2.0
record(
    sys.argv[1], Path(sys.argv[2]), [Fleeting()], 2, seed=3, threads=1, physics="fast",
    progress=lambda share: kill() if share > killed_at else None,
)
"""


def test_a_recording_that_is_killed_keeps_whole_episodes_and_the_next_one_goes_on_from_them(mlp, tmp_path, monkeypatch):
    monkeypatch.setattr(nwb_rollout, "MOST_AT_ONCE", 1)  # as in the processes that are killed
    mlp.save(tmp_path / "policy")
    (tmp_path / "sessions").mkdir()
    path = tmp_path / "sessions" / "session.nwb"
    folder = path.with_name(".session.nwb.parts")
    for when, left in (
        ("in its second episode", [".lock", "recipe.json", "run-000000.h5", "run-000001.tmp"]),
        ("while it joins", [".lock", "joined.nwb", "recipe.json", "run-000000.h5", "run-000001.h5"]),
    ):
        ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "policy", path, when], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert sorted(each.name for each in folder.iterdir()) == left and not path.exists()
    arguments = {"tasks": [Fleeting()], "episodes": 2, "seed": 3, "threads": 1, "physics": "fast"}
    # where the next recording is another one, only what nobody can use is gone
    with pytest.raises(UsageError, match="by another policy, seed, task, physics or renderer"):
        record(tmp_path / "policy", path, **{**arguments, "seed": 4})
    assert sorted(each.name for each in folder.iterdir()) == [".lock", "recipe.json", "run-000000.h5", "run-000001.h5"]

    record(tmp_path / "policy", path, **arguments)
    assert [each.name for each in path.parent.iterdir()] == ["session.nwb"]
    record(tmp_path / "policy", tmp_path / "whole.nwb", **arguments)
    with Session(path) as resumed, Session(tmp_path / "whole.nwb") as whole:
        for name in ("qpos", "value", "actuator_force", "prediction_error"):
            np.testing.assert_array_equal(resumed.behaviour[name].read(), whole.behaviour[name].read())


class StoppedError(Exception):
    pass


def test_a_recording_that_is_interrupted_leaves_whole_episodes_alone(mlp, tmp_path, monkeypatch):
    monkeypatch.setattr(nwb_rollout, "MOST_AT_ONCE", 1)

    def interrupt(share):
        if share > 0.5:  # in the second episode
            raise StoppedError

    with pytest.raises(StoppedError):
        record(mlp, tmp_path / "session.nwb", [Fleeting()], 2, threads=1, physics="fast", progress=interrupt)
    folder = tmp_path / ".session.nwb.parts"
    assert [each.name for each in tmp_path.iterdir()] == [folder.name]
    assert sorted(each.name for each in folder.iterdir()) == [".lock", "recipe.json", "run-000000.h5"]


def test_two_recordings_do_not_share_a_file(mlp, tmp_path, monkeypatch):
    def record_again(share):
        with pytest.raises(UsageError, match=r"another process records .*session\.nwb"):
            Parts(tmp_path / "session.nwb", {})
        raise StoppedError

    with pytest.raises(StoppedError):
        record(mlp, tmp_path / "session.nwb", [Fleeting()], 1, threads=1, physics="fast", progress=record_again)
    record(mlp, tmp_path / "session.nwb", [Fleeting()], 1, threads=1, physics="fast")


def test_a_full_disk_ends_a_recording_in_one_line_and_costs_no_whole_episode(mlp, tmp_path):
    mlp.save(tmp_path / "policy")
    command = ["record", "policy", "--task", "run", "-o", "session.nwb", "--physics", "fast", "--steps", "200"]
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); from rodent.cli import main; main({1})"
    )
    for room, episodes, whole in ((300_000, 1, 0), (1_500_000, 3, 3)):  # not even an episode; all, and no session
        code = limited.format(room, [*command, "--episodes", str(episodes)])
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and not done.stdout
        assert re.fullmatch(r"rodent: cannot record to session\.nwb: .*; make room and give the same .*\n", done.stderr)
        left = sorted(each.name for each in (tmp_path / ".session.nwb.parts").iterdir())
        assert left == [".lock", "recipe.json", *(f"run-{k:06d}.h5" for k in range(whole))]

"""`tools/slurm.sh` between stand-ins for SLURM and torchrun, which note what they are asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAND_INS = {
    # Kills what it runs where it is told to end, as SLURM's own does.
    "srun": """
        while [ "${1#-}" != "$1" ]; do shift; done
        "$@" &
        echo "$!" >"$NOTES.step"
        trap 'kill -KILL "$(cat "$NOTES.step")"' TERM
        wait "$!" """,
    "scancel": '[ "$*" = "--signal=TERM 123456" ] && kill -TERM "$(cat "$NOTES.step")"',
    "scontrol": '[ "$1" = show ] && printf "node-3\\nnode-4\\n" || echo "$@" >>"$NOTES"',
    "torchrun": """
        trap 'echo stopped >>"$NOTES"; exit 1' TERM
        echo "$@" >>"$NOTES"
        if [ -n "${LASTS:-}" ]; then while true; do sleep 0.1; done; fi
        exit "$CODE" """,
}


@pytest.fixture
def job(tmp_path: Path) -> dict[str, str]:
    """The surroundings of a job; what is asked for goes to the file in `NOTES`."""
    (tmp_path / "bin").mkdir()
    for name, body in STAND_INS.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/usr/bin/env bash\n{body}\n")
        path.chmod(0o755)
    return {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "VENV": str(tmp_path),
        "NOTES": str(tmp_path / "notes"),
        "CODE": "0",
        "SLURM_SUBMIT_DIR": str(ROOT),
        "SLURM_JOB_NODELIST": "node-[3-4]",
        "SLURM_JOB_ID": "123456",
        "SLURM_NNODES": "2",
        "SLURM_CPUS_PER_TASK": "8",
    }


def start(job: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["bash", ROOT / "tools" / "slurm.sh", "--task", "run", "--envs", "64"], env=job)


def test_ranks_on_every_core_of_every_node_meet_on_the_first(job: dict[str, str]) -> None:
    assert start(job).wait(60) == 0
    words = Path(job["NOTES"]).read_text().split()
    flags = dict(zip(words[0:14:2], words[1:14:2], strict=True))
    assert flags == {
        "--nnodes": "2",
        "--nproc-per-node": "8",
        "--rdzv-backend": "c10d",
        "--rdzv-endpoint": "node-3:23456",
        "--rdzv-id": "123456",
        "--max-restarts": "3",
        "-m": "rodent",
    }
    assert words[14:] == ["train", "--threads", "1", "--task", "run", "--envs", "64", "--resume"]


def test_a_run_that_fails_is_not_queued_again(job: dict[str, str]) -> None:
    assert start(job | {"CODE": "2"}).wait(60) == 2
    assert "requeue" not in Path(job["NOTES"]).read_text()


def test_before_its_time_is_over_a_job_stops_the_run_and_queues_itself_again(job: dict[str, str]) -> None:
    running = start(job | {"LASTS": "1"})
    while not Path(job["NOTES"]).exists():
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    assert Path(job["NOTES"]).read_text().splitlines()[1:] == ["stopped", "requeue 123456"]

"""Violence in every world, a few thousand control steps of it: `benchmarks/soak.py`, shortened."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rodent.tasks import TASKS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("task", TASKS)
def test_violence_neither_crashes_nor_leaks_nor_ends_the_wrong_episode(task, tmp_path):
    output = tmp_path / "soak.json"
    command = [sys.executable, ROOT / "benchmarks" / "soak.py", "--tasks", task, "--steps", "128000"]
    subprocess.run([*command, "--output", output], check=False, cwd=ROOT, stderr=subprocess.DEVNULL)
    (row,) = json.loads(output.read_text())["rows"]
    assert row["faults"] == []
    assert row["control_steps"] == 128_000 and row["memory_growth"] <= 0.02
    assert row["kicks"] == 10 and row["endings"]["diverged"] == 10 + row["divergences_of_its_own"]
    assert row["endings"]["time_limit"] > 64

"""The wheel holds everything that the tree does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SMOKE = """
import pathlib, sys
import gymnasium, rodent, policies
site = pathlib.Path(sys.argv[1])
assert site in pathlib.Path(rodent.__file__).parents, rodent.__file__
env = gymnasium.make_vec("rodent/Run-v0", num_envs=2)
observation, _ = env.reset(seed=0)
env.step(env.action_space.sample())
from policies.policy import Policy, shipped_policies
from rodent.env import RodentVectorEnv
for name in shipped_policies():
    policy = Policy.load(name)
    env = RodentVectorEnv(policy.task, 2, privileged=policy.senses.privileged, vision=policy.sight)
    observation, _ = env.reset(seed=0)
    env.step(policy.act(observation)[0])
from analysis.recording import Session, shipped_sessions
for name, path in shipped_sessions().items():
    assert site in path.parents, path
    with Session(name) as session:
        assert len(session.trials)
assert "run" in shipped_sessions()
from importlib.resources import files
assert {"page.html", "page.css", "page.js"} <= {each.name for each in (files("analysis.report") / "web").iterdir()}
print("smoke test passed with", sorted(shipped_policies()))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the wheel installed, apart from the tree; dependencies come from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    tree = folder / "tree"
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, tracked.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, tree], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def test_the_installed_wheel_steps_the_rat_and_finds_what_it_ships(site, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SMOKE, str(site)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "smoke test passed" in done.stdout


def test_the_installed_command_answers(site, tmp_path):
    done = subprocess.run(
        [str(site / "bin" / "rodent"), "tasks"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("run:")

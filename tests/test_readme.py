"""What README and docs tell a reader to type works: every Python snippet of README's, every flag of every command."""

import re
import shlex
from pathlib import Path

import pytest

from rodent.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "assets" / "policies" / "README.md"]


def snippet(words: str) -> str:
    """The one Python snippet of README's that holds these words."""
    found = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (code,) = [each for each in found if words in each]
    return code


def commands() -> list[str]:
    """Every line that calls `rodent` in a block of code or between backticks, without its comment."""
    lines = []
    for page in PAGES:
        text = page.read_text()
        blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
        lines += [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        lines += [each.replace("\n", " ") for each in re.findall(r"(?<!`)`(rodent [^`]+)`(?!`)", text)]
    return sorted({line.partition("#")[0].strip() for line in lines if re.match(r"rodent [a-z]+\b", line)})


def run(code: str) -> dict[str, object]:
    for number in ("64", "4"):
        code = code.replace(f"num_envs={number}", "num_envs=2")
    code = code.replace("range(100)", "range(3)").replace("pool=64", "pool=2")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_ten_lines_step_the_rat(capsys: pytest.CaptureFixture[str]) -> None:
    run(snippet('info["endings"]'))
    shown = capsys.readouterr().out
    assert "'walker/joints_pos': (2, 30)" in shown and "diverged" in shown


def test_a_policy_acts_from_the_lines_that_say_so() -> None:
    names = run(snippet("from policies.policy import Policy").replace('"runs/first"', '"run"'))
    assert names["action"].shape == (2, 38) and (names["reward"] >= 0).all()  # type: ignore[attr-defined, operator]


def test_the_rats_see_from_the_lines_that_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disabled")  # so that the ray tracer draws
    run(snippet("vision=True"))
    shown = capsys.readouterr().out
    assert "(2, 64, 64, 3)" in shown and "warp" in shown


@pytest.mark.parametrize("command", commands())
def test_every_command_that_is_told_exists_with_its_flags(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, name, *words = shlex.split(command)
    assert name in COMMANDS
    at = words.index("--config") if "--config" in words else len(words)
    with pytest.raises(SystemExit):
        main([name, *words[at : at + 2], "--help"])  # a configuration's phases have flags of their own
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w.-]*", capsys.readouterr().out))
    for flag in (word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)):
        assert flag in known, flag

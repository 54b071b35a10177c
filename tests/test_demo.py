"""`tools/demo_shipped.sh`, the end of `make demo`, with a command that notes what it is asked for and does less."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHORTER = """#!/usr/bin/env bash
echo "$@" >>"$NOTES"
case "$1" in
    render) ;;
    record) exec "$PYTHON" -m rodent "${@/#250/20}" ;;
    analyze) exec "$PYTHON" -m rodent analyze "$2" "$3" "$4" --stages overview ;;
    *) exit 1 ;;
esac
"""


def test_the_demo_ends_with_a_recording_and_a_report_of_a_shipped_policy(tmp_path: Path) -> None:
    command, out, notes = tmp_path / "rodent", tmp_path / "shipped", tmp_path / "notes"
    command.write_text(SHORTER)
    command.chmod(0o755)
    surroundings = {**os.environ, "NOTES": str(notes), "PYTHON": sys.executable}
    subprocess.run(
        ["bash", ROOT / "tools" / "demo_shipped.sh", command, out], env=surroundings, check=True, timeout=600
    )
    asked = [line.split() for line in notes.read_text().splitlines()]
    policies = (ROOT / "assets" / "policies").glob("*/policy.json")
    films = [(path.parent.name, task) for path in policies for task in json.loads(path.read_text())["tasks"]]
    assert sorted((Path(words[1]).name, words[3]) for words in asked if words[0] == "render") == sorted(films)
    assert [words[:2] for words in asked[len(films) :]] == [["record", "run"], ["analyze", str(out / "run.nwb")]]
    assert "--film" in asked[-1]
    assert (out / "run.nwb").is_file()
    assert (out / "report" / "index.html").is_file() and (out / "report" / "tables" / "overview.csv").is_file()

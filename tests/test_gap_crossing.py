"""The table of which gaps are crossed keeps what it knew of other policies and physics."""

import json
from pathlib import Path

import pytest

from tests.benchmark import load


def test_rows_of_other_policies_and_physics_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script, output = load("gap_crossing", monkeypatch), tmp_path / "gaps.json"

    def measure(crossed: int, *policies: str, physics: str) -> list[tuple[str, str, list[int]]]:
        def row(name: str, flags: object) -> dict[str, object]:
            return {"policy": name, "physics": physics, "met": [9], "crossed": [crossed]}

        monkeypatch.setattr(script, "row", row)
        script.main(script.Flags(policies, physics=physics, output=output))
        return [(row["policy"], row["physics"], row["crossed"]) for row in json.loads(output.read_text())["rows"]]

    measure(1, "run", physics="fast")
    measure(2, "run", "leaper", physics="paper")
    assert measure(3, "run", physics="paper") == [
        ("run", "fast", [1]), ("run", "paper", [3]), ("leaper", "paper", [2]),
    ]  # fmt: skip

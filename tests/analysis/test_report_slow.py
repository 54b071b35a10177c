"""The whole standard set on a recording as small as the one that `make demo` ends with."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.nwb_record import record
from analysis.report.analyze import analyze
from analysis.report.stages import STAGES
from policies.policy import Policy

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_no_stage_of_the_standard_set_fails_on_the_demo_s_recording(tmp_path):
    """Four episodes of 250 steps are few: what cannot be told of them has a reason, and nothing else is lost."""
    demo = (ROOT / "tools" / "demo_shipped.sh").read_text()
    episodes, steps = map(int, re.search(r"record run --episodes (\d+) --steps (\d+)", demo).groups())
    policy = Policy.load(ROOT / "assets" / "policies" / "run")
    session = record(policy, tmp_path / "run.nwb", ["run"], episodes, steps=steps, threads=1)
    done = analyze([session], tmp_path / "report")
    assert {each["stage"]: each["failure"] for each in done["stages"] if each["failure"]} == {}
    for stage in (stage.name for stage in STAGES if not stage.optional):
        table = pd.read_csv(tmp_path / "report" / "tables" / f"{stage}.csv")
        unknown = table.reason.fillna("").str.startswith("not estimable: ")
        assert len(table) and (table.value.isna() == unknown).all(), stage

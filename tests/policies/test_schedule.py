from __future__ import annotations

import pytest

from policies.config import Phase
from policies.schedule import Schedule

SHARES = (Phase(share=1), Phase(share=3))
STEPS = (Phase(steps=100), Phase(steps=300))


@pytest.mark.parametrize(
    ("steps", "where"), [(0, (0, 0)), (50, (0, 0.5)), (100, (1, 0)), (250, (1, 0.5)), (999, (1, 1))]
)
def test_shares_divide_the_runs_steps(steps: int, where: tuple[int, float]) -> None:
    assert Schedule(SHARES, 400, None).locate(steps, 1e9) == pytest.approx(where)


def test_shares_divide_the_runs_minutes_where_it_has_any() -> None:
    schedule = Schedule(SHARES, 400, 60.0)
    assert schedule.locate(10**9, 7.5) == pytest.approx((0, 0.5))
    assert schedule.locate(0, 15.0) == pytest.approx((1, 0))
    assert schedule.progress(10**9, 30.0) == 0.5


def test_phases_with_steps_do_not_depend_on_the_length_of_the_run() -> None:
    for total in (150, 10_000):
        schedule = Schedule(STEPS, total, None)
        assert schedule.locate(50, 0) == (0, 0.5)
        assert schedule.locate(250, 0) == (1, 0.5)


def test_the_last_phase_lasts_until_the_run_ends() -> None:
    assert Schedule(STEPS, 10_000, None).locate(5_000, 0) == (1, 1)

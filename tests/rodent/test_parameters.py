"""What a task says of its parameters is what it holds them to."""

import math

import pytest

from rodent.errors import UsageError
from rodent.tasks import TASKS, make_task
from rodent.tasks.parameters import parameters

EVERY = [(task, name) for task in TASKS for name in parameters(TASKS[task])]


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_the_limits_that_are_told_are_admissible_and_nothing_beyond_them_is(task, name):
    admissible = parameters(TASKS[task])[name]
    if admissible.kind == "switch":
        good, bad = [True, False], [1, None]
    else:
        good = [2 * admissible.lowest or 0.01 if admissible.above else admissible.lowest]
        bad = [admissible.lowest - 1, "much", None, math.nan, math.inf, (1, 2, 3)]
        bad += [admissible.lowest] if admissible.above else []
    if math.isfinite(admissible.highest) and admissible.kind != "switch":
        good.append(admissible.highest)
        bad.append(admissible.highest + 1)
    if admissible.kind == "range":
        good.append((admissible.lowest, admissible.highest))
        bad += [(admissible.highest, admissible.lowest), (admissible.lowest, admissible.highest + 1)]
    for value in good:
        assert getattr(make_task(task, **{name: value}), name) == value
    for value in bad:
        with pytest.raises(UsageError, match=f"^{name} must ") as error:
            make_task(task, **{name: value})
        assert "\n" not in str(error.value)

"""What the tasks are, in numbers and words, for people and for `rodent tasks --json`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from rodent.senses import Senses
from rodent.tasks import TASKS


def describe_tasks() -> dict[str, Any]:
    """Each task's limit, reward, observations with sizes and units, actions and parameters."""
    described = {}
    for name, kind in TASKS.items():
        task = kind()
        model = task.world(np.random.default_rng(0))
        senses = Senses(model)
        described[name] = {
            "summary": task.summary,
            "time_limit_s": task.time_limit,
            "step_limit": task.step_limit,
            "max_return": task.max_return,
            "observations": {sense.name: {"size": sense.size, "unit": sense.unit} for sense in senses.list},
            "actions": {actuator.name: actuator.effect for actuator in senses.body.actuators},
            "parameters": {field.name: getattr(task, field.name) for field in fields(task)},
        }
    return {"tasks": described}

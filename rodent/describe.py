"""What the tasks are, in numbers and words, for people and for `rodent tasks --json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rodent.env import RodentVectorEnv
from rodent.registration import ENVIRONMENTS
from rodent.tasks import TASKS
from rodent.tasks.parameters import parameters
from rodent.vision import PICTURE, SIZE


def describe_tasks() -> dict[str, Any]:
    """Each task's limit, reward, endings, observations, actions and parameters, with sizes, units and ranges."""
    return {"tasks": {name: _describe(name) for name in TASKS}}


def _describe(name: str) -> dict[str, Any]:
    env = RodentVectorEnv(name, 1)
    env.reset(seed=0)
    *_, info = env.step(np.zeros(env.action_space.shape))  # which names every term and cause
    task = env.task
    admissible = parameters(task)
    return {
        "summary": task.summary,
        "gymnasium": next(env_id for env_id, registered in ENVIRONMENTS.items() if registered == name),
        "time_limit_s": task.time_limit,
        "step_limit": task.step_limit,
        "reward_range": task.reward_range,
        "reward_terms": list(info["reward_terms"]),
        "max_return": task.max_return,
        "endings": list(info["endings"]),
        "arenas": "a new one for each episode" if task.varies else "one",
        "observations": {sense.name: {"size": sense.size, "unit": sense.unit} for sense in env.senses.list},
        "pictures": {PICTURE: {"shape": [SIZE, SIZE, 3], "unit": "RGB, 0 to 255", "option": "vision"}},
        "actions": {actuator.name: actuator.effect for actuator in env.body.actuators},
        "parameters": {name: getattr(task, name) for name in admissible},
        "admissible_parameters": {name: each.to_json() for name, each in admissible.items()},
    }

"""The tasks, by name. A new task is one new file and one line here."""

from dataclasses import fields
from typing import Any

from rodent.errors import UsageError
from rodent.tasks.base import Path, Start, Task, episode_rng
from rodent.tasks.escape_bowl import EscapeBowl
from rodent.tasks.maze_forage import MazeForage
from rodent.tasks.run import Run
from rodent.tasks.run_gaps import RunGaps
from rodent.tasks.two_tap import TwoTap

__all__ = ["TASKS", "Path", "Start", "Task", "episode_rng", "make_task"]

TASKS: dict[str, type[Task]] = {task.name: task for task in (Run, RunGaps, MazeForage, EscapeBowl, TwoTap)}


def make_task(name: str, /, **parameters: Any) -> Task:
    """The task of that name, with some of its parameters changed.

    Raises:
        UsageError: there is no such task, or a parameter is not admissible.
    """
    if name not in TASKS:
        raise UsageError(f"unknown task {name!r}: choose one of {', '.join(TASKS)}")
    known = [field.name for field in fields(TASKS[name]) if field.init]
    if strangers := [parameter for parameter in parameters if parameter not in known]:
        raise UsageError(
            f"task {name!r} has no such parameters: {', '.join(strangers)}; it has {', '.join(known) or 'none'}"
        )
    return TASKS[name](**parameters)

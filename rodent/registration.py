"""Gymnasium ids of the tasks. Names only, so that importing `rodent` stays light."""

import gymnasium

ENVIRONMENTS = {
    "rodent/Run-v0": "run",
    "rodent/RunGaps-v0": "run-gaps",
    "rodent/MazeForage-v0": "maze-forage",
    "rodent/EscapeBowl-v0": "escape-bowl",
    "rodent/TwoTap-v0": "two-tap",
}


def register_environments() -> None:
    """Make `gymnasium.make("rodent/Run-v0")` and `gymnasium.make_vec` work."""
    for env_id, task in ENVIRONMENTS.items():
        gymnasium.register(
            id=env_id,
            entry_point="rodent.env:RodentEnv",
            vector_entry_point="rodent.env:RodentVectorEnv",
            kwargs={"task": task},
        )

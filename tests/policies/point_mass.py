"""A batch of point masses with the interface of `RodentVectorEnv`: a task that is learnt in seconds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict

DIMENSIONS = 2
PICTURE = "eye"
LIMIT = 20  # control steps of an episode


class PointMasses:
    """Push masses to the origin and hold them there. Reward a step: exp(-4 |x|^2); an episode ends beyond |x| = 2.

    With `cue`, the masses stay where they are, a sign is shown in the first step of an episode alone, and the reward
    asks for the first action to repeat it ever after: an agent without memory cannot do that. (Masses that move would
    be a memory: an agent can write the sign into the world.)

    With `vision`, a picture of 8x8 pixels shows where they are, as brightness.
    """

    pool_seconds = 0.0

    def __init__(
        self, num_envs: int, physics: str = "fast", aids: Any = None, cue: bool = False, vision: bool = False
    ) -> None:
        self.num_envs = num_envs
        self.physics = physics
        self.aids = aids
        self.cue = cue
        self.task = SimpleNamespace(name="run", max_return=float(LIMIT))
        self.body = SimpleNamespace(actuators=tuple(SimpleNamespace(name=f"push_{i}") for i in range(DIMENSIONS)))
        sizes = {"position": DIMENSIONS, "velocity": DIMENSIONS, "cue": 1}
        self.single_observation_space = Dict({name: Box(-np.inf, np.inf, (size,)) for name, size in sizes.items()})
        self.vision = vision
        if vision:
            self.single_observation_space.spaces[PICTURE] = Box(0, 255, (8, 8, 3), np.uint8)
        self.single_action_space = Box(-1.0, 1.0, (DIMENSIONS,), np.float32)
        self.seeds = np.zeros(num_envs, dtype=np.int64)
        self.episodes = np.full(num_envs, -1)
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self.position = np.zeros((num_envs, DIMENSIONS))
        self.velocity = np.zeros((num_envs, DIMENSIONS))
        self.sign = np.zeros(num_envs)
        self.names: dict[str, str] = {}
        self.closed = False

    def rename(self, sense: str, name: str) -> None:
        """Offer a sense under another name."""
        self.names[sense] = name
        spaces = self.single_observation_space.spaces
        spaces[name] = spaces.pop(sense)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[dict[str, np.ndarray], dict]:
        if seed is not None:
            self.seeds[:] = seed
            self.episodes[:] = -1
        if options:
            self.episodes[:] = np.asarray(options["episode"]) - 1
        self._begin(np.arange(self.num_envs))
        return self._observe(), {}

    def step(self, actions: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict]:
        actions = np.asarray(actions, dtype=np.float64)
        assert actions.shape == (self.num_envs, DIMENSIONS) and np.abs(actions).max() <= 1
        self.velocity = 0.7 * self.velocity + 0.2 * actions
        self.position = self.position + self.velocity
        if self.cue:
            self.position, self.velocity = np.zeros((2, self.num_envs, DIMENSIONS))
        self.steps += 1
        distance = np.square(self.position).sum(1)
        reward = np.exp(-4 * distance)
        if self.cue:
            reward = 1 - np.abs(actions[:, 0] - self.sign) / 2
        terminated = distance > 4
        truncated = (self.steps >= LIMIT) & ~terminated
        ended = terminated | truncated
        shaping = -0.01 * np.square(actions).sum(1) if self.aids else np.zeros(self.num_envs)
        info: dict[str, Any] = {
            "task_reward": reward,
            "reward_terms": {"near": reward},
            "endings": {"out": terminated, "time_limit": truncated, "diverged": np.zeros(self.num_envs, dtype=bool)},
        }
        if self.aids:
            info["shaping_terms"] = {"effort": shaping}
        observation = self._observe()
        if ended.any():
            info["final_obs"] = np.full(self.num_envs, None, dtype=object)
            info["_final_obs"] = ended
            for i in np.flatnonzero(ended):
                info["final_obs"][i] = {name: values[i].copy() for name, values in observation.items()}
            self._begin(np.flatnonzero(ended))
            observation = self._observe()
        return observation, reward + shaping, terminated, truncated, info

    def state_dict(self) -> dict[str, np.ndarray]:
        names = ("episodes", "steps", "position", "velocity", "sign")
        state = {name: np.array(getattr(self, name)) for name in names}
        return state | {"seeds": np.array([str(seed) for seed in self.seeds])}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        for name, values in state.items():
            setattr(self, name, values.astype(np.int64) if name == "seeds" else values.copy())

    def close(self) -> None:
        self.closed = True

    def _begin(self, ids: np.ndarray) -> None:
        self.episodes[ids] += 1
        self.steps[ids] = 0
        self.velocity[ids] = 0
        for i in ids:
            rng = np.random.default_rng((self.seeds[i], self.episodes[i]))
            self.position[i] = 0 if self.cue else rng.uniform(-1, 1, DIMENSIONS)
            self.sign[i] = rng.choice([-1.0, 1.0])

    def _observe(self) -> dict[str, np.ndarray]:
        shown = np.where((self.steps == 0) & self.cue, self.sign, 0.0)[:, None]
        senses = {"position": self.position.copy(), "velocity": self.velocity.copy(), "cue": shown}
        senses = {self.names.get(name, name): value for name, value in senses.items()}
        return senses | ({PICTURE: self._draw()} if self.vision else {})

    def _draw(self) -> np.ndarray:
        brightness = np.clip(128 + 60 * self.position, 0, 255).astype(np.uint8)
        picture = np.zeros((self.num_envs, 8, 8, 3), np.uint8)
        picture[..., :DIMENSIONS] = brightness[:, None, None]
        return picture


def make_point_masses(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
    return PointMasses(envs, physics, aids, vision=named.get("vision", False))


def make_cued(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
    return PointMasses(envs, physics, aids, cue=True)
